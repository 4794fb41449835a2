package io.github.ddpm4j.training;

import java.util.Arrays;

/**
 * Thrown when the loss or its gradient becomes NaN or infinite. The weights are those from before
 * the step, so the network can still be used or saved.
 */
public final class NonFiniteLossException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /** From 1. */
  private final long step;

  /** One per image. */
  private final int[] timesteps;

  /** NaN if there was none. */
  private final double lastFiniteLoss;

  /**
   * Creates an exception for a non-finite value.
   *
   * @param step the step that failed, from 1
   * @param what the non-finite quantity, "loss" or "gradient norm"
   * @param value its value
   * @param timesteps the timesteps of the images of the step; copied
   * @param lastFiniteLoss the loss of the previous step, NaN if there was none
   */
  public NonFiniteLossException(
      long step, String what, double value, int[] timesteps, double lastFiniteLoss) {
    super(
        "the "
            + what
            + " of step "
            + step
            + " is "
            + value
            + " at timesteps "
            + shorten(timesteps)
            + "; the last finite loss was "
            + lastFiniteLoss
            + "; the weights are those after step "
            + (step - 1)
            + "; lower the learning rate, lengthen the warm-up or clip the gradient norm");
    this.step = step;
    this.timesteps = timesteps.clone();
    this.lastFiniteLoss = lastFiniteLoss;
  }

  /**
   * The failed step.
   *
   * @return the step, from 1
   */
  public long step() {
    return step;
  }

  /**
   * The timesteps of the failed batch.
   *
   * @return a copy, one per image
   */
  public int[] timesteps() {
    return timesteps.clone();
  }

  /**
   * The loss of the previous step.
   *
   * @return the loss, or NaN if the first step failed
   */
  public double lastFiniteLoss() {
    return lastFiniteLoss;
  }

  private static String shorten(int[] timesteps) {
    int shown = 16;
    if (timesteps.length <= shown) {
      return Arrays.toString(timesteps);
    }
    String head = Arrays.toString(Arrays.copyOf(timesteps, shown));
    return head.substring(0, head.length() - 1) + ", … " + (timesteps.length - shown) + " more]";
  }
}
