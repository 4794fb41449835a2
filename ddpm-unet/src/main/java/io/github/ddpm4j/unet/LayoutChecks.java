package io.github.ddpm4j.unet;

import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Transformers;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.UNetLayout.WidthChange;

/**
 * What the options of a layout must be together with the others. What one block alone can know,
 * such as whether its groups divide its channels, is checked where it is made.
 */
final class LayoutChecks {

  private LayoutChecks() {}

  static void require(UNetConfig config) {
    UNetLayout layout = config.layout();
    if (layout.block().norm() == Norm.GROUP) {
      OptionChecks.requireGroups(config.groups(), config.levelChannels);
    }
    requireHeads(config);
    for (int level : layout.attention().linearLevels()) {
      if (!config.attentionLevels.contains(level)) {
        throw new IllegalArgumentException(
            "linear attention must be at levels that have attention, but level "
                + level
                + " has none; add it by attentionAtLevels");
      }
    }
    requirePassages(layout);
    requireTransformers(config);
    if (layout.outer().outGroups() > 0 && layout.block().norm() == Norm.RMS) {
      throw new IllegalArgumentException(
          "out groups need a norm by groups, but were "
              + layout.outer().outGroups()
              + " with the norm RMS; leave them at 0");
    }
  }

  /** Where halving rounds up, and doubling can leave out what is too much. */
  static boolean takesAnySize(UNetConfig config) {
    UNetLayout.Resampling resampling = config.layout().resampling();
    return config.downsamplePadding() == DownsamplePadding.ALL_SIDES
        && resampling.down() == Down.CONVOLUTION
        && resampling.up() == Up.CONVOLUTION;
  }

  private static void requireTransformers(UNetConfig config) {
    Transformers transformers = config.layout().transformers();
    Attention attention = config.layout().attention();
    int depths = transformers.depths().size();
    if (depths > 0 && depths != config.levels()) {
      throw new IllegalArgumentException(
          "transformer depths must be given for each of the "
              + config.levels()
              + " levels, but were for "
              + depths);
    }
    for (int level : transformers.contextOnlyLevels()) {
      if (!config.attentionLevels.contains(level)) {
        throw new IllegalArgumentException(
            "context-only attention must be at levels that have attention, but level "
                + level
                + " has none; add it by attentionAtLevels");
      }
    }
    if (attention.middle() && transformers.middleBlocks() < 2) {
      throw new IllegalArgumentException(
          "attention in the middle needs 2 residual blocks there, but there are "
              + transformers.middleBlocks()
              + "; leave attention().middle() out");
    }
    Transformers paper = UNetLayout.paper().transformers();
    if (config.contextCondition() == 0) {
      Transformers plain =
          new Transformers(
              paper.depths(), false, paper.contextOnlyLevels(), transformers.middleBlocks());
      if (!transformers.equals(plain)) {
        throw new IllegalArgumentException(
            "transformers need a context, but the network has none and "
                + transformers
                + "; call contextCondition(channels)");
      }
      return;
    }
    Attention own = UNetLayout.paper().attention();
    if (!attention.equals(
        new Attention(
            attention.blocks(),
            own.norm(),
            attention.middle(),
            own.bias(),
            own.linearLevels(),
            own.headWidth(),
            own.memoryTokens()))) {
      throw new IllegalArgumentException(
          "networks with a context have transformers for attention, which can have other blocks and"
              + " middles alone, but it was "
              + attention);
    }
  }

  private static void requireHeads(UNetConfig config) {
    int perLevel = config.headsPerLevel.length;
    if (perLevel > 0 && perLevel != config.levels()) {
      throw new IllegalArgumentException(
          "heads per level must be given for each of the "
              + config.levels()
              + " levels, but were for "
              + perLevel);
    }
    boolean ownWidth = config.layout().attention().headWidth() > 0;
    if (ownWidth && config.headChannels > 0) {
      throw new IllegalArgumentException(
          "head width needs a number of heads, but there are head channels, "
              + config.headChannels
              + ", too; call heads(count)");
    }
    if (perLevel == 0 && !ownWidth) {
      OptionChecks.requireHeads(
          config.heads, config.headChannels, config.levelChannels, config.attentionLevels);
    }
  }

  /** A passage without weights cannot change channels. */
  private static void requirePassages(UNetLayout layout) {
    WidthChange change = layout.outer().widthChange();
    Down down = layout.resampling().down();
    Up up = layout.resampling().up();
    if (change == WidthChange.PASSAGE && (down == Down.MEAN || up == Up.NEAREST)) {
      throw new IllegalArgumentException(
          "channels that change in the passage need one with weights, but it was "
              + (down == Down.MEAN ? down : up)
              + "; choose another, or the width change FIRST_BLOCK");
    }
  }
}
