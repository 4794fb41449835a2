package io.github.ddpm4j.training;

import java.util.Arrays;
import java.util.Objects;
import java.util.stream.IntStream;

/** The loss of every step of a training run, and which steps were skipped. Immutable. */
public final class LossHistory {

  private static final int SHOWN = 100;

  private final double[] losses;

  /** From 1, ascending. */
  private final int[] skipped;

  /**
   * Creates a history without skipped steps.
   *
   * @param losses the loss of step s at index s − 1; copied
   */
  public LossHistory(double... losses) {
    this(losses, new int[0]);
  }

  /**
   * Creates a history.
   *
   * @param losses the loss of step s at index s − 1; copied
   * @param skipped the steps that updated nothing; copied
   * @throws IndexOutOfBoundsException if there was no such step
   */
  public LossHistory(double[] losses, int[] skipped) {
    this.losses = losses.clone();
    this.skipped =
        IntStream.of(Objects.requireNonNull(skipped, "skipped")).sorted().distinct().toArray();
    for (int step : this.skipped) {
      requireStep(step);
    }
  }

  /**
   * The number of completed steps, skipped ones included.
   *
   * @return the number of losses
   */
  public int steps() {
    return losses.length;
  }

  /**
   * The loss of one step, before its update.
   *
   * @param step the step, from 1
   * @return the loss; of a skipped step, it may be NaN or infinite
   * @throws IndexOutOfBoundsException if there was no such step
   */
  public double loss(int step) {
    requireStep(step);
    return losses[step - 1];
  }

  /**
   * Whether a step updated nothing, because its loss or gradient was bad, or its gradient beyond
   * float16.
   *
   * @param step the step, from 1
   * @return true if the {@link Guard} skipped it, or it waits for a smaller {@linkplain
   *     TrainingStepListener.Event#lossScale() scale of the loss}
   * @throws IndexOutOfBoundsException if there was no such step
   */
  public boolean isSkipped(int step) {
    requireStep(step);
    return Arrays.binarySearch(skipped, step) >= 0;
  }

  /**
   * The steps that were skipped.
   *
   * @return a copy, ascending, from 1
   */
  public int[] skipped() {
    return skipped.clone();
  }

  private void requireStep(int step) {
    if (step < 1 || step > losses.length) {
      throw new IndexOutOfBoundsException(
          "step must lie in [1, " + losses.length + "], but was " + step);
    }
  }

  /**
   * The mean loss of the last steps, without those of them that were skipped.
   *
   * @param window the number of steps; all steps if there are fewer
   * @return the mean, NaN if there are no steps
   * @throws IllegalArgumentException if {@code window} is less than 1
   */
  public double mean(int window) {
    if (window < 1) {
      throw new IllegalArgumentException("window must be at least 1, but was " + window);
    }
    return IntStream.rangeClosed(Math.max(0, losses.length - window) + 1, losses.length)
        .filter(step -> !isSkipped(step))
        .mapToDouble(this::loss)
        .average()
        .orElse(Double.NaN);
  }

  @Override
  public String toString() {
    return losses.length
        + " steps, "
        + (skipped.length > 0 ? skipped.length + " of them skipped, " : "")
        + "mean loss of the last "
        + SHOWN
        + ": "
        + mean(SHOWN);
  }

  /**
   * All losses.
   *
   * @return a copy, the loss of step s at index s − 1
   */
  public double[] toArray() {
    return losses.clone();
  }
}
