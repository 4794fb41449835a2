package io.github.ddpm4j.unet;

import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** An architecture in words, as {@code ddpm.json} holds it: written, and read back with checks. */
final class ConfigDescription {

  private static final Set<String> KNOWN =
      Set.of(
          "image",
          "levelChannels",
          "residualBlocks",
          "attentionLevels",
          "heads",
          "headChannels",
          "dropout",
          "groups",
          "normEpsilon",
          "downsamplePadding",
          "timeOrder",
          "timeDivisor",
          "classes",
          "vectorCondition",
          "imageCondition",
          "selfConditioning",
          "learnedVariance");

  private final Map<String, ?> map;

  /** A description to be read, whose every word must be known. */
  ConfigDescription(Map<String, ?> map) {
    this.map = map;
    for (String key : map.keySet()) {
      if (!KNOWN.contains(key)) {
        throw new IllegalArgumentException(
            "U-Net description has the unknown option \""
                + key
                + "\"; known are "
                + String.join(", ", new TreeSet<>(KNOWN)));
      }
    }
  }

  /** The words for an architecture. */
  static Map<String, Object> write(UNetConfig config) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("image", List.of(config.imageChannels(), config.height, config.width));
    map.put("levelChannels", Arrays.stream(config.levelChannels).boxed().toList());
    map.put("residualBlocks", config.residualBlocks());
    map.put("attentionLevels", List.copyOf(config.attentionLevels));
    if (config.heads > 0) {
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
    putPositive(map, "classes", config.classes());
    putPositive(map, "vectorCondition", config.vectorCondition());
    putPositive(map, "imageCondition", config.imageCondition());
    if (config.selfConditioning()) {
      map.put("selfConditioning", true);
    }
    if (config.learnedVariance()) {
      map.put("learnedVariance", true);
    }
    return Collections.unmodifiableMap(map);
  }

  private static void putPositive(Map<String, Object> map, String name, int value) {
    if (value > 0) {
      map.put(name, value);
    }
  }

  /** The architecture that is described. */
  UNetConfig read() {
    int[] image = integers("image");
    if (image.length != 3) {
      throw wrong("image", "must be [channels, height, width]", map.get("image"));
    }
    UNetBuilder builder =
        UNet.builder()
            .image(image[0], image[1], image[2])
            .levelChannels(integers("levelChannels"))
            .residualBlocks(integer("residualBlocks"))
            .attentionAtLevels(integers("attentionLevels"))
            .dropout(number("dropout"))
            .groups(integer("groups"))
            .normEpsilon(number("normEpsilon"))
            .downsamplePadding(choice("downsamplePadding", DownsamplePadding.class))
            .timeEmbedding(
                choice("timeOrder", TimeOrder.class), choice("timeDivisor", TimeDivisor.class));
    if (map.containsKey("heads") == map.containsKey("headChannels")) {
      throw new IllegalArgumentException(
          "U-Net description must have either \"heads\" or \"headChannels\", but has "
              + (map.containsKey("heads") ? "both" : "neither"));
    }
    if (map.containsKey("heads")) {
      builder.heads(integer("heads"));
    } else {
      builder.headChannels(integer("headChannels"));
    }
    if (map.containsKey("classes")) {
      builder.classes(integer("classes"));
    }
    if (map.containsKey("vectorCondition")) {
      builder.vectorCondition(integer("vectorCondition"));
    }
    if (map.containsKey("imageCondition")) {
      builder.imageCondition(integer("imageCondition"));
    }
    builder.selfConditioning = flag("selfConditioning");
    builder.learnedVariance = flag("learnedVariance");
    return builder.config();
  }

  /** False where there is no word of it. */
  private boolean flag(String key) {
    if (!map.containsKey(key)) {
      return false;
    }
    if (get(key) instanceof Boolean flag) {
      return flag;
    }
    throw wrong(key, "must be true or false", get(key));
  }

  private Object get(String key) {
    Object value = map.get(key);
    if (value == null) {
      throw new IllegalArgumentException("U-Net description lacks \"" + key + "\"");
    }
    return value;
  }

  private double number(String key) {
    if (get(key) instanceof Number number) {
      return number.doubleValue();
    }
    throw wrong(key, "must be a number", get(key));
  }

  private int integer(String key) {
    return whole(get(key), value -> wrong(key, "must be a whole number", value));
  }

  private int[] integers(String key) {
    Object value = get(key);
    IllegalArgumentException problem = wrong(key, "must be a list of whole numbers", value);
    if (!(value instanceof List<?> list)) {
      throw problem;
    }
    List<Integer> numbers = new ArrayList<>();
    for (Object item : list) {
      numbers.add(whole(item, ignored -> problem));
    }
    return numbers.stream().mapToInt(Integer::intValue).toArray();
  }

  private static int whole(
      @Nullable Object value, Function<Object, IllegalArgumentException> problem) {
    if (value instanceof Number number
        && number.doubleValue() == Math.rint(number.doubleValue())
        && Math.abs(number.doubleValue()) <= Integer.MAX_VALUE) {
      return number.intValue();
    }
    throw problem.apply(value == null ? "null" : value);
  }

  private <E extends Enum<E>> E choice(String key, Class<E> type) {
    Object value = get(key);
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equals(value)) {
        return constant;
      }
    }
    throw wrong(
        key,
        "must be one of "
            + Arrays.stream(type.getEnumConstants())
                .map(Enum::name)
                .collect(Collectors.joining(", ")),
        value);
  }

  private static IllegalArgumentException wrong(String key, String rule, @Nullable Object value) {
    return new IllegalArgumentException(
        "\"" + key + "\" of the U-Net description " + rule + ", but was " + value);
  }
}
