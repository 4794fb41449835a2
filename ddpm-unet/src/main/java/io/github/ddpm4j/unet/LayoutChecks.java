package io.github.ddpm4j.unet;

import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Norm;
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
    if (layout.outer().outGroups() > 0 && layout.block().norm() == Norm.RMS) {
      throw new IllegalArgumentException(
          "out groups need a norm by groups, but were "
              + layout.outer().outGroups()
              + " with the norm RMS; leave them at 0");
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
