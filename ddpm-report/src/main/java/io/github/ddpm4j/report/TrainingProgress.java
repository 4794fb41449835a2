package io.github.ddpm4j.report;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.training.TrainingStepListener;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.UnaryOperator;

/** Listeners that show how a training run is getting on. */
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
    return new ProgressListener(Progress.Display.onStandardError());
  }

  /**
   * Draws a grid of samples with the averaged weights every few steps and after the last one, and
   * writes each to a file of its own, {@code samples-000500.png} and so on. The seed is 1 unless
   * {@code settings} sets another: every grid starts from the same noise, so that one picture can
   * be followed through the training.
   *
   * <pre>{@code
   * training.listener(
   *     TrainingProgress.samples(ddpm, folder, 500, 8, 64, s -> s.sampler(Samplers.ddim(50))));
   * }</pre>
   *
   * @param ddpm the model in training; not closed
   * @param folder where the files go, made if it is missing
   * @param every the number of steps from one grid to the next, at least 1
   * @param columns the number of columns of the grid, at least 1
   * @param count the number of samples in a grid, at least 1
   * @param settings how they are drawn: sampler, condition, guidance
   * @return a listener for one training run; the run fails with an {@link
   *     java.io.UncheckedIOException} if a file cannot be written
   * @throws IllegalArgumentException if a number is less than 1
   */
  public static TrainingStepListener samples(
      DDPM ddpm, Path folder, int every, int columns, int count, UnaryOperator<Sampling> settings) {
    Objects.requireNonNull(folder, "folder");
    return new SampleGrids(new SampleDraw(ddpm, every, columns, count, settings), folder);
  }
}
