package io.github.ddpm4j.model;

import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Objects;

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

  /** Beyond such a factor float32 has no number for the x̂_0 of what a network may say. */
  private static final double GREATEST_FACTOR = 1e30;

  /**
   * Creates a description and checks that its parts are compatible.
   *
   * @param schedule the noise schedule
   * @param prediction the network's prediction type
   * @param variance the variance of the reverse process
   * @param dataRange the range of clean images
   * @throws IllegalArgumentException if the schedule ends with zero signal and the network predicts
   *     the noise, the posterior mean or F_θ of EDM, which do not determine x_0 there; or if x̂_0
   *     divides by so small a signal that float32 cannot hold it
   */
  public Diffusion {
    Objects.requireNonNull(variance, "variance");
    Objects.requireNonNull(dataRange, "dataRange");
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
    for (int t = last; t >= 0; t--) {
      LinearForm x0 = prediction.x0(schedule, Level.of(schedule, t));
      double factor = Math.max(Math.abs(x0.first()), Math.abs(x0.second()));
      if (!(factor <= GREATEST_FACTOR)) {
        throw new IllegalArgumentException(
            "prediction "
                + prediction
                + " divides by the signal, but at timestep "
                + t
                + " that is "
                + schedule.signal(t)
                + ", so that the factors of x̂_0 reach "
                + factor
                + ", where float32 holds no images beyond 1.0E30; use smaller betas, fewer"
                + " timesteps, Prediction.VELOCITY or Prediction.X0");
      }
    }
  }
}
