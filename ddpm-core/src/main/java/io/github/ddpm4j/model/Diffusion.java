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
   *     predicts the noise or the previous mean, from which x_0 cannot be told there
   */
  public Diffusion {
    int last = schedule.timesteps() - 1;
    if (schedule.alphaBar(last) == 0
        && (prediction == Prediction.EPSILON
            || prediction == Prediction.PREVIOUS_MEAN
            || prediction.sigmaData().isPresent())) {
      throw new IllegalArgumentException(
          "prediction "
              + prediction
              + " cannot be used with a schedule of zero terminal SNR: at timestep "
              + last
              + " no signal is left, so x_0 cannot be told from it; use Prediction.VELOCITY or"
              + " Prediction.X0");
    }
  }

  /**
   * The network as it is asked about images of the schedule: in the scale and by the levels that
   * the prediction wants. Everything that asks a network asks it so.
   *
   * @param denoiser the network
   * @return the network itself, unless the prediction is {@link Prediction#edm}; equal for equal
   *     networks and predictions
   */
  public Denoiser asked(Denoiser denoiser) {
    return prediction.sigmaData().isEmpty() ? denoiser : new ScaledDenoiser(denoiser, prediction);
  }

  /**
   * The levels that the network is told.
   *
   * @param levels the levels of the images
   * @return the same, with {@link Prediction#networkTimestep} in place of the timesteps
   * @throws IllegalArgumentException if the network cannot be told of a level
   */
  public NoiseLevels asked(NoiseLevels levels) {
    return ScaledDenoiser.told(levels, prediction);
  }
}
