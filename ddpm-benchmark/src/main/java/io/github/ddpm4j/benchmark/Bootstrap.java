package io.github.ddpm4j.benchmark;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;

/**
 * Intervals of a figure of measurements that depend on their neighbours, as the latencies of
 * requests that wait for the same others do: the circular block bootstrap (Politis and Romano
 * 1992). Blocks of √n measurements in their order are drawn until there are n, many times; the
 * interval is that between the quantiles of the figure. Where the dependence reaches further than
 * √n, the interval is too narrow.
 */
final class Bootstrap {

  private static final int REPEATS = 1000;
  private static final double LEVEL = 0.95;

  private Bootstrap() {}

  /**
   * An interval.
   *
   * @param low the lower end
   * @param high the upper end
   */
  record Interval(double low, double high) {

    boolean contains(double value) {
      return low <= value && value <= high;
    }
  }

  /**
   * The interval of 95 % of a figure.
   *
   * @param values the measurements, in their order; at least 1
   * @param figure is given a sorted array
   * @param seed the same gives the same interval
   */
  static Interval interval(double[] values, ToDoubleFunction<double[]> figure, long seed) {
    if (values.length == 0) {
      throw new IllegalArgumentException("a bootstrap needs at least 1 value, but there are 0");
    }
    SplittableRandom random = new SplittableRandom(seed);
    int block = (int) Math.ceil(Math.sqrt(values.length));
    double[] figures = new double[REPEATS];
    double[] drawn = new double[values.length];
    for (int k = 0; k < REPEATS; k++) {
      int first = 0;
      for (int i = 0; i < drawn.length; i++) {
        if (i % block == 0) {
          first = random.nextInt(values.length);
        }
        drawn[i] = values[(first + i % block) % values.length];
      }
      Arrays.sort(drawn);
      figures[k] = figure.applyAsDouble(drawn);
    }
    Arrays.sort(figures);
    return new Interval(
        Spread.quantile(figures, (1 - LEVEL) / 2), Spread.quantile(figures, (1 + LEVEL) / 2));
  }
}
