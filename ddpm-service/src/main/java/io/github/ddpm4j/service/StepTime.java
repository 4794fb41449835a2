package io.github.ddpm4j.service;

/**
 * What an image-step takes lately, in nanoseconds: 0 while that is unknown.
 *
 * <p>Not thread-safe.
 */
final class StepTime {

  private double nanos;

  /**
   * @param expected what it was measured to take; 0 if it was not
   */
  StepTime(double expected) {
    this.nanos = expected;
  }

  double nanos() {
    return nanos;
  }

  /**
   * A call is done.
   *
   * @param each what an image-step of it took
   * @param before the share of what was known, if anything was
   */
  void took(double each, double before) {
    double kept = nanos == 0 ? 0 : before;
    nanos = kept * nanos + (1 - kept) * each;
  }
}
