package io.github.ddpm4j.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Optional;
import java.util.Set;

/**
 * A network that looks at noisy images and predicts what its {@link
 * io.github.ddpm4j.prediction.Prediction} says: the noise, the clean image, the velocity or the
 * previous mean.
 *
 * <p>Under {@link io.github.ddpm4j.prediction.Prediction#edm} the network sees the images at unit
 * variance and ln(σ) / 4 as their timestep; training, sampling and evaluation ask it through {@link
 * DenoisingModel}.
 *
 * <p>A lambda will do for experiments; networks that are trained and saved implement {@link
 * TrainableDenoiser}.
 */
@FunctionalInterface
public interface Denoiser extends AutoCloseable {

  /**
   * Predicts for a batch of noisy images. Called without gradients; dropout is off.
   *
   * @param x the noisy images, shape (N, C, H, W); not closed and not changed by the call
   * @param levels how noisy each image is, N entries
   * @param condition what the images are conditioned on; {@link Condition#none()} stands for a
   *     condition that is absent in every image
   * @return the prediction, shape and dtype of {@code x}, attached to the manager of {@code x}; of
   *     a network that {@linkplain #predictsVariance() predicts the variance} too, shape (N, 2C, H,
   *     W), where the last C channels are for the variance
   */
  NDArray predict(NDArray x, NoiseLevels levels, Condition condition);

  /**
   * The shape of one image, if the network is made for one.
   *
   * @return (C, H, W), or empty when any shape will do
   */
  default Optional<Shape> imageShape() {
    return Optional.empty();
  }

  /**
   * What the network can be conditioned on.
   *
   * @return the kinds, in their order; none unless a network says otherwise
   */
  default Set<Condition.Kind> conditionKinds() {
    return Set.of();
  }

  /**
   * Whether the network predicts, besides what its prediction says, what the variance of the
   * reverse process is made of, in as many further channels (Nichol and Dhariwal 2021, "Improved
   * DDPM", section 3.1).
   *
   * @return false unless a network says otherwise
   */
  default boolean predictsVariance() {
    return false;
  }

  /**
   * The device that holds the weights, where inputs must be.
   *
   * @return the device, or empty when the engine's default device will do
   */
  default Optional<Device> device() {
    return Optional.empty();
  }

  /** Releases native memory. Does nothing for denoisers that hold none. */
  @Override
  default void close() {}
}
