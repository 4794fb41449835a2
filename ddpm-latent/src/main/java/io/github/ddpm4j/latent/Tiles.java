package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Tiles of latents that overlap by a quarter of their side. Where they overlap, each counts by its
 * distance from its own edge, so that what is put together of them has no steps.
 *
 * @param side of a tile, in latents
 */
record Tiles(int side) {

  /** The part of the side that a tile shares with the next. */
  private static final int OVERLAP = 4;

  /** Whether latents of this size take more than one tile. */
  boolean cut(long height, long width) {
    return side > 0 && (height > side || width > side);
  }

  /** The first latents of the tiles along an axis. */
  private long[] starts(long length) {
    List<Long> starts = new ArrayList<>();
    long step = Math.max(1, side - side / OVERLAP);
    long start = 0;
    while (start + side < length) {
      starts.add(start);
      start += step;
    }
    starts.add(Math.max(0, length - side));
    return starts.stream().mapToLong(Long::longValue).toArray();
  }

  /**
   * How much each tile counts, by tile and place within it. At every place it is 1 together.
   *
   * @param scale places per latent
   */
  private double[][] weights(long[] starts, long length, int scale) {
    int places = Math.toIntExact(Math.min(side, length) * scale);
    double ramp = Math.max(1, side / OVERLAP) * (double) scale;
    double[] sums = new double[Math.toIntExact(length * scale)];
    double[][] weights = new double[starts.length][places];
    for (int k = 0; k < starts.length; k++) {
      for (int i = 0; i < places; i++) {
        double before = k == 0 ? 1 : Math.min(1, (i + 0.5) / ramp);
        double behind = k == starts.length - 1 ? 1 : Math.min(1, (places - i - 0.5) / ramp);
        weights[k][i] = before * behind;
        sums[(int) (starts[k] * scale) + i] += weights[k][i];
      }
    }
    for (int k = 0; k < starts.length; k++) {
      for (int i = 0; i < places; i++) {
        weights[k][i] /= sums[(int) (starts[k] * scale) + i];
      }
    }
    return weights;
  }

  /**
   * Does something to tiles, and puts together what it makes of them.
   *
   * @param from shape (N, C, H, W)
   * @param in how many rows and columns of it a latent has
   * @param out how many rows and columns of the result a latent has
   * @param made what is made of a tile, attached to the tile's manager
   * @return attached to the manager of {@code from}
   */
  NDArray mapped(NDArray from, int in, int out, UnaryOperator<NDArray> made) {
    long height = from.getShape().get(2) / in;
    long width = from.getShape().get(3) / in;
    long[] rows = starts(height);
    long[] columns = starts(width);
    double[][] byRow = weights(rows, height, out);
    double[][] byColumn = weights(columns, width, out);
    long high = Math.min(side, height);
    long wide = Math.min(side, width);
    @Nullable NDArray all = null;
    boolean done = false;
    try {
      for (int y = 0; y < rows.length; y++) {
        for (int x = 0; x < columns.length; x++) {
          try (NDManager scope = from.getManager().newSubManager()) {
            NDArray tile = part(from, rows[y] * in, high * in, columns[x] * in, wide * in);
            tile.attach(scope);
            NDArray own = tile.duplicate();
            own.attach(scope);
            NDArray result = made.apply(own);
            result.attach(scope);
            if (all == null) {
              Shape shape = result.getShape();
              all =
                  from.getManager()
                      .zeros(new Shape(shape.get(0), shape.get(1), height * out, width * out));
            }
            NDArray place = part(all, rows[y] * out, high * out, columns[x] * out, wide * out);
            place.attach(scope);
            Shape column = new Shape(1, 1, byRow[y].length, 1);
            NDArray share = Upload.doubles(scope, byRow[y], column, DataType.FLOAT32);
            Shape row = new Shape(1, 1, 1, byColumn[x].length);
            NDArray other = Upload.doubles(scope, byColumn[x], row, DataType.FLOAT32);
            place.addi(result.mul(share).mul(other));
          }
        }
      }
      done = true;
      return Objects.requireNonNull(all);
    } finally {
      if (!done && all != null) {
        all.close();
      }
    }
  }

  /** A view. */
  private static NDArray part(NDArray array, long top, long high, long left, long wide) {
    return array.get(new NDIndex("..., {}:{}, {}:{}", top, top + high, left, left + wide));
  }
}
