package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/** A linear layer over the last axis, with or without a bias. */
record LinearLayer(String name, int in, int out, Initial initial, boolean bias) {

  /** With a bias. */
  LinearLayer(String name, int in, int out, Initial initial) {
    this(name, in, out, initial, true);
  }

  void declare(List<ParameterSpec> specs) {
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

  <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    T weight = weights.get(name + ".weight");
    return bias ? ops.linear(x, weight, weights.get(name + ".bias")) : ops.linear(x, weight);
  }
}
