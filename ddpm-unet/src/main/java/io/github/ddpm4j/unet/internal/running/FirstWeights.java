package io.github.ddpm4j.unet.internal.running;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import java.util.function.Function;

/** Makes the first value of each weight. */
@FunctionalInterface
public interface FirstWeights {

  /**
   * The first value of a weight.
   *
   * @param owner what the value is attached to
   * @param spec the weight
   * @param index its place in the order of the weights
   * @return the value
   */
  NDArray value(NDManager owner, ParameterSpec spec, int index);

  /**
   * Uniform values within the limits of the specs, ones for the weights of norms, zeros for biases:
   * the same for the same seed, whatever came before.
   *
   * @param seed the seed
   * @return what makes them
   */
  static FirstWeights drawn(long seed) {
    return (owner, spec, index) -> {
      if (spec.type() == Parameter.Type.GAMMA) {
        return kept(owner.ones(spec.shape()));
      }
      if (spec.limit() == 0) {
        return kept(owner.zeros(spec.shape()));
      }
      var random = CounterRandom.of(seed, CounterRandom.Stream.INITIALIZATION).at(index, 0);
      float limit = (float) spec.limit();
      return kept(Upload.floats(owner, spec.shape(), () -> (2 * random.nextFloat() - 1) * limit));
    };
  }

  /**
   * Zeros, for those who may leave some of them.
   *
   * @return what makes them
   */
  static FirstWeights zeros() {
    return (owner, spec, index) -> kept(owner.zeros(spec.shape()));
  }

  /**
   * Whatever is in the memory, for those who are about to overwrite it: zeros would take half as
   * long as reading weights from a file.
   *
   * @return what makes them
   */
  static FirstWeights unset() {
    return (owner, spec, index) -> kept(owner.create(spec.shape()));
  }

  /**
   * Copies of the weights of another network.
   *
   * @param weights the others by name
   * @return what makes them
   */
  static FirstWeights copied(Function<String, NDArray> weights) {
    return (owner, spec, index) -> {
      NDArray weight = kept(weights.apply(spec.name()).duplicate());
      weight.attach(owner);
      return weight;
    };
  }

  /** Weights outlive whatever NDScope their maker is in. */
  private static NDArray kept(NDArray weight) {
    NDScope.unregister(weight);
    return weight;
  }
}
