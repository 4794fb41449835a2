package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.Arrays;
import java.util.List;

/**
 * Doubles height and width: by repeating pixels, which a 3x3 convolution may smooth, or by a
 * transposed 4x4 convolution. Where the level above has an odd height or width, what is one too
 * many is left out before the convolution.
 */
final class Upsample implements Resampler {

  private final Up kind;
  private final ConvLayer conv;
  private final int[] sizes;
  private final boolean crops;

  /** {@code above} is the level that the passage leads to. */
  Upsample(UNetConfig config, String name, int in, int out, int above) {
    sizes = config.sizesAt(above);
    crops = Arrays.stream(sizes).anyMatch(size -> size % 2 != 0);
    kind = config.layout().resampling().up();
    conv =
        kind == Up.TRANSPOSED_4X4
            ? new ConvLayer(config.axes(), name + ".conv", in, out, 4, 2, 1, Initial.NORMAL)
            : ConvLayer.same(config.axes(), name + ".conv", in, out, Initial.NORMAL);
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
      case CONVOLUTION, RESIDUAL ->
          crops
              ? conv.apply(ops, weights, ops.crop(ops.upsampleNearest2x(x), sizes))
              : conv.applyUpsampled(ops, weights, x);
      case TRANSPOSED_4X4 -> conv.applyTransposed(ops, weights, x);
      case NEAREST -> ops.upsampleNearest2x(x);
    };
  }
}
