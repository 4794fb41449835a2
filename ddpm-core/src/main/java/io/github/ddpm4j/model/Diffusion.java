package io.github.ddpm4j.model;

import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;

/**
 * The description of a diffusion model apart from its network: everything that training, sampling
 * and a model file must agree on.
 *
 * @param schedule the noise schedule
 * @param prediction the network's prediction type
 * @param variance the variance of the reverse process
 * @param dataRange the range of clean images
 */
public record Diffusion(
    Schedule schedule, Prediction prediction, Variance variance, DataRange dataRange) {

  /**
   * Creates a description and checks that its parts are compatible.
   *
   * @param schedule the noise schedule
   * @param prediction the network's prediction type
   * @param variance the variance of the reverse process
   * @param dataRange the range of clean images
   * @throws IllegalArgumentException if the schedule ends with zero signal and the network predicts
   *     the noise, the posterior mean or F_θ of EDM, which do not determine x_0 there
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
