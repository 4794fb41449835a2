package io.github.ddpm4j.cli;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.Map;

/**
 * A picture that was drawn.
 *
 * @param picture the picture
 * @param words what its file says
 */
record Drawn(BufferedImage picture, Map<String, String> words) {

  /**
   * The largest difference of a level from what a file holds.
   *
   * @throws IllegalArgumentException if that is of another size
   */
  int differenceFrom(BufferedImage told, Path file) {
    if (!sizeOf(picture).equals(sizeOf(told))) {
      throw new IllegalArgumentException(
          file + " is of " + sizeOf(told) + ", but the model draws " + sizeOf(picture));
    }
    int worst = 0;
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        for (int band = 0; band < picture.getRaster().getNumBands(); band++) {
          int now = picture.getRaster().getSample(x, y, band);
          worst = Math.max(worst, Math.abs(now - told.getRaster().getSample(x, y, band)));
        }
      }
    }
    return worst;
  }

  private static String sizeOf(BufferedImage picture) {
    return picture.getRaster().getNumBands()
        + "x"
        + picture.getHeight()
        + "x"
        + picture.getWidth()
        + " numbers";
  }
}
