package io.github.ddpm4j.training;

import io.github.ddpm4j.internal.ops.Float32;

/**
 * What a training run does about a step whose loss or gradient is not finite, or explodes.
 * Immutable.
 *
 * <pre>{@code
 * ddpm.training().guard(Guard.skip().mostInARow(5).explosion(10))…
 * }</pre>
 *
 * <p>A bad step is judged where it is computed, before anything is updated: weights, moments of the
 * optimizer and averages stay as they were before the step, whose images and noise are given up.
 * With accumulation, all batches of the step are. The run goes on with the next step, and stops
 * with a {@link DivergenceException} at the last of {@link #mostInARow()} bad steps in a row. The
 * averages of {@link io.github.ddpm4j.PostHocEma} alone, whose profile has all steps of the run,
 * count the weights of before once more.
 *
 * <p>A skipped step counts as a step: a run of N steps tries N times, and the learning rate, the
 * decay of averages and the place in the data depend on the number of the step as ever. Adam's
 * correction of its bias counts the updates that were made. A timestep sampler that learns does not
 * learn from a skipped step.
 *
 * <p>In a network that computes in float16, a gradient that overflows because of the {@linkplain
 * TrainingStepListener.Event#lossScale() scale of the loss} makes no bad step: it is skipped under
 * any guard, and a smaller scale follows.
 *
 * @param mostInARow how many bad steps in a row end the run, at least 1
 * @param explosion how many times the usual value a loss or norm is to be for its step to be bad,
 *     more than 1; infinite if only those count that are not finite. Usual is the mean of the steps
 *     that were not bad, from the {@value #WINDOW}th of them on a mean that forgets at the rate 1 /
 *     {@value #WINDOW}; nothing explodes before there are {@value #LEAST} of them. Norms are taken
 *     before clipping
 * @see io.github.ddpm4j.Training#guard(Guard)
 */
public record Guard(int mostInARow, double explosion) {

  /** How many bad steps in a row {@link #skip()} ends a run at: {@value}. */
  public static final int DEFAULT_MOST_IN_A_ROW = 10;

  /** Over about how many steps a usual loss or norm is the mean: {@value}. */
  public static final int WINDOW = 100;

  /** How many steps tell what is usual, at least: {@value}. */
  public static final int LEAST = 20;

  /**
   * Creates the settings.
   *
   * @param mostInARow how many bad steps in a row end the run
   * @param explosion how many times the usual value is too much
   * @throws IllegalArgumentException if {@code mostInARow} is less than 1, or {@code explosion} is
   *     not more than 1, in float32 too
   */
  public Guard {
    if (mostInARow < 1) {
      throw new IllegalArgumentException("mostInARow must be at least 1, but was " + mostInARow);
    }
    if (!((float) explosion > 1)) {
      throw new IllegalArgumentException(
          "explosion must be more than 1 (infinity for none), but was " + explosion);
    }
    if (Double.isFinite(explosion)) {
      Float32.requireNormal("explosion", explosion);
    }
  }

  /**
   * Ends the run at the first loss or gradient that is not finite.
   *
   * @return the default
   */
  public static Guard stop() {
    return new Guard(1, Double.POSITIVE_INFINITY);
  }

  /**
   * Skips steps whose loss or gradient is not finite, and ends the run at {@value
   * #DEFAULT_MOST_IN_A_ROW} of them in a row.
   *
   * @return the setting
   */
  public static Guard skip() {
    return new Guard(DEFAULT_MOST_IN_A_ROW, Double.POSITIVE_INFINITY);
  }

  /**
   * How many bad steps in a row end the run.
   *
   * @param steps at least 1; 1 ends it at the first
   * @return new settings
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Guard mostInARow(int steps) {
    return new Guard(steps, explosion);
  }

  /**
   * From what multiple of its usual value on a loss or norm makes its step a bad one.
   *
   * @param factor more than 1, typically 10; infinity for none, the default
   * @return new settings
   * @throws IllegalArgumentException if {@code factor} is not more than 1, in float32 too
   */
  public Guard explosion(double factor) {
    return new Guard(mostInARow, factor);
  }

  /** The settings, as checkpoints say them. */
  @Override
  public String toString() {
    return (mostInARow == 1 ? "stop" : "skip at most " + mostInARow + " in a row")
        + (Double.isFinite(explosion) ? ", explosion at " + explosion + " times" : "");
  }
}
