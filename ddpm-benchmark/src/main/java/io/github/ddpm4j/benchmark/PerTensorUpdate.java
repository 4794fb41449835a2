package io.github.ddpm4j.benchmark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.torch.GradMode;

/** The update as DJL's Adam makes it: weight by weight, some ten calls of the engine for each. */
final class PerTensorUpdate implements Update {

  private static final float NO_ELEMENT_CLIP = -1;

  private final Tensors tensors;
  private int steps;

  PerTensorUpdate(Tensors tensors) {
    this.tensors = tensors;
  }

  @Override
  public void optimize() {
    optimize(1);
  }

  /** DJL zeroes the gradients afterwards. */
  void optimize(float gradientScale) {
    steps++;
    double correction1 = 1 - Math.pow(Constants.BETA1, steps);
    double correction2 = Math.sqrt(1 - Math.pow(Constants.BETA2, steps));
    try (GradMode off = GradMode.off()) {
      for (int i = 0; i < tensors.weights().size(); i++) {
        NDArray weight = tensors.weights().get(i);
        weight
            .getNDArrayInternal()
            .adamUpdate(
                new NDList(
                    weight,
                    tensors.gradients().get(i),
                    tensors.firstMoments().get(i),
                    tensors.secondMoments().get(i)),
                new NDList(weight),
                Constants.LEARNING_RATE,
                (float) (Constants.LEARNING_RATE * correction2 / correction1),
                Constants.WEIGHT_DECAY,
                gradientScale,
                NO_ELEMENT_CLIP,
                Constants.BETA1,
                Constants.BETA2,
                (float) (Constants.EPSILON * correction2),
                false,
                true);
      }
    }
  }

  /** The factor that brings the global norm of the gradients down to the bound. */
  float clip(NDManager manager) {
    try (GradMode off = GradMode.off();
        NDManager own = manager.newSubManager()) {
      NDList squares = new NDList();
      for (NDArray gradient : tensors.gradients()) {
        try (NDArray square = gradient.square()) {
          NDArray sum = square.sum();
          sum.attach(own);
          squares.add(sum);
        }
      }
      double norm = Math.sqrt(NDArrays.stack(squares).sum().getFloat());
      return (float) Math.min(1, Constants.GRADIENT_CLIP / norm);
    }
  }

  @Override
  public void average() {
    try (GradMode off = GradMode.off()) {
      for (int i = 0; i < tensors.weights().size(); i++) {
        NDArray average = tensors.averages().get(i);
        try (NDArray difference = tensors.weights().get(i).sub(average)) {
          average.addi(difference.muli(1 - Constants.EMA_DECAY));
        }
      }
    }
  }
}
