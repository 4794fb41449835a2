package io.github.ddpm4j.benchmark;

import java.util.Arrays;

/**
 * Repeated measurements of one thing.
 *
 * @param median the value in the middle
 * @param lower the lower quartile
 * @param upper the upper quartile
 * @param min the smallest
 * @param max the largest
 * @param count how many there are
 */
record Spread(double median, double lower, double upper, double min, double max, int count) {

  private static final double QUARTER = 0.25;

  /**
   * The spread of values; between two of them quartiles are interpolated.
   *
   * @throws IllegalArgumentException if there are none
   */
  static Spread of(double... values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("a spread needs at least 1 value, but there are 0");
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return new Spread(
        quantile(sorted, 2 * QUARTER),
        quantile(sorted, QUARTER),
        quantile(sorted, 3 * QUARTER),
        sorted[0],
        sorted[sorted.length - 1],
        sorted.length);
  }

  /** The value below which a share of sorted values lies; NaN if there are none. */
  static double quantile(double[] sorted, double share) {
    if (sorted.length == 0) {
      return Double.NaN;
    }
    double place = share * (sorted.length - 1);
    int below = (int) place;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }
}
