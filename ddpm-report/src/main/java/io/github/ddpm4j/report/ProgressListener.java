package io.github.ddpm4j.report;

import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.training.TrainingStepListener;
import java.util.Locale;
import java.util.function.DoubleSupplier;

/** The progress of a training run, with the moving mean of its loss. */
final class ProgressListener implements TrainingStepListener {

  /** The share of the old mean that each step keeps. */
  private static final double LOSS_MEMORY = 0.98;

  private final Progress progress;
  private boolean started;
  private String loss = "";
  private double weightedLoss;
  private double weight;

  ProgressListener(Progress.Display display) {
    progress = new Progress(display, "training", "steps");
  }

  @Override
  public void onStep(TrainingStepListener.Event event) {
    onStep(event.step(), event.steps(), event.isLossKnown(), event::loss);
  }

  /**
   * Shows a step.
   *
   * @param known whether asking for the loss does not wait for the device
   */
  void onStep(long step, long steps, boolean known, DoubleSupplier stepLoss) {
    if (!started) {
      weightedLoss = 0;
      weight = 0;
    }
    if (!started || known) {
      weightedLoss = LOSS_MEMORY * weightedLoss + (1 - LOSS_MEMORY) * stepLoss.getAsDouble();
      weight = LOSS_MEMORY * weight + (1 - LOSS_MEMORY);
      loss = String.format(Locale.ROOT, "loss %.4f", weightedLoss / weight);
    }
    started = true;
    progress.to((double) step, (double) steps, loss);
  }

  @Override
  public void onEnd(long steps) {
    started = false;
    progress.close();
  }
}
