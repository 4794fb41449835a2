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

  /**
   * A progress bar on standard error: steps per second, the moving mean of the loss, the time left.
   * Where the process has no terminal, a plain line every ten seconds instead.
   *
   * <pre>
   *   training  45% [==========&gt;             ] 135/300, 13.2 steps/s, loss 0.1050, 0:00:12 left
   * </pre>
   *
   * @return a listener for one run
   */
  static TrainingStepListener progressBar() {
    return ProgressListener.onStandardError();
  }
}
