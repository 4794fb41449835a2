package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.pretrained.Place.Part;
import io.github.ddpm4j.pretrained.Place.Way;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Activation;
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
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * {@code SongUNet} with the options of DDPM++, and {@code DhariwalUNet}, of NVlabs/edm. Blocks are
 * named by the size of their images.
 */
final class Edm implements UNetFamily {

  private static final int GROUPS = 32;
  private static final int HEAD_CHANNELS = 64;
  private static final double SIGMA_DATA = 0.5;
  private static final int STEPS = 18;
  private static final Pattern SIDE = Pattern.compile("enc\\.(\\d+)x\\d+_.*");

  private static final Map<String, String> RESIDUAL =
      Map.of(
          "norm1", "norm0",
          "conv1", "conv0",
          "time_emb_proj", "affine",
          "norm2", "norm1",
          "conv2", "conv1",
          "conv_shortcut", "skip");

  @Override
  public String title() {
    return "EDM";
  }

  @Override
  public String signature() {
    return "map_layer0.weight";
  }

  @Override
  public boolean isIdle(String name) {
    return name.endsWith(".resample_filter") || name.equals("map_augment.weight");
  }

  private static boolean isSong(PeerShapes shapes) {
    return !shapes.has("out_norm.weight");
  }

  @Override
  public UNetConfig config(PeerShapes shapes, Given given) throws IOException {
    if (shapes.names().stream()
        .anyMatch(name -> name.startsWith("enc.") && name.contains("_aux_"))) {
      throw new IOException(
          shapes.where()
              + " is NCSN++ (SongUNet with its residual or skip encoder), which this version does"
              + " not load; DDPM++ and ADM are");
    }
    int[] sides =
        shapes.names().stream()
            .map(SIDE::matcher)
            .filter(Matcher::matches)
            .mapToInt(matcher -> Integer.parseInt(matcher.group(1)))
            .distinct()
            .sorted()
            .toArray();
    if (sides.length == 0) {
      throw new IOException(shapes.where() + " has no encoder, as networks of EDM do");
    }
    int side = sides[sides.length - 1];
    int levels = sides.length;
    boolean song = isSong(shapes);
    String stem = at("enc", side, 0) + "conv.weight";
    String end = song ? at("dec", side, 0) + "aux_conv.weight" : "out_conv.weight";
    int blocks = shapes.count(j -> at("enc", side, 0) + "block" + j + ".");
    int[] channels = new int[levels];
    for (int i = 0; i < levels; i++) {
      channels[i] = shapes.size(at("enc", side, i) + "block0.conv1.weight", 0);
    }
    int[] attention =
        IntStream.range(0, levels)
            .filter(i -> shapes.has(at("enc", side, i) + "block0.qkv.weight"))
            .toArray();
    int[] image = {shapes.size(end, 0), side, side};
    UNetBuilder builder =
        given
            .builder(image, GROUPS, song ? 1e-6 : 1e-5)
            .levelChannels(channels)
            .residualBlocks(blocks)
            .attentionAtLevels(attention)
            .timeEmbedding(
                song ? TimeOrder.SIN_COS : TimeOrder.COS_SIN,
                song ? TimeDivisor.HALF_MINUS_ONE : TimeDivisor.HALF)
            .layout(layout(shapes, song, channels[0], stem));
    if (song) {
      builder.heads(1);
    } else if (given.heads(builder) == null) {
      builder.headChannels(HEAD_CHANNELS);
      given.assume(HEAD_CHANNELS + " channels per head, as DhariwalUNet has by default");
    }
    if (shapes.has("map_label.weight")) {
      builder.classes(shapes.size("map_label.weight", 1));
    }
    int in = shapes.size(stem, 1);
    if (in != image[0]) {
      Given.channels(builder, image[0], in, image[0], shapes.where());
    }
    return builder.config();
  }

  private static UNetLayout layout(PeerShapes shapes, boolean song, int base, String stem)
      throws IOException {
    boolean fourier = shapes.has("map_noise.freqs");
    int features = shapes.size("map_layer0.weight", 1);
    int width = fourier ? 2 * shapes.size("map_noise.freqs", 0) : features;
    int hidden = shapes.size("map_layer0.weight", 0);
    int first = shapes.size(stem, 0);
    return (song ? UNetLayout.edmSong() : UNetLayout.edmDhariwal())
        .with(new Outer(first == base ? 0 : first, false, WidthChange.FIRST_BLOCK, 0))
        .with(
            new Embedding(
                width == base ? 0 : width,
                hidden == 4 * width ? 0 : hidden,
                Activation.SILU,
                fourier ? Frequencies.FOURIER : Frequencies.SINUSOIDS,
                song ? ClassPlace.BEFORE : ClassPlace.AFTER,
                song));
  }

