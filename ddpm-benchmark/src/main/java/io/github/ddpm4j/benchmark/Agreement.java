package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.benchmark.Bootstrap.Interval;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How the times of a simulation agree with those that were measured.
 *
 * @param measured in the order in which the requests came
 * @param simulated of the same requests
 */
record Agreement(Latencies measured, Latencies simulated) {

  static final String HEAD =
      "mean ms: measured | simulated | median: measured | simulated | p99: measured | its interval |"
          + " simulated | agrees |";

  /** How far mean and median may be apart, as a share of what was measured. */
  private static final double CLOSE = 0.15;

  /** The interval of the 99th percentile that was measured. */
  Interval interval() {
    return Bootstrap.interval(measured.millis(), Latencies::last, 1);
  }

  /** What does not agree: the mean or median by more than 15 %, p99 if outside its interval. */
  List<String> differences() {
    List<String> differences = new ArrayList<>();
    if (!isClose(measured.mean(), simulated.mean())) {
      differences.add("mean");
    }
    if (!isClose(measured.median(), simulated.median())) {
      differences.add("median");
    }
    if (!interval().contains(simulated.last())) {
      differences.add("p99");
    }
    return differences;
  }

  private static boolean isClose(double measured, double simulated) {
    return Math.abs(simulated - measured) <= CLOSE * measured;
  }

  /** Cells of a table, after {@link #HEAD}. */
  String cells() {
    if (measured.millis().length == 0) {
      return "- | - | - | - | - | - | - | - |";
    }
    List<String> differences = differences();
    return String.format(
        Locale.ROOT,
        "%.0f | %.0f | %.0f | %.0f | %.0f | %.0f–%.0f | %.0f | %s |",
        measured.mean(),
        simulated.mean(),
        measured.median(),
        simulated.median(),
        measured.last(),
        interval().low(),
        interval().high(),
        simulated.last(),
        differences.isEmpty() ? "yes" : "not " + String.join(", ", differences));
  }
}
