package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Place.Part;
import io.github.ddpm4j.pretrained.Place.Way;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Block;
import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Outer;
import io.github.ddpm4j.unet.UNetLayout.Resampling;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Packing;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * {@code UNetModel} of openai/guided-diffusion and openai/improved-diffusion. All blocks of a way
 * are one flat list, in which the passages between levels count.
 */
final class OpenAi implements UNetFamily {

  private static final int GROUPS = 32;
  private static final double EPSILON = 1e-5;

  private static final Map<String, String> RESIDUAL =
      Map.of(
          "norm1", "in_layers.0",
          "conv1", "in_layers.2",
          "time_emb_proj", "emb_layers.1",
          "norm2", "out_layers.0",
          "conv2", "out_layers.3",
          "conv_shortcut", "skip_connection");

  private static final Map<String, String> OUTSIDE =
      Map.of(
          "time_embedding.linear_1", "time_embed.0",
          "time_embedding.linear_2", "time_embed.2",
          "class_embedding", "label_emb",
          "conv_in", "input_blocks.0.0",
          "conv_norm_out", "out.0",
          "conv_out", "out.2");

  @Override
  public String title() {
    return "guided-diffusion or improved-diffusion";
  }

  @Override
  public String signature() {
    return "input_blocks.0.0.weight";
  }

  @Override
  public UNetConfig config(PeerShapes shapes, Given given) throws IOException {
    boolean seesContext = CompVis.seesContext(shapes.names());
    int[] image = given.image(shapes.where());
    int outputs = shapes.count(k -> "output_blocks." + k + ".0.");
    boolean mean = false;
    // The first block of the way up with a passage ends a level of blocks + 1.
    int perLevel = outputs;
    for (int k = 0; k < outputs && perLevel == outputs; k++) {
      if (hasPassage(shapes, "output_blocks." + k)) {
        perLevel = k + 1;
      }
    }
    if (perLevel == outputs) {
      // Passages without weights leave gaps in the list.
      int gap = shapes.count(k -> "input_blocks." + k + ".0.");
      if (gap < outputs && shapes.any("input_blocks." + (gap + 1) + ".0.")) {
        perLevel = gap;
        mean = true;
      }
    }
    if (perLevel < 2 || outputs % perLevel != 0) {
      throw new IOException(
          shapes.where()
              + " has "
              + outputs
              + " output blocks with the first passage in number "
              + (perLevel - 1)
              + ", which no network of "
              + title()
              + " has");
    }
    int blocks = perLevel - 1;
    int levels = outputs / perLevel;
    int[] channels = new int[levels];
    for (int i = 0; i < levels; i++) {
      channels[i] = shapes.size(first(i, blocks) + ".0.out_layers.3.weight", 0);
    }
    int[] attention =
        IntStream.range(0, levels)
            .filter(
                i ->
                    shapes.has(
                        first(i, blocks) + (seesContext ? ".1.proj_in.weight" : ".1.qkv.weight")))
            .toArray();
    boolean scaleShift = shapes.size("input_blocks.1.0.emb_layers.1.weight", 0) == 2 * channels[0];
    boolean residual = levels > 1 && shapes.any("input_blocks." + perLevel + ".0.in_layers.");
    int width = shapes.size("time_embed.0.weight", 1);
    UNetLayout layout = layout(shapes, channels, width, scaleShift, residual, mean);
    UNetBuilder builder =
        given
            .builder(image, GROUPS, EPSILON)
            .levelChannels(channels)
            .residualBlocks(blocks)
            .attentionAtLevels(attention)
            .downsamplePadding(DownsamplePadding.ALL_SIDES)
            .timeEmbedding(TimeOrder.COS_SIN, TimeDivisor.HALF)
            .layout(layout);
    if (given.heads(builder) == null) {
      throw new IOException(
          shapes.where()
              + " does not say how many heads attention has: call options().heads(count) or"
              + " options().headChannels(channels), as num_heads or num_head_channels said");
    }
    if (shapes.has("label_emb.weight")) {
      builder.classes(shapes.size("label_emb.weight", 0));
    }
    Given.channels(
        builder,
        image[0],
        shapes.size(signature(), 1),
        shapes.size("out.2.weight", 0),
        shapes.where());
    if (seesContext) {
      builder
          .contextCondition(CompVis.contextChannels(shapes))
          .layout(CompVis.layout(layout, shapes, levels, attention, level -> first(level, blocks)));
    } else if (!given.options().newAttentionOrder) {
      given.assume("queries, keys and values head by head (use_new_attention_order was not set)");
    }
    return builder.config();
  }

