package io.github.ddpm4j.report;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.training.TrainingStepListener;
import java.util.Objects;
import java.util.function.UnaryOperator;

/**
 * How samples of a model in training are drawn: from the same noise every time, unless the settings
 * say otherwise.
 *
 * @param ddpm the model in training; not closed
 * @param every the number of steps from one time to the next
 * @param columns the number of columns of a grid
 * @param count the number of samples
 * @param settings sampler, condition, guidance
 */
record SampleDraw(DDPM ddpm, int every, int columns, int count, UnaryOperator<Sampling> settings) {

  private static final long SEED = 1;

  /**
   * Checks the numbers.
   *
   * @throws IllegalArgumentException if one is less than 1
   */
  SampleDraw {
    Objects.requireNonNull(ddpm, "ddpm");
    Objects.requireNonNull(settings, "settings");
    if (every < 1 || columns < 1 || count < 1) {
      throw new IllegalArgumentException(
          "every, columns and count must be at least 1, but were "
              + every
              + ", "
              + columns
              + " and "
              + count);
    }
  }

  /** Whether it is time after a step. */
  boolean isDue(TrainingStepListener.Event event) {
    return event.step() % every == 0 || event.step() == event.steps();
  }

  /** Draws with the averaged weights; the caller closes the samples. */
  Samples draw(TrainingStepListener.Event event) {
    DDPM now = ddpm.withDenoiser(event.averaged());
    return settings.apply(now.sampling().seed(SEED)).generate(count);
  }
}
