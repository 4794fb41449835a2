package io.github.ddpm4j.unet.internal.peers;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.torch.GradMode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Which weights of another library are which of ours, in both directions. A table has every weight
 * of a network of ours once.
 */
public final class NameTable {

  /** How many names a message has. */
  private static final int MOST_NAMES = 8;

  /**
   * Weights that belong together: usually one of ours and one of theirs.
   *
   * @param own the names of ours
   * @param peer the names of theirs
   * @param transform how the ones become the others
   */
  public record Line(List<String> own, List<String> peer, Transform transform) {

    /**
     * One weight of theirs for one of ours.
     *
     * @param own the name of ours
     * @param peer the name of theirs
     * @param transform how the one becomes the other
     * @return the line
     */
    public static Line of(String own, String peer, Transform transform) {
      return new Line(List.of(own), List.of(peer), transform);
    }

    /**
     * A layer that is none of the blocks', and the same but for its name.
     *
     * @param own the name of a weight of ours
     * @param modules their names of such layers by ours
     * @param library what messages call the library
     * @return the line
     * @throws IllegalArgumentException if it is another layer
     */
    public static Line outside(String own, Map<String, String> modules, String library) {
      int dot = own.lastIndexOf('.');
      String module = modules.get(own.substring(0, dot));
      if (module == null) {
        throw unknown(own, library);
      }
      return of(own, module + own.substring(dot), Transform.copy());
    }

    /**
     * A complaint about a weight of ours.
     *
     * @param own its name
     * @param library what messages call the library
     * @return the complaint
     */
    public static IllegalArgumentException unknown(String own, String library) {
      return new IllegalArgumentException(
          "networks of " + library + " have no " + own + "; save the model otherwise");
    }

    List<Shape> peerShapes(Map<String, Shape> shapes) {
      return transform.peerShapes().apply(own.stream().map(name -> shape(shapes, name)).toList());
    }

    private static Shape shape(Map<String, Shape> shapes, String name) {
      return Objects.requireNonNull(shapes.get(name), name);
    }
  }

  private final List<Line> lines = new ArrayList<>();
  private final Map<String, Shape> shapes;

  private NameTable(Map<String, Shape> shapes) {
    this.shapes = shapes;
  }

  /**
   * Makes a table.
   *
   * @param shapes the weights of ours
   * @param line the line of a weight, asked for the first weight of each
   * @return the table
   */
  public static NameTable of(Map<String, Shape> shapes, Function<String, Line> line) {
    NameTable table = new NameTable(shapes);
    Set<String> covered = new HashSet<>();
    for (String name : shapes.keySet()) {
      if (!covered.contains(name)) {
        Line next = line.apply(name);
        covered.addAll(next.own());
        table.lines.add(next);
      }
    }
    return table;
  }

  /**
   * The shapes of all weights in the other library.
   *
   * @return them, by their names there
   */
  public Map<String, Shape> peerShapes() {
    Map<String, Shape> all = new LinkedHashMap<>();
    for (Line line : lines) {
      List<Shape> own = line.peerShapes(shapes);
      for (int i = 0; i < own.size(); i++) {
        all.put(line.peer().get(i), own.get(i));
      }
    }
    return all;
  }

  /**
   * Checks that a source holds these weights, in these shapes, and nothing else of a network.
   *
   * @param source theirs
   * @param where how messages name it
   * @param known whether a name that is not in the table is known and means nothing
   * @throws IOException if not, naming what is missing, not known or of another shape
   */
  public void require(TensorSource source, String where, Predicate<String> known)
      throws IOException {
    Map<String, Shape> wanted = peerShapes();
    List<String> missing =
        wanted.keySet().stream().filter(name -> !source.tensors().containsKey(name)).toList();
    List<String> unknown =
        source.tensors().keySet().stream()
            .filter(name -> !wanted.containsKey(name) && !known.test(name))
            .toList();
    if (!missing.isEmpty() || !unknown.isEmpty()) {
      List<String> parts = new ArrayList<>();
      if (!missing.isEmpty()) {
        parts.add("missing (" + missing.size() + "): " + some(missing));
      }
      if (!unknown.isEmpty()) {
        parts.add("not known (" + unknown.size() + "): " + some(unknown));
      }
      throw new IOException(
          where + " does not have the weights of this network; " + String.join("; ", parts));
    }
    for (Map.Entry<String, Shape> entry : wanted.entrySet()) {
      TensorInfo info = source.info(entry.getKey());
      if (info.isReadable() && !same(info.shape(), entry.getValue())) {
        throw new IOException(
            source.about(entry.getKey())
                + " must have the shape "
                + entry.getValue()
                + " in this network, but has "
                + info.shape());
      }
    }
  }

  private static String some(List<String> names) {
    int more = names.size() - MOST_NAMES;
    return String.join(", ", names.subList(0, Math.min(MOST_NAMES, names.size())))
        + (more > 0 ? " and " + more + " more" : "");
  }

