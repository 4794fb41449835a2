package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Self-attention between the pixels of a level: {@code x + out(attention(q(n), k(n), v(n)))} of the
 * normalised input {@code n = norm(x)}. Keys and values may have a memory behind them, learned
 * tokens that are the same for every image. Linear attention has a norm behind {@code out}.
 */
public final class AttentionBlock {

  /**
   * How an attention is.
   *
   * @param heads the number of heads
   * @param width the channels that all heads have together
   * @param linear whether its cost grows with the number of pixels, and not with their square
   * @param norm the norm in front; null for none
   * @param bias whether queries, keys and values have a bias
   * @param memoryTokens the number of learned tokens
   * @param outNorm the norm of linear attention behind {@code out}; null for none
   * @param scale the factor of the sum at the end
   */
  public record Style(
      int heads,
      int width,
      boolean linear,
      NormLayer.@Nullable Style norm,
      boolean bias,
      int memoryTokens,
      NormLayer.@Nullable Style outNorm,
      double scale) {

    /**
     * One head over all channels, with a norm in front.
     *
     * @param norm the norm
     * @param channels the channels
     * @return the style
     */
    public static Style oneHead(NormLayer.Style norm, int channels) {
      return new Style(1, channels, false, norm, true, 0, null, 1);
    }
  }

  private final Style style;
  private final @Nullable NormLayer norm;
  private final LinearLayer query;
  private final LinearLayer key;
  private final LinearLayer value;
  private final String memory;
  private final LinearLayer out;
  private final @Nullable NormLayer outNorm;

  /**
   * An attention.
   *
   * @param style how it is
   * @param name the name in front of those of its weights
   * @param channels the channels of the images
   * @throws IllegalArgumentException if the heads do not divide the width, or the groups of a norm
   *     the channels
   */
  public AttentionBlock(Style style, String name, int channels) {
    int heads = style.heads;
    int width = style.width;
    if (heads == 0 || width % heads != 0) {
      throw new IllegalArgumentException(
          "heads must divide the channels that attention has, but "
              + heads
              + " do not divide the "
              + width
              + " of "
              + name);
    }
    this.style = style;
    norm = style.norm == null ? null : style.norm.of(name + ".group_norm", channels);
    query = new LinearLayer(name + ".to_q", channels, width, Initial.NORMAL, style.bias);
    key = new LinearLayer(name + ".to_k", channels, width, Initial.NORMAL, style.bias);
    value = new LinearLayer(name + ".to_v", channels, width, Initial.NORMAL, style.bias);
    memory = name + ".memory.";
    out = new LinearLayer(name + ".to_out.0", width, channels, Initial.ALMOST_ZERO);
    outNorm = style.outNorm == null ? null : style.outNorm.of(name + ".out_norm", channels);
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    if (norm != null) {
      norm.declare(specs);
    }
    query.declare(specs);
    key.declare(specs);
    value.declare(specs);
    if (style.memoryTokens > 0) {
      specs.add(memory("k"));
      specs.add(memory("v"));
    }
    out.declare(specs);
    if (outNorm != null) {
      outNorm.declare(specs);
    }
  }

  private ParameterSpec memory(String of) {
    Shape shape = new Shape(style.memoryTokens, style.width);
    return new ParameterSpec(memory + of, shape, Parameter.Type.WEIGHT, EmbeddingTable.LIMIT);
  }

  /**
   * The attention.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images
   * @return images, shape of {@code x}
   */
  public <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return ops.scope(
        () -> {
          T tokens = ops.tokens(norm == null ? x : norm.apply(ops, weights, x));
          T q = query.apply(ops, weights, tokens);
          T k = remembered(ops, weights, key.apply(ops, weights, tokens), "k");
          T v = remembered(ops, weights, value.apply(ops, weights, tokens), "v");
          T mixed =
              style.linear
                  ? ops.linearAttention(q, k, v, style.heads)
                  : ops.attention(q, k, v, style.heads);
          T result = ops.images(out.apply(ops, weights, mixed), x);
          T sum = ops.add(x, outNorm == null ? result : outNorm.apply(ops, weights, result));
          return style.scale == 1 ? sum : ops.scale(sum, style.scale);
        });
  }

  private <T> T remembered(Ops<T> ops, Weights<T> weights, T tokens, String of) {
    return style.memoryTokens == 0 ? tokens : ops.appendTokens(tokens, weights.get(memory + of));
  }
}
