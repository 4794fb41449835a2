package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.io.FiniteWeights;
import io.github.ddpm4j.internal.io.NpzTensors;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.pretrained.Place.Part;
import io.github.ddpm4j.pretrained.Place.Way;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The code of the paper's authors (Ho et al. 2020), in TensorFlow: its variables as arrays of
 * NumPy, here with dots between the parts of their names.
 */
final class PaperCode implements UNetFamily {

  static final String SIGNATURE = "temb.dense0.W";

  /** What the scripts call the network. */
  private static final String SCOPE = "model/";

  /** What every script trains with. */
  private static final int TIMESTEPS = 1000;

  private static final Map<String, String> OUTSIDE =
      Map.of(
          "conv_in", "conv_in",
          "time_embedding.linear_1", "temb.dense0",
          "time_embedding.linear_2", "temb.dense1",
          "conv_norm_out", "norm_out",
          "conv_out", "conv_out");

  private static final Map<String, String> INSIDE =
      Map.of(
          "time_emb_proj", "temb_proj",
          "conv_shortcut", "nin_shortcut",
          "group_norm", "norm",
          "to_q", "q",
          "to_k", "k",
          "to_v", "v",
          "to_out.0", "proj_out");

  @Override
  public String title() {
    return "the paper's authors";
  }

  @Override
  public String signature() {
    return SIGNATURE;
  }

  /* ---------------- What a file holds ---------------- */

  @Override
  public UNetConfig config(PeerShapes shapes, Given given) throws IOException {
    Optional<UNetConfig> published = published(shapes);
    if (given.options().image == null && published.isPresent()) {
      return published.get();
    }
    int[] image = given.image(shapes.where());
    int levels = shapes.count(i -> "down_" + i + ".");
    int blocks = shapes.count(j -> "down_0.block_" + j + ".");
    int[] channels = new int[levels];
    for (int i = 0; i < levels; i++) {
      channels[i] = shapes.size("down_" + i + ".block_0.conv1.W", 3);
    }
    int stem = shapes.size("conv_in.W", 3);
    if (levels == 0 || blocks == 0 || stem != channels[0]) {
      throw new IOException(
          shapes.where()
              + " is of a network with "
              + levels
              + " levels of "
              + blocks
              + " blocks and "
              + stem
              + " channels before them, which no script of the authors makes");
    }
    int[] attention =
        IntStream.range(0, levels).filter(i -> shapes.has("down_" + i + ".attn_0.q.W")).toArray();
    UNetBuilder builder =
        given
            .builder(image, UNetBuilder.DEFAULT_GROUPS, UNetBuilder.DEFAULT_NORM_EPSILON)
            .levelChannels(channels)
            .residualBlocks(blocks)
            .attentionAtLevels(attention);
    Given.channels(
        builder,
        image[0],
        shapes.size("conv_in.W", 2),
        shapes.size("conv_out.W", 3),
        shapes.where());
    return builder.config();
  }

  /** The network of a script, whose images are of one size. */
  private Optional<UNetConfig> published(PeerShapes shapes) {
    for (UNetConfig config : List.of(UNetConfig.cifar10(), UNetConfig.image256())) {
      if (shapes.shapes().equals(table(config).peerShapes())) {
        return Optional.of(config);
      }
    }
    return Optional.empty();
  }

  @Override
  public Facts facts(TensorSource file, String prefix, Given given) {
    return facts(PeerShapes.of(file.under(prefix), ""), given);
  }

  /** By shapes alone. */
  Facts facts(PeerShapes shapes, Given given) {
    Optional<UNetConfig> published = published(shapes);
    if (published.isEmpty()) {
      return new Facts(
          null, Prediction.EPSILON, null, DataRange.DEFAULT, true, null, Recipes.whole(), 0);
    }
    Variance variance =
        published.get().equals(UNetConfig.cifar10()) ? Variance.FIXED_LARGE : Variance.FIXED_SMALL;
    given.assume(
        "it is the network that the paper has for images of "
            + published.get().imageShape()
            + ", whose shapes it has, with the schedule and the variance of its script");
    return new Facts(
        Schedules.linear(TIMESTEPS),
        Prediction.EPSILON,
        variance,
        DataRange.DEFAULT,
        true,
        null,
        Recipes.whole(),
        TIMESTEPS);
  }

  /* ---------------- Names ---------------- */

  @Override
  public NameTable table(UNetConfig config, PeerShapes shapes, Given given) {
    return table(config);
  }

  static NameTable table(UNetConfig config) {
    Map<String, Shape> own = config.weightShapes();
    return NameTable.of(
        own,
        name -> {
          Shape shape = Objects.requireNonNull(own.get(name), name);
          return Line.of(name, peer(name, config.levels()), transform(name, shape));
        });
  }

