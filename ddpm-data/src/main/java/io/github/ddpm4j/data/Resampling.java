package io.github.ddpm4j.data;

import java.util.Arrays;

/**
 * Changes the size of pictures by Lanczos' filter of three lobes, widened by the factor of the
 * reduction, so that what is finer than the new pixels is averaged and makes no patterns.
 *
 * <pre>
 *   y_i = Σ_j w(x_j − c_i) · x_j / Σ_j w(x_j − c_i)      c_i = from + (i + ½) · scale
 *   w(d) = L(d / max(1, scale))        L(t) = sinc(t) · sinc(t / 3)  for |t| &lt; 3, else 0
 * </pre>
 *
 * <p>Pixels beyond the border have no weight. Rows and columns are treated one after the other.
 */
final class Resampling {

  private static final double LOBES = 3;

  private Resampling() {}

  /**
   * A part of one line of pixels, which is to become another number of them.
   *
   * @param from where it begins, in pixels; may lie within one
   * @param length its length in pixels
   * @param to the new number of pixels
   */
  record Span(double from, double length, int to) {}

  /** The weights of the old pixels in a new one. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Taps(int first, double[] weights) {

    static Taps[] of(Span span, int size) {
      double scale = span.length() / span.to();
      double stretch = Math.max(1, scale);
      Taps[] all = new Taps[span.to()];
      for (int i = 0; i < all.length; i++) {
        double centre = span.from() + (i + 0.5) * scale;
        int first = (int) Math.max(0, Math.floor(centre - LOBES * stretch));
        int end = (int) Math.min(size, Math.ceil(centre + LOBES * stretch));
        double[] weights = new double[end - first];
        double sum = 0;
        for (int j = 0; j < weights.length; j++) {
          weights[j] = lanczos((first + j + 0.5 - centre) / stretch);
          sum += weights[j];
        }
        for (int j = 0; j < weights.length; j++) {
          weights[j] /= sum;
        }
        all[i] = new Taps(first, weights);
      }
      return all;
    }
  }

  private static double lanczos(double t) {
    return Math.abs(t) < LOBES ? sinc(t) * sinc(t / LOBES) : 0;
  }

  private static double sinc(double t) {
    double x = Math.PI * t;
    return t == 0 ? 1 : Math.sin(x) / x;
  }

  /**
   * Changes the size of one channel.
   *
   * @param values row-major, height · width
   * @param height its height
   * @param width its width
   * @param rows what becomes of its height
   * @param columns what becomes of its width
   * @return row-major, the new height · the new width
   */
  static float[] of(float[] values, int height, int width, Span rows, Span columns) {
    if (isWhole(rows, height) && isWhole(columns, width)) {
      return values;
    }
    Taps[] across = Taps.of(columns, width);
    Taps[] down = Taps.of(rows, height);
    // only the rows that are needed
    int top = down[0].first;
    int bottom = down[down.length - 1].first + down[down.length - 1].weights.length;
    double[] narrow = new double[(bottom - top) * across.length];
    for (int y = top; y < bottom; y++) {
      for (int x = 0; x < across.length; x++) {
        Taps taps = across[x];
        double sum = 0;
        int at = y * width + taps.first;
        for (int j = 0; j < taps.weights.length; j++) {
          sum += taps.weights[j] * values[at + j];
        }
        narrow[(y - top) * across.length + x] = sum;
      }
    }
    float[] result = new float[down.length * across.length];
    double[] row = new double[across.length];
    for (int y = 0; y < down.length; y++) {
      Arrays.fill(row, 0);
      Taps taps = down[y];
      for (int j = 0; j < taps.weights.length; j++) {
        int at = (taps.first + j - top) * across.length;
        for (int x = 0; x < row.length; x++) {
          row[x] += taps.weights[j] * narrow[at + x];
        }
      }
      for (int x = 0; x < row.length; x++) {
        result[y * across.length + x] = (float) row[x];
      }
    }
    return result;
  }

  private static boolean isWhole(Span span, int size) {
    return span.from() == 0 && span.length() == size && span.to() == size;
  }
}
