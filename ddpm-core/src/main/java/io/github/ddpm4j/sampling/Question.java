package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.process.NoiseLevels;
import org.jspecify.annotations.Nullable;

/**
 * What a network is asked about the images of a chain, in one call with the questions of others.
 *
 * @param model whose network is asked
 * @param second that model, if it is not the run's own
 * @param x the images as that model has them, (N, C, H, W)
 * @param levels how noisy they are, in the words of that model
 * @param condition what the images are conditioned on
 */
record Question(
    DenoisingModel model,
    @Nullable SecondModel second,
    NDArray x,
    NoiseLevels levels,
    Condition condition) {

  /** Whether one call can answer both. Contexts of other numbers of tokens fit into no array. */
  boolean sharesCallWith(Question other) {
    return model.sharesCallsWith(other.model) && context().equals(other.context());
  }

  private Shape context() {
    return condition.has(Kind.CONTEXTS) ? condition.shape(Kind.CONTEXTS) : new Shape();
  }
}
