package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import java.util.Arrays;
import java.util.List;

/**
 * What became of requests.
 *
 * @param arrivals the requests, numbered from 0
 * @param took how long each took, in nanoseconds; negative if it was refused
 * @param waits how long those that were served waited for their first step
 * @param nanos when the last one ended
 */
@SuppressWarnings("ArrayRecordComponent") // not compared
record Outcome(List<Arrival> arrivals, double[] took, Latencies waits, double nanos) {

  /** Those of the requests of few steps that were served, or of many. */
  Latencies latencies(boolean isShort) {
    return new Latencies(
        arrivals.stream()
            .filter(arrival -> arrival.isShort() == isShort && took[arrival.number()] >= 0)
            .mapToDouble(arrival -> took[arrival.number()] / 1e6)
            .toArray());
  }

  long refused() {
    return Arrays.stream(took).filter(time -> time < 0).count();
  }

  /** The image-steps of a second of the requests that were served. */
  double rate() {
    return 1e9
        * arrivals.stream()
            .filter(arrival -> took[arrival.number()] >= 0)
            .mapToDouble(Arrival::imageSteps)
            .sum()
        / nanos;
  }
}
