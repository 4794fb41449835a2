package io.github.ddpm4j.sampling;

/** Watches a sampling run. */
@FunctionalInterface
public interface SamplingListener {

  /**
   * Called after every step of every batch, on the thread that samples.
   *
   * @param event what the step did; its arrays are valid during the call only
   */
  void onStep(SamplingEvent event);
}
