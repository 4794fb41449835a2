package io.github.ddpm4j.report;

import io.github.ddpm4j.training.TrainingStepListener;

/** Progress displays for training runs. */
public final class TrainingProgress {

  private TrainingProgress() {}

  /**
   * A progress bar on standard error with steps per second, the moving mean of the loss and the
   * remaining time. Without a terminal, a plain line every ten seconds instead.
   *
   * <pre>
   *   training  45% [==========&gt;             ] 135/300, 13.2 steps/s, loss 0.1050, 0:00:12 left
   * </pre>
   *
   * @return a listener for one run: {@code ddpm.training().listener(TrainingProgress.bar())}
   */
  public static TrainingStepListener bar() {
    return ProgressListener.onStandardError();
  }
}
