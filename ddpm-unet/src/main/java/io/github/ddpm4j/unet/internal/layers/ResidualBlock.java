package io.github.ddpm4j.unet.internal.layers;

import io.github.ddpm4j.spi.Ops;
import java.util.List;
import java.util.Objects;
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
 * halves s and b of the projection, with norm2 in the first form and norm1 in the second. Networks
 * without timesteps have blocks without the projection.
 */
public final class ResidualBlock {

  /** What becomes of height and width, or of all axes of an image. */
  public enum Size {
    /** Nothing. */
    KEPT,
    /** The mean of 2x2 pixels. */
    HALVED,
    /** Pixels are repeated. */
    DOUBLED
  }

  /**
   * How the blocks of a network are.
   *
   * @param norm the norms
   * @param normFirst whether norms come before the convolutions or behind them
   * @param timeChannels the width of the time embedding; 0 if there is none
   * @param scaleShift whether time scales and shifts, and does not only add
   * @param dropout the dropout rate
   * @param scale the factor of the sum at the end
   * @param shortcut whether a block that changes the size always has a convolution beside it
   * @param axes the axes of an image: 2, or 1 of a signal, or 3 of a volume
   */
  public record Style(
      NormLayer.Style norm,
      boolean normFirst,
      int timeChannels,
      boolean scaleShift,
      double dropout,
      double scale,
      boolean shortcut,
      int axes) {

    /**
     * Blocks of images without timesteps and dropout, with the norms first.
     *
     * @param norm the norms
     * @return the style
     */
    public static Style withoutTime(NormLayer.Style norm) {
      return new Style(norm, true, 0, false, 0, 1, false, 2);
    }
  }

  private final Style style;
  private final Size size;
  private final NormLayer norm1;
  private final ConvLayer conv1;
  private final @Nullable LinearLayer projection;
  private final NormLayer norm2;
  private final int layer;
  private final ConvLayer conv2;
  private final @Nullable ConvLayer shortcut;

  /**
   * A block that keeps height and width.
   *
   * @param style how the blocks of the network are
   * @param name the name in front of those of its weights
   * @param in the channels of what goes in
   * @param out the channels of what comes out
   * @param layer the number of its dropout in the network
   * @throws IllegalArgumentException if the groups of a norm do not divide its channels
   */
  public ResidualBlock(Style style, String name, int in, int out, int layer) {
    this(style, name, in, out, layer, Size.KEPT);
  }

  /**
   * A block.
   *
   * @param style how the blocks of the network are
   * @param name the name in front of those of its weights
   * @param in the channels of what goes in
   * @param out the channels of what comes out
   * @param layer the number of its dropout in the network
   * @param size what becomes of height and width
   * @throws IllegalArgumentException if the groups of a norm do not divide its channels
   */
  public ResidualBlock(Style style, String name, int in, int out, int layer, Size size) {
    this.style = style;
    this.size = size;
    this.layer = layer;
    norm1 = style.norm.of(name + ".norm1", style.normFirst ? in : out);
    conv1 = ConvLayer.same(style.axes, name + ".conv1", in, out, Initial.NORMAL);
    projection =
        style.timeChannels == 0
            ? null
            : new LinearLayer(
                name + ".time_emb_proj",
                style.timeChannels,
                style.scaleShift ? 2 * out : out,
                Initial.NORMAL);
    norm2 = style.norm.of(name + ".norm2", out);
    conv2 = ConvLayer.same(style.axes, name + ".conv2", out, out, Initial.ALMOST_ZERO);
    boolean always = size != Size.KEPT && style.shortcut;
    shortcut =
        in == out && !always
            ? null
            : ConvLayer.onePixel(style.axes, name + ".conv_shortcut", in, out, Initial.NORMAL);
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    norm1.declare(specs);
    conv1.declare(specs);
    if (projection != null) {
      projection.declare(specs);
    }
    norm2.declare(specs);
    conv2.declare(specs);
    if (shortcut != null) {
      shortcut.declare(specs);
    }
  }

  /**
   * The block of a network without timesteps.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images
   * @return images
   */
  public <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return ops.scope(() -> sum(ops, weights, x, null));
  }

  /**
   * The block.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images
   * @param time the time embedding after its SiLU, shape (N, time channels)
   * @return images
   */
  public <T> T forward(Ops<T> ops, Weights<T> weights, T x, T time) {
    LinearLayer layer = Objects.requireNonNull(projection);
    return ops.scope(() -> sum(ops, weights, x, layer.apply(ops, weights, time)));
  }

  private <T> T sum(Ops<T> ops, Weights<T> weights, T x, @Nullable T time) {
    T h = style.normFirst ? normFirst(ops, weights, x, time) : convFirst(ops, weights, x, time);
    T kept = resized(ops, x);
    T sum = ops.add(shortcut == null ? kept : shortcut.apply(ops, weights, kept), h);
    return style.scale == 1 ? sum : ops.scale(sum, style.scale);
  }

  private <T> T normFirst(Ops<T> ops, Weights<T> weights, T x, @Nullable T time) {
    T h = resizedConv1(ops, weights, ops.silu(norm1.apply(ops, weights, x)));
    if (time == null) {
      h = norm2.apply(ops, weights, h);
    } else {
      h =
          style.scaleShift
              ? scaledAndShifted(ops, norm2.apply(ops, weights, h), time)
              : norm2.apply(ops, weights, ops.addPerChannel(h, time));
    }
    return conv2.apply(ops, weights, ops.dropout(ops.silu(h), style.dropout, layer));
  }

  private <T> T convFirst(Ops<T> ops, Weights<T> weights, T x, @Nullable T time) {
    T h = norm1.apply(ops, weights, resizedConv1(ops, weights, x));
    if (time != null) {
      h = style.scaleShift ? scaledAndShifted(ops, h, time) : ops.addPerChannel(h, time);
    }
    h = conv2.apply(ops, weights, ops.dropout(ops.silu(h), style.dropout, layer));
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
      case HALVED -> ops.averagePool(x, 2);
      case DOUBLED -> ops.upsampleNearest2x(x);
    };
  }
}
