package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.process.NoiseLevels;

/**
 * What guidance leads images towards: ln p(y | x_t), or any other differentiable score of noisy
 * images.
 */
@FunctionalInterface
public interface LogProbability {

  /**
   * Scores noisy images. Called with gradients recorded: only operations that DJL can differentiate
   * may lie between {@code x} and the result.
   *
   * @param x the noisy images, shape (N, C, H, W); not to be closed
   * @param levels how noisy each image is
   * @return one number per image, shape (N)
   */
  NDArray of(NDArray x, NoiseLevels levels);
}
