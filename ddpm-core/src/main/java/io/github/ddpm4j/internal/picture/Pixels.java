package io.github.ddpm4j.internal.picture;

import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.color.ICC_ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorConvertOp;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.PackedColorModel;
import java.awt.image.Raster;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The values of a picture, in [-1, 1], row-major over (C, H, W).
 *
 * <p>Read from the samples themselves. {@code getRGB} would take grey for linear light and brighten
 * it by a gamma, as it does with CMYK, and keep no more than 8 bits.
 *
 * @param channels 1 for grey pictures, else 3; one more for the opacity, if it was asked for
 * @param values the values
 */
// The array is made here and handed on once.
@SuppressWarnings("ArrayRecordComponent")
public record Pixels(int channels, float[] values) {

  /**
   * The values of a picture; transparent pixels are shown on white.
   *
   * @param picture the picture
   * @return its values
   * @throws IllegalArgumentException if its samples mean nothing certain
   */
  public static Pixels of(BufferedImage picture) {
    return of(picture, false);
  }

  /**
   * The values of a picture as they are, and of one that can be transparent the opacity, as its
   * last channel: −1 is transparent.
   *
   * @param picture the picture
   * @return its values, in 1 to 4 channels
   * @throws IllegalArgumentException if its samples mean nothing certain
   */
  public static Pixels withOpacity(BufferedImage picture) {
    return of(picture, picture.getColorModel().hasAlpha());
  }

  private static Pixels of(BufferedImage picture, boolean opacity) {
    ColorModel colors = picture.getColorModel();
    if (colors instanceof IndexColorModel palette) {
      return ofPalette(picture, isGrey(palette) ? 1 : 3, opacity);
    }
    String unusual = unusual(picture);
    if (unusual != null) {
      throw new IllegalArgumentException(
          "the samples of a picture must be unsigned integers of at most 16 bits, or floats, of"
              + " grey, RGB or CMYK, but were "
              + unusual
              + "; convert the picture to 8 or 16 bits of RGB");
    }
    if (isGrey(colors)) {
      return ofSamples(picture, 1, opacity);
    }
    return isSrgb(colors) || isPlainCmyk(colors)
        ? ofSamples(picture, 3, opacity)
        : of(toSrgb(picture), opacity);
  }

  /** Whether the samples are the values of sRGB, or of grey, as they stand. */
  static boolean areValues(BufferedImage picture) {
    ColorModel colors = picture.getColorModel();
    return colors instanceof IndexColorModel
        || (unusual(picture) == null && !isFloat(picture) && (isGrey(colors) || isSrgb(colors)));
  }

  /** What the samples are, if nothing can be made of them. */
  static @Nullable String unusual(BufferedImage picture) {
    ColorModel colors = picture.getColorModel();
    int type = picture.getRaster().getTransferType();
    if (type == DataBuffer.TYPE_SHORT) {
      return "signed integers";
    }
    if (type == DataBuffer.TYPE_INT && !(colors instanceof PackedColorModel)) {
      return "integers of 32 bits";
    }
    // ColorSpace.TYPE_2CLR to TYPE_FCLR: a number of components, and not what they are
    return colors.getColorSpace().getType() >= ColorSpace.TYPE_2CLR
        ? colors.getNumComponents() + " components of no known colour"
        : null;
  }

  /** What the samples are, in words. */
  static String describe(BufferedImage picture) {
    String unusual = unusual(picture);
    if (unusual != null) {
      return unusual;
    }
    return isFloat(picture) ? "floats" : "not of grey or sRGB";
  }

  private static boolean isFloat(BufferedImage picture) {
    int type = picture.getRaster().getTransferType();
    return type == DataBuffer.TYPE_FLOAT || type == DataBuffer.TYPE_DOUBLE;
  }

  private static boolean isGrey(ColorModel colors) {
    return colors.getColorSpace().getType() == ColorSpace.TYPE_GRAY;
  }

  private static boolean isSrgb(ColorModel colors) {
    return colors.getColorSpace().isCS_sRGB();
  }

  /** Shares of ink, with no profile that says what the inks look like. */
  private static boolean isPlainCmyk(ColorModel colors) {
    ColorSpace space = colors.getColorSpace();
    return space.getType() == ColorSpace.TYPE_CMYK && !(space instanceof ICC_ColorSpace);
  }

