package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An array as NumPy saves it (NEP 1): {@code \x93NUMPY}, a version, the length of a header (2 bytes
 * in version 1, 4 from version 2 on, little-endian), the header, and the values.
 *
 * <p>Types that the engine lacks are widened: 16 bits to int32, uint32 to int64.
 */
public final class NumpyFile {

  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

  private static final Pattern HEADER =
      Pattern.compile(
          "\\{\\s*'descr':\\s*(.*?)\\s*,\\s*'fortran_order':\\s*(True|False)\\s*,"
              + "\\s*'shape':\\s*\\(([0-9, ]*)\\)\\s*,?\\s*}\\s*");

  private static final Pattern SIMPLE = Pattern.compile("'([<>|=])([a-zA-Z])([0-9]{1,8})'");

  private static final int LONGEST_HEADER = 1 << 20;

  /** Values begin at a multiple of it. */
  private static final int ALIGNMENT = 64;

  private NumpyFile() {}

  /** How values lie in the file, and what they become. */
  private record Type(char kind, int bytes, boolean big, DataType type) {

    static Type of(String descr, String name) throws IOException {
      Matcher simple = SIMPLE.matcher(descr);
      if (!simple.matches()) {
        throw refused(name, descr);
      }
      char kind = simple.group(2).charAt(0);
      int bytes = Integer.parseInt(simple.group(3));
      DataType type = array(kind + simple.group(3));
      if (type == DataType.UNKNOWN) {
        throw refused(name, descr);
      }
      return new Type(kind, bytes, simple.group(1).equals(">"), type);
    }

    /** What values become; UNKNOWN if they cannot. */
    private static DataType array(String kind) {
      return switch (kind) {
        case "b1" -> DataType.BOOLEAN;
        case "i1" -> DataType.INT8;
        case "u1" -> DataType.UINT8;
        case "i2", "u2", "i4" -> DataType.INT32;
        case "u4", "i8" -> DataType.INT64;
        case "f2" -> DataType.FLOAT16;
        case "f4" -> DataType.FLOAT32;
        case "f8" -> DataType.FLOAT64;
        default -> DataType.UNKNOWN;
      };
    }

    private static IOException refused(String name, String descr) {
      return new IOException(
          name
              + " must hold bool, integers of up to 64 bits (not uint64) or floats of up to 64"
              + " bits, but holds "
              + (descr.contains("'|O'")
                  ? "Python objects"
                  : descr.startsWith("[") ? "records " + descr : descr)
              + "; convert it by array.astype(numpy.float32) and save it again");
    }
  }

  /** What is written before the values. */
  private record Header(String descr, boolean fortran, Shape shape) {}

  /**
   * Reads an array.
   *
   * @param in what holds it, and nothing behind it
   * @param name how messages name it
   * @param manager owns the array that is returned
   * @return the values, in the usual order
   * @throws IOException if reading fails, it is no such array, it holds more or less than its
   *     header says, or values that are not read
   */
  public static NDArray read(InputStream in, String name, NDManager manager) throws IOException {
    Header header = header(in, name);
    Type type = Type.of(header.descr, name);
    return values(in, name, type, header.fortran, header.shape.getShape(), manager);
  }

  /**
   * Reads what an array is, and none of its values.
   *
   * @param in what holds it
   * @param name how messages name it
   * @return shape and type
   * @throws IOException if reading fails, or it is no such array
   */
  static TensorInfo info(InputStream in, String name) throws IOException {
    Header header = header(in, name);
    Matcher simple = SIMPLE.matcher(header.descr);
    DataType type =
        simple.matches() ? Type.array(simple.group(2) + simple.group(3)) : DataType.UNKNOWN;
    return new TensorInfo(header.shape, type, header.descr);
  }

