package io.github.ddpm4j.benchmark;

/**
 * How much is measured.
 *
 * @param batch the images of a forward pass and of a training step
 * @param repeats the least number of timed runs
 * @param quick as little as possible, to see that everything works
 */
record Effort(int batch, int repeats, boolean quick) {

  /** How long short runs are repeated. */
  private static final double SECONDS = 2;

  private static final int WARM_UPS = 3;

  /** Sampling takes 50 calls of the network, so it is repeated less often. */
  private static final int SAMPLING_SHARE = 4;

  Repeats ofCalls() {
    return new Repeats(quick ? 1 : WARM_UPS, repeats, quick ? 0 : SECONDS);
  }

  /** Sampling, which the caller warms up. */
  Repeats ofSampling() {
    int least = (repeats + SAMPLING_SHARE - 1) / SAMPLING_SHARE;
    return new Repeats(0, least, quick ? 0 : SECONDS);
  }
}
