package io.github.ddpm4j.latent;

import io.github.ddpm4j.latent.TextConfig.Family;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.EmbeddingTable;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.LinearLayer;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.ArrayList;
import java.util.List;

/**
 * A transformer of tokens (Vaswani et al. 2017) with its norms first: a vector per token and place,
 * then in each layer
 *
 * <pre>
 * x = x + out(attention(norm1(x)))
 * x = x + fc2(gelu(fc1(norm2(x))))
 * </pre>
 *
 * <p>and a norm at the end. CLIP's tokens do not see later ones; nothing is hidden from LDMBert's.
 * Tokens that pad are seen in both. Holds no weights; immutable.
 */
final class TextNetwork {

  private record Layer(
      TokenNorm norm1,
      LinearLayer query,
      LinearLayer key,
      LinearLayer value,
      LinearLayer out,
      TokenNorm norm2,
      LinearLayer fc1,
      LinearLayer fc2) {

    void declare(List<ParameterSpec> specs) {
      norm1.declare(specs);
      query.declare(specs);
      key.declare(specs);
      value.declare(specs);
      out.declare(specs);
      norm2.declare(specs);
      fc1.declare(specs);
      fc2.declare(specs);
    }
  }

  private final TextConfig config;
  private final EmbeddingTable tokens;
  private final EmbeddingTable places;
  private final List<Layer> layers = new ArrayList<>();
  private final TokenNorm last;

  TextNetwork(TextConfig config) {
    this.config = config;
    boolean clip = config.family() == Family.CLIP;
    String root = clip ? "text_model." : "model.";
    String vectors = root + (clip ? "embeddings.token_embedding" : "embed_tokens");
    String ofPlaces = root + (clip ? "embeddings.position_embedding" : "embed_positions");
    tokens = new EmbeddingTable(vectors, config.vocabulary(), config.width());
    places = new EmbeddingTable(ofPlaces, config.positions(), config.width());
    for (int i = 0; i < config.layers(); i++) {
      layers.add(layer(root + (clip ? "encoder.layers." : "layers.") + i + ".", clip));
    }
    last = norm(root + (clip ? "final_layer_norm" : "layer_norm"));
  }

  private Layer layer(String name, boolean clip) {
    String attention = name + "self_attn.";
    String feed = name + (clip ? "mlp." : "");
    int inner = config.heads() * config.headWidth();
    int width = config.width();
    return new Layer(
        norm(name + (clip ? "layer_norm1" : "self_attn_layer_norm")),
        new LinearLayer(attention + "q_proj", width, inner, Initial.NORMAL, clip),
        new LinearLayer(attention + "k_proj", width, inner, Initial.NORMAL, clip),
        new LinearLayer(attention + "v_proj", width, inner, Initial.NORMAL, clip),
        new LinearLayer(attention + "out_proj", inner, width, Initial.NORMAL),
        norm(name + (clip ? "layer_norm2" : "final_layer_norm")),
        new LinearLayer(feed + "fc1", width, config.hidden(), Initial.NORMAL),
        new LinearLayer(feed + "fc2", config.hidden(), width, Initial.NORMAL));
  }

  private TokenNorm norm(String name) {
    return new TokenNorm(name, config.width(), config.eps());
  }

  /** Every weight, in the order of the network. */
  List<ParameterSpec> parameters() {
    List<ParameterSpec> specs = new ArrayList<>();
    tokens.declare(specs);
    places.declare(specs);
    layers.forEach(layer -> layer.declare(specs));
    last.declare(specs);
    return specs;
  }

  /** Tokens, shape (N, L), and places, shape (L), to vectors without the last layers. */
  record Encode(TextNetwork network, int skipped) implements Pass {

    @Override
    public int inputs() {
      return 2;
    }

    @Override
    public <T> T forward(Ops<T> ops, Weights<T> weights, List<T> in) {
      return network.forward(ops, weights, in.get(0), in.get(1), skipped);
    }
  }

  private <T> T forward(Ops<T> ops, Weights<T> weights, T ids, T at, int skipped) {
    return ops.scope(
        () -> {
          T h = ops.add(tokens.apply(ops, weights, ids), places.apply(ops, weights, at));
          for (Layer layer : layers.subList(0, layers.size() - skipped)) {
            h = forward(ops, weights, layer, h);
          }
          return ops.leave(last.apply(ops, weights, h));
        });
  }

  private <T> T forward(Ops<T> ops, Weights<T> weights, Layer layer, T x) {
    return ops.scope(
        () -> {
          T seen = ops.add(x, attention(ops, weights, layer, x));
          T inner = layer.fc1.apply(ops, weights, layer.norm2.apply(ops, weights, seen));
          T active = config.quick() ? ops.quickGelu(inner) : ops.gelu(inner);
          return ops.add(seen, layer.fc2.apply(ops, weights, active));
        });
  }

  private <T> T attention(Ops<T> ops, Weights<T> weights, Layer layer, T x) {
    T normal = layer.norm1.apply(ops, weights, x);
    T q = layer.query.apply(ops, weights, normal);
    T k = layer.key.apply(ops, weights, normal);
    T v = layer.value.apply(ops, weights, normal);
    T mixed =
        config.family() == Family.CLIP
            ? ops.causalAttention(q, k, v, config.heads())
            : ops.attention(q, k, v, config.heads());
    return layer.out.apply(ops, weights, mixed);
  }
}