  private static Header header(InputStream in, String name) throws IOException {
    byte[] head = exactly(in, MAGIC.length + 2, name);
    if (!Arrays.equals(head, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      throw new IOException(name + " is no array of NumPy: it does not begin with \\x93NUMPY");
    }
    int version = head[MAGIC.length];
    if (version < 1 || version > 3) {
      throw new IOException(
          name + " must be of version 1, 2 or 3 of the format, but is of " + version);
    }
    ByteBuffer length =
        ByteBuffer.wrap(exactly(in, version == 1 ? 2 : 4, name)).order(ByteOrder.LITTLE_ENDIAN);
    long headerBytes =
        version == 1
            ? Short.toUnsignedInt(length.getShort())
            : Integer.toUnsignedLong(length.getInt());
    if (headerBytes > LONGEST_HEADER) {
      throw new IOException(name + " is damaged: its header would have " + headerBytes + " bytes");
    }
    String header =
        new String(exactly(in, (int) headerBytes, name), StandardCharsets.UTF_8).strip();
    Matcher parts = HEADER.matcher(header);
    if (!parts.matches()) {
      throw new IOException(name + " has a header that is not NumPy's: " + header);
    }
    try {
      return new Header(
          parts.group(1), parts.group(2).equals("True"), new Shape(shape(parts.group(3))));
    } catch (NumberFormatException e) {
      throw new IOException(name + " is damaged: its shape is (" + parts.group(3) + ")", e);
    }
  }

  /**
   * Writes an array.
   *
   * @param out where to; not closed
   * @param array float32; not closed
   * @throws IOException if writing fails
   */
  static void write(OutputStream out, NDArray array) throws IOException {
    StringBuilder shape = new StringBuilder();
    for (long axis : array.getShape().getShape()) {
      shape.append(axis).append(", ");
    }
    StringBuilder header = new StringBuilder("{'descr': '<f4', 'fortran_order': False, 'shape': (");
    header.append(shape.toString().stripTrailing()).append("), }");
    int before = MAGIC.length + 2 + Short.BYTES;
    while ((before + header.length() + 1) % ALIGNMENT != 0) {
      header.append(' ');
    }
    byte[] text = header.append('\n').toString().getBytes(StandardCharsets.US_ASCII);
    out.write(MAGIC);
    out.write(new byte[] {1, 0, (byte) text.length, (byte) (text.length >> Byte.SIZE)});
    out.write(text);
    EngineMemory.write(array, out);
  }

  private static long[] shape(String text) {
    return Arrays.stream(text.split(","))
        .map(String::strip)
        .filter(one -> !one.isEmpty())
        .mapToLong(Long::parseLong)
        .toArray();
  }

  private static NDArray values(
      InputStream in, String name, Type type, boolean fortran, long[] shape, NDManager manager)
      throws IOException {
    int wide = type.type.getNumOfBytes();
    long count = count(shape);
    if (count > Integer.MAX_VALUE / Math.max(wide, type.bytes)) {
      throw new IOException(
          name + " must take less than 2 GB, but has shape " + new Shape(shape) + "; split it");
    }
    ByteBuffer from = ByteBuffer.wrap(exactly(in, (int) count * type.bytes, name));
    if (in.read() >= 0) {
      throw new IOException(name + " has more bytes than its header says");
    }
    from.order(type.big ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    ByteBuffer values =
        ByteBuffer.allocateDirect((int) count * wide).order(ByteOrder.nativeOrder());
    while (from.hasRemaining()) {
      copy(from, type, values);
    }
    values.rewind();
    Shape axes = new Shape(fortran ? reversed(shape) : shape);
    // The array lies in the buffer: what is handed over must not.
    try (NDArray view = manager.create(values, axes, type.type)) {
      if (!fortran || shape.length < 2) {
        return view.duplicate();
      }
      try (NDArray turned = view.transpose()) {
        return contiguous(turned);
      }
    }
  }

  /** The number of values, or one that is too large. */
  private static long count(long... shape) {
    long count = 1;
    for (long axis : shape) {
      if (axis == 0) {
        return 0;
      }
      count = count > Integer.MAX_VALUE / axis ? Integer.MAX_VALUE : count * axis;
    }
    return count;
  }

  /** A copy in the usual order. */
  private static NDArray contiguous(NDArray turned) {
    try (NDArray flat = turned.flatten();
        NDArray shaped = flat.reshape(turned.getShape())) {
      return shaped.duplicate();
    }
  }

  private static void copy(ByteBuffer from, Type type, ByteBuffer to) {
    switch (type.bytes) {
      case 1 -> to.put(from.get());
      case 2 -> {
        short value = from.getShort();
        if (type.kind == 'f') {
          to.putShort(value);
        } else {
          to.putInt(type.kind == 'u' ? Short.toUnsignedInt(value) : value);
        }
      }
      case 4 -> {
        int value = from.getInt();
        if (type.kind == 'u') {
          to.putLong(Integer.toUnsignedLong(value));
        } else {
          to.putInt(value);
        }
      }
      default -> to.putLong(from.getLong());
    }
  }

  private static long[] reversed(long[] shape) {
    long[] other = new long[shape.length];
    for (int i = 0; i < other.length; i++) {
      other[i] = shape[shape.length - 1 - i];
    }
    return other;
  }

  private static byte[] exactly(InputStream in, int count, String name) throws IOException {
    byte[] bytes;
    try {
      bytes = in.readNBytes(count);
    } catch (EOFException e) {
      throw new IOException(name + " is cut off; copy it again", e);
    }
    if (bytes.length < count) {
      throw new IOException(name + " is cut off; copy it again");
    }
    return bytes;
  }
}
