package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.Block;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.UNetLayout.Transformers;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The {@code config.json} of diffusers' UNet2DConditionModel, whose attention sees a context, with
 * the defaults of version 0.35 for what it does not say, as an architecture of ours; and back.
 *
 * <p>Its {@code attention_head_dim} is the number of heads (diffusers' issue 2011), and {@code
 * mid_block_only_cross_attention} means nothing to the middle that is read here.
 */
final class UNet2DCondition {

  static final String CLASS = "UNet2DConditionModel";

  private static final String PLAIN_DOWN = "DownBlock2D";
  private static final String PLAIN_UP = "UpBlock2D";
  private static final String CROSS_DOWN = "CrossAttnDownBlock2D";
  private static final String CROSS_UP = "CrossAttnUpBlock2D";
  private static final String CROSS_MIDDLE = "UNetMidBlock2DCrossAttn";
  private static final String PLAIN_MIDDLE = "UNetMidBlock2D";

  private static final List<String> DOWN = List.of(CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, PLAIN_DOWN);
  private static final List<String> UP = List.of(PLAIN_UP, CROSS_UP, CROSS_UP, CROSS_UP);
  private static final int[] CHANNELS = {320, 640, 1280, 1280};
  private static final int CONTEXT = 1280;
  private static final int HEADS = 8;

  private UNet2DCondition() {}

  /** Whether a file describes such a network. */
  static boolean is(ConfigFile config) throws IOException {
    return config.text("_class_name", "").equals(CLASS);
  }

  /* ---------------- Reading ---------------- */

  /** Reads an architecture; as {@link UNet2D#read}. */
  static UNetConfig read(ConfigFile config, @Nullable Boolean learned, Given given)
      throws IOException {
    requireKnown(config);
    List<String> down = config.texts("down_block_types", DOWN);
    List<String> up = config.texts("up_block_types", UP);
    int[] channels = config.integers("block_out_channels", CHANNELS);
    int levels = channels.length;
    if (down.size() != levels || up.size() != levels) {
      throw config.refused("block_out_channels", "as long as down_block_types and up_block_types");
    }
    int[] attention = attention(config, down, up);
    int in = config.integer("in_channels", 4);
    int out = config.integer("out_channels", 4);
    boolean variance = Boolean.TRUE.equals(learned);
    if (variance && out % 2 != 0) {
      throw config.refused("out_channels", "even, since the scheduler says a learned variance");
    }
    int image = variance ? out / 2 : out;
    int[] size = UNet2D.size(config, given);
    try {
      UNetBuilder builder =
          UNet2D.builder(config)
              .image(image, size[0], size[1])
              .levelChannels(channels)
              .residualBlocks(one(config, "layers_per_block", 2))
              .attentionAtLevels(attention)
              .contextCondition(one(config, "cross_attention_dim", CONTEXT))
              .layout(layout(config, levels, attention, given));
      heads(config, channels, builder);
      UNet2D.classes(config, given, builder);
      Given.channels(builder, image, in, out, config.file().toString());
      config.requireAllSeen();
      return builder.config();
    } catch (IllegalArgumentException e) {
      throw new IOException(config.file() + " is not valid: " + e.getMessage(), e);
    }
  }

  /** The numbers of heads, and where heads have the same size everywhere, that size. */
  private static void heads(ConfigFile config, int[] channels, UNetBuilder builder)
      throws IOException {
    String key = "attention_head_dim";
    if (!config.isList(key)) {
      builder.heads(config.integer(key, HEADS));
      return;
    }
    int[] heads = config.integers(key);
    if (heads.length != channels.length || Arrays.stream(heads).anyMatch(count -> count < 1)) {
      throw config.refused(key, "a number from 1 on, or one for each level");
    }
    int size = channels[0] / heads[0];
    if (Arrays.stream(heads).distinct().count() == 1) {
      builder.heads(heads[0]);
    } else if (IntStream.range(0, heads.length).allMatch(i -> heads[i] * size == channels[i])) {
      builder.headChannels(size);
    } else {
      builder.headsPerLevel(heads);
    }
  }

