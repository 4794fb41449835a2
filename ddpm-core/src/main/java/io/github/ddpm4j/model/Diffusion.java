package io.github.ddpm4j.model;

import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;

/**
 * What a diffusion model is apart from its network: everything that training, sampling and a model
 * file must agree on.
 *
 * @param schedule the noise schedule
 * @param prediction what the network predicts
 * @param variance the variance of the reverse process
 * @param dataRange the range of clean images
 */
public record Diffusion(
    Schedule schedule, Prediction prediction, Variance variance, DataRange dataRange) {

  /**
   * Checks that the parts fit together.
   *
   * @param schedule the noise schedule
   * @param prediction what the network predicts
   * @param variance the variance of the reverse process
   * @param dataRange the range of clean images
   * @throws IllegalArgumentException if the schedule ends without any signal and the network
   *     predicts the noise, the previous mean or F_θ of EDM, from which x_0 cannot be told there
   */
  public Diffusion {
    int last = schedule.timesteps() - 1;
    if (schedule.alphaBar(last) == 0 && prediction.needsSignal()) {
      throw new IllegalArgumentException(
          "prediction "
              + prediction
              + " cannot be used with a schedule of zero terminal SNR: at timestep "
              + last
              + " no signal is left, so x_0 cannot be told from it; use Prediction.VELOCITY or"
              + " Prediction.X0");
    }
  }
}
