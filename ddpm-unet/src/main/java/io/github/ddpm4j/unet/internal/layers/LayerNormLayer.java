package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * Layer normalisation of tokens, with a weight and a bias per channel.
 *
 * @param name the name in front of those of its weights
 * @param channels the channels of the tokens
 * @param eps added to the variance
 */
public record LayerNormLayer(String name, int channels, double eps) {

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    specs.add(new ParameterSpec(name + ".weight", new Shape(channels), Parameter.Type.GAMMA, 0));
    specs.add(new ParameterSpec(name + ".bias", new Shape(channels), Parameter.Type.BETA, 0));
  }

  /**
   * The norm.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x tokens, shape (N, L, channels)
   * @return tokens, shape of {@code x}
   */
  public <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    return ops.layerNorm(x, weights.get(name + ".weight"), weights.get(name + ".bias"), eps);
  }
}
