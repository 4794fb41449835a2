package io.github.ddpm4j.data;

import com.twelvemonkeys.imageio.metadata.Entry;
import com.twelvemonkeys.imageio.metadata.jpeg.JPEG;
import com.twelvemonkeys.imageio.metadata.jpeg.JPEGSegment;
import com.twelvemonkeys.imageio.metadata.jpeg.JPEGSegmentUtil;
import com.twelvemonkeys.imageio.metadata.tiff.TIFF;
import com.twelvemonkeys.imageio.metadata.tiff.TIFFReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * How the camera was held, as EXIF has it (tag 0x0112, 1 to 8): in a segment of JPEG files, in
 * chunks of PNG and WebP files, and in TIFF files themselves.
 */
enum Orientation {
  /** As it is. */
  UPRIGHT(false, false, false),
  /** Left and right are exchanged. */
  MIRRORED(false, false, true),
  /** By half a turn. */
  UPSIDE_DOWN(false, true, true),
  /** Above and below are exchanged. */
  MIRRORED_UPSIDE_DOWN(false, true, false),
  /** Rows are columns. */
  TRANSPOSED(true, false, false),
  /** To be turned clockwise. */
  LEFT(true, false, true),
  /** Rows are columns, from the other corner. */
  TRANSVERSED(true, true, true),
  /** To be turned anticlockwise. */
  RIGHT(true, true, false);

  private static final long PNG = 0x89504E470D0A1A0AL;
  private static final int PNG_EXIF = 0x65584966;
  private static final int PNG_END = 0x49454E44;
  private static final int RIFF = 0x52494646;
  private static final int WEBP = 0x57454250;
  private static final int WEBP_EXIF = 0x45584946;
  private static final int JPEG_START = 0xFFD8;
  private static final int TIFF_LITTLE = 0x49492A00;
  private static final int TIFF_BIG = 0x4D4D002A;

  /** What some programs write before the tags. */
  private static final int EXIF_NAME = 0x45786966;

  private static final int EXIF_NAME_BYTES = 6;

  private static final int LONGEST = 1 << 20;

  private final boolean transposed;
  private final boolean fromBelow;
  private final boolean fromRight;

  Orientation(boolean transposed, boolean fromBelow, boolean fromRight) {
    this.transposed = transposed;
    this.fromBelow = fromBelow;
    this.fromRight = fromRight;
  }

  /** Whether width and height are exchanged. */
  boolean isTransposed() {
    return transposed;
  }

  /**
   * Turns a channel as it is to be seen.
   *
   * @param values row-major, height · width
   */
  float[] upright(float[] values, int height, int width) {
    if (this == UPRIGHT) {
      return values;
    }
    int rows = transposed ? width : height;
    int columns = transposed ? height : width;
    float[] turned = new float[values.length];
    for (int y = 0; y < rows; y++) {
      for (int x = 0; x < columns; x++) {
        int fromY = fromBelow ? rows - 1 - y : y;
        int fromX = fromRight ? columns - 1 - x : x;
        turned[y * columns + x] =
            transposed ? values[fromX * width + fromY] : values[fromY * width + fromX];
      }
    }
    return turned;
  }

  /** The orientation of a file; upright if it says nothing that can be understood. */
  static Orientation of(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file);
        ImageInputStream stream = new MemoryCacheImageInputStream(in)) {
      return of(stream);
    } catch (IOException | RuntimeException e) {
      // The picture was read before: what is broken is what is said about it.
      return UPRIGHT;
    }
  }

  private static Orientation of(ImageInputStream in) throws IOException {
    long head = in.readLong();
    in.seek(0);
    if (head == PNG) {
      return ofTags(pngTags(in));
    }
    int first = (int) (head >>> 32);
    if (first == RIFF) {
      return ofTags(webpTags(in));
    }
    if (first == TIFF_LITTLE || first == TIFF_BIG) {
      return ofTags(in);
    }
    if (first >>> 16 == JPEG_START) {
      List<JPEGSegment> segments = JPEGSegmentUtil.readSegments(in, JPEG.APP1, "Exif");
      if (!segments.isEmpty()) {
        try (InputStream data = segments.get(0).data()) {
          data.skipNBytes(1); // the second zero after the name
          return ofTags(data.readNBytes(LONGEST));
        }
      }
    }
    return UPRIGHT;
  }

  private static byte[] pngTags(ImageInputStream in) throws IOException {
    in.seek(8);
    while (true) {
      long length = in.readUnsignedInt();
      int name = in.readInt();
      if (name == PNG_EXIF && length <= LONGEST) {
        byte[] tags = new byte[(int) length];
        in.readFully(tags);
        return tags;
      }
      if (name == PNG_END) {
        return new byte[0];
      }
      in.seek(in.getStreamPosition() + length + 4);
    }
  }

  private static byte[] webpTags(ImageInputStream in) throws IOException {
    in.seek(8);
    if (in.readInt() != WEBP) {
      return new byte[0];
    }
    while (true) {
      int name = in.readInt();
      in.setByteOrder(ByteOrder.LITTLE_ENDIAN);
      long length = in.readUnsignedInt();
      in.setByteOrder(ByteOrder.BIG_ENDIAN);
      if (name == WEBP_EXIF && length <= LONGEST) {
        byte[] tags = new byte[(int) length];
        in.readFully(tags);
        return tags;
      }
      in.seek(in.getStreamPosition() + length + length % 2);
    }
  }

  private static Orientation ofTags(byte[] tags) throws IOException {
    if (tags.length < 8) {
      return UPRIGHT;
    }
    int skipped = ByteBuffer.wrap(tags).getInt() == EXIF_NAME ? EXIF_NAME_BYTES : 0;
    try (ImageInputStream in =
        new MemoryCacheImageInputStream(
            new ByteArrayInputStream(tags, skipped, tags.length - skipped))) {
      return ofTags(in);
    }
  }

  private static Orientation ofTags(ImageInputStream in) throws IOException {
    Entry entry = new TIFFReader().read(in).getEntryById(TIFF.TAG_ORIENTATION);
    int number = entry != null && entry.getValue() instanceof Number value ? value.intValue() : 1;
    return number >= 1 && number <= values().length ? values()[number - 1] : UPRIGHT;
  }
}
