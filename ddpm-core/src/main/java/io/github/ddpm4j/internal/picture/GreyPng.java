package io.github.ddpm4j.internal.picture;

import java.awt.image.BufferedImage;
import java.awt.image.WritableRaster;
import java.io.EOFException;
import java.io.IOException;
import javax.imageio.stream.ImageInputStream;

/**
 * PNG files of grey in 1, 2 or 4 bits, of which one level is transparent (PNG, section 11.3.2.1).
 * The reader of the JDK spreads the levels over 8 bits, and then looks for the one as it was.
 */
final class GreyPng {

  private static final long SIGNATURE = 0x89504E470D0A1A0AL;
  private static final int TRNS = 0x74524E53;
  private static final int IDAT = 0x49444154;

  /** The signature, and the header's length, name, width and height. */
  private static final int BIT_DEPTH_AT = 24;

  /** After the header's other three bytes and its checksum. */
  private static final int CHUNKS_AT = 33;

  private GreyPng() {}

  /**
   * The transparent level, spread over 8 bits; below 0 for other files, and those without one.
   *
   * @param in the file, from its beginning, where it is left
   */
  static int transparentLevel(ImageInputStream in) throws IOException {
    in.mark();
    try {
      return level(in);
    } catch (EOFException e) {
      return -1; // the reader will say so
    } finally {
      in.reset();
    }
  }

  private static int level(ImageInputStream in) throws IOException {
    if (in.readLong() != SIGNATURE) {
      return -1;
    }
    in.seek(BIT_DEPTH_AT);
    int bits = in.readUnsignedByte();
    boolean grey = in.readUnsignedByte() == 0;
    if (!grey || bits >= 8) {
      return -1;
    }
    int most = (1 << bits) - 1;
    for (long at = CHUNKS_AT; ; ) {
      in.seek(at);
      long length = in.readUnsignedInt();
      int name = in.readInt();
      if (name == IDAT) {
        return -1;
      }
      if (name == TRNS) {
        return 255 / most * (in.readUnsignedShort() & most);
      }
      at += 12 + length;
    }
  }

  /** Makes a level transparent. */
  static void clear(BufferedImage picture, int level) {
    WritableRaster raster = picture.getRaster();
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        if (raster.getSample(x, y, 0) == level) {
          raster.setSample(x, y, 1, 0);
        }
      }
    }
  }
}
