package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** The tensors of another source whose names begin with a prefix, without it. */
final class PrefixedTensors implements TensorSource {

  private final TensorSource whole;
  private final String prefix;
  private final Map<String, TensorInfo> tensors;
  private final Map<String, Object> metadata;

  PrefixedTensors(TensorSource whole, String prefix) {
    this(whole, prefix, whole.tensors(), whole.metadata());
  }

  /** Of a source that holds more than it lists. */
  PrefixedTensors(
      TensorSource whole,
      String prefix,
      Map<String, TensorInfo> tensors,
      Map<String, Object> metadata) {
    this.whole = whole;
    this.prefix = prefix;
    this.tensors = below(tensors, prefix);
    this.metadata = below(metadata, prefix);
  }

  private static <T> Map<String, T> below(Map<String, T> all, String prefix) {
    Map<String, T> some = new LinkedHashMap<>();
    all.forEach(
        (name, value) -> {
          if (name.startsWith(prefix) && name.length() > prefix.length()) {
            some.put(name.substring(prefix.length()), value);
          }
        });
    return Collections.unmodifiableMap(some);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  @Override
  public TensorInfo info(String name) {
    return whole.info(prefix + name);
  }

  @Override
  public Map<String, Object> metadata() {
    return metadata;
  }

  @Override
  public NDArray read(String name, NDManager manager) throws IOException {
    return whole.read(prefix + name, manager);
  }

  @Override
  public void readInto(String name, NDArray target) throws IOException {
    whole.readInto(prefix + name, target);
  }

  @Override
  public Map<String, MappedTensor> map(Map<String, Shape> shapes, NDManager manager)
      throws IOException {
    Map<String, Shape> longer = new LinkedHashMap<>();
    shapes.forEach((name, shape) -> longer.put(prefix + name, shape));
    return below(whole.map(longer, manager), prefix);
  }

  @Override
  public String about(String name) {
    return whole.about(prefix + name);
  }

  @Override
  public void close() throws IOException {
    whole.close();
  }
}
