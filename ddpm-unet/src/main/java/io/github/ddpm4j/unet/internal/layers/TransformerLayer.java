package io.github.ddpm4j.unet.internal.layers;

import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * One layer of a {@link Transformer}: attention of the pixels to each other, to the context, and a
 * gated feed-forward layer, each with a norm in front (Rombach et al. 2022, appendix E.2.1):
 *
 * <pre>
 * h ← h + attn1(norm1(h))      h ← h + attn2(norm2(h), context)      h ← h + ff(norm3(h))
 * ff(h) = out(a · gelu(g)),    (a, g) the halves of proj(h)
 * </pre>
 */
final class TransformerLayer {

  private static final double EPSILON = 1e-5;

  /** How much wider than the tokens the feed-forward layer is. */
  private static final int WIDER = 4;

  /**
   * Attention of tokens to tokens.
   *
   * @param heads the number of heads
   * @param out what leads back
   */
  private record Attention(
      int heads, LinearLayer query, LinearLayer key, LinearLayer value, LinearLayer out) {

    static Attention of(String name, int heads, int channels, int keys) {
      return new Attention(
          heads,
          new LinearLayer(name + ".to_q", channels, channels, Initial.NORMAL, false),
          new LinearLayer(name + ".to_k", keys, channels, Initial.NORMAL, false),
          new LinearLayer(name + ".to_v", keys, channels, Initial.NORMAL, false),
          new LinearLayer(name + ".to_out.0", channels, channels, Initial.NORMAL));
    }

    void declare(List<ParameterSpec> specs) {
      List.of(query, key, value, out).forEach(layer -> layer.declare(specs));
    }

    <T> T apply(Ops<T> ops, Weights<T> weights, T x, T seen) {
      T q = query.apply(ops, weights, x);
      T k = key.apply(ops, weights, seen);
      T v = value.apply(ops, weights, seen);
      return out.apply(ops, weights, ops.attention(q, k, v, heads));
    }
  }

  private final boolean contextOnly;
  private final LayerNormLayer norm1;
  private final Attention attention1;
  private final LayerNormLayer norm2;
  private final Attention attention2;
  private final LayerNormLayer norm3;
  private final LinearLayer wide;
  private final LinearLayer narrow;

  TransformerLayer(Transformer.Style style, String name, int channels) {
    contextOnly = style.contextOnly();
    int context = style.contextChannels();
    norm1 = new LayerNormLayer(name + ".norm1", channels, EPSILON);
    attention1 =
        Attention.of(name + ".attn1", style.heads(), channels, contextOnly ? context : channels);
    norm2 = new LayerNormLayer(name + ".norm2", channels, EPSILON);
    attention2 = Attention.of(name + ".attn2", style.heads(), channels, context);
    norm3 = new LayerNormLayer(name + ".norm3", channels, EPSILON);
    int inner = WIDER * channels;
    wide = new LinearLayer(name + ".ff.net.0.proj", channels, 2 * inner, Initial.NORMAL);
    narrow = new LinearLayer(name + ".ff.net.2", inner, channels, Initial.NORMAL);
  }

  void declare(List<ParameterSpec> specs) {
    norm1.declare(specs);
    attention1.declare(specs);
    norm2.declare(specs);
    attention2.declare(specs);
    norm3.declare(specs);
    wide.declare(specs);
    narrow.declare(specs);
  }

  <T> T forward(Ops<T> ops, Weights<T> weights, T tokens, T context) {
    return ops.scope(
        () -> {
          T n1 = norm1.apply(ops, weights, tokens);
          T h1 = ops.add(tokens, attention1.apply(ops, weights, n1, contextOnly ? context : n1));
          T n2 = norm2.apply(ops, weights, h1);
          T h2 = ops.add(h1, attention2.apply(ops, weights, n2, context));
          T n3 = norm3.apply(ops, weights, h2);
          T gated = ops.gatedGelu(wide.apply(ops, weights, n3));
          return ops.add(h2, narrow.apply(ops, weights, gated));
        });
  }
}
