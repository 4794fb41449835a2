package io.github.ddpm4j.loss;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.ops.EagerOps;
import io.github.ddpm4j.ops.Ops;

/**
 * How far a network's output is from its target, image by image. Written against {@link Ops}, so
 * that the same code runs on arrays and can be written down as a program.
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
   * The mean loss of a batch.
   *
   * @param output what the network predicted, shape (N, C, H, W)
   * @param target what it should have predicted, same shape and dtype
   * @return the mean over the images, a scalar attached to the manager of {@code output}
   * @throws IllegalArgumentException if the shapes differ
   */
  default NDArray evaluate(NDArray output, NDArray target) {
    if (!output.getShape().equals(target.getShape())) {
      throw new IllegalArgumentException(
          "output shape "
              + output.getShape()
              + " does not match target shape "
              + target.getShape());
    }
    return perImage(EagerOps.inference(), output, target).mean();
  }
}
