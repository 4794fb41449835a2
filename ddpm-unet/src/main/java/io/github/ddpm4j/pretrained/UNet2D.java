package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Block;
import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Resampling;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The {@code config.json} of diffusers' UNet2DModel, with the defaults of version 0.35 for what it
 * does not say, as an architecture of ours; and back.
 */
final class UNet2D {

  static final String CLASS = "UNet2DModel";

  private static final List<String> DOWN =
      List.of("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D");
  private static final List<String> UP =
      List.of("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D");
  private static final int[] CHANNELS = {224, 448, 672, 896};

  private UNet2D() {}

  /* ---------------- Reading ---------------- */

  /**
   * Reads an architecture.
   *
   * @param config the file
   * @param learned whether the network predicts the variance; null if nobody says
   * @param given what the caller says
   */
  static UNetConfig read(ConfigFile config, @Nullable Boolean learned, Given given)
      throws IOException {
    requireClass(config);
    List<String> down = config.texts("down_block_types", DOWN);
    List<String> up = config.texts("up_block_types", UP);
    int[] channels = config.integers("block_out_channels", CHANNELS);
    if (down.size() != channels.length || up.size() != channels.length) {
      throw config.refused("block_out_channels", "as long as down_block_types and up_block_types");
    }
    int levels = channels.length;
    boolean residual = residual(config, down, up);
    boolean scaleShift = scaleShift(config);
    requireOrdinary(config);

    int in = config.integer("in_channels", 3);
    int out = config.integer("out_channels", 3);
    boolean variance = learned == null ? out == 2 * in : learned;
    if (variance && out % 2 != 0) {
      throw config.refused("out_channels", "even, since the scheduler says a learned variance");
    }
    int image = variance ? out / 2 : out;
    int[] size = size(config, given);
    try {
      UNetBuilder builder =
          builder(config)
              .image(image, size[0], size[1])
              .levelChannels(channels)
              .residualBlocks(config.integer("layers_per_block", 2))
              .attentionAtLevels(
                  IntStream.range(0, levels).filter(i -> isAttention(down.get(i))).toArray())
              .layout(layout(config, residual, scaleShift, given));
      if (config.mentions("attention_head_dim") && !config.has("attention_head_dim")) {
        builder.heads(1);
      } else {
        builder.headChannels(config.integer("attention_head_dim", 8));
      }
      classes(config, given, builder);
      Given.channels(builder, image, in, out, config.file().toString());
      config.requireAllSeen();
      return builder.config();
    } catch (IllegalArgumentException e) {
      throw new IOException(config.file() + " is not valid: " + e.getMessage(), e);
    }
  }

  /** What is said in the same words of all networks. */
  static UNetBuilder builder(ConfigFile config) throws IOException {
    int padding = config.integer("downsample_padding", 1);
    if (padding != 0 && padding != 1) {
      throw config.refused("downsample_padding", "0 or 1");
    }
    int shift = config.integer("freq_shift", 0);
    if (shift != 0 && shift != 1) {
      throw config.refused("freq_shift", "0 or 1");
    }
    return UNet.builder()
        .dropout(config.number("dropout", 0))
        .groups(config.integer("norm_num_groups", 32))
        .normEpsilon(config.number("norm_eps", 1e-5))
        .downsamplePadding(
            padding == 0 ? DownsamplePadding.RIGHT_BOTTOM : DownsamplePadding.ALL_SIDES)
        .timeEmbedding(
            config.flag("flip_sin_to_cos", true) ? TimeOrder.COS_SIN : TimeOrder.SIN_COS,
            shift == 0 ? TimeDivisor.HALF : TimeDivisor.HALF_MINUS_ONE);
  }

  static void classes(ConfigFile config, Given given, UNetBuilder builder) throws IOException {
    if (config.has("num_class_embeds")) {
      int rows = config.integer("num_class_embeds", 0);
      builder.classes(given.options().nullClass ? rows - 1 : rows);
    }
  }

  /** Whether the table of classes has a row for none. */
  static boolean nullClass(ConfigFile config, Given given) {
    return !config.has("num_class_embeds") || given.options().nullClass;
  }

