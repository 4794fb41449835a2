package io.github.ddpm4j.latent;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.List;

/** Layer normalisation of tokens. */
record TokenNorm(String name, int width, double eps) {

  void declare(List<ParameterSpec> specs) {
    specs.add(new ParameterSpec(name + ".weight", new Shape(width), Parameter.Type.GAMMA, 0));
    specs.add(new ParameterSpec(name + ".bias", new Shape(width), Parameter.Type.BETA, 0));
  }

  <T> T apply(Ops<T> ops, Weights<T> weights, T tokens) {
    return ops.layerNorm(tokens, weights.get(name + ".weight"), weights.get(name + ".bias"), eps);
  }
}
