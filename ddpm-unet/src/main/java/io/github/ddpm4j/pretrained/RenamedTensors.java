package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** Some tensors of another source, under other names. */
final class RenamedTensors implements TensorSource {

  private final TensorSource whole;
  private final Map<String, String> names;
  private final Map<String, TensorInfo> tensors;

  /** {@code names} are those in the other source, by the new ones. */
  RenamedTensors(TensorSource whole, Map<String, String> names) {
    this.whole = whole;
    this.names = Map.copyOf(names);
    Map<String, TensorInfo> all = new LinkedHashMap<>();
    names.forEach((name, other) -> all.put(name, whole.info(other)));
    tensors = Collections.unmodifiableMap(all);
  }

  private String there(String name) {
    return names.getOrDefault(name, name);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  @Override
  public Map<String, Object> metadata() {
    return whole.metadata();
  }

  @Override
  public NDArray read(String name, NDManager manager) throws IOException {
    return whole.read(there(name), manager);
  }

  @Override
  public void readInto(String name, NDArray target) throws IOException {
    whole.readInto(there(name), target);
  }

  @Override
  public Map<String, MappedTensor> map(Map<String, Shape> shapes, NDManager manager)
      throws IOException {
    Map<String, Shape> others = new LinkedHashMap<>();
    shapes.forEach((name, shape) -> others.put(there(name), shape));
    Map<String, MappedTensor> theirs = whole.map(others, manager);
    Map<String, MappedTensor> mapped = new LinkedHashMap<>();
    for (String name : shapes.keySet()) {
      MappedTensor tensor = theirs.get(there(name));
      if (tensor != null) {
        mapped.put(name, tensor);
      }
    }
    return mapped;
  }

  @Override
  public String about(String name) {
    return whole.about(there(name));
  }

  @Override
  public void close() throws IOException {
    whole.close();
  }
}
