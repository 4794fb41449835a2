package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A linear layer over the last axis.
 *
 * @param name the name in front of those of its weights
 * @param in the width of what goes in
 * @param out the width of what comes out
 * @param initial how large it starts
 * @param bias whether it has a bias
 */
public record LinearLayer(String name, int in, int out, Initial initial, boolean bias) {

  /**
   * A layer with a bias.
   *
   * @param name the name in front of those of its weights
   * @param in the width of what goes in
   * @param out the width of what comes out
   * @param initial how large it starts
   */
  public LinearLayer(String name, int in, int out, Initial initial) {
    this(name, in, out, initial, true);
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    specs.add(
        new ParameterSpec(
            name + ".weight",
            new Shape(out, in),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in, out)));
    if (bias) {
      specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
    }
  }

  /**
   * The layer.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x shape (…, in)
   * @return shape (…, out)
   */
  public <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    T weight = weights.get(name + ".weight");
    return bias ? ops.linear(x, weight, weights.get(name + ".bias")) : ops.linear(x, weight);
  }
}
