package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
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
   * Checks what a network answered.
   *
   * @param x the images that it was asked about, (N, C, H, W)
   * @param answer what it said: the shape of x, or (N, 2C, H, W) if it says the variance too
   * @throws IllegalStateException if the answer has another shape, or another type than x
   */
  public void requireAnswer(NDArray x, NDArray answer) {
    boolean learned = variance.isLearned();
    long[] dimensions = x.getShape().getShape().clone();
    if (learned) {
      dimensions[1] *= 2;
    }
    Shape expected = new Shape(dimensions);
    if (!answer.getShape().equals(expected) || answer.getDataType() != x.getDataType()) {
      throw new IllegalStateException(
          "the denoiser must return the shape and type of its input"
              + (learned ? " with twice the channels, " : ", ")
              + expected
              + " "
              + x.getDataType()
              + ", but returned "
              + answer.getShape()
              + " "
              + answer.getDataType());
    }
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
