package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.List;

/**
 * Doubles height and width: by repeating pixels, which a 3x3 convolution may smooth, or by a
 * transposed 4x4 convolution.
 */
final class Upsample implements Resampler {

  private final Up kind;
  private final ConvLayer conv;

  Upsample(UNetConfig config, String name, int in, int out) {
    kind = config.layout().resampling().up();
    conv =
        kind == Up.TRANSPOSED_4X4
            ? new ConvLayer(name + ".conv", in, out, 4, 2, 1, Initial.NORMAL)
            : ConvLayer.same3x3(name + ".conv", in, out, Initial.NORMAL);
  }

  @Override
  public void declare(List<ParameterSpec> specs) {
    switch (kind) {
      case CONVOLUTION, RESIDUAL -> conv.declare(specs);
      case TRANSPOSED_4X4 -> conv.declareTransposed(specs);
      case NEAREST -> {}
    }
  }

  @Override
  public <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return switch (kind) {
      case CONVOLUTION, RESIDUAL -> conv.applyUpsampled(ops, weights, x);
      case TRANSPOSED_4X4 -> conv.applyTransposed(ops, weights, x);
      case NEAREST -> ops.upsampleNearest2x(x);
    };
  }
}
