package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.pretrained.Place.Part;
import io.github.ddpm4j.pretrained.Place.Way;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Activation;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Blocks;
import io.github.ddpm4j.unet.UNetLayout.ClassPlace;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Frequencies;
import io.github.ddpm4j.unet.UNetLayout.Outer;
import io.github.ddpm4j.unet.UNetLayout.WidthChange;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Packing;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * {@code Unet} of lucidrains/denoising-diffusion-pytorch 2.x, whose shapes tell all of it, and
 * {@code Unet1D}, whose shapes tell all but its heads.
 */
final class Lucidrains implements UNetFamily {

  /** Of {@code Unet1D}: those of linear attention, and of the other by default. */
  private static final int SIGNAL_HEADS = 4;

  private static final int SIGNAL_HEAD_WIDTH = 32;

  private static final String FOURIER = "time_mlp.0.weights";

  private static final Map<String, String> OUTSIDE =
      Map.of(
          "conv_in", "init_conv",
          "time_embedding.linear_1", "time_mlp.1",
          "time_embedding.linear_2", "time_mlp.3",
          "conv_out", "final_conv");

  @Override
  public String title() {
    return "denoising-diffusion-pytorch 2.x";
  }

  @Override
  public String signature() {
    return "downs.0.0.block1.proj.weight";
  }

  @Override
  public UNetConfig config(PeerShapes shapes, Given given) throws IOException {
    boolean signal = shapes.has("init_conv.weight") && shapes.axes("init_conv.weight") == 3;
    if (!signal) {
      requireVersion(shapes);
    }
    int[] image = signal ? given.signal(shapes.where()) : given.image(shapes.where());
    int levels = shapes.count(i -> "downs." + i + ".");
    int[] channels = new int[levels];
    int[] heads = new int[levels];
    List<Integer> linear = new ArrayList<>();
    int headWidth = 0;
    int memory = 0;
    for (int i = 0; i < levels; i++) {
      String passage = "downs." + i + (signal || i == levels - 1 ? ".3.weight" : ".3.1.weight");
      channels[i] = shapes.size(passage, 0);
      if (signal) {
        linear.add(i);
        heads[i] = SIGNAL_HEADS;
        headWidth = SIGNAL_HEAD_WIDTH;
        requireHeads(shapes, "downs." + i + ".2");
        continue;
      }
      String attention = "downs." + i + ".2.";
      boolean isLinear = shapes.has(attention + "to_out.0.weight");
      if (isLinear) {
        linear.add(i);
      }
      heads[i] = shapes.size(attention + "mem_kv", 1);
      memory = shapes.size(attention + "mem_kv", isLinear ? 3 : 2);
      headWidth = shapes.size(attention + "mem_kv", isLinear ? 2 : 3);
    }
    if (signal) {
      requireHeads(shapes, "mid_attn");
      given.assume("4 heads of 32 channels in the middle (neither attn_heads nor attn_dim_head)");
    }
    int hidden = shapes.size("time_mlp.1.weight", 0);
    boolean fourier = shapes.has(FOURIER);
    int width = fourier ? 2 * shapes.size(FOURIER, 0) : shapes.size("time_mlp.1.weight", 1);
    int stem = shapes.size("init_conv.weight", 0);
    UNetBuilder builder =
        given
            .builder(image, UNetBuilder.DEFAULT_GROUPS, UNetBuilder.DEFAULT_NORM_EPSILON)
            .levelChannels(channels)
            .residualBlocks(2)
            .attentionAtLevels(IntStream.range(0, levels).toArray())
            .timeEmbedding(TimeOrder.SIN_COS, TimeDivisor.HALF_MINUS_ONE)
            .layout(
                (signal ? UNetLayout.lucidrainsSignals(levels) : UNetLayout.lucidrains(linear))
                    .with(
                        new Attention(
                            Blocks.LAST, AttentionNorm.ALL, true, false, linear, headWidth, memory))
                    .with(new Outer(stem == channels[0] ? 0 : stem, true, WidthChange.PASSAGE, 0))
                    .with(
                        new Embedding(
                            width == channels[0] ? 0 : width,
                            hidden == 4 * width ? 0 : hidden,
                            Activation.GELU,
                            fourier ? Frequencies.TIME_AND_FOURIER : Frequencies.SINUSOIDS,
                            ClassPlace.AFTER,
                            true)));
    if (IntStream.of(heads).distinct().count() == 1) {
      builder.heads(heads[0]);
    } else {
      builder.headsPerLevel(heads);
    }
    int in = shapes.size("init_conv.weight", 1);
    if (in == 2 * image[0]) {
      builder.selfConditioning();
      in = image[0];
    }
    Given.channels(builder, image[0], in, shapes.size("final_conv.weight", 0), shapes.where());
    return builder.config();
  }