  private static void requireKnown(ConfigFile config) throws IOException {
    if (config.has("addition_embed_type")) {
      throw config.unsupported(
          "addition_embed_type",
          config.text("addition_embed_type", "").equals("text_time")
              ? "as Stable Diffusion XL has"
              : "an embedding beside that of the timestep");
    }
    if (config.has("time_cond_proj_dim")) {
      throw config.unsupported("time_cond_proj_dim", "as latent consistency models have");
    }
    if (config.has("num_attention_heads")) {
      throw config.unsupported("num_attention_heads", "which diffusers refuses as well");
    }
    for (String key : List.of("encoder_hid_dim", "encoder_hid_dim_type")) {
      if (config.has(key)) {
        throw config.unsupported(key, "a layer in front of the context");
      }
    }
    for (String key : List.of("time_embedding_act_fn", "timestep_post_act")) {
      if (config.has(key)) {
        throw config.unsupported(key, "another activation of the timestep");
      }
    }
    if (config.has("cross_attention_norm")) {
      throw config.unsupported("cross_attention_norm", "a norm of the context");
    }
    if (config.has("reverse_transformer_layers_per_block")) {
      throw config.unsupported(
          "reverse_transformer_layers_per_block", "other depths on the way up than down");
    }
    if (config.mentions("norm_num_groups") && !config.has("norm_num_groups")) {
      throw config.unsupported("norm_num_groups", "a network without norms");
    }
    config.requireOnly("class_embeddings_concat", false, "classes beside the timestep");
    config.requireOnly("dual_cross_attention", false, "two contexts");
    config.requireOnly("attention_type", "default", "attention to places, as GLIGEN has");
    config.requireOnly("conv_in_kernel", 3, "another size of the first convolution");
    config.requireOnly("conv_out_kernel", 3, "another size of the last convolution");
    config.requireOnly("resnet_skip_time_act", false, "blocks without the timestep's activation");
    config.requireOnly("resnet_out_scale_factor", 1, "blocks with another scale");
    UNet2D.requireUsual(config);
    config.ignore(
        "upcast_attention",
        "mid_block_only_cross_attention",
        "addition_embed_type_num_heads",
        "addition_time_embed_dim",
        "projection_class_embeddings_input_dim");
  }

  /** The levels with transformers. */
  private static int[] attention(ConfigFile config, List<String> down, List<String> up)
      throws IOException {
    int levels = down.size();
    for (int i = 0; i < levels; i++) {
      requireBlock(config, "down_block_types", down.get(i), PLAIN_DOWN, CROSS_DOWN);
      requireBlock(config, "up_block_types", up.get(i), PLAIN_UP, CROSS_UP);
      if (down.get(i).equals(CROSS_DOWN) != up.get(levels - 1 - i).equals(CROSS_UP)) {
        throw config.refused(
            "up_block_types", "with attention at the levels of down_block_types, " + down);
      }
    }
    return IntStream.range(0, levels).filter(i -> down.get(i).equals(CROSS_DOWN)).toArray();
  }

  private static void requireBlock(
      ConfigFile config, String key, String block, String plain, String cross) throws IOException {
    if (!block.equals(plain) && !block.equals(cross)) {
      throw config.unsupported(key, "with the block " + block);
    }
  }

  /** A number that may be given for each level, where all must be the same. */
  private static int one(ConfigFile config, String key, int otherwise) throws IOException {
    if (!config.isList(key)) {
      return config.integer(key, otherwise);
    }
    int[] all = config.integers(key);
    if (all.length == 0 || Arrays.stream(all).distinct().count() > 1) {
      throw config.unsupported(key, "different at different levels");
    }
    return all[0];
  }

