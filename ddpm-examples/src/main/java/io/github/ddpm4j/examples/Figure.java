package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Rows of pictures, with words above the columns and beside the rows. */
final class Figure {

  /** Pictures are enlarged until their longer side has so many pixels. */
  private static final long LEAST_SIDE = 48;

  private final DataRange range;
  private final String[] columns;
  private final List<String> rows = new ArrayList<>();
  private final NDList cells = new NDList();

  Figure(DataRange range, String... columns) {
    this.range = range;
    this.columns = columns.clone();
  }

  /**
   * Adds a row.
   *
   * @param label what stands beside it
   * @param parts from left to right, single pictures (C, H, W) and batches (N, C, H, W)
   */
  Figure row(String label, NDArray... parts) {
    rows.add(label);
    for (NDArray part : parts) {
      if (part.getShape().dimension() == 3) {
        cells.add(part);
      } else {
        for (int i = 0; i < part.getShape().get(0); i++) {
          cells.add(part.get(i));
        }
      }
    }
    return this;
  }

  void save(Path file) throws IOException {
    NDArray all = NDArrays.stack(cells);
    long side = Math.max(all.getShape().get(2), all.getShape().get(3));
    Pictures.of(all)
        .dataRange(range.min(), range.max())
        .columns(cells.size() / rows.size())
        .enlarge((int) Math.max(1, LEAST_SIDE / side))
        .columnLabels(columns)
        .rowLabels(rows.toArray(String[]::new))
        .save(file);
  }
}