  private static void requireClass(ConfigFile config) throws IOException {
    String name = config.text("_class_name", "");
    if (name.isEmpty()) {
      throw config.refused("_class_name", CLASS);
    }
    if (!name.equals(CLASS)) {
      throw config.unsupported(
          "_class_name",
          switch (name) {
            case "ControlNetModel" -> "a ControlNet, which adds to another network";
            case "UNet3DConditionModel", "UNetMotionModel" -> "a network for moving pictures";
            case "AutoencoderKL", "VQModel" -> "an autoencoder";
            default -> "another network than " + CLASS;
          });
    }
  }

  private static boolean isAttention(String type) {
    return type.startsWith("Attn");
  }

  /** Whether passages are residual blocks, which must be so at all levels or none. */
  private static boolean residual(ConfigFile config, List<String> down, List<String> up)
      throws IOException {
    String halving = config.text("downsample_type", "conv");
    String doubling = config.text("upsample_type", "conv");
    int levels = down.size();
    List<String> passages = new ArrayList<>();
    for (int i = 0; i < levels; i++) {
      String way = passage(config, "down_block_types", down.get(i), "Down", halving);
      String back = passage(config, "up_block_types", up.get(i), "Up", doubling);
      if (i < levels - 1) {
        passages.add(way);
        passages.add(back);
      }
      if (isAttention(down.get(i)) != isAttention(up.get(levels - 1 - i))) {
        throw config.refused(
            "up_block_types", "with attention at the levels of down_block_types, " + down);
      }
    }
    boolean residual = passages.contains("resnet");
    if (passages.stream().distinct().count() > 1) {
      throw config.unsupported(
          "down_block_types",
          "with the passages " + passages + " between levels, not all of one type");
    }
    return residual;
  }

  private static String passage(
      ConfigFile config, String key, String block, String way, String ofAttention)
      throws IOException {
    if (block.equals(way + "Block2D")) {
      return "conv";
    }
    if (block.equals("Resnet" + way + "sampleBlock2D")) {
      return "resnet";
    }
    if (!block.equals("Attn" + way + "Block2D")) {
      throw config.unsupported(
          key, block.contains("Skip") ? "of NCSN++" : "with the block " + block);
    }
    if (!ofAttention.equals("conv") && !ofAttention.equals("resnet")) {
      String type = way.equals("Down") ? "downsample_type" : "upsample_type";
      throw config.refused(type, "conv or resnet");
    }
    return ofAttention;
  }

  static boolean scaleShift(ConfigFile config) throws IOException {
    String style = config.text("resnet_time_scale_shift", "default");
    if (!style.equals("default") && !style.equals("scale_shift")) {
      throw config.refused("resnet_time_scale_shift", "default or scale_shift");
    }
    return style.equals("scale_shift");
  }

  private static void requireOrdinary(ConfigFile config) throws IOException {
    requireUsual(config);
    config.requireOnly("mid_block_type", "UNetMidBlock2D", "another middle");
    config.ignore("num_train_timesteps");
  }

  /** What all networks could have otherwise. */
  static void requireUsual(ConfigFile config) throws IOException {
    config.requireOnly("center_input_sample", false, "which moves the images");
    config.requireOnly("time_embedding_type", "positional", "as NCSN++ has");
    config.requireOnly("mid_block_scale_factor", 1, "another scale of the middle alone");
    if (config.has("class_embed_type")) {
      throw config.unsupported("class_embed_type", "classes that are no table");
    }
    String activation = config.text("act_fn", "silu");
    if (!activation.equals("silu") && !activation.equals("swish")) {
      throw config.unsupported("act_fn", "another activation than silu");
    }
  }

  static int[] size(ConfigFile config, Given given) throws IOException {
    int[] image = given.options().image;
    if (image != null) {
      config.ignore("sample_size");
      return new int[] {image[1], image[2]};
    }
    if (!config.has("sample_size")) {
      throw new IOException(
          config.file()
              + " does not say how large images are: call options().image(channels, height,"
              + " width)");
    }
    if (config.isList("sample_size")) {
      int[] both = config.integers("sample_size");
      if (both.length != 2) {
        throw config.refused("sample_size", "a number, or height and width");
      }
      return both;
    }
    int side = config.integer("sample_size", 0);
    return new int[] {side, side};
  }

