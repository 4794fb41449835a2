package io.github.ddpm4j.benchmark;

import java.util.ArrayList;
import java.util.List;

/**
 * Decides how often something is run: some times to warm up, which do not count, and then until it
 * was run often enough and long enough. Not thread-safe.
 */
final class Repeats {

  private static final int MOST = 10_000;
  private static final double NANOS_PER_MILLI = 1e6;
  private static final double MILLIS_PER_SECOND = 1000;

  private final int warmUps;
  private final int least;
  private final double millis;
  private final List<Double> counted = new ArrayList<>();
  private int warm;
  private double warmMillis;
  private double countedMillis;

  /**
   * Sets the bounds.
   *
   * @param warmUps the least number of runs that do not count
   * @param least the least number of runs that count
   * @param seconds how long the runs that count take at least, all together; those before them take
   *     half of it
   */
  Repeats(int warmUps, int least, double seconds) {
    this.warmUps = warmUps;
    this.least = least;
    this.millis = seconds * MILLIS_PER_SECOND;
  }

  /** Runs it, each time with a look at the clock before and after. */
  Repeats time(Runnable run) {
    boolean more = true;
    while (more) {
      long start = System.nanoTime();
      run.run();
      more = add(millisSince(start));
    }
    return this;
  }

  /** Takes the duration of a run; tells whether there should be another one. */
  boolean add(double duration) {
    if (warm < warmUps || (warmUps > 0 && warmMillis < millis / 2 && warm < MOST)) {
      warm++;
      warmMillis += duration;
      return true;
    }
    counted.add(duration);
    countedMillis += duration;
    return counted.size() < least || (countedMillis < millis && counted.size() < MOST);
  }

  /** The durations that count, in milliseconds. */
  Spread spread() {
    return Spread.of(counted.stream().mapToDouble(Double::doubleValue).toArray());
  }

  static double millisSince(long nanoTime) {
    return (System.nanoTime() - nanoTime) / NANOS_PER_MILLI;
  }
}
