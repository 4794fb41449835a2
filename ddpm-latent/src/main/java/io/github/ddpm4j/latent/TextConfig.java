package io.github.ddpm4j.latent;

import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The architecture of a text encoder, from transformers' {@code config.json}.
 *
 * @param family whose it is
 * @param vocabulary the number of tokens
 * @param positions the most tokens of a prompt
 * @param width the width of tokens
 * @param hidden the width inside the feed-forward layers
 * @param layers the number of layers
 * @param heads the number of heads of attention
 * @param headWidth the width of each
 * @param quick whether GELU is the quick one
 * @param eps that of the norms
 */
record TextConfig(
    Family family,
    int vocabulary,
    int positions,
    int width,
    int hidden,
    int layers,
    int heads,
    int headWidth,
    boolean quick,
    double eps) {

  /** Whose it is, which decides the names of weights and whether tokens see later ones. */
  enum Family {
    CLIP("transformers", "CLIPTextModel", "clip_text_model"),
    LDM_BERT("latent_diffusion", "LDMBertModel", "ldmbert");

    /** The library that has it. */
    final String library;

    /** Its class there. */
    final String type;

    /** What configurations call it. */
    final String modelType;

    Family(String library, String type, String modelType) {
      this.library = library;
      this.type = type;
      this.modelType = modelType;
    }
  }

  /** That of Stable Diffusion 1.x, OpenAI's ViT-L/14, 123,060,480 parameters. */
  static TextConfig stableDiffusion1() {
    return new TextConfig(Family.CLIP, 49408, 77, 768, 3072, 12, 12, 64, true, 1e-5);
  }

  /** That of Stable Diffusion 2.x, 23 of the 24 layers of OpenCLIP's ViT-H, 340,387,840. */
  static TextConfig stableDiffusion2() {
    return new TextConfig(Family.CLIP, 49408, 77, 1024, 4096, 23, 16, 64, false, 1e-5);
  }

  /** What every configuration of transformers may have, and which changes nothing here. */
  private static final String[] GENERIC = {
    "architectures",
    "attention_dropout",
    "activation_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "diversity_penalty",
    "dropout",
    "dtype",
    "encoder_layerdrop",
    "eos_token_id",
    "id2label",
    "init_std",
    "initializer_factor",
    "initializer_range",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "encoder_no_repeat_ngram_size",
    "pad_token_id",
    "projection_dim",
    "repetition_penalty",
    "return_dict",
    "sep_token_id",
    "temperature",
    "tie_word_embeddings",
    "top_k",
    "top_p",
    "torch_dtype",
    "transformers_version",
    "typical_p",
    "use_cache",
    "pruned_heads"
  };

  static TextConfig read(ConfigFile config) throws IOException {
    List<String> classes = config.texts("architectures", List.of());
    String type = config.text("model_type", "");
    String name = classes.isEmpty() ? type : classes.get(0);
    config.ignore(GENERIC);
    TextConfig read =
        switch (name) {
          case "CLIPTextModel", "clip_text_model" -> clip(config);
          case "LDMBertModel", "ldmbert" -> ldmBert(config);
          default ->
              throw config.unsupported(
                  classes.isEmpty() ? "model_type" : "architectures",
                  "another text encoder than CLIPTextModel and LDMBertModel");
        };
    config.requireAllSeen();
    return read;
  }

  /** What {@link #read} reads. Published files have the same numbers of special tokens. */
  Map<String, Object> words() {
    Map<String, Object> words = new LinkedHashMap<>();
    words.put("architectures", List.of(family.type));
    words.put("model_type", family.modelType);
    words.put("vocab_size", vocabulary);
    words.put("max_position_embeddings", positions);
    String activation = quick ? "quick_gelu" : "gelu";
    if (family == Family.CLIP) {
      words.put("bos_token_id", 0);
      words.put("eos_token_id", 2);
      words.put("pad_token_id", 1);
      words.put("hidden_size", width);
      words.put("intermediate_size", hidden);
      words.put("num_hidden_layers", layers);
      words.put("num_attention_heads", heads);
      words.put("hidden_act", activation);
      words.put("layer_norm_eps", eps);
    } else {
      words.put("d_model", width);
      words.put("encoder_ffn_dim", hidden);
      words.put("encoder_layers", layers);
      words.put("encoder_attention_heads", heads);
      words.put("head_dim", headWidth);
      words.put("activation_function", activation);
    }
    return words;
  }

  private static TextConfig clip(ConfigFile config) throws IOException {
    int width = positive(config, "hidden_size", 512);
    int heads = positive(config, "num_attention_heads", 8);
    if (width % heads != 0) {
      throw config.refused("num_attention_heads", "a divisor of hidden_size, " + width);
    }
    return new TextConfig(
        Family.CLIP,
        positive(config, "vocab_size", 49408),
        positive(config, "max_position_embeddings", 77),
        width,
        positive(config, "intermediate_size", 2048),
        positive(config, "num_hidden_layers", 12),
        heads,
        width / heads,
        isQuick(config, "hidden_act", "quick_gelu"),
        config.number("layer_norm_eps", 1e-5));
  }

  private static TextConfig ldmBert(ConfigFile config) throws IOException {
    config.ignore("num_hidden_layers");
    config.requireOnly("scale_embedding", false, "with token vectors that are scaled");
    return new TextConfig(
        Family.LDM_BERT,
        positive(config, "vocab_size", 30522),
        positive(config, "max_position_embeddings", 77),
        positive(config, "d_model", 1280),
        positive(config, "encoder_ffn_dim", 5120),
        positive(config, "encoder_layers", 32),
        positive(config, "encoder_attention_heads", 8),
        positive(config, "head_dim", 64),
        isQuick(config, "activation_function", "gelu"),
        1e-5);
  }

  private static int positive(ConfigFile config, String key, int otherwise) throws IOException {
    int value = config.integer(key, otherwise);
    if (value < 1) {
      throw config.refused(key, "at least 1");
    }
    return value;
  }

  private static boolean isQuick(ConfigFile config, String key, String otherwise)
      throws IOException {
    return switch (config.text(key, otherwise)) {
      case "quick_gelu" -> true;
      case "gelu" -> false;
      default -> throw config.unsupported(key, "another activation than gelu and quick_gelu");
    };
  }
}