  /**
   * Whether shapes are the same but for axes of length 1 at their ends.
   *
   * @param one a shape
   * @param other another
   * @return whether they are
   */
  public static boolean same(Shape one, Shape other) {
    return Arrays.equals(trimmed(one), trimmed(other));
  }

  private static long[] trimmed(Shape shape) {
    long[] sizes = shape.getShape();
    int length = sizes.length;
    while (length > 0 && sizes[length - 1] == 1) {
      length--;
    }
    return Arrays.copyOf(sizes, length);
  }

  /**
   * Reads weights, line by line.
   *
   * @param source theirs, which {@link #require} accepted
   * @param weights ours, into which they are written
   * @throws IOException if reading fails
   */
  public void read(TensorSource source, Map<String, NDArray> weights) throws IOException {
    read(source, name -> Objects.requireNonNull(weights.get(name), name), (name, weight) -> {});
  }

  /**
   * Reads weights, line by line.
   *
   * @param source theirs, which {@link #require} accepted
   * @param weights gives the array of a weight of ours, float32, into which it is written; asked
   *     once for each, when it is about to be read
   * @param done gets each of them when it is there, before the next line is read
   * @throws IOException if reading fails
   */
  public void read(
      TensorSource source, Function<String, NDArray> weights, BiConsumer<String, NDArray> done)
      throws IOException {
    try (GradMode off = GradMode.off()) {
      for (Line line : lines) {
        List<NDArray> own = line.own().stream().map(weights).toList();
        read(source, line, own);
        for (int i = 0; i < own.size(); i++) {
          done.accept(line.own().get(i), own.get(i));
        }
      }
    }
  }

  private void read(TensorSource source, Line line, List<NDArray> targets) throws IOException {
    NDArray first = targets.get(0);
    String only = line.peer().get(0);
    if (line.transform().isCopy() && source.info(only).shape().equals(first.getShape())) {
      source.readInto(only, first);
      return;
    }
    List<Shape> expected = line.peerShapes(shapes);
    try (NDManager temporary = first.getManager().newSubManager()) {
      NDList peers = new NDList();
      for (int i = 0; i < expected.size(); i++) {
        NDArray values = source.readFloat32(line.peer().get(i), temporary);
        peers.add(values.reshape(expected.get(i)));
      }
      NDList own = line.transform().toOwn().apply(peers);
      for (int i = 0; i < own.size(); i++) {
        NDArray target = targets.get(i);
        target.set(new NDIndex("..."), own.get(i).reshape(target.getShape()));
      }
    }
  }

  /**
   * The weights under their names and in their shapes.
   *
   * @param weights ours
   * @param manager owns the arrays that are returned
   * @return theirs by name
   */
  public Map<String, NDArray> write(Map<String, NDArray> weights, NDManager manager) {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (GradMode off = GradMode.off()) {
      for (Line line : lines) {
        NDList own = new NDList();
        for (String name : line.own()) {
          NDArray copy = Objects.requireNonNull(weights.get(name), name).duplicate();
          copy.attach(manager);
          own.add(copy);
        }
        NDList peers = line.transform().toPeer().apply(own);
        for (int i = 0; i < peers.size(); i++) {
          all.put(line.peer().get(i), peers.get(i));
        }
      }
    }
    return all;
  }

  /**
   * Maps those weights that lie in a file as they are here.
   *
   * @param source theirs, which {@link #require} accepted
   * @param wanted whether a weight of ours is to be mapped
   * @param manager owns the arrays, on the CPU
   * @return ours by name; the others are to be read, by the table {@link #without} these
   * @throws IOException if mapping fails, or files of this kind cannot be mapped
   */
  public Map<String, MappedTensor> map(
      TensorSource source, Predicate<String> wanted, NDManager manager) throws IOException {
    Map<String, String> names = new LinkedHashMap<>();
    Map<String, Shape> theirs = new LinkedHashMap<>();
    for (Line line : lines) {
      String own = line.own().get(0);
      if (line.transform().isCopy() && wanted.test(own)) {
        names.put(own, line.peer().get(0));
        theirs.put(line.peer().get(0), Line.shape(shapes, own));
      }
    }
    Map<String, MappedTensor> there = source.map(theirs, manager);
    Map<String, MappedTensor> mapped = new LinkedHashMap<>();
    names.forEach(
        (own, peer) -> {
          MappedTensor tensor = there.get(peer);
          if (tensor != null) {
            mapped.put(own, tensor);
          }
        });
    return mapped;
  }

  /**
   * A table of fewer weights.
   *
   * @param own the names of ours that it is not to have; of those that belong together, all
   * @return the table
   */
  public NameTable without(Set<String> own) {
    NameTable table = new NameTable(shapes);
    lines.stream().filter(line -> !own.containsAll(line.own())).forEach(table.lines::add);
    return table;
  }

  /**
   * How many weights of theirs go through each transform.
   *
   * @return the numbers by the names of transforms
   */
  public Map<String, Integer> transforms() {
    Map<String, Integer> counts = new TreeMap<>();
    lines.forEach(line -> counts.merge(line.transform().name(), line.peer().size(), Integer::sum));
    return Collections.unmodifiableMap(counts);
  }
}
