package io.github.ddpm4j.unet;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.unet.UNetLayout.Activation;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Block;
import io.github.ddpm4j.unet.UNetLayout.Blocks;
import io.github.ddpm4j.unet.UNetLayout.ClassPlace;
import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Frequencies;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Outer;
import io.github.ddpm4j.unet.UNetLayout.Resampling;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.UNetLayout.Transformers;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.UNetLayout.WidthChange;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A layout in words: only what differs from the paper's, so that the words for networks of the
 * paper's layout stay as they were.
 */
final class LayoutDescription {

  private static final Map<String, Object> PAPER = words(UNetLayout.paper());

  /** The words that there may be. */
  static final List<String> KNOWN = List.copyOf(PAPER.keySet());

  private LayoutDescription() {}

  /** Adds what differs from the paper's layout. */
  static void write(UNetLayout layout, Map<String, Object> map) {
    words(layout)
        .forEach(
            (key, value) -> {
              if (!value.equals(PAPER.get(key))) {
                map.put(key, value);
              }
            });
  }

  private static Map<String, Object> words(UNetLayout layout) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("blockTime", layout.block().time().name());
    map.put("blockOrder", layout.block().order().name());
    map.put("blockNorm", layout.block().norm().name());
    map.put("blockScale", layout.block().scale());
    map.put("down", layout.resampling().down().name());
    map.put("up", layout.resampling().up().name());
    map.put("resamplingShortcut", layout.resampling().shortcut());
    map.put("attentionBlocks", layout.attention().blocks().name());
    map.put("attentionNorm", layout.attention().norm().name());
    map.put("attentionMiddle", layout.attention().middle());
    map.put("attentionBias", layout.attention().bias());
    map.put("linearAttentionLevels", layout.attention().linearLevels());
    map.put("headWidth", layout.attention().headWidth());
    map.put("memoryTokens", layout.attention().memoryTokens());
    map.put("stemChannels", layout.outer().stemChannels());
    map.put("stemJoinsEnd", layout.outer().stemJoinsEnd());
    map.put("widthChange", layout.outer().widthChange().name());
    map.put("outGroups", layout.outer().outGroups());
    map.put("embeddingWidth", layout.embedding().width());
    map.put("embeddingHidden", layout.embedding().hidden());
    map.put("embeddingActivation", layout.embedding().activation().name());
    map.put("embeddingFrequencies", layout.embedding().frequencies().name());
    map.put("classPlace", layout.embedding().classPlace().name());
    map.put("nullClass", layout.embedding().nullClass());
    map.put("transformerDepths", layout.transformers().depths());
    map.put("linearProjection", layout.transformers().linearProjection());
    map.put("contextOnlyLevels", layout.transformers().contextOnlyLevels());
    map.put("middleBlocks", layout.transformers().middleBlocks());
    return map;
  }

  /** The layout that is described; what is not there is as in the paper. */
  static UNetLayout read(Description given) {
    Map<String, Object> all = new LinkedHashMap<>(PAPER);
    given.values().forEach((key, value) -> all.computeIfPresent(key, (known, paper) -> value));
    Description from = Description.of("the U-Net description", all);
    return new UNetLayout(
        new Block(
            from.choice("blockTime", Time.class),
            from.choice("blockOrder", Order.class),
            from.choice("blockNorm", Norm.class),
            from.number("blockScale")),
        new Resampling(
            from.choice("down", Down.class),
            from.choice("up", Up.class),
            from.flag("resamplingShortcut")),
        new Attention(
            from.choice("attentionBlocks", Blocks.class),
            from.choice("attentionNorm", AttentionNorm.class),
            from.flag("attentionMiddle"),
            from.flag("attentionBias"),
            list(from, "linearAttentionLevels"),
            from.integer("headWidth"),
            from.integer("memoryTokens")),
        new Outer(
            from.integer("stemChannels"),
            from.flag("stemJoinsEnd"),
            from.choice("widthChange", WidthChange.class),
            from.integer("outGroups")),
        new Embedding(
            from.integer("embeddingWidth"),
            from.integer("embeddingHidden"),
            from.choice("embeddingActivation", Activation.class),
            from.choice("embeddingFrequencies", Frequencies.class),
            from.choice("classPlace", ClassPlace.class),
            from.flag("nullClass")),
        new Transformers(
            list(from, "transformerDepths"),
            from.flag("linearProjection"),
            list(from, "contextOnlyLevels"),
            from.integer("middleBlocks")));
  }

  private static List<Integer> list(Description from, String key) {
    return Arrays.stream(from.integers(key)).boxed().toList();
  }
}
