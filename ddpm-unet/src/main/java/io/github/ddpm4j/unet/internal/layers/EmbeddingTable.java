package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A learned vector for each of some numbers, such as classes or tokens.
 *
 * @param name the name in front of that of its weight
 * @param rows how many numbers there are, from 0
 * @param width the width of the vectors
 */
public record EmbeddingTable(String name, int rows, int width) {

  /** Where the uniform distribution of variance 1 ends, that of PyTorch's tables. */
  public static final double LIMIT = Math.sqrt(3);

  /**
   * Declares the weight.
   *
   * @param specs receives it
   */
  public void declare(List<ParameterSpec> specs) {
    specs.add(
        new ParameterSpec(name + ".weight", new Shape(rows, width), Parameter.Type.WEIGHT, LIMIT));
  }

  /**
   * The vectors of numbers.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param numbers whole numbers in [0, rows), shape (N) or (N, L)
   * @return shape (N, width) or (N, L, width)
   */
  public <T> T apply(Ops<T> ops, Weights<T> weights, T numbers) {
    return ops.embedding(weights.get(name + ".weight"), numbers);
  }
}
