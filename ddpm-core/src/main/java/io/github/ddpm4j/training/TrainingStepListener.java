package io.github.ddpm4j.training;

/** Watches a training run. */
public interface TrainingStepListener {

  /**
   * Called after every step, on the thread that trains.
   *
   * @param event what the step did
   */
  void onStep(TrainingEvent event);

  /**
   * Called once when the run ends, however it ends, and whatever other listeners throw. If one
   * throws here, the run fails with the first exception, and the others are suppressed in it.
   *
   * @param steps the number of steps that were done
   */
  default void onEnd(long steps) {}
}
