package io.github.ddpm4j.loss;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.spi.Ops;

/**
 * How far a network's output is from its target, image by image. Written against {@link Ops}, so
 * that the same code runs on arrays and can be written down as a program; a loss must use nothing
 * but {@code ops} on its arguments, which are no arrays while a program is written.
 *
 * @see Losses
 */
public interface Loss {

  /**
   * The loss of each image.
   *
   * @param ops the operations
   * @param output what the network predicted, (N, C, H, W)
   * @param target what it should have predicted, same shape
   * @param <T> what the operations work on
   * @return the loss per image, shape (N)
   */
  <T> T perImage(Ops<T> ops, T output, T target);

  /**
   * The loss of each image from all that there is to look at. This is what training calls; unless a
   * loss says otherwise it is that of output and target.
   *
   * @param ops the operations
   * @param input output, target, images and what depends on their timesteps
   * @param <T> what the operations work on
   * @return the loss per image, shape (N)
   * @throws IllegalArgumentException if the loss does not fit the model
   */
  default <T> T perImage(Ops<T> ops, LossInput<T> input) {
    return perImage(ops, input.output(), input.target());
  }

  /**
   * Whether the loss trains the variance, where the network learns it.
   *
   * @return false unless a loss says otherwise
   */
  default boolean trainsVariance() {
    return false;
  }

  /**
   * The mean loss of a batch.
   *
   * @param output what the network predicted, shape (N, C, H, W)
   * @param target what it should have predicted, same shape and dtype
   * @return the mean over the images, a scalar attached to the manager of {@code output}
   * @throws IllegalArgumentException if the shapes differ, or the loss does not give one number per
   *     image
   */
  default NDArray evaluate(NDArray output, NDArray target) {
    if (!output.getShape().equals(target.getShape())) {
      throw new IllegalArgumentException(
          "output shape "
              + output.getShape()
              + " does not match target shape "
              + target.getShape());
    }
    NDArray each = perImage(EagerOps.inference(), output, target);
    if (!each.getShape().equals(new Shape(output.getShape().get(0)))) {
      throw new IllegalArgumentException(
          "loss "
              + this
              + " must give one number per image, shape (N), but gave "
              + each.getShape()
              + " for outputs of shape "
              + output.getShape()
              + "; end it with ops.meanPerImage(…)");
    }
    return each.mean();
  }
}
