package io.github.ddpm4j.internal.picture;

import java.util.Arrays;
import java.util.Set;
import java.util.stream.IntStream;
import javax.imageio.metadata.IIOInvalidTreeException;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.plugins.tiff.BaselineTIFFTagSet;
import javax.imageio.plugins.tiff.TIFFDirectory;
import javax.imageio.plugins.tiff.TIFFField;

/**
 * What the samples of a TIFF file are. The reader of the JDK takes what it does not know for
 * something that it does: signed samples for unsigned ones, 12 bits for 16, Lab for RGB.
 */
final class TiffSamples {

  private static final Set<Integer> BITS = Set.of(1, 2, 4, 8, 16);
  private static final Set<Integer> FLOAT_BITS = Set.of(32, 64);
  private static final int JPEG = 7;

  private TiffSamples() {}

  /**
   * Refuses a file whose samples would be misread.
   *
   * @throws RefusedException if so
   */
  static void requireReadable(IIOMetadata metadata)
      throws IIOInvalidTreeException, RefusedException {
    TIFFDirectory tags = TIFFDirectory.createFromMetadata(metadata);
    int[] bits = values(tags, BaselineTIFFTagSet.TAG_BITS_PER_SAMPLE, 1);
    int[] formats = values(tags, BaselineTIFFTagSet.TAG_SAMPLE_FORMAT, 1);
    int colors = values(tags, BaselineTIFFTagSet.TAG_PHOTOMETRIC_INTERPRETATION, 1)[0];
    int compression = values(tags, BaselineTIFFTagSet.TAG_COMPRESSION, 1)[0];
    boolean floats = all(formats, BaselineTIFFTagSet.SAMPLE_FORMAT_FLOATING_POINT);
    boolean unsigned =
        all(formats, BaselineTIFFTagSet.SAMPLE_FORMAT_UNSIGNED_INTEGER)
            || all(formats, BaselineTIFFTagSet.SAMPLE_FORMAT_UNDEFINED);
    if (!(floats ? FLOAT_BITS : BITS).contains(bits[0]) || !all(bits, bits[0])) {
      throw refused((floats ? "floats" : "integers") + " of " + join(bits) + " bits");
    }
    if (!floats && !unsigned) {
      throw refused("of sample format " + join(formats) + ", such as signed integers");
    }
    if (!isRead(colors, bits, compression)) {
      throw refused("of photometric interpretation " + colors + ", " + join(bits) + " bits");
    }
  }

  private static boolean isRead(int colors, int[] bits, int compression) {
    return switch (colors) {
      case BaselineTIFFTagSet.PHOTOMETRIC_INTERPRETATION_WHITE_IS_ZERO,
          BaselineTIFFTagSet.PHOTOMETRIC_INTERPRETATION_BLACK_IS_ZERO,
          BaselineTIFFTagSet.PHOTOMETRIC_INTERPRETATION_RGB,
          BaselineTIFFTagSet.PHOTOMETRIC_INTERPRETATION_PALETTE_COLOR ->
          true;
      case BaselineTIFFTagSet.PHOTOMETRIC_INTERPRETATION_CMYK -> bits.length == 4 && bits[0] == 8;
      // else read as if it were linear light
      case BaselineTIFFTagSet.PHOTOMETRIC_INTERPRETATION_Y_CB_CR -> compression == JPEG;
      default -> false;
    };
  }

  private static RefusedException refused(String samples) {
    return new RefusedException(
        "samples of a TIFF file must be unsigned integers of 1, 2, 4, 8 or 16 bits, or floats of 32"
            + " or 64, of grey, RGB, a palette or CMYK in 8 bits, but were "
            + samples
            + "; convert it to 8 or 16 bits of RGB");
  }

  private static int[] values(TIFFDirectory tags, int tag, int otherwise) {
    TIFFField field = tags.getTIFFField(tag);
    return field == null
        ? new int[] {otherwise}
        : IntStream.range(0, field.getCount()).map(field::getAsInt).toArray();
  }

  private static boolean all(int[] values, int value) {
    return Arrays.stream(values).allMatch(one -> one == value);
  }

  private static String join(int[] values) {
    return String.join(", ", Arrays.stream(values).mapToObj(Integer::toString).distinct().toList());
  }
}
