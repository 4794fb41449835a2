package io.github.ddpm4j.latent;

import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The architecture of an autoencoder, from diffusers' {@code config.json}, with the defaults of
 * version 0.35 for what it does not say.
 *
 * @param quantized whether latents are vectors of a code book, and not draws
 * @param inChannels the channels of images that go in
 * @param outChannels the channels of images that come out
 * @param widths the channels of each level, the highest resolution first
 * @param blocks the residual blocks of a level on the way down; one more on the way up
 * @param latentChannels the channels of latents
 * @param groups the groups of norms
 * @param middleAttention whether there is attention in the middle
 * @param attentionDown whether there is attention at each level on the way down
 * @param attentionUp the same on the way up, the highest resolution first, too
 * @param quantConv whether there is a 1x1 convolution behind the encoder
 * @param postQuantConv whether there is one before the decoder
 * @param codes the number of codes; 0 if there is no book
 * @param codeWidth the channels of codes
 * @param scale what latents are multiplied by for the network that works on them
 */
record AutoencoderConfig(
    boolean quantized,
    int inChannels,
    int outChannels,
    List<Integer> widths,
    int blocks,
    int latentChannels,
    int groups,
    boolean middleAttention,
    List<Boolean> attentionDown,
    List<Boolean> attentionUp,
    boolean quantConv,
    boolean postQuantConv,
    int codes,
    int codeWidth,
    double scale) {

  /** Of Stable Diffusion, and the default of AutoencoderKL. */
  private static final double STABLE_DIFFUSION_SCALE = 0.18215;

  private static final int DEFAULT_CODES = 256;

  /** The version of diffusers whose keys are written. */
  private static final String VERSION = "0.35.2";

  /** That of Stable Diffusion 1.x and 2.x, 83,653,863 parameters. */
  static AutoencoderConfig stableDiffusion() {
    List<Boolean> none = List.of(false, false, false, false);
    return new AutoencoderConfig(
        false,
        3,
        3,
        List.of(128, 256, 512, 512),
        2,
        4,
        32,
        true,
        none,
        none,
        true,
        true,
        0,
        0,
        STABLE_DIFFUSION_SCALE);
  }

  /**
   * What diffusers' {@code config.json} says of it.
   *
   * @param scale what latents are multiplied by
   */
  Map<String, @Nullable Object> words(double scale) {
    Map<String, @Nullable Object> words = new LinkedHashMap<>();
    words.put("_class_name", quantized ? "VQModel" : "AutoencoderKL");
    words.put("_diffusers_version", VERSION);
    words.put("act_fn", "silu");
    words.put("block_out_channels", widths);
    words.put("down_block_types", blocks(attentionDown, "DownEncoderBlock2D"));
    words.put("in_channels", inChannels);
    words.put("latent_channels", latentChannels);
    words.put("layers_per_block", blocks);
    words.put("mid_block_add_attention", middleAttention);
    words.put("norm_num_groups", groups);
    words.put("out_channels", outChannels);
    words.put("scaling_factor", scale);
    words.put("up_block_types", blocks(reversed(attentionUp), "UpDecoderBlock2D"));
    if (quantized) {
      words.put("norm_type", "group");
      words.put("num_vq_embeddings", codes);
      words.put("vq_embed_dim", codeWidth);
    } else {
      words.put("use_post_quant_conv", postQuantConv);
      words.put("use_quant_conv", quantConv);
    }
    return words;
  }

  private static List<String> blocks(List<Boolean> attention, String plain) {
    return attention.stream().map(has -> has ? "Attn" + plain : plain).toList();
  }

  /** The side of an image divided by that of its latents. */
  int factor() {
    return 1 << (widths.size() - 1);
  }

  /** The channels of what the encoder's pass gives: means and logarithms of variances, or codes. */
  int encodedChannels() {
    return quantized ? codeWidth : 2 * latentChannels;
  }

  /** The channels of latents as they are decoded. */
  int decodedChannels() {
    return quantized ? codeWidth : latentChannels;
  }

  static AutoencoderConfig read(ConfigFile config) throws IOException {
    String name = config.text("_class_name", "");
    boolean quantized = name.equals("VQModel");
    if (!quantized && !name.equals("AutoencoderKL")) {
      throw config.unsupported("_class_name", "another autoencoder than AutoencoderKL and VQModel");
    }
    config.requireOnly("act_fn", "silu", "another activation than silu");
    List<Integer> widths = widths(config);
    int latent = positive(config, "latent_channels", quantized ? 3 : 4);
    AutoencoderConfig read =
        new AutoencoderConfig(
            quantized,
            positive(config, "in_channels", 3),
            positive(config, "out_channels", 3),
            widths,
            positive(config, "layers_per_block", 1),
            latent,
            positive(config, "norm_num_groups", 32),
            config.flag("mid_block_add_attention", true),
            attention(config, "down_block_types", "Down", "Encoder", widths.size()),
            reversed(attention(config, "up_block_types", "Up", "Decoder", widths.size())),
            quantized || config.flag("use_quant_conv", true),
            quantized || config.flag("use_post_quant_conv", true),
            quantized ? positive(config, "num_vq_embeddings", DEFAULT_CODES) : 0,
            quantized ? positive(config, "vq_embed_dim", latent) : 0,
            scale(config, quantized));
    if (quantized) {
      config.requireOnly("norm_type", "group", "norms of MoVQ");
      config.requireOnly("lookup_from_codebook", false, "codes that are given by number");
    } else {
      for (String key : List.of("shift_factor", "latents_mean", "latents_std")) {
        if (config.has(key)) {
          throw config.unsupported(key, "latents that are moved");
        }
      }
    }
    config.ignore("sample_size", "force_upcast");
    config.requireAllSeen();
    return read;
  }

  private static List<Integer> widths(ConfigFile config) throws IOException {
    int[] widths = config.integers("block_out_channels", 64);
    if (widths.length == 0 || IntStream.of(widths).anyMatch(width -> width < 1)) {
      throw config.refused("block_out_channels", "channels of at least 1");
    }
    return IntStream.of(widths).boxed().toList();
  }

  /**
   * Latents of a VQModel that does not say a scale have none: it was trained so, although diffusers
   * divides by its own default since 2023.
   */
  private static double scale(ConfigFile config, boolean quantized) throws IOException {
    double scale = config.number("scaling_factor", quantized ? 1 : STABLE_DIFFUSION_SCALE);
    if (!(scale > 0 && scale < Double.POSITIVE_INFINITY)) {
      throw config.refused("scaling_factor", "a positive number");
    }
    return scale;
  }

  private static List<Boolean> attention(
      ConfigFile config, String key, String way, String part, int levels) throws IOException {
    String plain = way + part + "Block2D";
    List<String> types = config.texts(key, List.of(plain));
    if (types.size() != levels) {
      throw config.refused(key, "one block for each of block_out_channels, " + levels);
    }
    List<Boolean> attention = new ArrayList<>();
    for (String type : types) {
      if (!type.equals(plain) && !type.equals("Attn" + plain)) {
        throw config.unsupported(key, "with the block " + type);
      }
      attention.add(type.equals("Attn" + plain));
    }
    return attention;
  }

  private static List<Boolean> reversed(List<Boolean> list) {
    List<Boolean> other = new ArrayList<>(list);
    Collections.reverse(other);
    return other;
  }

  private static int positive(ConfigFile config, String key, int otherwise) throws IOException {
    int value = config.integer(key, otherwise);
    if (value < 1) {
      throw config.refused(key, "at least 1");
    }
    return value;
  }
}
