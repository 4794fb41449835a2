package io.github.ddpm4j.sampling;

import io.github.ddpm4j.noise.NoiseSource;
import org.jspecify.annotations.Nullable;

/**
 * The noise of a run.
 *
 * @param noise the draws of each image
 * @param seed its seed, or null if the noise is the caller's own
 */
record Draws(NoiseSource noise, @Nullable Long seed) {

  /** The same for every image: that of image 0. */
  Draws alike() {
    return new Draws((image, draw, target) -> noise.normal(0, draw, target), seed);
  }

  /** The same for every image up to a draw, and each image's own after it. */
  Draws alikeUpTo(long last) {
    return new Draws(
        (image, draw, target) -> noise.normal(draw <= last ? 0 : image, draw, target), seed);
  }
}
