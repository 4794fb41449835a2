package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.List;

/** A passage from one level to the next that does not see the timestep. */
interface Resampler {

  void declare(List<ParameterSpec> specs);

  <T> T forward(Ops<T> ops, Weights<T> weights, T x);

  /** A passage that changes channels alone, behind the last level and before the end. */
  static Resampler sameSize(UNetConfig config, String name, int in, int out) {
    ConvLayer conv = ConvLayer.same(config.axes(), name + ".conv", in, out, Initial.NORMAL);
    return new Resampler() {
      @Override
      public void declare(List<ParameterSpec> specs) {
        conv.declare(specs);
      }

      @Override
      public <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
        return conv.apply(ops, weights, x);
      }
    };
  }
}
