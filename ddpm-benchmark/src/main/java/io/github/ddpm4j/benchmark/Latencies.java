package io.github.ddpm4j.benchmark;

import java.util.Arrays;
import java.util.Collection;

/**
 * How long requests took or waited.
 *
 * @param millis one number a request that was served; of what was taken, in the order in which they
 *     came
 */
@SuppressWarnings("ArrayRecordComponent") // not compared
record Latencies(double[] millis) {

  private static final double LAST = 0.99;

  static Latencies ofNanos(Collection<? extends Number> nanos) {
    return new Latencies(nanos.stream().mapToDouble(n -> n.doubleValue() / 1e6).toArray());
  }

  /** The mean; NaN if there are none. */
  double mean() {
    return Arrays.stream(millis).average().orElse(Double.NaN);
  }

  /** The time that half of them took at most; NaN if there are none. */
  double median() {
    return Spread.quantile(sorted(), 0.5);
  }

  /** The time that 99 % of them took at most; NaN if there are none. */
  double last() {
    return last(sorted());
  }

  static double last(double[] sorted) {
    return Spread.quantile(sorted, LAST);
  }

  private double[] sorted() {
    double[] sorted = millis.clone();
    Arrays.sort(sorted);
    return sorted;
  }
}
