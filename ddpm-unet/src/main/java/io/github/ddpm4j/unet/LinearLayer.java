package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/** A linear layer with bias over the last axis. */
record LinearLayer(String name, int in, int out, Initial initial) {

  void declare(List<ParameterSpec> specs) {
    specs.add(
        new ParameterSpec(
            name + ".weight",
            new Shape(out, in),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in, out)));
    specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
  }

  <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    return ops.linear(x, weights.get(name + ".weight"), weights.get(name + ".bias"));
  }
}