  private static UNetLayout layout(
      ConfigFile config, boolean residual, boolean scaleShift, Given given) throws IOException {
    UNetLayout paper = UNetLayout.paper();
    Attention own = paper.attention();
    boolean middle = config.flag("add_attention", true);
    boolean normed = true;
    if (config.has("attn_norm_num_groups")) {
      if (config.integer("attn_norm_num_groups", 0) != config.integer("norm_num_groups", 32)) {
        throw config.refused("attn_norm_num_groups", "null or equal to norm_num_groups");
      }
    } else {
      normed = !scaleShift;
    }
    int hidden = config.integer("time_embedding_dim", 0);
    Embedding embedding = paper.embedding();
    return paper
        .with(new Block(scaleShift ? Time.SCALE_SHIFT : Time.ADD, Order.NORM_FIRST, Norm.GROUP, 1))
        .with(residual ? new Resampling(Down.RESIDUAL, Up.RESIDUAL, false) : paper.resampling())
        .with(
            new Attention(
                own.blocks(),
                normed ? AttentionNorm.ALL : AttentionNorm.EXCEPT_MIDDLE,
                middle,
                own.bias(),
                own.linearLevels(),
                0,
                0))
        .with(
            new Embedding(
                0,
                hidden,
                embedding.activation(),
                embedding.frequencies(),
                embedding.classPlace(),
                nullClass(config, given)));
  }

  /* ---------------- Writing ---------------- */

  /**
   * Describes an architecture.
   *
   * @throws IllegalArgumentException if UNet2DModel cannot be such a network
   */
  static Map<String, @Nullable Object> write(UNetConfig config, String version) {
    UNetLayout layout = config.layout();
    requireExpressible(config);
    int levels = config.levels();
    boolean residual = layout.resampling().down() == Down.RESIDUAL;
    boolean scaleShift = layout.block().time() == Time.SCALE_SHIFT;
    List<String> down = new ArrayList<>();
    List<String> up = new ArrayList<>();
    for (int i = 0; i < levels; i++) {
      down.add(block(config.hasAttention(i), residual, "Down"));
      up.add(block(config.hasAttention(levels - 1 - i), residual, "Up"));
    }
    Map<String, @Nullable Object> map = words(config, CLASS, version);
    map.put("add_attention", layout.attention().middle());
    map.put("attention_head_dim", headChannels(config));
    map.put(
        "attn_norm_num_groups",
        scaleShift && layout.attention().norm() == AttentionNorm.ALL ? config.groups() : null);
    map.put("down_block_types", down);
    map.put("downsample_type", residual ? "resnet" : "conv");
    map.put("mid_block_type", "UNetMidBlock2D");
    map.put("num_train_timesteps", null);
    map.put("up_block_types", up);
    map.put("upsample_type", residual ? "resnet" : "conv");
    return map;
  }

  /** What is said in the same words of all networks, in the order of the alphabet. */
  static Map<String, @Nullable Object> words(UNetConfig config, String name, String version) {
    Map<String, @Nullable Object> map = new TreeMap<>();
    UNetLayout layout = config.layout();
    Shape image = config.imageShape();
    int channels = config.imageChannels();
    int hidden = layout.embedding().hidden();
    map.put("_class_name", name);
    map.put("_diffusers_version", version);
    map.put("act_fn", "silu");
    map.put(
        "block_out_channels",
        IntStream.range(0, config.levels()).map(config::channelsAt).boxed().toList());
    map.put("center_input_sample", false);
    map.put("class_embed_type", null);
    map.put(
        "downsample_padding", config.downsamplePadding() == DownsamplePadding.RIGHT_BOTTOM ? 0 : 1);
    map.put("dropout", config.dropout());
    map.put("flip_sin_to_cos", config.timeOrder() == TimeOrder.COS_SIN);
    map.put("freq_shift", config.timeDivisor() == TimeDivisor.HALF ? 0 : 1);
    map.put("in_channels", channels + config.imageCondition());
    map.put("layers_per_block", config.residualBlocks());
    map.put("mid_block_scale_factor", 1);
    map.put("norm_eps", config.normEpsilon());
    map.put("norm_num_groups", config.groups());
    map.put(
        "num_class_embeds",
        config.classes() == 0 ? null : config.classes() + (layout.embedding().nullClass() ? 1 : 0));
    map.put("out_channels", config.learnedVariance() ? 2 * channels : channels);
    map.put(
        "resnet_time_scale_shift",
        layout.block().time() == Time.SCALE_SHIFT ? "scale_shift" : "default");
    map.put(
        "sample_size",
        image.get(1) == image.get(2) ? image.get(1) : List.of(image.get(1), image.get(2)));
    map.put("time_embedding_dim", hidden == 0 ? null : hidden);
    map.put("time_embedding_type", "positional");
    return map;
  }