  private static UNetLayout layout(ConfigFile config, int levels, int[] attention, Given given)
      throws IOException {
    UNetLayout paper = UNetLayout.paper();
    String middle =
        config.mentions("mid_block_type") && !config.has("mid_block_type")
            ? ""
            : config.text("mid_block_type", CROSS_MIDDLE);
    if (!List.of("", CROSS_MIDDLE, PLAIN_MIDDLE).contains(middle)) {
      throw config.unsupported("mid_block_type", "another middle");
    }
    List<Boolean> contextOnly = config.flags("only_cross_attention", levels);
    List<Integer> depths = depths(config, levels);
    Attention own = paper.attention();
    Embedding embedding = paper.embedding();
    Time time = UNet2D.scaleShift(config) ? Time.SCALE_SHIFT : Time.ADD;
    return paper
        .with(new Block(time, Order.NORM_FIRST, Norm.GROUP, 1))
        .with(
            new Attention(
                own.blocks(), own.norm(), middle.equals(CROSS_MIDDLE), own.bias(), List.of(), 0, 0))
        .with(
            new Transformers(
                depths,
                config.flag("use_linear_projection", false),
                Arrays.stream(attention).filter(contextOnly::get).boxed().toList(),
                middle.isEmpty() ? 0 : middle.equals(PLAIN_MIDDLE) ? 1 : 2))
        .with(
            new Embedding(
                0,
                config.integer("time_embedding_dim", 0),
                embedding.activation(),
                embedding.frequencies(),
                embedding.classPlace(),
                UNet2D.nullClass(config, given)));
  }

  /** Empty where they are 1, which nobody need say. */
  private static List<Integer> depths(ConfigFile config, int levels) throws IOException {
    String key = "transformer_layers_per_block";
    int[] depths = new int[levels];
    if (config.isList(key)) {
      depths = config.integers(key);
    } else {
      Arrays.fill(depths, config.integer(key, 1));
    }
    return Arrays.stream(depths).allMatch(depth -> depth == 1) && depths.length == levels
        ? List.of()
        : Arrays.stream(depths).boxed().toList();
  }

  /* ---------------- Writing ---------------- */

  /**
   * Describes an architecture.
   *
   * @throws IllegalArgumentException if UNet2DConditionModel cannot be such a network
   */
  static Map<String, @Nullable Object> write(UNetConfig config, String version) {
    requireExpressible(config);
    UNetLayout layout = config.layout();
    Transformers transformers = layout.transformers();
    int levels = config.levels();
    List<String> down = new ArrayList<>();
    List<String> up = new ArrayList<>();
    for (int i = 0; i < levels; i++) {
      down.add(config.hasAttention(i) ? CROSS_DOWN : PLAIN_DOWN);
      up.add(config.hasAttention(levels - 1 - i) ? CROSS_UP : PLAIN_UP);
    }
    List<Integer> depths = transformers.depths();
    Map<String, @Nullable Object> map = UNet2D.words(config, CLASS, version);
    map.put("attention_head_dim", single(IntStream.range(0, levels).map(config::headsAt)));
    map.put("cross_attention_dim", config.contextCondition());
    map.put("down_block_types", down);
    map.put(
        "mid_block_type",
        switch (transformers.middleBlocks()) {
          case 0 -> null;
          case 1 -> PLAIN_MIDDLE;
          default -> CROSS_MIDDLE;
        });
    map.put(
        "only_cross_attention",
        transformers.contextOnlyLevels().isEmpty()
            ? (Object) false
            : IntStream.range(0, levels)
                .mapToObj(transformers.contextOnlyLevels()::contains)
                .toList());
    map.put(
        "transformer_layers_per_block",
        depths.isEmpty() ? 1 : single(depths.stream().mapToInt(Integer::intValue)));
    map.put("up_block_types", up);
    map.put("use_linear_projection", transformers.linearProjection());
    return map;
  }

  /** One number for all levels, if it is the same, and otherwise their list. */
  private static Object single(IntStream perLevel) {
    List<Integer> all = perLevel.boxed().toList();
    return all.stream().distinct().count() == 1 ? all.get(0) : all;
  }

  private static void requireExpressible(UNetConfig config) {
    UNet2D.requireExpressible(config, CLASS);
    UNetLayout layout = config.layout();
    UNetLayout paper = UNetLayout.paper();
    if (!layout.resampling().equals(paper.resampling())) {
      throw UNet2D.inexpressible(CLASS, layout.resampling().toString());
    }
    Attention own = layout.attention();
    if (own.blocks() != paper.attention().blocks()) {
      throw UNet2D.inexpressible(CLASS, own.toString());
    }
    if (!own.middle() && layout.transformers().middleBlocks() == 2) {
      throw UNet2D.inexpressible(CLASS, "middle of two blocks without attention");
    }
  }
}
