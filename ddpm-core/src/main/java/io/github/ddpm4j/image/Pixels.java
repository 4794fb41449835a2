package io.github.ddpm4j.image;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.util.Arrays;

/**
 * The values of a picture, in [-1, 1], row-major over (C, H, W).
 *
 * @param channels 1 for grey pictures, else 3
 * @param values the values
 */
// The array is made here and handed on once.
@SuppressWarnings("ArrayRecordComponent")
record Pixels(int channels, float[] values) {

  static Pixels of(BufferedImage picture) {
    ColorModel colors = picture.getColorModel();
    if (!(colors instanceof IndexColorModel)
        && colors.getColorSpace().getType() == ColorSpace.TYPE_GRAY) {
      return new Pixels(1, grey(picture));
    }
    float[] rgb = rgb(picture);
    return colors instanceof IndexColorModel palette && isGrey(palette)
        ? new Pixels(1, Arrays.copyOf(rgb, rgb.length / 3))
        : new Pixels(3, rgb);
  }

  /**
   * Reads the samples themselves: {@code getRGB} takes grey for linear light and brightens it by a
   * gamma, and it would drop the lower half of 16 bits.
   */
  private static float[] grey(BufferedImage picture) {
    ColorModel colors = picture.getColorModel();
    Raster raster = picture.getRaster();
    boolean alpha = colors.hasAlpha();
    double most = (1L << colors.getComponentSize(0)) - 1;
    double opaque = alpha ? (1L << colors.getComponentSize(1)) - 1 : 1;
    int width = picture.getWidth();
    int height = picture.getHeight();
    float[] values = new float[width * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        double grey = raster.getSample(x, y, 0) / most;
        if (alpha) {
          double share = raster.getSample(x, y, 1) / opaque;
          grey = (colors.isAlphaPremultiplied() ? grey : grey * share) + 1 - share;
        }
        values[y * width + x] = (float) (2 * grey - 1);
      }
    }
    return values;
  }

  private static float[] rgb(BufferedImage picture) {
    int width = picture.getWidth();
    int height = picture.getHeight();
    int plane = width * height;
    float[] values = new float[3 * plane];
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      picture.getRGB(0, y, width, 1, row, 0, width);
      for (int x = 0; x < width; x++) {
        double share = (row[x] >>> 24) / 255.0;
        for (int channel = 0; channel < 3; channel++) {
          int level = row[x] >> (16 - 8 * channel) & 0xFF;
          double color = level / 255.0 * share + 1 - share;
          values[channel * plane + y * width + x] = (float) (2 * color - 1);
        }
      }
    }
    return values;
  }

  /** Grey PNG files of 1, 2 and 4 bits arrive with a palette. */
  private static boolean isGrey(IndexColorModel palette) {
    for (int i = 0; i < palette.getMapSize(); i++) {
      if (palette.getRed(i) != palette.getGreen(i) || palette.getRed(i) != palette.getBlue(i)) {
        return false;
      }
    }
    return true;
  }
}