  private static String block(boolean attention, boolean residual, String way) {
    if (attention) {
      return "Attn" + way + "Block2D";
    }
    return residual ? "Resnet" + way + "sampleBlock2D" : way + "Block2D";
  }

  /** The channels of a head, which diffusers has one number for; null for one head everywhere. */
  private static @Nullable Integer headChannels(UNetConfig config) {
    int levels = config.levels();
    List<Integer> with =
        IntStream.range(0, levels)
            .filter(i -> config.hasAttention(i) || i == levels - 1)
            .boxed()
            .toList();
    if (with.stream().allMatch(i -> config.headsAt(i) == 1)) {
      return null;
    }
    List<Integer> sizes =
        with.stream().map(i -> config.channelsAt(i) / config.headsAt(i)).distinct().toList();
    if (sizes.size() > 1) {
      throw inexpressible(CLASS, "heads of " + sizes + " channels at different levels");
    }
    return sizes.get(0);
  }

  private static void requireExpressible(UNetConfig config) {
    requireExpressible(config, CLASS);
    UNetLayout layout = config.layout();
    UNetLayout paper = UNetLayout.paper();
    Resampling residual = new Resampling(Down.RESIDUAL, Up.RESIDUAL, false);
    if (!layout.resampling().equals(residual) && !layout.resampling().equals(paper.resampling())) {
      throw inexpressible(CLASS, layout.resampling().toString());
    }
    AttentionNorm usual =
        layout.attention().norm() == AttentionNorm.EXCEPT_MIDDLE
                && layout.block().time() == Time.SCALE_SHIFT
            ? AttentionNorm.EXCEPT_MIDDLE
            : AttentionNorm.ALL;
    Attention own = paper.attention();
    Attention attention =
        new Attention(
            own.blocks(), usual, layout.attention().middle(), own.bias(), List.of(), 0, 0);
    if (!layout.attention().equals(attention)) {
      throw inexpressible(CLASS, layout.attention().toString());
    }
    if (!layout.transformers().equals(paper.transformers())) {
      throw inexpressible(CLASS, layout.transformers().toString());
    }
    int factor = 1 << (config.levels() - 1);
    Shape image = config.imageShape();
    if (image.get(1) % factor != 0 || image.get(2) % factor != 0) {
      throw inexpressible(CLASS, "images of odd sizes, such as " + image);
    }
  }

  /** What no network of diffusers that is read here can be. */
  static void requireExpressible(UNetConfig config, String name) {
    UNetLayout layout = config.layout();
    UNetLayout paper = UNetLayout.paper();
    if (config.imageShape().dimension() != 3) {
      throw inexpressible(name, "signals or volumes, " + config.imageShape());
    }
    if (config.vectorCondition() > 0 || config.selfConditioning()) {
      throw inexpressible(
          name, config.selfConditioning() ? "self-conditioning" : "vector conditioning");
    }
    if (config.timestepScale() != 1) {
      throw inexpressible(name, "timesteps times " + config.timestepScale());
    }
    Block block = new Block(layout.block().time(), Order.NORM_FIRST, Norm.GROUP, 1);
    if (!layout.block().equals(block)) {
      throw inexpressible(name, layout.block().toString());
    }
    if (!layout.outer().equals(paper.outer())) {
      throw inexpressible(name, layout.outer().toString());
    }
    Embedding mine = layout.embedding();
    Embedding usualOne = paper.embedding();
    if (!mine.equals(
        new Embedding(
            0,
            mine.hidden(),
            usualOne.activation(),
            usualOne.frequencies(),
            usualOne.classPlace(),
            mine.nullClass()))) {
      throw inexpressible(name, mine.toString());
    }
  }

  static IllegalArgumentException inexpressible(String name, String what) {
    return new IllegalArgumentException(
        "diffusers' "
            + name
            + " has no "
            + what
            + "; export the network by exportTorchScript, or save the model by save(folder)");
  }
}
