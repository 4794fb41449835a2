package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Halves height and width: by a 3x3 convolution of stride 2, by a 2x2 or 4x4 convolution, or by the
 * mean of 2x2 pixels. The paper's code pads the 3x3 convolution at the right and the bottom only;
 * the other choice pads all four sides, which is another network.
 */
final class Downsample implements Resampler {

  private final boolean rightBottom;
  private final @Nullable ConvLayer conv;

  Downsample(UNetConfig config, String name, int in, int out) {
    int kernel =
        switch (config.layout().resampling().down()) {
          case CONVOLUTION, RESIDUAL -> 3;
          case CONVOLUTION_2X2 -> 2;
          case CONVOLUTION_4X4 -> 4;
          case MEAN -> 0;
        };
    rightBottom = kernel == 3 && config.downsamplePadding() == DownsamplePadding.RIGHT_BOTTOM;
    int padding = kernel == 2 || rightBottom ? 0 : 1;
    conv =
        kernel == 0
            ? null
            : new ConvLayer(
                config.axes(), name + ".conv", in, out, kernel, 2, padding, Initial.NORMAL);
  }

  @Override
  public void declare(List<ParameterSpec> specs) {
    if (conv != null) {
      conv.declare(specs);
    }
  }

  @Override
  public <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    ConvLayer own = conv;
    return own == null
        ? ops.averagePool(x, 2)
        : ops.scope(() -> own.apply(ops, weights, rightBottom ? ops.padEnd(x, 1) : x));
  }
}
