package io.github.ddpm4j.unet;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** An architecture in words, as {@code ddpm.json} holds it: written, and read back with checks. */
final class ConfigDescription {

  /** What the shape is called, by the number of axes. */
  private static final List<String> NAMES = List.of("signal", "image", "volume");

  private static final List<String> KNOWN =
      List.of(
          "image",
          "signal",
          "volume",
          "levelChannels",
          "residualBlocks",
          "attentionLevels",
          "heads",
          "headChannels",
          "headsPerLevel",
          "dropout",
          "groups",
          "normEpsilon",
          "downsamplePadding",
          "timeOrder",
          "timeDivisor",
          "timestepScale",
          "classes",
          "vectorCondition",
          "imageCondition",
          "contextCondition",
          "selfConditioning",
          "learnedVariance");

  private ConfigDescription() {}

  /** The words for an architecture. */
  static Map<String, Object> write(UNetConfig config) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put(
        NAMES.get(config.axes() - 1),
        IntStream.concat(IntStream.of(config.imageChannels()), Arrays.stream(config.sizes))
            .boxed()
            .toList());
    map.put("levelChannels", Arrays.stream(config.levelChannels).boxed().toList());
    map.put("residualBlocks", config.residualBlocks());
    map.put("attentionLevels", List.copyOf(config.attentionLevels));
    if (config.headsPerLevel.length > 0) {
      map.put("headsPerLevel", Arrays.stream(config.headsPerLevel).boxed().toList());
    } else if (config.heads > 0) {
      map.put("heads", config.heads);
    } else {
      map.put("headChannels", config.headChannels);
    }
    map.put("dropout", config.dropout());
    map.put("groups", config.groups());
    map.put("normEpsilon", config.normEpsilon());
    map.put("downsamplePadding", config.downsamplePadding().name());
    map.put("timeOrder", config.timeOrder().name());
    map.put("timeDivisor", config.timeDivisor().name());
    // Only what is there, so that the words for an unconditional network stay as they were.
    if (config.timestepScale() != 1) {
      map.put("timestepScale", config.timestepScale());
    }
    putPositive(map, "classes", config.classes());
    putPositive(map, "vectorCondition", config.vectorCondition());
    putPositive(map, "imageCondition", config.imageCondition());
    putPositive(map, "contextCondition", config.contextCondition());
    if (config.selfConditioning()) {
      map.put("selfConditioning", true);
    }
    if (config.learnedVariance()) {
      map.put("learnedVariance", true);
    }
    LayoutDescription.write(config.layout(), map);
    return Collections.unmodifiableMap(map);
  }

  private static void putPositive(Map<String, Object> map, String name, int value) {
    if (value > 0) {
      map.put(name, value);
    }
  }

  /** The architecture that is described; every word must be known. */
  static UNetConfig read(Map<String, ?> description) {
    Description from = Description.of("the U-Net description", description);
    List<String> known = new ArrayList<>(KNOWN);
    known.addAll(LayoutDescription.KNOWN);
    from.allowOnly(known.toArray(new String[0]));
    UNetBuilder builder =
        shape(from)
            .levelChannels(from.integers("levelChannels"))
            .residualBlocks(from.integer("residualBlocks"))
            .attentionAtLevels(from.integers("attentionLevels"))
            .dropout(from.number("dropout"))
            .groups(from.integer("groups"))
            .normEpsilon(from.number("normEpsilon"))
            .downsamplePadding(from.choice("downsamplePadding", DownsamplePadding.class))
            .timeEmbedding(
                from.choice("timeOrder", TimeOrder.class),
                from.choice("timeDivisor", TimeDivisor.class));
    readHeads(from, builder);
    if (from.has("timestepScale")) {
      builder.timestepScale(from.number("timestepScale"));
    }
    if (from.has("classes")) {
      builder.classes(from.integer("classes"));
    }
    if (from.has("vectorCondition")) {
      builder.vectorCondition(from.integer("vectorCondition"));
    }
    if (from.has("imageCondition")) {
      builder.imageCondition(from.integer("imageCondition"));
    }
    if (from.has("contextCondition")) {
      builder.contextCondition(from.integer("contextCondition"));
    }
    builder.selfConditioning = from.flag("selfConditioning");
    builder.learnedVariance = from.flag("learnedVariance");
    return builder.layout(LayoutDescription.read(from)).config();
  }

  private static UNetBuilder shape(Description from) {
    List<String> given = NAMES.stream().filter(from::has).toList();
    if (given.size() > 1) {
      throw new IllegalArgumentException(
          "the U-Net description must have one of \"signal\", \"image\" and \"volume\", but has "
              + String.join(" and ", given));
    }
    String name = given.isEmpty() ? "image" : given.get(0);
    int axes = NAMES.indexOf(name) + 1;
    int[] shape = from.integers(name);
    if (shape.length != 1 + axes) {
      throw from.refused(
          name,
          switch (axes) {
            case 1 -> "[channels, length]";
            case 2 -> "[channels, height, width]";
            default -> "[channels, depth, height, width]";
          });
    }
    UNetBuilder builder = UNet.builder();
    return switch (axes) {
      case 1 -> builder.signal(shape[0], shape[1]);
      case 2 -> builder.image(shape[0], shape[1], shape[2]);
      default -> builder.volume(shape[0], shape[1], shape[2], shape[3]);
    };
  }

  private static void readHeads(Description from, UNetBuilder builder) {
    List<String> given =
        Stream.of("heads", "headChannels", "headsPerLevel").filter(from::has).toList();
    if (given.size() != 1) {
      throw new IllegalArgumentException(
          "the U-Net description must have one of \"heads\", \"headChannels\" and"
              + " \"headsPerLevel\", but has "
              + (given.isEmpty() ? "none" : String.join(" and ", given)));
    }
    switch (given.get(0)) {
      case "heads" -> builder.heads(from.integer("heads"));
      case "headChannels" -> builder.headChannels(from.integer("headChannels"));
      default -> builder.headsPerLevel(from.integers("headsPerLevel"));
    }
  }
}
