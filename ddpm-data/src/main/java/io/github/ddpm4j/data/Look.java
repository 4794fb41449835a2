package io.github.ddpm4j.data;

import io.github.ddpm4j.data.PictureFolder.Fit;
import java.awt.Color;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What a picture shows at a look.
 *
 * @param height as it is to be seen, in pixels
 * @param width as it is to be seen, in pixels
 * @param colour whether a channel differs from another
 * @param transparent whether a pixel can be seen through
 * @param least the least share of white
 * @param greatest the greatest
 * @param sums of each channel of RGB, of the shares of white and of their squares
 * @param digest of size and pixels
 * @param thumbnail {@value #SIDE} x {@value #SIDE}, grey
 */
// The arrays are made for it alone.
@SuppressWarnings("ArrayRecordComponent")
record Look(
    int height,
    int width,
    boolean colour,
    boolean transparent,
    double least,
    double greatest,
    double[][] sums,
    String digest,
    float[] thumbnail) {

  static final int SIDE = 16;

  private static final int CHANNELS = 3;

  /** Half a step of 8 bits: less is rounding, or the noise of a JPEG file. */
  private static final double NOTHING = 0.5 / 255;

  /** Rows and columns of the hash; a row has one comparison less than columns. */
  private static final int ROWS = 8;

  private static final int COLUMNS = 9;

  /** Pictures whose thumbnails differ by less on average are the same to the eye. */
  private static final double SAME = 0.03;

  /** A picture of less contrast is of one colour: its hash would be that of its noise. */
  private static final double FLAT = 0.02;

  static Look at(Path file) throws IOException {
    Fitting.Seen seen = Fitting.seen(file);
    float[][] planes = seen.planes();
    int colours = planes.length < CHANNELS ? 1 : CHANNELS;
    MessageDigest digest = sha256();
    digest.update(ByteBuffer.allocate(8).putInt(seen.height()).putInt(seen.width()).flip());
    boolean colour = false;
    double least = 1;
    double greatest = 0;
    double[][] sums = new double[CHANNELS][2];
    int size = planes[0].length;
    ByteBuffer row = ByteBuffer.allocate(4 * 2);
    boolean transparent = false;
    for (int i = 0; i < size; i++) {
      float opacity = seen.hasOpacity() ? planes[planes.length - 1][i] : 1;
      transparent |= opacity < 1;
      row.clear();
      for (int c = 0; c < CHANNELS; c++) {
        // as on white, where it is transparent
        double share = planes[Math.min(c, colours - 1)][i] * opacity + 1 - opacity;
        colour |= Math.abs(planes[Math.min(c, colours - 1)][i] - planes[0][i]) > NOTHING;
        least = Math.min(least, share);
        greatest = Math.max(greatest, share);
        sums[c][0] += share;
        sums[c][1] += share * share;
        row.putShort(Frame.level(share));
      }
      row.putShort(Frame.level(opacity));
      digest.update(row.array());
    }
    for (double[] sum : sums) {
      sum[0] /= size;
      sum[1] /= size;
    }
    Fitting small = new Fitting(1, SIDE, SIDE, Fit.STRETCH, Color.WHITE);
    Frame frame = small.of(planes, seen.height(), seen.width());
    float[] thumbnail = new float[SIDE * SIDE];
    for (int i = 0; i < thumbnail.length; i++) {
      thumbnail[i] = (float) Frame.share(frame.levels()[i]);
    }
    return new Look(
        seen.height(),
        seen.width(),
        colour,
        transparent,
        least,
        greatest,
        sums,
        HexFormat.of().formatHex(digest.digest()),
        thumbnail);
  }

  /** Whether it is all of one colour. */
  boolean isFlat() {
    return greatest - least < FLAT;
  }

  /**
   * Whether neighbours to the right are brighter, place by place, in 8 rows of 8 (a difference
   * hash). Pictures that look the same differ in few bits.
   */
  long hash() {
    Resampling.Span rows = new Resampling.Span(0, SIDE, ROWS);
    Resampling.Span columns = new Resampling.Span(0, SIDE, COLUMNS);
    float[] small = Resampling.of(thumbnail, SIDE, SIDE, rows, columns);
    long hash = 0;
    for (int y = 0; y < ROWS; y++) {
      for (int x = 0; x + 1 < COLUMNS; x++) {
        hash = hash << 1 | (small[y * COLUMNS + x + 1] > small[y * COLUMNS + x] ? 1 : 0);
      }
    }
    return hash;
  }

  /** Whether the eye would take both for the same picture. */
  boolean looksLike(Look other) {
    double difference = 0;
    for (int i = 0; i < thumbnail.length; i++) {
      difference += Math.abs(thumbnail[i] - other.thumbnail[i]);
    }
    return difference / thumbnail.length < SAME;
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
