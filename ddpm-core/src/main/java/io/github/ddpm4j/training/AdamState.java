package io.github.ddpm4j.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.torch.GradMode;
import java.util.Collection;
import java.util.List;

/** The moments of {@link Adam} for a list of weights, and the update. */
final class AdamState {

  private static final float NO_ELEMENT_CLIP = -1;

  private final Adam adam;
  private final List<NDArray> weights;
  private final List<NDArray> firstMoments;
  private final List<NDArray> secondMoments;
  private long steps;

  /** Makes zero moments, attached to the manager. */
  AdamState(Adam adam, Collection<NDArray> weights, NDManager manager) {
    this.adam = adam;
    this.weights = List.copyOf(weights);
    this.firstMoments = zeros(manager);
    this.secondMoments = zeros(manager);
  }

  private List<NDArray> zeros(NDManager manager) {
    return weights.stream()
        .map(w -> manager.zeros(w.getShape(), w.getDataType(), w.getDevice()))
        .toList();
  }

  /**
   * Updates every weight in place and zeroes its gradient.
   *
   * @param gradients one per weight, in the same order
   * @param learningRate η
   * @param gradientScale what gradients are multiplied by first
   */
  void step(List<NDArray> gradients, double learningRate, double gradientScale) {
    steps++;
    double correction2 = Math.sqrt(1 - Math.pow(adam.beta2(), (double) steps));
    double correctedRate =
        learningRate * correction2 / (1 - Math.pow(adam.beta1(), (double) steps));
    double epsilon =
        switch (adam.epsilonPlacement()) {
          case BEFORE_CORRECTION -> adam.epsilon();
          case AFTER_CORRECTION -> adam.epsilon() * correction2;
        };
    try (GradMode update = GradMode.off()) {
      for (int i = 0; i < weights.size(); i++) {
        NDArray weight = weights.get(i);
        weight
            .getNDArrayInternal()
            .adamUpdate(
                new NDList(weight, gradients.get(i), firstMoments.get(i), secondMoments.get(i)),
                new NDList(weight),
                (float) learningRate,
                (float) correctedRate,
                (float) adam.weightDecay(),
                (float) gradientScale,
                NO_ELEMENT_CLIP,
                (float) adam.beta1(),
                (float) adam.beta2(),
                (float) epsilon,
                false,
                true);
      }
    }
  }
}