  private static Pixels ofSamples(BufferedImage picture, int channels, boolean opacity) {
    ColorModel colors = picture.getColorModel();
    Raster raster = picture.getRaster();
    int width = picture.getWidth();
    int height = picture.getHeight();
    int bands = raster.getNumBands();
    int inks = colors.getNumColorComponents();
    double[] most = new double[bands];
    Arrays.setAll(most, b -> isFloat(picture) ? 1 : (1L << colors.getComponentSize(b)) - 1);
    int all = opacity ? channels + 1 : channels;
    float[] values = new float[all * width * height];
    double[] row = new double[bands * width];
    double least = 0;
    double greatest = 1;
    for (int y = 0; y < height; y++) {
      raster.getPixels(0, y, width, 1, row);
      for (int i = 0; i < row.length; i++) {
        row[i] /= most[i % bands];
        least = Math.min(least, row[i]);
        greatest = Math.max(greatest, row[i]);
      }
      for (int x = 0; x < width; x++) {
        int at = x * bands;
        for (int c = 0; c < channels; c++) {
          double value = inks == 4 ? (1 - row[at + c]) * (1 - row[at + 3]) : row[at + c];
          if (opacity) {
            double share = row[at + inks];
            value = colors.isAlphaPremultiplied() && share > 0 ? value / share : value;
          } else if (colors.hasAlpha()) {
            double share = row[at + inks];
            value = (colors.isAlphaPremultiplied() ? value : value * share) + 1 - share;
          }
          values[(c * height + y) * width + x] = (float) (2 * value - 1);
        }
        if (opacity) {
          values[(channels * height + y) * width + x] = (float) (2 * row[at + inks] - 1);
        }
      }
    }
    if (!(least >= 0 && greatest <= 1)) {
      throw new IllegalArgumentException(
          "the samples of a picture must be shares of white, from 0 to 1, but lie in ["
              + least
              + ", "
              + greatest
              + "]; scale them");
    }
    return new Pixels(all, values);
  }

  /** In 16 bits, since what was linear in 8 has steps between which they lie. */
  private static BufferedImage toSrgb(BufferedImage picture) {
    boolean alpha = picture.getColorModel().hasAlpha();
    ColorModel colors =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_sRGB),
            alpha,
            false,
            alpha ? Transparency.TRANSLUCENT : Transparency.OPAQUE,
            DataBuffer.TYPE_USHORT);
    BufferedImage converted =
        new BufferedImage(
            colors,
            colors.createCompatibleWritableRaster(picture.getWidth(), picture.getHeight()),
            false,
            null);
    return new ColorConvertOp(null).filter(picture, converted);
  }

  private static Pixels ofPalette(BufferedImage picture, int channels, boolean opacity) {
    int width = picture.getWidth();
    int height = picture.getHeight();
    int plane = width * height;
    int all = opacity ? channels + 1 : channels;
    float[] values = new float[all * plane];
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      picture.getRGB(0, y, width, 1, row, 0, width);
      for (int x = 0; x < width; x++) {
        double share = (row[x] >>> 24) / 255.0;
        for (int channel = 0; channel < channels; channel++) {
          int level = row[x] >> (16 - 8 * channel) & 0xFF;
          double color = opacity ? level / 255.0 : level / 255.0 * share + 1 - share;
          values[channel * plane + y * width + x] = (float) (2 * color - 1);
        }
        if (opacity) {
          values[channels * plane + y * width + x] = (float) (2 * share - 1);
        }
      }
    }
    return new Pixels(all, values);
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

  /**
   * A picture of 8 bits that shows grey or RGB.
   *
   * @param width its width in pixels
   * @param height its height in pixels
   * @return the picture
   */
  public BufferedImage toPicture(int width, int height) {
    BufferedImage picture =
        new BufferedImage(
            width,
            height,
            channels == 1 ? BufferedImage.TYPE_BYTE_GRAY : BufferedImage.TYPE_3BYTE_BGR);
    int plane = width * height;
    int[] levels = new int[plane];
    for (int channel = 0; channel < channels; channel++) {
      int first = channel * plane;
      Arrays.setAll(levels, i -> (int) Math.round(255 * (values[first + i] + 1.0) / 2));
      picture.getRaster().setSamples(0, 0, width, height, channel, levels);
    }
    return picture;
  }
}
