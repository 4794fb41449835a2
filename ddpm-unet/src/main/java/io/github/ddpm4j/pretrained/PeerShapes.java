package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The shapes of another library's weights, before any value is read. */
record PeerShapes(Map<String, Shape> shapes, String where) {

  /** Of a source that holds nothing else; {@code where} is how messages name it. */
  static PeerShapes of(TensorSource source, String where) {
    return new PeerShapes(
        source.tensors().entrySet().stream()
            .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().shape())),
        where);
  }

  Set<String> names() {
    return shapes.keySet();
  }

  boolean has(String name) {
    return shapes.containsKey(name);
  }

  /** The number of axes. */
  int axes(String name) throws IOException {
    return shape(name).dimension();
  }

  private Shape shape(String name) throws IOException {
    Shape shape = shapes.get(name);
    if (shape == null) {
      throw new IOException(where + " lacks " + name + ", which such a network has");
    }
    return shape;
  }

  /** The length of an axis. */
  int size(String name, int axis) throws IOException {
    Shape shape = shape(name);
    if (axis >= shape.dimension() || shape.get(axis) > Integer.MAX_VALUE) {
      throw new IOException(
          where + ": " + name + " has the shape " + shape + ", which such a network does not have");
    }
    return (int) shape.get(axis);
  }

  /** The number of indexes from 0 on that some name begins with. */
  int count(IntFunction<String> prefix) {
    return IntStream.iterate(0, i -> i + 1)
        .filter(i -> !any(prefix.apply(i)))
        .findFirst()
        .orElse(0);
  }

  /** Whether a name begins so. */
  boolean any(String prefix) {
    return shapes.keySet().stream().anyMatch(name -> name.startsWith(prefix));
  }
}
