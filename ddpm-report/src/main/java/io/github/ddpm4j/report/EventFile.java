package io.github.ddpm4j.report;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A file of events for TensorBoard: records of TFRecord, each an {@code Event} of
 * tensorflow/core/util/event.proto, written by hand.
 *
 * <pre>
 *   record: length (uint64), mask(crc(length)), bytes, mask(crc(bytes));  little-endian
 *   mask(c) = ((c &gt;&gt;&gt; 15) | (c &lt;&lt; 17)) + 0xa282ead8;  crc is CRC-32C
 *   Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5;
 *     SessionLog session_log = 7; }
 *   Summary { repeated Value value = 1; }   Value { string tag = 1; float simple_value = 2; Image image = 4; }
 *   Image { int32 height = 1; width = 2; colorspace = 3; bytes encoded_image_string = 4; }
 *   SessionLog { SessionStatus status = 1; }   START = 1
 * </pre>
 */
final class EventFile implements AutoCloseable {

  private static final String VERSION = "brain.Event:2";
  private static final int MASK_DELTA = 0xa282ead8;
  private static final int RGB = 3;
  private static final int SESSION_START = 1;

  private final OutputStream out;

  private EventFile(OutputStream out) {
    this.out = out;
  }

  /**
   * Begins a file, of a name that no other one has.
   *
   * @param folder where it lies; made if it is missing
   * @param wallTime the time in seconds since 1970
   */
  static EventFile create(Path folder, double wallTime) throws IOException {
    Files.createDirectories(folder);
    for (int number = 0; ; number++) {
      String name =
          String.format(
              Locale.ROOT, "events.out.tfevents.%010d.ddpm4j.%d", (long) wallTime, number);
      try {
        EventFile file = new EventFile(open(folder.resolve(name)));
        Message version = new Message().number(1, wallTime);
        file.record(version.bytes(3, VERSION.getBytes(StandardCharsets.UTF_8)));
        return file;
      } catch (FileAlreadyExistsException e) {
        if (number == Integer.MAX_VALUE) {
          throw e;
        }
      }
    }
  }

  private static OutputStream open(Path file) throws IOException {
    return new BufferedOutputStream(Files.newOutputStream(file, StandardOpenOption.CREATE_NEW));
  }

  /** Says that a run goes on: what files before this one have from a step on is not shown. */
  void resumeAt(double wallTime, long step) throws IOException {
    Message log = new Message().number(1, SESSION_START);
    record(new Message().number(1, wallTime).number(2, step).bytes(7, log.toBytes()));
  }

  /** Writes numbers by tag. */
  void numbers(double wallTime, long step, Map<String, Double> values) throws IOException {
    Message summary = new Message();
    values.forEach(
        (tag, value) -> summary.bytes(1, tagged(tag).number(2, value.floatValue()).toBytes()));
    summary(wallTime, step, summary);
  }

  /** Writes a picture. */
  void picture(double wallTime, long step, String tag, int width, int height, byte[] png)
      throws IOException {
    Message image = new Message().number(1, height).number(2, width).number(3, RGB).bytes(4, png);
    summary(
        wallTime, step, new Message().bytes(1, tagged(tag).bytes(4, image.toBytes()).toBytes()));
  }

  private static Message tagged(String tag) {
    return new Message().bytes(1, tag.getBytes(StandardCharsets.UTF_8));
  }

  private void summary(double wallTime, long step, Message summary) throws IOException {
    record(new Message().number(1, wallTime).number(2, step).bytes(5, summary.toBytes()));
  }

  private void record(Message event) throws IOException {
    byte[] bytes = event.toBytes();
    byte[] length = little(Long.BYTES).putLong(bytes.length).array();
    out.write(length);
    out.write(little(Integer.BYTES).putInt(maskedChecksum(length)).array());
    out.write(bytes);
    out.write(little(Integer.BYTES).putInt(maskedChecksum(bytes)).array());
  }

  /** Brings what was written to the file. */
  void flush() throws IOException {
    out.flush();
  }

  @Override
  public void close() throws IOException {
    out.close();
  }

  private static ByteBuffer little(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int maskedChecksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    int value = (int) crc.getValue();
    return ((value >>> 15) | (value << 17)) + MASK_DELTA;
  }

  /** A message of protocol buffers: fields with their number and kind before them. */
  private static final class Message {

    private static final int VARINT = 0;
    private static final int DOUBLE = 1;
    private static final int BYTES = 2;
    private static final int FLOAT = 5;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private Message field(int number, int kind) {
      return varint(((long) number << 3) | kind);
    }

    private Message varint(long value) {
      long left = value;
      while ((left & ~0x7fL) != 0) {
        out.write((int) ((left & 0x7f) | 0x80));
        left >>>= 7;
      }
      out.write((int) left);
      return this;
    }

    Message number(int field, double value) {
      field(field, DOUBLE).out.writeBytes(little(Double.BYTES).putDouble(value).array());
      return this;
    }

    Message number(int field, float value) {
      field(field, FLOAT).out.writeBytes(little(Float.BYTES).putFloat(value).array());
      return this;
    }

    Message number(int field, long value) {
      return field(field, VARINT).varint(value);
    }

    Message number(int field, int value) {
      return number(field, (long) value);
    }

    Message bytes(int field, byte[] value) {
      field(field, BYTES).varint(value.length).out.writeBytes(value);
      return this;
    }

    byte[] toBytes() {
      return out.toByteArray();
    }
  }
}
