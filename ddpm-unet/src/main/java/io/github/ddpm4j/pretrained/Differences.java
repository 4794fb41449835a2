package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** How a model differs from one that is built without any option. */
final class Differences {

  /** What an architecture calls the shape of its images. */
  private static final Set<String> SHAPES = Set.of("signal", "image", "volume");

  private Differences() {}

  static List<String> of(DDPM ddpm, Map<String, Object> network, Facts facts) {
    List<String> lines = new ArrayList<>();
    DDPM usual = DDPM.builder().build();
    add(lines, "schedule", usual.schedule().describe(), words(ddpm.schedule()));
    add(lines, "prediction", usual.prediction(), ddpm.prediction());
    add(lines, "variance", usual.variance(), ddpm.variance());
    add(lines, "data range", usual.dataRange(), ddpm.dataRange());
    if (facts.thresholding() != null) {
      lines.add("sampling with dynamic thresholding; sampling() has it");
    } else if (!facts.clip()) {
      lines.add("sampling without clipping; sampling() has it");
    }
    TunedFor.of(ddpm.metadata(), ddpm.provenance())
        .ifPresent(sampler -> lines.add("tuned for " + Quote.of(sampler) + "; sampling() has it"));
    if (!ddpm.classNames().isEmpty()) {
      lines.add("classes " + String.join(", ", ddpm.classNames()));
    }
    network.forEach((key, value) -> lines.add("network " + key + " = " + value));
    return lines;
  }

  /** How a network differs from the usual one of its size. */
  static Map<String, Object> ofNetwork(UNetConfig config) {
    Map<String, Object> different = new LinkedHashMap<>();
    Map<String, Object> own = config.describe();
    int[] shape =
        Arrays.stream(config.imageShape().getShape()).mapToInt(Math::toIntExact).toArray();
    Map<String, Object> plain =
        Given.builder(shape).levelChannels(own(config)).attentionAtLevels().config().describe();
    own.forEach(
        (key, value) -> {
          if (!SHAPES.contains(key) && !value.equals(plain.get(key))) {
            different.put(key, value);
          }
        });
    return different;
  }

  /** Not hundreds of numbers. */
  private static Object words(Schedule schedule) {
    Map<String, Object> words = schedule.describe();
    return words.containsKey("betas")
        ? "of " + schedule.timesteps() + " single values of β"
        : words;
  }

  private static int[] own(UNetConfig config) {
    int[] channels = new int[config.levels()];
    // What the groups of the default divide; only the number of levels matters.
    Arrays.fill(channels, UNetBuilder.DEFAULT_GROUPS);
    return channels;
  }

  private static void add(List<String> lines, String what, Object usual, Object own) {
    if (!Objects.equals(usual, own)) {
      lines.add(what + " " + own);
    }
  }
}