  /** What names at a level begin with. */
  private static String at(String way, int side, int level) {
    int own = side >> level;
    return way + "." + own + "x" + own + "_";
  }

  /** Any schedule carries the levels of noise, of which the network is told the logarithm. */
  @Override
  public Facts facts(TensorSource file, String prefix, Given given) throws IOException {
    if (file.tensors().containsKey(prefix.replaceFirst("model\\.$", "") + "u")) {
      throw new IOException(
          file.about(prefix)
              + " has the preconditioning iDDPMPrecond, which this version does not load; EDMPrecond"
              + " it does");
    }
    if (given.options().prediction == null) {
      given.assume("the preconditioning EDMPrecond with sigma_data " + SIGMA_DATA);
    }
    if (given.options().schedule == null) {
      given.assume("a linear schedule for the levels of noise, any of which the network knows");
    }
    return new Facts(
        Schedules.linear(1000),
        Prediction.edm(SIGMA_DATA),
        Variance.FIXED_SMALL,
        DataRange.DEFAULT,
        false,
        null,
        Recipes.edm(),
        STEPS);
  }

  @Override
  public NameTable table(UNetConfig config, PeerShapes shapes, Given given) {
    boolean song = config.layout().block().scale() != 1;
    return NameTable.of(
        config.weightShapes(),
        name ->
            Place.of(name)
                .map(place -> inside(name, place, config))
                .orElseGet(() -> outside(name, config, song)));
  }

  private static Line outside(String name, UNetConfig config, boolean song) {
    int side = (int) config.imageShape().get(1);
    int dot = name.lastIndexOf('.');
    String kind = name.substring(dot);
    String module =
        switch (name.substring(0, dot)) {
          case "time_embedding.linear_1" -> "map_layer0";
          case "time_embedding.linear_2" -> "map_layer1";
          case "conv_in" -> at("enc", side, 0) + "conv";
          case "conv_norm_out" -> song ? at("dec", side, 0) + "aux_norm" : "out_norm";
          case "conv_out" -> song ? at("dec", side, 0) + "aux_conv" : "out_conv";
          case "class_embedding" -> "map_label";
          case "time_proj" -> "map_noise";
          default -> throw Line.unknown(name, "EDM");
        };
    if (module.equals("map_noise")) {
      return Line.of(name, "map_noise.freqs", Transform.copy());
    }
    if (!module.equals("map_label")) {
      return Line.of(name, module + kind, Transform.copy());
    }
    return song
        ? new Line(List.of(name), List.of("map_label.weight", "map_label.bias"), Transform.oneHot())
        : Line.of(name, "map_label.weight", Transform.transposed());
  }

  private static Line inside(String name, Place place, UNetConfig config) {
    String block = block(place, config);
    String kind = "." + place.kind();
    if (place.part() != Part.ATTENTION) {
      return Line.of(name, block + "." + RESIDUAL.get(place.layer()) + kind, Transform.copy());
    }
    boolean vector = place.kind().equals("bias");
    return switch (place.layer()) {
      case "group_norm" -> Line.of(name, block + ".norm2" + kind, Transform.copy());
      case "to_out.0" -> Line.of(name, block + ".proj" + kind, Transform.flattened(vector ? 0 : 2));
      default ->
          new Line(
              OpenAi.qkv(name),
              List.of(block + ".qkv" + kind),
              Transform.split(
                  Packing.HEAD_CHANNEL_QKV, config.headsAt(place.level(config.levels())), 2));
    };
  }

  private static String block(Place place, UNetConfig config) {
    int side = (int) config.imageShape().get(1);
    int level = place.level(config.levels());
    if (place.way() == Way.MIDDLE) {
      return at("dec", side, level) + "in" + place.index();
    }
    if (place.part() == Part.PASSAGE) {
      // The first block of the level that it leads to.
      return place.way() == Way.DOWN
          ? at("enc", side, level + 1) + "down"
          : at("dec", side, level - 1) + "up";
    }
    return at(place.way() == Way.DOWN ? "enc" : "dec", side, level) + "block" + place.index();
  }
}
