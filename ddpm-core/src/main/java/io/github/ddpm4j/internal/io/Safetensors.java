package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.GradMode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The safetensors file format: the length of a header (unsigned, 8 bytes, little-endian), a JSON
 * header with dtype, shape and place of every tensor, then the raw little-endian values.
 *
 * <p>Values go from the file into the engine's own memory and back, without a copy between.
 */
public final class Safetensors {

  private static final int LENGTH_BYTES = 8;
  private static final int ALIGNMENT = 8;
  private static final int PIECE_BYTES = 1 << 16;

  /** The types that are written. */
  private static final Map<DataType, String> NAMES =
      Map.of(
          DataType.FLOAT16, "F16",
          DataType.BFLOAT16, "BF16",
          DataType.FLOAT32, "F32",
          DataType.FLOAT64, "F64");

  /** Those that arrays of another one are written as. */
  private static final Set<DataType> WANTED =
      Set.of(DataType.FLOAT32, DataType.BFLOAT16, DataType.FLOAT16);

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
    byte[] header = header(tensors, metadata, null);
    WholeFile.write(file, out -> write(out, header, tensors, null));
  }

  /**
   * Writes tensors to a file, whole or not at all, all in one type. Values are rounded to the
   * nearest, ties to even.
   *
   * @param file the file; missing folders are made, an existing file is replaced
   * @param tensors float32 or float64 arrays by name; not closed
   * @param metadata words about the file
   * @param type FLOAT32, BFLOAT16 or FLOAT16
   * @throws IOException if writing fails; what was there before is still there
   * @throws IllegalArgumentException if a tensor or {@code type} is another, or a finite value
   *     would become infinite
   */
  public static void write(
      Path file, Map<String, NDArray> tensors, Map<String, String> metadata, DataType type)
      throws IOException {
    requireWritable(tensors, type);
    byte[] header = header(tensors, metadata, type);
    WholeFile.write(file, out -> write(out, header, tensors, type));
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
    write(out, header(tensors, metadata, null), tensors, null);
  }

  /**
   * Checks that tensors can be written in a type, before anything is.
   *
   * @param tensors float32 or float64 arrays by name
   * @param type FLOAT32, BFLOAT16 or FLOAT16
   * @throws IllegalArgumentException if a tensor or {@code type} is another, or a finite value
   *     would become infinite
   */
  public static void requireWritable(Map<String, NDArray> tensors, DataType type) {
    if (!WANTED.contains(type)) {
      throw new IllegalArgumentException(
          "tensors can be written as FLOAT32, BFLOAT16 or FLOAT16, but not as " + type);
    }
    tensors.forEach((name, tensor) -> stored(name, tensor, type));
    requireInRange(tensors, type);
  }

  /** The type in the file: that of the array unless another is wanted. */
  private static DataType stored(String name, NDArray tensor, @Nullable DataType wanted) {
    DataType type = tensor.getDataType();
    if (type != DataType.FLOAT32 && type != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          "tensor " + Quote.of(name) + " must be FLOAT32 or FLOAT64 to be written, but is " + type);
    }
    // Rounded twice, it would not be the nearest.
    if (type == DataType.FLOAT64 && wanted != null && wanted.getNumOfBytes() == Short.BYTES) {
      throw new IllegalArgumentException(
          "tensor "
              + Quote.of(name)
              + " must be FLOAT32 to be written as "
              + wanted
              + ", but is float64; convert it with toType before");
    }
    return wanted == null ? type : wanted;
  }

  private static byte[] header(
      Map<String, NDArray> tensors, Map<String, String> metadata, @Nullable DataType wanted) {
    JsonObject header = new JsonObject();
    if (!metadata.isEmpty()) {
      JsonObject words = new JsonObject();
      metadata.forEach(words::addProperty);
      header.add(SafetensorsHeader.METADATA, words);
    }
    long offset = 0;
    for (Map.Entry<String, NDArray> entry : tensors.entrySet()) {
      NDArray tensor = entry.getValue();
      DataType type = stored(entry.getKey(), tensor, wanted);
      long bytes = tensor.size() * type.getNumOfBytes();
      JsonObject description = new JsonObject();
      description.addProperty("dtype", NAMES.get(type));
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

  /** The least magnitude that a type rounds to infinity. */
  private static double limit(DataType type) {
    return switch (type) {
      case FLOAT16 -> 0x1.ffep15;
      case BFLOAT16 -> 0x1.ffp127;
      case FLOAT32 -> 0x1.ffffffp127;
      default -> Double.POSITIVE_INFINITY;
    };
  }

  private static void requireInRange(Map<String, NDArray> tensors, DataType type) {
    tensors.forEach(
        (name, tensor) -> {
          if (type.getNumOfBytes() < tensor.getDataType().getNumOfBytes()
              && overflows(tensor, limit(type))) {
            throw new IllegalArgumentException(
                "tensor "
                    + Quote.of(name)
                    + " holds values that are too large for "
                    + type
                    + " and would become infinite; write another type, such as FLOAT32");
          }
        });
  }

  private static boolean overflows(NDArray tensor, double limit) {
    if (tensor.isEmpty()) {
      return false;
    }
    try (GradMode off = GradMode.off();
        NDArray magnitude = tensor.abs();
        NDArray large = magnitude.gte(limit);
        NDArray infinite = tensor.isInfinite();
        NDArray overflowing = large.logicalXor(infinite);
        NDArray any = overflowing.any()) {
      return any.getBoolean();
    }
  }

  private static void write(
      OutputStream out, byte[] header, Map<String, NDArray> tensors, @Nullable DataType wanted)
      throws IOException {
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    out.write(length.putLong(header.length).array());
    out.write(header);
    for (NDArray tensor : tensors.values()) {
      if (wanted == null || wanted == tensor.getDataType()) {
        EngineMemory.write(tensor, out);
      } else if (wanted == DataType.BFLOAT16) {
        EngineMemory.show(tensor, values -> writeRounded(out, values.asFloatBuffer()));
      } else {
        try (NDArray converted = tensor.toType(wanted, true)) {
          EngineMemory.write(converted, out);
        }
      }
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
    try (SafetensorsReader reader = SafetensorsReader.open(file)) {
      return reader.readAll(manager);
    }
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
    try (SafetensorsReader reader = SafetensorsReader.open(file)) {
      return reader.header().words();
    }
  }

  private static void writeRounded(OutputStream out, FloatBuffer values) throws IOException {
    ByteBuffer piece =
        ByteBuffer.allocate(Math.min(values.remaining() * Short.BYTES, PIECE_BYTES))
            .order(ByteOrder.LITTLE_ENDIAN);
    while (values.hasRemaining()) {
      piece.clear();
      while (piece.hasRemaining() && values.hasRemaining()) {
        piece.putShort(TensorType.bfloat16(values.get()));
      }
      out.write(piece.array(), 0, piece.position());
    }
  }
}
