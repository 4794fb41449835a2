package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * Halves height and width by a 3x3 convolution of stride 2. The paper's code pads at the right and
 * the bottom only; the other choice pads all four sides, which is another network.
 */
final class Downsample {

  private final boolean rightBottom;
  private final ConvLayer conv;

  Downsample(UNetConfig config, String name, int channels) {
    rightBottom = config.downsamplePadding() == UNetConfig.DownsamplePadding.RIGHT_BOTTOM;
    conv =
        new ConvLayer(
            name + ".conv", channels, channels, 3, 2, rightBottom ? 0 : 1, Initial.NORMAL);
  }

  void declare(List<ParameterSpec> specs) {
    conv.declare(specs);
  }

  <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return ops.scope(() -> conv.apply(ops, weights, rightBottom ? ops.padRightBottom(x, 1) : x));
  }
}
