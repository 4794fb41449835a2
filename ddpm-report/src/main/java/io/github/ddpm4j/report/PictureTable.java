package io.github.ddpm4j.report;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A table of pictures with labels for columns and rows. Small pictures are enlarged.
 *
 * <pre>{@code
 * new PictureTable(ddpm.dataRange())
 *     .row("real", images)
 *     .row("decoded", decoded)
 *     .save(Path.of("decoded.png"));
 * }</pre>
 *
 * <p>The arrays are borrowed until the table is saved. Not thread-safe.
 */
public final class PictureTable {

  /** The length in pixels to which the longer side of small pictures is enlarged. */
  private static final long LEAST_SIDE = 48;

  private final DataRange range;
  private final String[] columns;
  private final List<String> rows = new ArrayList<>();
  private final NDList cells = new NDList();

  /**
   * Creates an empty table.
   *
   * @param range the data range, from black to white
   * @param columns the column labels; none for a table without them
   */
  public PictureTable(DataRange range, String... columns) {
    this.range = range;
    this.columns = columns.clone();
  }

  /**
   * Adds a row.
   *
   * @param label the label of the row
   * @param parts the pictures from left to right: single pictures (C, H, W) and batches (N, C, H,
   *     W) of one size
   * @return this table
   */
  public PictureTable row(String label, NDArray... parts) {
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

  /**
   * Writes the table atomically to a PNG file.
   *
   * @param file the file; missing folders are created, an existing file is replaced
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if there are no rows, the rows differ in length, or the number
   *     of columns differs from that of their labels
   */
  public void save(Path file) throws IOException {
    if (rows.isEmpty() || cells.size() % rows.size() != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "a table needs rows of as many pictures each, but %d pictures are in %d rows",
              cells.size(),
              rows.size()));
    }
    String[] words = rows.toArray(String[]::new);
    try (NDArray all = NDArrays.stack(cells)) {
      Pictures.of(all)
          .dataRange(range)
          .columns(cells.size() / rows.size())
          .enlarge(enlargement(all, LEAST_SIDE))
          .columnLabels(columns)
          .rowLabels(rows.stream().allMatch(String::isEmpty) ? new String[0] : words)
          .save(file);
    }
  }

  /**
   * How many times pictures must be enlarged for their longer side to have about so many pixels.
   */
  static int enlargement(NDArray pictures, long side) {
    long longer = Math.max(pictures.getShape().get(2), pictures.getShape().get(3));
    return (int) Math.max(1, side / longer);
  }
}
