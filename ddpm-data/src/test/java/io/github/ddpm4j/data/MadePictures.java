package io.github.ddpm4j.data;

import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** Pictures of all kinds, written by the JDK. */
final class MadePictures {

  private MadePictures() {}

  /** The levels of a pixel. */
  @FunctionalInterface
  interface Pixel {
    int[] at(int y, int x);
  }

  /** Grey, RGB or either with its opacity. */
  static BufferedImage picture(int height, int width, int bands, int bits, Pixel pixel) {
    ColorSpace space = ColorSpace.getInstance(bands < 3 ? ColorSpace.CS_GRAY : ColorSpace.CS_sRGB);
    boolean opacity = bands % 2 == 0;
    ColorModel colors =
        new ComponentColorModel(
            space,
            opacity,
            false,
            opacity ? Transparency.TRANSLUCENT : Transparency.OPAQUE,
            bits == 8 ? DataBuffer.TYPE_BYTE : DataBuffer.TYPE_USHORT);
    return filled(
        new BufferedImage(
            colors, colors.createCompatibleWritableRaster(width, height), false, null),
        pixel);
  }

  private static BufferedImage filled(BufferedImage picture, Pixel pixel) {
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        picture.getRaster().setPixel(x, y, pixel.at(y, x));
      }
    }
    return picture;
  }

  /** Red, half transparent green, and transparent blue, by turns. */
  static BufferedImage palette(int height, int width) {
    byte full = (byte) 255;
    IndexColorModel colors =
        new IndexColorModel(
            8,
            3,
            new byte[] {full, 0, 0},
            new byte[] {0, full, 0},
            new byte[] {0, 0, full},
            new byte[] {full, (byte) 128, 0});
    return filled(
        new BufferedImage(width, height, BufferedImage.TYPE_BYTE_INDEXED, colors),
        (y, x) -> new int[] {x % 3});
  }

  static Path write(BufferedImage picture, Path file) throws IOException {
    Files.createDirectories(file.getParent());
    String name = file.getFileName().toString();
    String format = name.substring(name.lastIndexOf('.') + 1);
    if (!ImageIO.write(picture, format, file.toFile())) {
      throw new IOException("no writer for " + file);
    }
    return file;
  }

  /** Of one level, in 8 bits. */
  static Path flat(Path file, int height, int width, int... levels) throws IOException {
    return write(picture(height, width, levels.length, 8, (y, x) -> levels), file);
  }
}
