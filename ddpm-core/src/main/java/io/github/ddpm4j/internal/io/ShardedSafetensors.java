package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.description.Quote;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Tensors in several safetensors files beside an index, {@code *.safetensors.index.json}, whose
 * {@code weight_map} says which file holds which. Index and files must agree in both directions.
 */
final class ShardedSafetensors implements TensorSource {

  /** How the name of an index ends. */
  static final String SUFFIX = ".safetensors.index.json";

  private static final long MAX_INDEX_BYTES = 32 << 20;
  private static final int MOST_FILES = 1000;
  private static final String MAP = "weight_map";
  private static final String METADATA = "metadata";

  /** A name in the folder of the index, on any system. */
  private static final Pattern FILE_NAME = Pattern.compile("[^/\\\\:\\p{Cntrl}]+\\.safetensors");

  private final Path index;
  private final Map<String, SafetensorsReader> files = new LinkedHashMap<>();
  private final Map<String, SafetensorsReader> places = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, Object> metadata = new LinkedHashMap<>();

  private ShardedSafetensors(Path index) {
    this.index = index;
  }

  /**
   * Opens an index and its files.
   *
   * @param index the index
   * @return the tensors of all files, in the order of the index
   * @throws IOException if reading fails, a file is missing, or they do not agree, naming the file
   *     and what is wrong
   */
  static ShardedSafetensors open(Path index) throws IOException {
    ShardedSafetensors sharded = new ShardedSafetensors(index);
    boolean done = false;
    try {
      sharded.read();
      done = true;
      return sharded;
    } finally {
      if (!done) {
        sharded.close();
      }
    }
  }

  private void read() throws IOException {
    Map<String, @Nullable Object> json = parse();
    if (!(json.get(MAP) instanceof Map<?, ?> map)) {
      throw new IOException(
          index + " is no index of safetensors files: it has no object \"" + MAP + "\"");
    }
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      String tensor = String.valueOf(entry.getKey());
      SafetensorsReader file = file(tensor, entry.getValue());
      TensorInfo info = file.tensors().get(tensor);
      if (info == null) {
        throw new IOException(
            index
                + " says that tensor "
                + Quote.of(tensor)
                + " is in "
                + file.file()
                + ", but it is not; get the files again, of one model");
      }
      tensors.put(tensor, info);
      places.put(tensor, file);
    }
    for (SafetensorsReader file : files.values()) {
      for (String tensor : file.tensors().keySet()) {
        if (places.get(tensor) != file) {
          throw new IOException(
              file.about(tensor)
                  + " is not what "
                  + index
                  + " lists; get the files again, of one model");
        }
      }
    }
    if (json.get(METADATA) instanceof Map<?, ?> words) {
      words.forEach(
          (name, value) -> {
            if (value != null) {
              metadata.put(String.valueOf(name), value);
            }
          });
    }
  }

  private Map<String, @Nullable Object> parse() throws IOException {
    long bytes = Files.size(index);
    if (bytes > MAX_INDEX_BYTES) {
      throw new IOException(
          index + " has " + bytes + " bytes, but an index has at most " + MAX_INDEX_BYTES);
    }
    try (InputStream in = Files.newInputStream(index)) {
      return StrictJson.map(in);
    } catch (StrictJson.Malformed e) {
      throw new IOException(index + " " + e.getMessage(), e);
    }
  }

  private SafetensorsReader file(String tensor, @Nullable Object name) throws IOException {
    if (!(name instanceof String text) || !FILE_NAME.matcher(text).matches()) {
      throw new IOException(
          index
              + " must say for each tensor the name of a safetensors file beside it, but says for "
              + Quote.of(tensor)
              + " "
              + Quote.of(name));
    }
    SafetensorsReader open = files.get(text);
    if (open != null) {
      return open;
    }
    if (files.size() == MOST_FILES) {
      throw new IOException(index + " names more than " + MOST_FILES + " files");
    }
    Path path = index.resolveSibling(text);
    if (!Files.isRegularFile(path)) {
      throw new NoSuchFileException(
          path.toString(),
          null,
          "a file that " + index + " names is missing; get all of its files");
    }
    open = SafetensorsReader.open(path);
    files.put(text, open);
    return open;
  }

  private SafetensorsReader of(String name) {
    SafetensorsReader file = places.get(name);
    if (file == null) {
      throw TensorSources.unknown(this, name);
    }
    return file;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  @Override
  public Map<String, Object> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  @Override
  public NDArray read(String name, NDManager manager) throws IOException {
    return of(name).read(name, manager);
  }

  @Override
  public void readInto(String name, NDArray target) throws IOException {
    of(name).readInto(name, target);
  }

  @Override
  public Map<String, MappedTensor> map(Map<String, Shape> shapes, NDManager manager)
      throws IOException {
    Map<SafetensorsReader, Map<String, Shape>> parts = new LinkedHashMap<>();
    shapes.forEach(
        (name, shape) ->
            parts.computeIfAbsent(of(name), file -> new LinkedHashMap<>()).put(name, shape));
    Map<String, MappedTensor> mapped = new LinkedHashMap<>();
    boolean done = false;
    try {
      for (Map.Entry<SafetensorsReader, Map<String, Shape>> part : parts.entrySet()) {
        mapped.putAll(part.getKey().map(part.getValue(), manager));
      }
      done = true;
      return mapped;
    } finally {
      if (!done) {
        mapped.values().forEach(tensor -> tensor.array().close());
      }
    }
  }

  @Override
  public String about(String name) {
    return SafetensorsHeader.about(index, name);
  }

  @Override
  public void close() throws IOException {
    IOException failure = null;
    for (SafetensorsReader file : files.values()) {
      try {
        file.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
