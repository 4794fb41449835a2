package io.github.ddpm4j.internal.io;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.Program;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Arrays over a file that is mapped into memory by libtorch ({@code torch.from_file}), once for
 * each type. The mapping ends with the last of its arrays. One of Java would end when the garbage
 * collector finds it, could be no longer than 2 GB, and would have to be kept beside the arrays.
 *
 * <p>It is private: pages that nobody writes to are shared with all who map the file, and what is
 * written to an array by mistake neither reaches the file nor ends the process.
 */
final class FileMapping {

  private static final String MAP = "map";

  /** What TorchScript calls the types that are mapped. */
  private static final Map<TensorType, Integer> CODES =
      Map.of(TensorType.F16, 5, TensorType.F32, 6, TensorType.BF16, 15);

  /** A tensor: where its values begin in the file, and the shape of the array. */
  record Place(String name, TensorType type, long start, Shape shape) {

    /** Whether it can be an array as it lies in the file. */
    boolean isMappable() {
      return CODES.containsKey(type)
          && start % type.bytes() == 0
          && shape.size() > 0
          && ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
    }
  }

  private FileMapping() {}

  /**
   * Maps a file.
   *
   * @param file the file
   * @param bytes its size
   * @param places tensors that {@linkplain Place#isMappable can be mapped}
   * @param manager owns the arrays, on the CPU
   * @return the arrays by name
   * @throws IOException if the file cannot be mapped, saying why
   */
  static Map<String, MappedTensor> map(Path file, long bytes, List<Place> places, NDManager manager)
      throws IOException {
    if (file.getFileSystem() != FileSystems.getDefault()) {
      throw new IOException(file + " cannot be mapped: it is no file of the system's own");
    }
    if (places.isEmpty()) {
      return Map.of();
    }
    NDList arrays;
    try (Program program = Program.compile(code(file, places));
        NDArray size = manager.create(bytes)) {
      arrays = program.call(MAP, size, List.of());
    } catch (EngineException e) {
      throw new IOException(file + " cannot be mapped: " + reason(e), e);
    }
    Map<String, MappedTensor> mapped = new LinkedHashMap<>();
    for (int i = 0; i < places.size(); i++) {
      Place place = places.get(i);
      mapped.put(place.name(), new MappedTensor(arrays.get(i), place.type().inFile()));
    }
    return mapped;
  }

  /** The file's size is an argument, so that the mapping is no constant of the program. */
  private static String code(Path file, List<Place> places) {
    StringBuilder code = new StringBuilder("  def map(self, size: Tensor) -> List[Tensor]:\n");
    code.append("    n = int(torch.item(size))\n");
    Map<TensorType, String> files = new TreeMap<>();
    List<String> names = new ArrayList<>();
    for (Place place : places) {
      TensorType type = place.type();
      if (!files.containsKey(type)) {
        files.put(type, "file" + files.size());
        code.append(
            String.format(
                Locale.ROOT,
                "    %s = torch.from_file(\"%s\", False, n // %d, dtype=%d)\n",
                files.get(type),
                literal(file),
                type.bytes(),
                CODES.get(type)));
      }
      String name = "t" + names.size();
      names.add(name);
      long first = place.start() / type.bytes();
      code.append(
          String.format(
              Locale.ROOT,
              "    %s = torch.reshape(torch.slice(%s, 0, %d, %d), %s)\n",
              name,
              files.get(type),
              first,
              first + place.shape().size(),
              Arrays.toString(place.shape().getShape())));
    }
    return code.append("    return [").append(String.join(", ", names)).append("]\n").toString();
  }

  /** The bytes by which the system knows the file, each as an escape. */
  private static String literal(Path file) {
    boolean windows = System.getProperty("os.name", "").startsWith("Windows");
    String name = System.getProperty("sun.jnu.encoding");
    // On Windows libtorch takes UTF-8, whatever the system has.
    Charset charset = windows || name == null ? StandardCharsets.UTF_8 : Charset.forName(name);
    StringBuilder literal = new StringBuilder();
    for (byte value : file.toAbsolutePath().toString().getBytes(charset)) {
      literal.append(String.format(Locale.ROOT, "\\%03o", Byte.toUnsignedInt(value)));
    }
    return literal.toString();
  }

  /** What libtorch says, without where in the program it happened. */
  private static String reason(EngineException e) {
    String message = String.valueOf(e.getMessage());
    String last = "RuntimeError: ";
    int at = message.lastIndexOf(last);
    return (at < 0 ? message : message.substring(at + last.length())).strip();
  }
}
