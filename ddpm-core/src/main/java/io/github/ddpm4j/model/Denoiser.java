package io.github.ddpm4j.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A denoising network. From noisy images it predicts the quantity given by the model's {@link
 * io.github.ddpm4j.prediction.Prediction}: the noise, the clean image, the velocity or the
 * posterior mean.
 *
 * <p>Under {@link io.github.ddpm4j.prediction.Prediction#edm} the network sees the images scaled to
 * unit variance and ln(σ) / 4 as their timestep; training, sampling and evaluation call it through
 * {@link DenoisingModel}.
 *
 * <p>A lambda suffices for experiments; networks that are trained and saved implement {@link
 * TrainableDenoiser}.
 */
@FunctionalInterface
public interface Denoiser extends AutoCloseable {

  /**
   * Computes the prediction for a batch of noisy images. Called without gradients; dropout is off.
   *
   * @param x the noisy images, shape (N, C, H, W); neither closed nor modified
   * @param levels the noise level of each image, N entries
   * @param condition the conditioning; {@link Condition#none()} means absent for every image
   * @return the prediction, shape and dtype of {@code x}, attached to the manager of {@code x}; if
   *     the network also {@linkplain #predictsVariance() predicts the variance}, shape (N, 2C, H,
   *     W), with the variance in the last C channels
   */
  NDArray predict(NDArray x, NoiseLevels levels, Condition condition);

  /**
   * Computes the prediction as {@link #predict} does, with gradients recorded of the images, so
   * that guidance by a measurement can go back through the network. Called with recording switched
   * on; dropout is off.
   *
   * @param x the noisy images, which require gradients; neither closed nor modified
   * @param levels the noise level of each image, N entries
   * @param condition the conditioning
   * @return the prediction, as that of {@link #predict}. By default it is that one, which suits
   *     what is computed by operations of DJL; a network that switches recording off there
   *     overrides this
   */
  default NDArray predictRecording(NDArray x, NoiseLevels levels, Condition condition) {
    return predict(x, levels, condition);
  }

  /**
   * The image shape, if the network has a fixed one.
   *
   * @return (C, H, W), or empty if any shape is accepted; networks of signals and of volumes must
   *     tell it, (C, L) or (C, D, H, W), to be trained and to be given images
   */
  default Optional<Shape> imageShape() {
    return Optional.empty();
  }

  /**
   * The kinds of conditioning that the network accepts.
   *
   * @return the kinds, in their order; none by default
   */
  default Set<Condition.Kind> conditionKinds() {
    return Set.of();
  }

  /**
   * The number of classes of a network that is conditioned on labels.
   *
   * @return the number; empty, the default, if there are none or any will do
   */
  default OptionalInt classes() {
    return OptionalInt.empty();
  }

  /**
   * Whether the network also predicts the variance of the reverse process, in as many additional
   * channels as the image has (Nichol and Dhariwal 2021, "Improved DDPM", section 3.1).
   *
   * @return false by default
   */
  default boolean predictsVariance() {
    return false;
  }

  /**
   * The device of the weights, on which inputs must be.
   *
   * @return the device, or empty for the engine's default device
   */
  default Optional<Device> device() {
    return Optional.empty();
  }

  /**
   * Refuses what {@link #predict} would refuse, before a run begins: conditions that the network
   * was not built for, images of another shape or type, a closed network. By default it refuses
   * nothing.
   *
   * @param images the shape of a batch, (N, C, H, W)
   * @param type the data type of the images
   * @param condition the condition of N images, or of one that stands for all
   * @throws IllegalArgumentException if the images or the condition do not fit the network
   * @throws IllegalStateException if the network is closed, or another thread trains it
   */
  default void requireUsable(Shape images, DataType type, Condition condition) {}

  /** Releases native memory. Does nothing by default. */
  @Override
  default void close() {}
}
