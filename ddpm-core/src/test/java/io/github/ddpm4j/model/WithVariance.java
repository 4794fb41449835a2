package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.process.NoiseLevels;

/**
 * A stand-in for a network that predicts the variance too.
 *
 * @param predicting says both, (N, 2C, H, W)
 */
public record WithVariance(Denoiser predicting) implements Denoiser {

  /** The stand-in as the model needs it: only a learned variance wants one that says it. */
  public static Denoiser where(boolean learned, Denoiser predicting) {
    return learned ? new WithVariance(predicting) : predicting;
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    return predicting.predict(x, levels, condition);
  }

  @Override
  public boolean predictsVariance() {
    return true;
  }
}
