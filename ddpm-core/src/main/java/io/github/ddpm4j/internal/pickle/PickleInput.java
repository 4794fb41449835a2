package io.github.ddpm4j.internal.pickle;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;

/** The bytes of pickles, one after the other. No length in them is believed beyond their end. */
public final class PickleInput {

  static final int MOST_DIMENSIONS = 32;

  /** Names of classes and keys are shorter by far. */
  private static final int LONGEST_LINE = 1000;

  private final InputStream in;
  private final long size;
  private final ByteBuffer small = ByteBuffer.allocate(Long.BYTES);
  private long position;

  /**
   * An input.
   *
   * @param in the bytes; buffered, not closed
   * @param size how many there are
   */
  public PickleInput(InputStream in, long size) {
    this.in = in;
    this.size = size;
  }

  /**
   * How far it is read.
   *
   * @return the number of bytes
   */
  public long position() {
    return position;
  }

  int unsignedByte() throws IOException {
    int value = in.read();
    if (value < 0) {
      throw cutOff();
    }
    position++;
    return value;
  }

  /** A number of 1 to 8 bytes, little-endian; unsigned if it has fewer than 8. */
  long number(int bytes) throws IOException {
    small.clear().order(ByteOrder.LITTLE_ENDIAN).putLong(0, 0);
    fill(small.array(), bytes);
    return small.getLong(0);
  }

  double bigEndianDouble() throws IOException {
    fill(small.array(), Double.BYTES);
    return small.order(ByteOrder.BIG_ENDIAN).getDouble(0);
  }

  byte[] bytes(long count) throws IOException {
    byte[] bytes = new byte[Math.toIntExact(within(count))];
    fill(bytes, bytes.length);
    return bytes;
  }

  String text(long bytes, Charset charset) throws IOException {
    if (bytes > Integer.MAX_VALUE - Long.BYTES) {
      throw new PickleException("has a text of " + bytes + " bytes");
    }
    return decode(ByteBuffer.wrap(bytes(bytes)), charset);
  }

  void skip(long count) throws IOException {
    long left = within(count);
    while (left > 0) {
      long skipped = in.skip(left);
      if (skipped <= 0) {
        unsignedByte();
        left--;
      } else {
        position += skipped;
        left -= skipped;
      }
    }
  }

  String line() throws IOException {
    ByteBuffer line = ByteBuffer.allocate(LONGEST_LINE);
    for (int next = unsignedByte(); next != '\n'; next = unsignedByte()) {
      if (!line.hasRemaining()) {
        throw new PickleException("has a name of more than " + LONGEST_LINE + " bytes");
      }
      line.put((byte) next);
    }
    return decode(line.flip(), StandardCharsets.UTF_8);
  }

  private static String decode(ByteBuffer bytes, Charset charset) throws PickleException {
    try {
      return charset.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new PickleException("has a text that is not in " + charset);
    }
  }

  private long within(long count) throws IOException {
    if (count < 0 || count > size - position) {
      throw cutOff();
    }
    return count;
  }

  private void fill(byte[] target, int count) throws IOException {
    if (in.readNBytes(target, 0, (int) within(count)) < count) {
      throw cutOff();
    }
    position += count;
  }

  private static EOFException cutOff() {
    return new EOFException("is cut off, or says of a value that it is longer than the file");
  }
}