  /** Refuses attention of another width than that of the usual heads. */
  private static void requireHeads(PeerShapes shapes, String block) throws IOException {
    String name = block + ".fn.fn.to_qkv.weight";
    int width = shapes.size(name, 0) / 3;
    if (width != SIGNAL_HEADS * SIGNAL_HEAD_WIDTH) {
      throw new IOException(
          shapes.where()
              + " has attention of "
              + width
              + " channels in "
              + block
              + ", but Unet1D is loaded with 4 heads of 32 alone; leave attn_heads and attn_dim_head"
              + " out when you train it");
    }
  }

  /** Refuses the layouts before 2.0, by what only they have. */
  private static void requireVersion(PeerShapes shapes) throws IOException {
    String older = null;
    if (shapes.has("downs.0.0.block1.norm.weight")) {
      older = "before 2.0 (GroupNorm in its blocks)";
    }
    if (shapes.names().stream().anyMatch(name -> name.contains(".fn.fn."))) {
      older = "of before June 2023 (attention within a PreNorm)";
    }
    if (shapes.has("downs.0.3.weight")
        && shapes.has("downs.1.3.weight")
        && shapes.size("downs.0.3.weight", 2) == 4) {
      older = "of before December 2022 (4x4 convolutions between levels)";
    }
    if (older != null) {
      throw new IOException(
          shapes.where()
              + " is a network of denoising-diffusion-pytorch "
              + older
              + ", which this version does not load; train it with 2.x");
    }
  }

  @Override
  public Facts facts(TensorSource file, String prefix, Given given) throws IOException {
    String model = "model.";
    if (prefix.endsWith(model)) {
      TensorSource around = file.under(prefix.substring(0, prefix.length() - model.length()));
      if (TrainerBuffers.areIn(around)) {
        Schedule schedule = TrainerBuffers.schedule(around);
        Prediction prediction = TrainerBuffers.prediction(around, schedule);
        given.assume("images in [-1, 1] (auto_normalize was not unset)");
        return new Facts(
            schedule,
            prediction,
            Variance.FIXED_SMALL,
            DataRange.DEFAULT,
            true,
            null,
            Recipes.lucidrains(schedule.timesteps(), isRaw(prediction, given)),
            0);
      }
    }
    Schedule schedule = given.options().schedule;
    given.assume("images in [-1, 1] (auto_normalize was not unset)");
    return new Facts(
        null,
        null,
        null,
        DataRange.DEFAULT,
        true,
        null,
        schedule == null
            ? null
            : Recipes.lucidrains(schedule.timesteps(), isRaw(given.options().prediction, given)),
        0);
  }

  private static boolean isRaw(@Nullable Prediction prediction, Given given) {
    return given.isOfSignals() && Prediction.EPSILON.equals(prediction);
  }

  @Override
  public NameTable table(UNetConfig config, PeerShapes shapes, Given given) {
    Map<String, Shape> own = config.weightShapes();
    return NameTable.of(
        own,
        name ->
            Place.of(name)
                .map(place -> inside(name, place, config))
                .orElseGet(() -> outside(name, config)));
  }

  /** The axes of a signal or an image behind its channels. */
  private static int axes(UNetConfig config) {
    return config.imageShape().dimension() - 1;
  }

