package io.github.ddpm4j.training;

import java.util.Arrays;

/** The loss of every step of a training run. Immutable. */
public final class LossHistory {

  private static final int SHOWN = 100;

  private final double[] losses;

  /**
   * Creates a history.
   *
   * @param losses the loss of step s at index s − 1; copied
   */
  public LossHistory(double... losses) {
    this.losses = losses.clone();
  }

  /**
   * The number of completed steps.
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
   * @return the loss
   * @throws IndexOutOfBoundsException if there was no such step
   */
  public double loss(int step) {
    if (step < 1 || step > losses.length) {
      throw new IndexOutOfBoundsException(
          "step must lie in [1, " + losses.length + "], but was " + step);
    }
    return losses[step - 1];
  }

  /**
   * The mean loss of the last steps.
   *
   * @param window the number of steps; all steps if there are fewer
   * @return the mean, NaN if there are no steps
   * @throws IllegalArgumentException if {@code window} is less than 1
   */
  public double mean(int window) {
    if (window < 1) {
      throw new IllegalArgumentException("window must be at least 1, but was " + window);
    }
    return Arrays.stream(losses, Math.max(0, losses.length - window), losses.length)
        .average()
        .orElse(Double.NaN);
  }

  @Override
  public String toString() {
    return losses.length + " steps, mean loss of the last " + SHOWN + ": " + mean(SHOWN);
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
