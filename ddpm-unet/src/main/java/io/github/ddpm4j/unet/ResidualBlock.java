package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Time;
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
 * otherwise. A block that changes the size does so in front of conv1 and of the shortcut. With the
 * convolutions first it is
 *
 * <pre>
 * h = silu(norm1(conv1(x)) + projection(time))
 * h = silu(norm2(conv2(dropout(h))))
 * </pre>
 *
 * <p>In both, {@code … + projection(time)} may instead be {@code norm(…) · (1 + s) + b} of the two
 * halves s and b of the projection, with norm2 in the first form and norm1 in the second.
 */
final class ResidualBlock {

  /** What becomes of height and width. */
  enum Size {
    KEPT,
    HALVED,
    DOUBLED
  }

  private final Size size;
  private final boolean normFirst;
  private final boolean scaleShift;
  private final double scale;
  private final NormLayer norm1;
  private final ConvLayer conv1;
  private final LinearLayer projection;
  private final NormLayer norm2;
  private final double dropout;
  private final int layer;
  private final ConvLayer conv2;
  private final @Nullable ConvLayer shortcut;

  ResidualBlock(UNetConfig config, String name, int in, int out, int layer) {
    this(config, name, in, out, layer, Size.KEPT);
  }

  ResidualBlock(UNetConfig config, String name, int in, int out, int layer, Size size) {
    this.size = size;
    this.dropout = config.dropout();
    this.layer = layer;
    UNetLayout.Block style = config.layout().block();
    normFirst = style.order() == Order.NORM_FIRST;
    scaleShift = style.time() == Time.SCALE_SHIFT;
    scale = style.scale();
    norm1 = NormLayer.of(config, name + ".norm1", normFirst ? in : out);
    conv1 = ConvLayer.same3x3(name + ".conv1", in, out, Initial.NORMAL);
    projection =
        new LinearLayer(
            name + ".time_emb_proj",
            config.timeChannels(),
            scaleShift ? 2 * out : out,
            Initial.NORMAL);
    norm2 = NormLayer.of(config, name + ".norm2", out);
    conv2 = ConvLayer.same3x3(name + ".conv2", out, out, Initial.ALMOST_ZERO);
    boolean always = size != Size.KEPT && config.layout().resampling().shortcut();
    shortcut =
        in == out && !always
            ? null
            : new ConvLayer(name + ".conv_shortcut", in, out, 1, 1, 0, Initial.NORMAL);
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
          T projected = projection.apply(ops, weights, time);
          T h =
              normFirst
                  ? normFirst(ops, weights, x, projected)
                  : convFirst(ops, weights, x, projected);
          T kept = resized(ops, x);
          T sum = ops.add(shortcut == null ? kept : shortcut.apply(ops, weights, kept), h);
          return scale == 1 ? sum : ops.scale(sum, scale);
        });
  }

  private <T> T normFirst(Ops<T> ops, Weights<T> weights, T x, T time) {
    T h = resizedConv1(ops, weights, ops.silu(norm1.apply(ops, weights, x)));
    h =
        scaleShift
            ? scaledAndShifted(ops, norm2.apply(ops, weights, h), time)
            : norm2.apply(ops, weights, ops.addPerChannel(h, time));
    return conv2.apply(ops, weights, ops.dropout(ops.silu(h), dropout, layer));
  }

  private <T> T convFirst(Ops<T> ops, Weights<T> weights, T x, T time) {
    T h = norm1.apply(ops, weights, resizedConv1(ops, weights, x));
    h = scaleShift ? scaledAndShifted(ops, h, time) : ops.addPerChannel(h, time);
    h = conv2.apply(ops, weights, ops.dropout(ops.silu(h), dropout, layer));
    return ops.silu(norm2.apply(ops, weights, h));
  }

  /** x · (1 + s) + b. */
  private static <T> T scaledAndShifted(Ops<T> ops, T x, T time) {
    T scale = ops.shift(ops.firstChannels(time, x), 1);
    return ops.addPerChannel(ops.multiplyPerChannel(x, scale), ops.channelsAfter(time, x));
  }

  private <T> T resizedConv1(Ops<T> ops, Weights<T> weights, T x) {
    return size == Size.DOUBLED
        ? conv1.applyUpsampled(ops, weights, x)
        : conv1.apply(ops, weights, resized(ops, x));
  }

  private <T> T resized(Ops<T> ops, T x) {
    return switch (size) {
      case KEPT -> x;
      case HALVED -> ops.averagePool2d(x, 2);
      case DOUBLED -> ops.upsampleNearest2x(x);
    };
  }
}
