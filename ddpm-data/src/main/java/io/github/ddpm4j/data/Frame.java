package io.github.ddpm4j.data;

/**
 * A picture in memory, in 16 bits: those of 8 bits lose nothing either, since 65535 = 257 · 255.
 *
 * @param channels 1, 3 or 4
 * @param height in pixels
 * @param width in pixels
 * @param levels from 0 to 65535, unsigned, row-major over (C, H, W)
 */
// The array is made once and never changed.
@SuppressWarnings("ArrayRecordComponent")
record Frame(int channels, int height, int width, short[] levels) {

  static final double WHITE = 65535;

  /** From 8 bits, 0 to 255. */
  static short level(byte value) {
    return (short) (257 * Byte.toUnsignedInt(value));
  }

  /** From a share of white; what resampling makes of contours may lie outside [0, 1]. */
  static short level(double share) {
    return (short) Math.round(WHITE * Math.max(0, Math.min(1, share)));
  }

  /** A share of white, from 0 to 1. */
  static double share(short level) {
    return Short.toUnsignedInt(level) / WHITE;
  }
}
