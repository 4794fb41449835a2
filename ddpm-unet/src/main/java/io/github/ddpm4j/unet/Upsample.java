package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import java.util.List;

/** Doubles height and width by repeating pixels, and smooths by a 3x3 convolution. */
final class Upsample {

  private final ConvLayer conv;

  Upsample(String name, int channels) {
    conv = ConvLayer.same3x3(name + ".conv", channels, channels, Initial.NORMAL);
  }

  void declare(List<ParameterSpec> specs) {
    conv.declare(specs);
  }

  <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return conv.applyUpsampled(ops, weights, x);
  }
}