  private static Line outside(String name, UNetConfig config) {
    String module = name.substring(0, name.lastIndexOf('.'));
    if (module.startsWith("final_resnet.")) {
      String layer = module.substring(module.indexOf('.') + 1);
      return residual(name, "final_res_block", layer, axes(config));
    }
    if (name.equals("time_proj.weight")) {
      return Line.of(name, FOURIER, Transform.copy());
    }
    Line line = Line.outside(name, OUTSIDE, "denoising-diffusion-pytorch");
    boolean swapped = config.selfConditioning() && name.equals("conv_in.weight");
    return swapped ? new Line(line.own(), line.peer(), Transform.swappedInputs()) : line;
  }

  private static Line inside(String name, Place place, UNetConfig config) {
    String block = block(place);
    return switch (place.part()) {
      case RESIDUAL -> residual(name, block, place.layer(), axes(config));
      case ATTENTION -> attention(name, place, block, config);
      case PASSAGE -> passage(name, place, block, config);
    };
  }

  private static String block(Place place) {
    int index =
        place.part() == Part.ATTENTION ? 2 : place.part() == Part.PASSAGE ? 3 : place.index();
    return switch (place.way()) {
      case DOWN -> "downs." + place.block() + "." + index;
      case UP -> "ups." + place.block() + "." + index;
      case MIDDLE ->
          place.part() == Part.ATTENTION ? "mid_attn" : "mid_block" + (place.index() + 1);
    };
  }

  private static Line residual(String name, String block, String layer, int axes) {
    String kind = name.substring(name.lastIndexOf('.'));
    return switch (layer) {
      case "time_emb_proj" -> Line.of(name, block + ".mlp.1" + kind, Transform.copy());
      case "conv_shortcut" -> Line.of(name, block + ".res_conv" + kind, Transform.copy());
      case "conv1", "conv2" ->
          Line.of(name, block + ".block" + layer.charAt(4) + ".proj" + kind, Transform.copy());
      default -> Line.of(name, block + ".block" + layer.charAt(4) + ".norm.g", channels(axes));
    };
  }

  /** The factors of a norm, along the channels of an image. */
  private static Transform channels(int axes) {
    return Transform.reshaped(
        "reshaped",
        own -> axes == 1 ? new Shape(1, own.get(0), 1) : new Shape(1, own.get(0), 1, 1));
  }

  private static Line attention(String name, Place place, String module, UNetConfig config) {
    int axes = axes(config);
    // The norm of Unet1D is around its attention, and not within.
    String outer = axes == 1 ? module + ".fn" : module;
    String block = axes == 1 ? module + ".fn.fn" : module;
    int level = place.level(config.levels());
    boolean linear =
        place.way() != Way.MIDDLE && config.layout().attention().linearLevels().contains(level);
    int heads = config.headsAt(level);
    boolean vector = place.kind().equals("bias");
    return switch (place.layer()) {
      case "group_norm" -> Line.of(name, outer + ".norm.g", channels(axes));
      case "out_norm" -> Line.of(name, block + ".to_out.1.g", channels(axes));
      case "to_out.0" ->
          Line.of(
              name,
              block + (linear ? ".to_out.0." : ".to_out.") + place.kind(),
              Transform.flattened(vector ? 0 : axes));
      case "memory" ->
          new Line(
              List.of(name.replaceFirst("[kv]$", "k"), name.replaceFirst("[kv]$", "v")),
              List.of(block + ".mem_kv"),
              Transform.memory(linear, heads));
      default ->
          new Line(
              OpenAi.qkv(name),
              List.of(block + ".to_qkv." + place.kind()),
              Transform.split(Packing.QKV_HEAD, heads, axes));
    };
  }

  private static Line passage(String name, Place place, String block, UNetConfig config) {
    boolean last = place.block() == config.levels() - 1;
    boolean signal = axes(config) == 1;
    boolean alone = last || (signal && place.way() == Way.DOWN);
    String peer = block + (alone ? "." : ".1.") + place.kind();
    boolean unshuffled =
        !signal && place.way() == Way.DOWN && !last && place.kind().equals("weight");
    // Pixels of a square moved into channels, then 1x1, is a 2x2 convolution as it lies.
    return Line.of(
        name,
        peer,
        unshuffled
            ? Transform.reshaped(
                "1x1 behind squares as 2x2", own -> new Shape(own.get(0), 4 * own.get(1), 1, 1))
            : Transform.copy());
  }
}
