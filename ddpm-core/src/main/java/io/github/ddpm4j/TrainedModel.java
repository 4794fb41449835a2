package io.github.ddpm4j;

import io.github.ddpm4j.training.LossHistory;

/**
 * What {@code ddpm.training()…fit(dataset)} leaves: the model over the averaged weights, and the
 * one over the last weights. Closing it frees the averaged weights; the network that was trained
 * stays with who built it.
 */
public final class TrainedModel implements AutoCloseable {

  private final DDPM averaged;
  private final DDPM raw;
  private final LossHistory losses;
  private final long seed;

  TrainedModel(DDPM averaged, DDPM raw, LossHistory losses, long seed) {
    this.averaged = averaged;
    this.raw = raw;
    this.losses = losses;
    this.seed = seed;
  }

  /**
   * The model over the averaged (EMA) weights, the one to draw images from.
   *
   * @return the model, closed with this result
   */
  public DDPM ddpm() {
    return averaged;
  }

  /**
   * The model over the weights of the last step.
   *
   * @return a model over the network that was trained; not closed with this result
   */
  public DDPM raw() {
    return raw;
  }

  /**
   * The loss of every step.
   *
   * @return the history; usable after closing
   */
  public LossHistory losses() {
    return losses;
  }

  /**
   * The seed of the run: with it the same run can be made again.
   *
   * @return the seed
   */
  public long seed() {
    return seed;
  }

  @Override
  public void close() {
    averaged.close();
  }
}
