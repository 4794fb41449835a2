package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * Self-attention between the pixels of a level: {@code x + out(attention(q(n), k(n), v(n)))} of the
 * normalised input {@code n = norm(x)}.
 */
final class AttentionBlock {

  private final int heads;
  private final NormLayer norm;
  private final LinearLayer query;
  private final LinearLayer key;
  private final LinearLayer value;
  private final LinearLayer out;

  AttentionBlock(UNetConfig config, String name, int channels) {
    heads = config.headsFor(channels);
    norm = new NormLayer(name + ".group_norm", channels, config.groups(), config.normEpsilon());
    query = new LinearLayer(name + ".to_q", channels, channels, Initial.NORMAL);
    key = new LinearLayer(name + ".to_k", channels, channels, Initial.NORMAL);
    value = new LinearLayer(name + ".to_v", channels, channels, Initial.NORMAL);
    out = new LinearLayer(name + ".to_out.0", channels, channels, Initial.ALMOST_ZERO);
  }

  void declare(List<ParameterSpec> specs) {
    norm.declare(specs);
    query.declare(specs);
    key.declare(specs);
    value.declare(specs);
    out.declare(specs);
  }

  <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
    return ops.scope(
        () -> {
          T tokens = ops.tokens(norm.apply(ops, weights, x));
          T q = query.apply(ops, weights, tokens);
          T k = key.apply(ops, weights, tokens);
          T v = value.apply(ops, weights, tokens);
          T mixed = out.apply(ops, weights, ops.attention(q, k, v, heads));
          return ops.add(x, ops.images(mixed, x));
        });
  }
}