  private static Transform transform(String name, Shape own) {
    if (own.dimension() == 1) {
      return Transform.copy();
    }
    if (own.dimension() == 2) {
      return Transform.transposed();
    }
    return name.contains("conv_shortcut") ? Transform.transposedPixel() : Transform.outputsLast();
  }

  private static String peer(String name, int levels) {
    return Place.of(name)
        .map(place -> inside(place, levels))
        .orElseGet(
            () -> {
              int dot = name.lastIndexOf('.');
              String layer = OUTSIDE.get(name.substring(0, dot));
              if (layer == null) {
                throw Line.unknown(name, "the paper's authors");
              }
              return layer + "." + kind(layer, name.substring(dot + 1));
            });
  }

  private static String inside(Place place, int levels) {
    String way =
        place.way() == Way.MIDDLE
            ? "mid"
            : (place.way() == Way.DOWN ? "down_" : "up_") + place.level(levels);
    if (place.part() == Part.PASSAGE) {
      String sampling = place.way() == Way.DOWN ? ".downsample.conv." : ".upsample.conv.";
      return way + sampling + kind("conv", place.kind());
    }
    // The middle counts from 1.
    int index = place.index() + (place.way() == Way.MIDDLE ? 1 : 0);
    String block = place.part() == Part.RESIDUAL ? ".block_" : ".attn_";
    String layer = INSIDE.getOrDefault(place.layer(), place.layer());
    return way + block + index + "." + layer + "." + kind(layer, place.kind());
  }

  private static String kind(String layer, String own) {
    boolean weight = own.equals("weight");
    return layer.startsWith("norm") ? weight ? "gamma" : "beta" : weight ? "W" : "b";
  }

  /* ---------------- Writing ---------------- */

  static void write(DDPM ddpm, Path file) throws IOException {
    UNet network = ddpm.denoiser(UNet.class);
    TunedFor.of(ddpm.metadata(), ddpm.provenance())
        .ifPresent(
            sampler -> {
              throw new IllegalArgumentException(
                  "the authors' code draws in many calls, but the model was tuned for "
                      + sampler
                      + "; save it by save(folder)");
            });
    requirePapers(network.config());
    if (!ddpm.dataRange().equals(DataRange.DEFAULT)) {
      throw new IllegalArgumentException(
          "the authors' code takes images to be in "
              + DataRange.DEFAULT
              + ", but the model's are in "
              + ddpm.dataRange()
              + "; save it by save(folder)");
    }
    if (!List.of(Prediction.EPSILON, Prediction.X0, Prediction.PREVIOUS_MEAN)
        .contains(ddpm.prediction())) {
      throw new IllegalArgumentException(
          "the authors' code has no prediction "
              + ddpm.prediction()
              + ", only "
              + List.of(Prediction.EPSILON, Prediction.X0, Prediction.PREVIOUS_MEAN)
              + "; save the model by save(folder)");
    }
    Runnable read = network.beginReading();
    try (NDManager manager = NDManager.newBaseManager()) {
      Map<String, NDArray> weights = network.weights();
      FiniteWeights.require(weights, "keep them by DDPM.saveUnchecked(folder) for a look");
      Map<String, NDArray> arrays = new LinkedHashMap<>();
      table(network.config())
          .write(weights, manager)
          .forEach((name, array) -> arrays.put(SCOPE + name.replace('.', '/'), array));
      NpzTensors.write(file, arrays);
    } finally {
      read.run();
    }
  }

  /** Their code has sizes, and no options. */
  private static void requirePapers(UNetConfig config) {
    if (config.imageShape().dimension() != 3) {
      throw new IllegalArgumentException(
          "the authors' code has no network of signals or volumes, but images are "
              + config.imageShape()
              + "; save the model by save(folder)");
    }
    int[] channels = IntStream.range(0, config.levels()).map(config::channelsAt).toArray();
    UNetBuilder builder =
        UNet.builder()
            .image(
                config.imageChannels(),
                (int) config.imageShape().get(1),
                (int) config.imageShape().get(2))
            .levelChannels(channels)
            .residualBlocks(config.residualBlocks())
            .attentionAtLevels(
                IntStream.range(0, config.levels()).filter(config::hasAttention).toArray())
            .dropout(config.dropout());
    if (config.learnedVariance()) {
      builder.learnedVariance();
    }
    Map<String, Object> theirs;
    try {
      theirs = builder.config().describe();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "the authors' code has 32 groups and the paper's blocks: " + e.getMessage(), e);
    }
    config
        .describe()
        .forEach(
            (key, value) -> {
              if (!value.equals(theirs.get(key))) {
                throw new IllegalArgumentException(
                    "the authors' code has no network with "
                        + key
                        + " = "
                        + value
                        + "; save the model by save(folder)");
              }
            });
  }
}