  private static UNetLayout layout(
      PeerShapes shapes,
      int[] channels,
      int width,
      boolean scaleShift,
      boolean residual,
      boolean mean)
      throws IOException {
    UNetLayout layout = UNetLayout.openai(residual);
    if (!scaleShift) {
      layout = layout.with(new Block(Time.ADD, Order.NORM_FIRST, Norm.GROUP, 1));
    }
    if (mean) {
      layout = layout.with(new Resampling(Down.MEAN, Up.NEAREST, false));
    }
    int stem = shapes.size("input_blocks.0.0.weight", 0);
    Outer outer = layout.outer();
    Embedding own = layout.embedding();
    int hidden = shapes.size("time_embed.0.weight", 0);
    return layout
        .with(
            new Outer(
                stem == channels[0] ? 0 : stem,
                outer.stemJoinsEnd(),
                outer.widthChange(),
                outer.outGroups()))
        .with(
            new Embedding(
                width == channels[0] ? 0 : width,
                hidden == 4 * width ? 0 : hidden,
                own.activation(),
                own.frequencies(),
                own.classPlace(),
                false));
  }

  private static String first(int level, int blocks) {
    return "input_blocks." + (1 + level * (blocks + 1));
  }

  private static boolean hasPassage(PeerShapes shapes, String block) {
    return shapes.any(block + ".1.conv.")
        || shapes.any(block + ".2.conv.")
        || shapes.any(block + ".1.in_layers.")
        || shapes.any(block + ".2.in_layers.");
  }

  @Override
  public Facts facts(TensorSource file, String prefix, Given given) {
    Prediction prediction = given.options().prediction;
    if (prediction == null) {
      given.assume("prediction EPSILON (predict_xstart was not set)");
    }
    Schedule schedule = given.options().schedule;
    return new Facts(
        null,
        Prediction.EPSILON,
        null,
        DataRange.DEFAULT,
        true,
        null,
        Recipes.respaced(schedule == null ? 1000 : schedule.timesteps()),
        0);
  }

  @Override
  public NameTable table(UNetConfig config, PeerShapes shapes, Given given) {
    Packing packing = given.options().newAttentionOrder ? Packing.QKV_HEAD : Packing.HEAD_QKV;
    Map<String, Shape> own = config.weightShapes();
    return NameTable.of(own, name -> line(name, config, packing, own));
  }

  /** The line of a weight, whose network has the weights of {@code own}. */
  static Line line(String name, UNetConfig config, Packing packing, Map<String, Shape> own) {
    return Place.of(name)
        .map(place -> inside(name, place, config, packing, own))
        .orElseGet(() -> Line.outside(name, OUTSIDE, "guided-diffusion"));
  }

  private static Line inside(
      String name, Place place, UNetConfig config, Packing packing, Map<String, Shape> own) {
    String block = block(place, config.residualBlocks(), own);
    String kind = "." + place.kind();
    if (place.part() == Part.ATTENTION && config.contextCondition() > 0) {
      return Line.of(name, block + "." + place.rest(), Transform.copy());
    }
    if (place.part() != Part.ATTENTION) {
      String layer = RESIDUAL.get(place.layer());
      if (layer == null) {
        // The convolution of a passage.
        layer = place.way() == Way.DOWN ? "op" : "conv";
      }
      return Line.of(name, block + "." + layer + kind, Transform.copy());
    }
    boolean vector = place.kind().equals("bias");
    return switch (place.layer()) {
      case "group_norm" -> Line.of(name, block + ".norm" + kind, Transform.copy());
      case "to_out.0" ->
          Line.of(name, block + ".proj_out" + kind, Transform.flattened(vector ? 0 : 1));
      default ->
          new Line(
              qkv(name),
              List.of(block + ".qkv" + kind),
              Transform.split(packing, config.headsAt(place.level(config.levels())), 1));
    };
  }

  /** The names of queries, keys and values, from that of one. */
  static List<String> qkv(String name) {
    return List.of(
        name.replaceFirst("\\.to_[qkv]\\.", ".to_q."),
        name.replaceFirst("\\.to_[qkv]\\.", ".to_k."),
        name.replaceFirst("\\.to_[qkv]\\.", ".to_v."));
  }

  private static String block(Place place, int blocks, Map<String, Shape> own) {
    int element = place.part() == Part.ATTENTION ? 1 : 0;
    switch (place.way()) {
      case DOWN -> {
        int index = place.part() == Part.PASSAGE ? blocks : place.index();
        return "input_blocks." + (1 + place.block() * (blocks + 1) + index) + "." + element;
      }
      case MIDDLE -> {
        return "middle_block." + (place.part() == Part.ATTENTION ? 1 : 2 * place.index());
      }
      default -> {
        int index = place.part() == Part.PASSAGE ? blocks : place.index();
        if (place.part() == Part.PASSAGE) {
          String attention = "up_blocks." + place.block() + ".attentions." + blocks;
          boolean behind =
              own.containsKey(attention + ".to_q.weight")
                  || own.containsKey(attention + ".proj_in.weight");
          element = behind ? 2 : 1;
        }
        return "output_blocks." + (place.block() * (blocks + 1) + index) + "." + element;
      }
    }
  }
}
