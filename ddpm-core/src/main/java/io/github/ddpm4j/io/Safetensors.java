package io.github.ddpm4j.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;

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

  /** Headers of published models are some 100 kB; this only guards against files of other kinds. */
  private static final long MAX_HEADER_BYTES = 100_000_000;

  private Safetensors() {}

  /**
   * Writes tensors to a file, replacing it if it exists.
   *
   * @param file the file
   * @param tensors float32 or float64 arrays by name; not closed
   * @param metadata words about the file
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a tensor has another type
   */
  public static void write(Path file, Map<String, NDArray> tensors, Map<String, String> metadata)
      throws IOException {
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
    byte[] json = text.toString().getBytes(StandardCharsets.UTF_8);
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      length.putLong(json.length).flip();
      writeAll(channel, length);
      writeAll(channel, ByteBuffer.wrap(json));
      for (NDArray tensor : tensors.values()) {
        writeAll(channel, tensor.toByteBuffer());
      }
      channel.force(true);
    }
  }

  /**
   * Reads every tensor of a file.
   *
   * @param file the file
   * @param manager owns the arrays that are returned
   * @return the tensors by name, in the order of the file's header
   * @throws IOException if reading fails, or the file is not what the format says, naming the file
   *     and what is wrong
   */
  public static Map<String, NDArray> read(Path file, NDManager manager) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      readAll(channel, length, file);
      long headerBytes = length.getLong(0);
      if (headerBytes < 2
          || headerBytes > MAX_HEADER_BYTES
          || headerBytes > channel.size() - LENGTH_BYTES) {
        throw new IOException(
            file + " is no safetensors file: its header would be " + headerBytes + " bytes long");
      }
      byte[] json = new byte[(int) headerBytes];
      readAll(channel, ByteBuffer.wrap(json), file);
      JsonObject header = parse(file, json);
      long dataStart = LENGTH_BYTES + headerBytes;
      Map<String, NDArray> tensors = new LinkedHashMap<>();
      for (Map.Entry<String, JsonElement> entry : header.entrySet()) {
        if (!entry.getKey().equals(METADATA)) {
          tensors.put(
              entry.getKey(),
              readTensor(file, channel, dataStart, entry.getKey(), entry.getValue(), manager));
        }
      }
      return tensors;
    }
  }

  private static JsonObject parse(Path file, byte[] json) throws IOException {
    try {
      return JsonParser.parseString(new String(json, StandardCharsets.UTF_8)).getAsJsonObject();
    } catch (JsonParseException | IllegalStateException e) {
      throw new IOException(file + " is no safetensors file: its header is no JSON object", e);
    }
  }

  private static NDArray readTensor(
      Path file,
      FileChannel channel,
      long dataStart,
      String name,
      JsonElement element,
      NDManager manager)
      throws IOException {
    DataType type;
    Shape shape;
    long start;
    long end;
    try {
      JsonObject description = element.getAsJsonObject();
      type = typeOf(description.get("dtype").getAsString());
      JsonArray sizes = description.getAsJsonArray("shape");
      long[] dimensions = new long[sizes.size()];
      for (int i = 0; i < dimensions.length; i++) {
        dimensions[i] = sizes.get(i).getAsLong();
      }
      shape = new Shape(dimensions);
      JsonArray offsets = description.getAsJsonArray("data_offsets");
      start = offsets.get(0).getAsLong();
      end = offsets.get(1).getAsLong();
    } catch (RuntimeException e) {
      throw new IOException(
          "tensor " + name + " of " + file + " is described wrongly: " + element, e);
    }
    long bytes = shape.size() * type.getNumOfBytes();
    if (start < 0 || end - start != bytes || bytes > Integer.MAX_VALUE) {
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
    ByteBuffer data = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
    channel.position(dataStart + start);
    readAll(channel, data, file);
    data.rewind();
    return manager.create(data, shape, type);
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

  private static DataType typeOf(String name) {
    return switch (name) {
      case "F32" -> DataType.FLOAT32;
      case "F64" -> DataType.FLOAT64;
      case "I64" -> DataType.INT64;
      case "I32" -> DataType.INT32;
      case "U8" -> DataType.UINT8;
      case "BOOL" -> DataType.BOOLEAN;
      default -> throw new IllegalArgumentException("dtype " + name + " is not supported");
    };
  }

  private static void writeAll(FileChannel channel, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
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
