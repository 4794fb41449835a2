package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;

/**
 * Where the values of data may lie.
 *
 * @param range the range of the model
 * @param anyRange whether data that fill but a part of it are meant
 * @param limits whether data outside it are refused: not if they are meant, and the model clips no
 *     estimate to it either, as that of latents
 */
record DataBounds(DataRange range, boolean anyRange, boolean limits) {

  static DataBounds of(Diffusion diffusion, TrainingSettings settings) {
    boolean clips = EstimateLimit.of(diffusion.metadata()).clip();
    return new DataBounds(
        diffusion.dataRange(), settings.anyRange(), clips || !settings.anyRange());
  }

  /** The same for data that are read once more, and of which a part may be all there is. */
  DataBounds seenBefore() {
    return new DataBounds(range, true, limits);
  }

  /**
   * Refuses images with broken values, and those that lie outside.
   *
   * @param name what messages call them
   */
  Images.Extent require(String name, NDArray images) {
    return limits ? Images.requireInRange(name, images, range) : Images.requireFinite(name, images);
  }
}
