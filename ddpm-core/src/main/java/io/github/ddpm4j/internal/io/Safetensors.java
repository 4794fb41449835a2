package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;

/**
 * The safetensors file format: the length of a header (unsigned, 8 bytes, little-endian), a JSON
 * header with dtype, shape and place of every tensor, then the raw little-endian values.
 *
 * <p>Tensors are read and written one after the other, so the memory needed beyond the tensors
 * themselves is that of the largest one.
 */
public final class Safetensors {

  private static final int LENGTH_BYTES = 8;
  private static final int ALIGNMENT = 8;
  private static final int PIECE_BYTES = 1 << 16;

  private Safetensors() {}

  /**
   * Writes tensors to a file, whole or not at all.
   *
   * @param file the file; missing folders are made, an existing file is replaced
   * @param tensors float32 or float64 arrays by name; not closed
   * @param metadata words about the file
   * @throws IOException if writing fails; what was there before is still there
   * @throws IllegalArgumentException if a tensor has another type
   */
  public static void write(Path file, Map<String, NDArray> tensors, Map<String, String> metadata)
      throws IOException {
    byte[] header = header(tensors, metadata);
    WholeFile.write(file, out -> write(out, header, tensors));
  }

  /**
   * Writes tensors to a stream.
   *
   * @param out where to; not closed
   * @param tensors float32 or float64 arrays by name; not closed
   * @param metadata words about the tensors
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a tensor has another type
   */
  public static void write(
      OutputStream out, Map<String, NDArray> tensors, Map<String, String> metadata)
      throws IOException {
    write(out, header(tensors, metadata), tensors);
  }

