package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
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

  private static final String METADATA = "__metadata__";
  private static final int LENGTH_BYTES = 8;
  private static final int ALIGNMENT = 8;
  private static final int PIECE_BYTES = 1 << 16;

  /** Headers of published models are some 100 kB; this only guards against files of other kinds. */
  private static final long MAX_HEADER_BYTES = 100_000_000;

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
      header.add(METADATA, words);
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
    return reading(file, channel -> metadata(file, contents(file, channel).header));
  }

  private static Map<String, String> metadata(Path file, JsonObject header) throws IOException {
    Map<String, String> words = new LinkedHashMap<>();
    JsonElement metadata = header.get(METADATA);
    if (metadata != null) {
      try {
        metadata
            .getAsJsonObject()
            .entrySet()
            .forEach(word -> words.put(word.getKey(), word.getValue().getAsString()));
      } catch (IllegalStateException | UnsupportedOperationException e) {
        throw new IOException(
            METADATA + " of " + file + " must map words to words: " + metadata, e);
      }
    }
    return words;
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
    requireFit(file, contents.entries, weights);
    ByteBuffer memory = contents.memory();
    for (Entry entry : contents.entries) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name), entry.name);
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

  private static void requireFit(Path file, List<Entry> entries, Map<String, NDArray> weights)
      throws IOException {
    TreeSet<String> missing = new TreeSet<>(weights.keySet());
    TreeSet<String> unused = new TreeSet<>();
    for (Entry entry : entries) {
      if (!missing.remove(entry.name)) {
        unused.add(entry.name);
      }
    }
    if (!missing.isEmpty() || !unused.isEmpty()) {
      throw new IOException(
          file + " does not fit the network: missing " + missing + ", unused " + unused);
    }
    for (Entry entry : entries) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name), entry.name);
      if (!entry.shape.equals(weight.getShape()) || entry.type != weight.getDataType()) {
        throw new IOException(
            "tensor "
                + entry.name
                + " of "
                + file
                + " must be "
                + weight.getShape()
                + " of "
                + weight.getDataType()
                + ", but is "
                + entry.shape
                + " of "
                + entry.type);
      }
    }
  }

  /** The tensors of a file, whose header was found to be right, and where they begin. */
  private record Contents(JsonObject header, List<Entry> entries, long dataStart) {
    /** As much as the largest tensor takes. */
    ByteBuffer memory() {
      return ByteBuffer.allocateDirect(
          (int) entries.stream().mapToLong(entry -> entry.end - entry.start).max().orElse(0));
    }
  }

  private static Contents contents(Path file, FileChannel channel) throws IOException {
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readAll(channel, length, file);
    long headerBytes = length.getLong(0);
    if (headerBytes < 2
        || headerBytes > MAX_HEADER_BYTES
        || headerBytes > channel.size() - LENGTH_BYTES) {
      throw new IOException(
          file
              + " is no safetensors file, or is cut off: its header would be "
              + Long.toUnsignedString(headerBytes)
              + " bytes long");
    }
    byte[] json = new byte[(int) headerBytes];
    readAll(channel, ByteBuffer.wrap(json), file);
    long dataStart = LENGTH_BYTES + headerBytes;
    JsonObject header = parse(file, json);
    List<Entry> entries = entries(file, header);
    requireWhole(file, entries, channel.size() - dataStart);
    return new Contents(header, entries, dataStart);
  }

  /** What the header says about one tensor; bytes are counted from the end of the header. */
  private record Entry(String name, DataType type, Shape shape, long start, long end) {}

  private static JsonObject parse(Path file, byte[] json) throws IOException {
    try {
      return JsonParser.parseString(new String(json, StandardCharsets.UTF_8)).getAsJsonObject();
    } catch (JsonParseException | IllegalStateException e) {
      throw new IOException(file + " is no safetensors file: its header is no JSON object", e);
    }
  }

  private static List<Entry> entries(Path file, JsonObject header) throws IOException {
    List<Entry> entries = new ArrayList<>();
    for (Map.Entry<String, JsonElement> entry : header.entrySet()) {
      if (!entry.getKey().equals(METADATA)) {
        entries.add(entry(file, entry.getKey(), entry.getValue()));
      }
    }
    return entries;
  }

  private static Entry entry(Path file, String name, JsonElement element) throws IOException {
    String typeName;
    Shape shape;
    long elements = 1;
    long start;
    long end;
    try {
      JsonObject description = element.getAsJsonObject();
      typeName = description.get("dtype").getAsString();
      JsonArray sizes = description.getAsJsonArray("shape");
      long[] dimensions = new long[sizes.size()];
      for (int i = 0; i < dimensions.length; i++) {
        dimensions[i] = sizes.get(i).getAsLong();
        if (dimensions[i] < 0) {
          throw new IllegalArgumentException("dimension " + i + " is " + dimensions[i]);
        }
        elements = Math.multiplyExact(elements, dimensions[i]);
      }
      shape = new Shape(dimensions);
      JsonArray offsets = description.getAsJsonArray("data_offsets");
      start = offsets.get(0).getAsLong();
      end = offsets.get(1).getAsLong();
    } catch (RuntimeException e) {
      throw new IOException(
          "tensor " + name + " of " + file + " is described wrongly: " + element, e);
    }
    DataType type = typeOf(file, name, typeName);
    if (elements > Integer.MAX_VALUE / type.getNumOfBytes()) {
      throw new IOException(
          "tensor " + name + " of " + file + " must take less than 2 GB, but is " + shape);
    }
    long bytes = elements * type.getNumOfBytes();
    if (start < 0 || end != start + bytes) {
      throw new IOException(
          "tensor "
              + name
              + " of "
              + file
              + " should take "
              + bytes
              + " bytes for "
              + shape
              + " of "
              + type
              + ", but lies from "
              + start
              + " to "
              + end);
    }
    return new Entry(name, type, shape, start, end);
  }

  /** The format has neither gaps nor overlaps, so tensors take no more memory than the file. */
  private static void requireWhole(Path file, List<Entry> entries, long dataBytes)
      throws IOException {
    long end = 0;
    List<Entry> sorted = new ArrayList<>(entries);
    sorted.sort(Comparator.comparingLong(Entry::start).thenComparingLong(Entry::end));
    for (Entry entry : sorted) {
      if (entry.start != end) {
        throw new IOException(
            "tensor "
                + entry.name
                + " of "
                + file
                + " should begin at "
                + end
                + ", where the one before it ends, but lies from "
                + entry.start
                + " to "
                + entry.end);
      }
      end = entry.end;
    }
    if (end != dataBytes) {
      throw new IOException(
          file
              + " should hold "
              + end
              + " bytes of tensors, but holds "
              + dataBytes
              + (end > dataBytes ? "; it is cut off" : ""));
    }
  }

  private static Map<String, NDArray> readTensors(
      Path file, FileChannel channel, Contents contents, NDManager manager) throws IOException {
    ByteBuffer memory = contents.memory();
    Map<String, NDArray> tensors = new LinkedHashMap<>();
    boolean done = false;
    try {
      for (Entry entry : contents.entries) {
        try (NDArray value = view(file, channel, contents, entry, memory, manager)) {
          tensors.put(entry.name, value.duplicate());
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
      Entry entry,
      ByteBuffer memory,
      NDManager manager)
      throws IOException {
    ByteBuffer data =
        memory.slice(0, (int) (entry.end - entry.start)).order(ByteOrder.nativeOrder());
    channel.position(contents.dataStart + entry.start);
    readAll(channel, data, file);
    data.rewind();
    return manager.create(data, entry.shape, entry.type);
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

  private static DataType typeOf(Path file, String tensor, String name) throws IOException {
    return switch (name) {
      case "F32" -> DataType.FLOAT32;
      case "F64" -> DataType.FLOAT64;
      case "I64" -> DataType.INT64;
      case "I32" -> DataType.INT32;
      case "U8" -> DataType.UINT8;
      case "BOOL" -> DataType.BOOLEAN;
      default ->
          throw new IOException(
              "tensor "
                  + tensor
                  + " of "
                  + file
                  + " must have a dtype of F32, F64, I64, I32, U8 and BOOL to be read, but has "
                  + name
                  + "; convert the file");
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
