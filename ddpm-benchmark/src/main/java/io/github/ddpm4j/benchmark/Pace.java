package io.github.ddpm4j.benchmark;

import java.util.function.LongSupplier;

/**
 * A clock that goes by how long the calls of a server take, beside what calls of as many images
 * took when they were timed: machines that others use, too, are now faster and now slower. Where it
 * follows, it goes slower as they do, so that a load that is a share of the capacity stays one.
 * Safe for use by many threads.
 */
final class Pace {

  /** The share of the latest call in the pace that is followed: that of some twenty calls. */
  private static final double LATEST = 0.05;

  private final TickTimes before;
  private final boolean follows;
  private final LongSupplier clock;
  private double took;
  private double expected;
  private double lately = 1;
  private long last;
  private double now;

  /**
   * @param before the times of calls
   * @param follows whether the clock follows; else it is that of the machine
   */
  Pace(TickTimes before, boolean follows) {
    this(before, follows, System::nanoTime);
  }

  /** The same on another clock than the machine's. */
  Pace(TickTimes before, boolean follows, LongSupplier clock) {
    this.before = before;
    this.follows = follows;
    this.clock = clock;
    this.last = clock.getAsLong();
  }

  /** A call of as many images is done. */
  synchronized void called(int images, long nanos) {
    now();
    double usual = before.nanos(images);
    took += nanos;
    expected += usual;
    if (follows && usual > 0) {
      lately += LATEST * (nanos / usual - lately);
    }
  }

  /** The time of this clock, in nanoseconds. */
  synchronized double now() {
    long time = clock.getAsLong();
    now += (time - last) / lately;
    last = time;
    return now;
  }

  /** How long the machine takes for so much time of this clock. */
  synchronized long real(double nanos) {
    return (long) (nanos * lately);
  }

  /** The time of all calls as a multiple of what they would have taken before; NaN if none. */
  synchronized double factor() {
    return took / expected;
  }
}