  private static byte[] header(Map<String, NDArray> tensors, Map<String, String> metadata) {
    JsonObject header = new JsonObject();
    if (!metadata.isEmpty()) {
      JsonObject words = new JsonObject();
      metadata.forEach(words::addProperty);
      header.add(SafetensorsHeader.METADATA, words);
    }
    long offset = 0;
    for (Map.Entry<String, NDArray> entry : tensors.entrySet()) {
      NDArray tensor = entry.getValue();
      long bytes = tensor.size() * tensor.getDataType().getNumOfBytes();
      JsonObject description = new JsonObject();
      description.addProperty("dtype", nameOf(entry.getKey(), tensor.getDataType()));
      JsonArray shape = new JsonArray();
      for (long size : tensor.getShape().getShape()) {
        shape.add(size);
      }
      description.add("shape", shape);
      JsonArray offsets = new JsonArray();
      offsets.add(offset);
      offsets.add(offset + bytes);
      description.add("data_offsets", offsets);
      header.add(entry.getKey(), description);
      offset += bytes;
    }
    StringBuilder text = new StringBuilder(header.toString());
    while (text.toString().getBytes(StandardCharsets.UTF_8).length % ALIGNMENT != 0) {
      text.append(' ');
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static void write(OutputStream out, byte[] header, Map<String, NDArray> tensors)
      throws IOException {
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    out.write(length.putLong(header.length).array());
    out.write(header);
    for (NDArray tensor : tensors.values()) {
      write(out, tensor);
    }
  }

  /** Out of the engine's own memory, where the values lie there in order. */
  private static void write(OutputStream out, NDArray tensor) throws IOException {
    if (tensor.size() == 0) {
      return;
    }
    // What else is needed is attached to the manager of the view.
    try (NDManager temporary = tensor.getManager().newSubManager();
        NDArray view = tensor.reshape(tensor.getShape())) {
      view.attach(temporary);
      writeAll(out, view.toByteBuffer(true));
    }
  }

  /**
   * Reads every tensor of a file. What the header says is checked against the size of the file
   * before any memory is taken.
   *
   * @param file the file
   * @param manager owns the arrays that are returned
   * @return the tensors by name, in the order of the file's header
   * @throws IOException if reading fails, or the file is not what the format says, naming the file
   *     and what is wrong
   */
  public static Map<String, NDArray> read(Path file, NDManager manager) throws IOException {
    return reading(file, channel -> readTensors(file, channel, contents(file, channel), manager));
  }

  /**
   * Reads the words about a file's tensors.
   *
   * @param file the file
   * @return the words by name, in the order of the file's header; empty if there are none
   * @throws IOException if reading fails, or the file is not what the format says, naming the file
   *     and what is wrong
   */
  public static Map<String, String> metadata(Path file) throws IOException {
    return reading(file, channel -> contents(file, channel).header.words());
  }

  /**
   * Reads a file into arrays that are there, without a second copy of them in memory. Nothing is
   * written before all of the header is known to fit.
   *
   * @param file the file, which must hold exactly these tensors
   * @param weights the arrays by name; no gradients may be recorded meanwhile
   * @throws IOException if reading fails, or the file is not what the format says or holds other
   *     tensors, naming the file and what is wrong
   */
  static void readInto(Path file, Map<String, NDArray> weights) throws IOException {
    reading(file, channel -> readInto(file, channel, weights));
  }

  private static Map<String, NDArray> readInto(
      Path file, FileChannel channel, Map<String, NDArray> weights) throws IOException {
    Contents contents = contents(file, channel);
    requireFit(file, contents.header.entries(), weights);
    ByteBuffer memory = contents.memory();
    for (SafetensorsHeader.Entry entry : contents.header.entries()) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name()), entry.name());
      try (NDArray value = view(file, channel, contents, entry, memory, weight.getManager())) {
        // Into the weight's own memory; copyTo would point the weight at memory of Java.
        weight.set(new NDIndex("..."), value);
      }
    }
    return weights;
  }

  /** What is made of a file. */
  @FunctionalInterface
  private interface Reading<T> {
    T of(FileChannel channel) throws IOException;
  }

  /** On an interrupted thread as on any other. */
  private static <T> T reading(Path file, Reading<T> reading) throws IOException {
    return Uninterrupted.run(
        () -> {
          try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return reading.of(channel);
          }
        });
  }

  private static void requireFit(
      Path file, List<SafetensorsHeader.Entry> entries, Map<String, NDArray> weights)
      throws IOException {
    TreeSet<String> missing = new TreeSet<>(weights.keySet());
    TreeSet<String> unused = new TreeSet<>();
    for (SafetensorsHeader.Entry entry : entries) {
      if (!missing.remove(entry.name())) {
        unused.add(entry.name());
      }
    }
    if (!missing.isEmpty() || !unused.isEmpty()) {
      throw new IOException(
          file
              + " does not fit the network: missing "
              + Quote.of(missing)
              + ", unused "
              + Quote.of(unused));
    }
    for (SafetensorsHeader.Entry entry : entries) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name()), entry.name());
      if (!entry.shape().equals(weight.getShape()) || entry.type() != weight.getDataType()) {
        throw new IOException(
            SafetensorsHeader.about(file, entry.name())
                + " must be "
                + weight.getShape()
                + " of "
                + weight.getDataType()
                + ", but is "
                + entry.shape()
                + " of "
                + entry.type());
      }
    }
  }

  /** The header of a file, which was found to be right, and where the tensors begin. */
  private record Contents(SafetensorsHeader header, long dataStart) {
    /** As much as the largest tensor takes. */
    ByteBuffer memory() {
      return ByteBuffer.allocateDirect(header.mostBytes());
    }
  }

  private static Contents contents(Path file, FileChannel channel) throws IOException {
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readAll(channel, length, file);
    long headerBytes = length.getLong(0);
    if (headerBytes < 2 || headerBytes > channel.size() - LENGTH_BYTES) {
      throw new IOException(
          file
              + " is no safetensors file, or is cut off: its header would be "
              + Long.toUnsignedString(headerBytes)
              + " bytes long");
    }
    long dataStart = LENGTH_BYTES + headerBytes;
    long dataBytes = channel.size() - dataStart;
    InputStream in = new Part(channel, headerBytes);
    return new Contents(SafetensorsHeader.read(file, in, headerBytes, dataBytes), dataStart);
  }

  /** The next bytes of a channel. */
  private static final class Part extends InputStream {

    private final FileChannel channel;
    private long left;

    Part(FileChannel channel, long bytes) {
      this.channel = channel;
      this.left = bytes;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int count = channel.read(ByteBuffer.wrap(target, offset, (int) Math.min(length, left)));
      left -= Math.max(0, count);
      return count;
    }
  }

  private static Map<String, NDArray> readTensors(
      Path file, FileChannel channel, Contents contents, NDManager manager) throws IOException {
    ByteBuffer memory = contents.memory();
    Map<String, NDArray> tensors = new LinkedHashMap<>();
    boolean done = false;
    try {
      for (SafetensorsHeader.Entry entry : contents.header.entries()) {
        try (NDArray value = view(file, channel, contents, entry, memory, manager)) {
          tensors.put(entry.name(), value.duplicate());
        }
      }
      done = true;
      return tensors;
    } finally {
      if (!done) {
        tensors.values().forEach(NDArray::close);
      }
    }
  }

  /** A tensor that lies in {@code memory} until the next is read: copy it. */
  private static NDArray view(
      Path file,
      FileChannel channel,
      Contents contents,
      SafetensorsHeader.Entry entry,
      ByteBuffer memory,
      NDManager manager)
      throws IOException {
    ByteBuffer data = memory.slice(0, entry.bytes()).order(ByteOrder.nativeOrder());
    channel.position(contents.dataStart + entry.start());
    readAll(channel, data, file);
    data.rewind();
    return manager.create(data, entry.shape(), entry.type());
  }

  private static String nameOf(String tensor, DataType type) {
    return switch (type) {
      case FLOAT32 -> "F32";
      case FLOAT64 -> "F64";
      default ->
          throw new IllegalArgumentException(
              "tensor " + tensor + " must be FLOAT32 or FLOAT64 to be written, but is " + type);
    };
  }

  private static void writeAll(OutputStream out, ByteBuffer buffer) throws IOException {
    byte[] piece = new byte[Math.min(buffer.remaining(), PIECE_BYTES)];
    while (buffer.hasRemaining()) {
      int length = Math.min(buffer.remaining(), piece.length);
      buffer.get(piece, 0, length);
      out.write(piece, 0, length);
    }
  }

  private static void readAll(FileChannel channel, ByteBuffer buffer, Path file)
      throws IOException {
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException(file + " ends too early: it is cut off or no safetensors file");
      }
    }
  }
}
