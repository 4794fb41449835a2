package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The residual block of the paper (Ho et al. 2020, appendix B):
 *
 * <pre>
 * h = conv1(silu(norm1(x))) + projection(time)
 * h = conv2(dropout(silu(norm2(h))))
 * y = shortcut(x) + h
 * </pre>
 *
 * <p>where the shortcut is a 1x1 convolution if the number of channels changes, and nothing
 * otherwise.
 */
final class ResidualBlock {

  private final NormLayer norm1;
  private final ConvLayer conv1;
  private final LinearLayer projection;
  private final NormLayer norm2;
  private final double dropout;
  private final int layer;
  private final ConvLayer conv2;
  private final @Nullable ConvLayer shortcut;

  ResidualBlock(UNetConfig config, String name, int in, int out, int layer) {
    this.dropout = config.dropout();
    this.layer = layer;
    norm1 = new NormLayer(name + ".norm1", in, config.groups(), config.normEpsilon());
    conv1 = ConvLayer.same3x3(name + ".conv1", in, out, Initial.NORMAL);
    projection =
        new LinearLayer(name + ".time_emb_proj", config.timeChannels(), out, Initial.NORMAL);
    norm2 = new NormLayer(name + ".norm2", out, config.groups(), config.normEpsilon());
    conv2 = ConvLayer.same3x3(name + ".conv2", out, out, Initial.ALMOST_ZERO);
    shortcut =
        in == out ? null : new ConvLayer(name + ".conv_shortcut", in, out, 1, 1, 0, Initial.NORMAL);
  }

  void declare(List<ParameterSpec> specs) {
    norm1.declare(specs);
    conv1.declare(specs);
    projection.declare(specs);
    norm2.declare(specs);
    conv2.declare(specs);
    if (shortcut != null) {
      shortcut.declare(specs);
    }
  }

  /** {@code time} is the time embedding after its SiLU, shape (N, time channels). */
  <T> T forward(Ops<T> ops, Weights<T> weights, T x, T time) {
    return ops.scope(
        () -> {
          T h = conv1.apply(ops, weights, ops.silu(norm1.apply(ops, weights, x)));
          h = ops.addPerChannel(h, projection.apply(ops, weights, time));
          h = ops.dropout(ops.silu(norm2.apply(ops, weights, h)), dropout, layer);
          h = conv2.apply(ops, weights, h);
          return ops.add(shortcut == null ? x : shortcut.apply(ops, weights, x), h);
        });
  }
}
