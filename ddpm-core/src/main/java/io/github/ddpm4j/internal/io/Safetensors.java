package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

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
    return reading(file, reader -> reader.tensors(manager));
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
    return reading(file, reader -> reader.header().words());
  }

  /** What is made of a file. */
  @FunctionalInterface
  private interface Reading<T> {
    T of(SafetensorsReader reader) throws IOException;
  }

  /** On an interrupted thread as on any other. */
  private static <T> T reading(Path file, Reading<T> reading) throws IOException {
    return Uninterrupted.run(
        () -> {
          try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            return reading.of(reader);
          }
        });
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
}
