package io.github.ddpm4j.training;

/**
 * Thrown when the loss or its gradient becomes NaN or infinite, or explodes, as often in a row as
 * the run's {@link Guard} allows: at once by default. The weights are those from before the bad
 * steps, so the network can still be used or saved.
 *
 * <p>The message has the step, its timesteps, learning rate, loss and gradient norm, the range of
 * its images, and the first operation of the network whose output is not finite. For that, the
 * batch is read again and the network run operation by operation; a dataset that is not a {@code
 * RandomAccessDataset} cannot be read again at a place, so that range and operation are left out.
 */
public final class DivergenceException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /** From 1. */
  private final long step;

  /** One per image. */
  private final int[] timesteps;

  /** NaN if there was none. */
  private final double lastGoodLoss;

  /**
   * Creates an exception.
   *
   * @param message what happened and what to do
   * @param step the step that failed, from 1
   * @param timesteps the timesteps of the images of the step; copied
   * @param lastGoodLoss the loss of the last step that was not bad, NaN if there was none
   */
  public DivergenceException(String message, long step, int[] timesteps, double lastGoodLoss) {
    super(message);
    this.step = step;
    this.timesteps = timesteps.clone();
    this.lastGoodLoss = lastGoodLoss;
  }

  /**
   * The failed step: the last of the bad ones.
   *
   * @return the step, from 1
   */
  public long step() {
    return step;
  }

  /**
   * The timesteps of the failed step.
   *
   * @return a copy, one per image; the nearest whole ones
   */
  public int[] timesteps() {
    return timesteps.clone();
  }

  /**
   * The loss of the last step that was not bad.
   *
   * @return the loss, or NaN if there was none
   */
  public double lastGoodLoss() {
    return lastGoodLoss;
  }
}
