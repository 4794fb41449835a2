package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/** A vector per class, learned. */
record EmbeddingTable(String name, int rows, int width) {

  /** Where the uniform distribution of variance 1 ends, that of PyTorch's tables. */
  static final double LIMIT = Math.sqrt(3);

  void declare(List<ParameterSpec> specs) {
    specs.add(
        new ParameterSpec(name + ".weight", new Shape(rows, width), Parameter.Type.WEIGHT, LIMIT));
  }

  /** The vectors of classes, which are whole numbers of shape (N). */
  <T> T apply(Ops<T> ops, Weights<T> weights, T classes) {
    return ops.embedding(weights.get(name + ".weight"), classes);
  }
}
