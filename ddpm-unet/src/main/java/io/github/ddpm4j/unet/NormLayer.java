package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/** Group normalisation with a weight and a bias per channel. */
record NormLayer(String name, int channels, int groups, double eps) {

  void declare(List<ParameterSpec> specs) {
    specs.add(new ParameterSpec(name + ".weight", new Shape(channels), Parameter.Type.GAMMA, 0));
    specs.add(new ParameterSpec(name + ".bias", new Shape(channels), Parameter.Type.BETA, 0));
  }

  <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    return ops.groupNorm(
        x, groups, weights.get(name + ".weight"), weights.get(name + ".bias"), eps);
  }
}
