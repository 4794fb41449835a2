package io.github.ddpm4j.benchmark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Collection;
import java.util.function.Function;

/**
 * The lists that an update works on, in the same order.
 *
 * @param weights the weights
 * @param gradients their gradients
 * @param firstMoments the first moment of each gradient
 * @param secondMoments the second moment of each gradient
 * @param averages the moving average of each weight
 */
record Tensors(
    NDList weights, NDList gradients, NDList firstMoments, NDList secondMoments, NDList averages) {

  /** Zero moments and fresh averages for weights and gradients that are there. */
  static Tensors of(NDManager manager, Collection<NDArray> weights, NDList gradients) {
    return new Tensors(
        new NDList(weights),
        gradients,
        like(weights, manager::zeros),
        like(weights, manager::zeros),
        like(weights, manager::zeros));
  }

  /** Random weights and gradients of the shapes of others. */
  static Tensors random(NDManager manager, Collection<NDArray> like) {
    NDList weights = like(like, manager::randomNormal);
    return of(manager, weights, like(like, manager::randomNormal));
  }

  private static NDList like(Collection<NDArray> arrays, Function<Shape, NDArray> maker) {
    NDList made = new NDList(arrays.size());
    arrays.forEach(array -> made.add(maker.apply(array.getShape())));
    return made;
  }
}
