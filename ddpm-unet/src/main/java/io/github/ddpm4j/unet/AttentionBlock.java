package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Self-attention between the pixels of a level: {@code x + out(attention(q(n), k(n), v(n)))} of the
 * normalised input {@code n = norm(x)}. Keys and values may have a memory behind them, learned
 * tokens that are the same for every image. Linear attention has a norm behind {@code out}.
 */
final class AttentionBlock {

  /** The level of the attention in the middle. */
  static final int MIDDLE = -1;

  private final int heads;
  private final boolean linear;
  private final double scale;
  private final @Nullable NormLayer norm;
  private final LinearLayer query;
  private final LinearLayer key;
  private final LinearLayer value;
  private final int width;
  private final int memoryTokens;
  private final String memory;
  private final LinearLayer out;
  private final @Nullable NormLayer outNorm;

  /** {@code level} is that of the network, or {@link #MIDDLE}. */
  AttentionBlock(UNetConfig config, String name, int level, int channels) {
    Attention style = config.layout().attention();
    boolean middle = level == MIDDLE;
    heads = config.heads(middle ? config.levels() - 1 : level, channels);
    width = style.headWidth() > 0 ? heads * style.headWidth() : channels;
    if (width % heads != 0 || heads == 0) {
      throw new IllegalArgumentException(
          "heads must divide the channels that attention has, but "
              + heads
              + " do not divide the "
              + width
              + " of "
              + name);
    }
    linear = style.linearLevels().contains(level);
    scale = config.layout().block().scale();
    boolean normed =
        style.norm() == AttentionNorm.ALL
            || (style.norm() == AttentionNorm.EXCEPT_MIDDLE && !middle);
    norm = normed ? NormLayer.of(config, name + ".group_norm", channels) : null;
    query = new LinearLayer(name + ".to_q", channels, width, Initial.NORMAL, style.bias());
    key = new LinearLayer(name + ".to_k", channels, width, Initial.NORMAL, style.bias());
    value = new LinearLayer(name + ".to_v", channels, width, Initial.NORMAL, style.bias());
    memoryTokens = style.memoryTokens();
    memory = name + ".memory.";
    out = new LinearLayer(name + ".to_out.0", width, channels, Initial.ALMOST_ZERO);
    outNorm = linear ? NormLayer.of(config, name + ".out_norm", channels) : null;
  }

  void declare(List<ParameterSpec> specs) {
    if (norm != null) {
      norm.declare(specs);
    }
    query.declare(specs);
    key.declare(specs);
    value.declare(specs);
    if (memoryTokens > 0) {
      specs.add(memory("k"));
      specs.add(memory("v"));
    }
    out.declare(specs);
    if (outNorm != null) {
      outNorm.declare(specs);
    }
  }

  private ParameterSpec memory(String of) {
    Shape shape = new Shape(memoryTokens, width);
    return new ParameterSpec(memory + of, shape, Parameter.Type.WEIGHT, EmbeddingTable.LIMIT);
  }

  <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return ops.scope(
        () -> {
          T tokens = ops.tokens(norm == null ? x : norm.apply(ops, weights, x));
          T q = query.apply(ops, weights, tokens);
          T k = remembered(ops, weights, key.apply(ops, weights, tokens), "k");
          T v = remembered(ops, weights, value.apply(ops, weights, tokens), "v");
          T mixed = linear ? ops.linearAttention(q, k, v, heads) : ops.attention(q, k, v, heads);
          T result = ops.images(out.apply(ops, weights, mixed), x);
          T sum = ops.add(x, outNorm == null ? result : outNorm.apply(ops, weights, result));
          return scale == 1 ? sum : ops.scale(sum, scale);
        });
  }

  private <T> T remembered(Ops<T> ops, Weights<T> weights, T tokens, String of) {
    return memoryTokens == 0 ? tokens : ops.appendTokens(tokens, weights.get(memory + of));
  }
}
