package io.github.ddpm4j.unet.internal.layers;

import io.github.ddpm4j.spi.Ops;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A transformer between the pixels of a level and a context, such as an encoded text (Rombach et
 * al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.3): {@code x
 * + proj_out(layers(proj_in(norm(x)), context))}.
 */
public final class Transformer {

  /**
   * How a transformer is.
   *
   * @param heads the number of heads
   * @param norm the norm in front
   * @param contextChannels the channels of the context's tokens
   * @param depth the number of layers
   * @param linearProjection whether the projections around the layers are linear layers over
   *     tokens, and not convolutions of one pixel, which compute the same
   * @param contextOnly whether pixels see the context alone, and not each other
   * @param axes the axes of an image: 2, or 1 of a signal, or 3 of a volume
   */
  public record Style(
      int heads,
      NormLayer.Style norm,
      int contextChannels,
      int depth,
      boolean linearProjection,
      boolean contextOnly,
      int axes) {}

  private final NormLayer norm;
  private final @Nullable LinearLayer linearIn;
  private final @Nullable LinearLayer linearOut;
  private final ConvLayer convIn;
  private final ConvLayer convOut;
  private final List<TransformerLayer> layers;

  /**
   * A transformer.
   *
   * @param style how it is
   * @param name the name in front of those of its weights
   * @param channels the channels of the images
   * @throws IllegalArgumentException if heads or groups do not divide the channels
   */
  public Transformer(Style style, String name, int channels) {
    if (style.heads == 0 || channels % style.heads != 0) {
      throw new IllegalArgumentException(
          "heads must divide the channels that attention has, but "
              + style.heads
              + " do not divide the "
              + channels
              + " of "
              + name);
    }
    norm = style.norm.of(name + ".norm", channels);
    String in = name + ".proj_in";
    String out = name + ".proj_out";
    boolean linear = style.linearProjection;
    linearIn = linear ? new LinearLayer(in, channels, channels, Initial.NORMAL) : null;
    linearOut = linear ? new LinearLayer(out, channels, channels, Initial.ALMOST_ZERO) : null;
    convIn = ConvLayer.onePixel(style.axes, in, channels, channels, Initial.NORMAL);
    convOut = ConvLayer.onePixel(style.axes, out, channels, channels, Initial.ALMOST_ZERO);
    layers =
        IntStream.range(0, style.depth)
            .mapToObj(i -> new TransformerLayer(style, name + ".transformer_blocks." + i, channels))
            .toList();
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    norm.declare(specs);
    if (linearIn != null) {
      linearIn.declare(specs);
    } else {
      convIn.declare(specs);
    }
    layers.forEach(layer -> layer.declare(specs));
    if (linearOut != null) {
      linearOut.declare(specs);
    } else {
      convOut.declare(specs);
    }
  }

  /**
   * The transformer.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images, shape (N, C, H, W)
   * @param context tokens, shape (N, S, X)
   * @return images, shape of {@code x}
   */
  public <T> T forward(Ops<T> ops, Weights<T> weights, T x, T context) {
    return ops.scope(
        () -> {
          T n = norm.apply(ops, weights, x);
          T h =
              linearIn != null
                  ? linearIn.apply(ops, weights, ops.tokens(n))
                  : ops.tokens(convIn.apply(ops, weights, n));
          for (TransformerLayer layer : layers) {
            h = layer.forward(ops, weights, h, context);
          }
          T y =
              linearOut != null
                  ? ops.images(linearOut.apply(ops, weights, h), x)
                  : convOut.apply(ops, weights, ops.images(h, x));
          return ops.add(x, y);
        });
  }
}
