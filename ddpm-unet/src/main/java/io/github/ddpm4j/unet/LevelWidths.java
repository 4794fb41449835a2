package io.github.ddpm4j.unet;

import java.util.ArrayList;
import java.util.List;

/**
 * The channels of one level.
 *
 * @param down what its blocks give on the way down
 * @param downsampled what the passage to the next level gives
 * @param up what its blocks give on the way up
 * @param lastUp what the last of them gives
 * @param upsampled what the passage to the level above gives
 */
record LevelWidths(int down, int downsampled, int up, int lastUp, int upsampled) {

  /** Those of all levels, 0 at full size. */
  static List<LevelWidths> of(UNetConfig config) {
    List<LevelWidths> widths = new ArrayList<>();
    int above = config.stemChannels();
    for (int level = 0; level < config.levels(); level++) {
      int own = config.channelsAt(level);
      widths.add(
          switch (config.layout().outer().widthChange()) {
            case FIRST_BLOCK -> new LevelWidths(own, own, own, own, own);
            case PASSAGE -> new LevelWidths(above, own, own, own, above);
            case LAST_BLOCK_UP -> new LevelWidths(own, own, own, above, above);
          });
      above = own;
    }
    return widths;
  }
}
