package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What each image of a batch is conditioned on: a class, a vector, an image, or several of them.
 *
 * <pre>{@code
 * Condition digits = Condition.labels(0, 1, 2);
 * Condition enlarged = Condition.images(lowResolution).and(Condition.labels(3, 3, 7));
 * }</pre>
 *
 * <p>Each image has a condition of a {@link Kind} or lacks it. To a network that was built for the
 * kind, a label that is absent is a class of its own, the null class, whose embedding is learned
 * (Ho and Salimans 2022, "Classifier-Free Diffusion Guidance"); a vector or an image that is absent
 * is zeros.
 *
 * <p>Immutable. A condition borrows its arrays: they stay the caller's, who closes them after its
 * last use and does not write to them before. To select, join and drop copies none of them; {@link
 * #array} alone makes an array.
 */
public final class Condition {

  /** The label of an image that has none: {@value}. */
  public static final int ABSENT = -1;

  /** Labels that {@link #toString} shows. */
  private static final int SHOWN = 8;

  /** What an image can be conditioned on. */
  public enum Kind {
    /** A class, a number from 0. */
    LABELS("labels"),
    /** A vector, which the network embeds. */
    VECTORS("vectors"),
    /** An image of the same size, which the network sees beside the noisy one. */
    IMAGES("images"),
    /**
     * What the network took the clean image for one step before (Chen, Zhang and Hinton 2022,
     * "Analog Bits", section 3: self-conditioning). Training and sampling supply it.
     */
    PREVIOUS_X0("previous x̂_0");

    private final String text;

    Kind(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }
  }

  private static final Condition NONE = new Condition(0, new EnumMap<>(Kind.class));

  /** What one image has of a kind. */
  private sealed interface Entry permits Label, Row {}

  private record Label(int value) implements Entry {}

  /** One row of an array. */
  private record Row(NDArray source, int index) implements Entry {}

  /**
   * The conditions of one kind, with an entry per image, null where it is absent.
   *
   * @param shape the shape of one row; of a label, that of a scalar
   */
  private record Part(Shape shape, List<@Nullable Entry> entries) {

    Part map(IntPredicate keep) {
      List<@Nullable Entry> kept = new ArrayList<>();
      for (int i = 0; i < entries.size(); i++) {
        kept.add(keep.test(i) ? entries.get(i) : null);
      }
      return new Part(shape, kept);
    }

    Part select(int... rows) {
      List<@Nullable Entry> selected = new ArrayList<>();
      for (int row : rows) {
        selected.add(entries.get(row));
      }
      return new Part(shape, selected);
    }
  }

  private final int size;
  private final Map<Kind, Part> parts;

  private Condition(int size, Map<Kind, Part> parts) {
    this.size = size;
    this.parts = parts;
  }

  /**
   * No condition: that of an unconditional model, for any number of images.
   *
   * @return the one instance
   */
  public static Condition none() {
    return NONE;
  }

  /**
   * A class per image.
   *
   * @param perImage the classes, numbered from 0; {@link #ABSENT} for none
   * @return the condition of as many images
   * @throws IllegalArgumentException if there are no images, or a label is less than −1
   */
  public static Condition labels(int... perImage) {
    if (perImage.length == 0) {
      throw new IllegalArgumentException(
          "labels must be given for at least 1 image, but were for none; use Condition.none() for"
              + " no condition");
    }
    List<@Nullable Entry> entries = new ArrayList<>();
    for (int i = 0; i < perImage.length; i++) {
      if (perImage[i] < ABSENT) {
        throw new IllegalArgumentException(
            "labels must be at least 0, or Condition.ABSENT for none, but that of image "
                + i
                + " was "
                + perImage[i]);
      }
      entries.add(perImage[i] == ABSENT ? null : new Label(perImage[i]));
    }
    return of(Kind.LABELS, new Part(new Shape(), entries));
  }

  /**
   * Classes as datasets give them.
   *
   * @param classes one class per image as a whole number of any type, shape (N) or (N, 1); copied
   * @return a condition of N images
   * @throws IllegalArgumentException if the array has another shape, or a value is no whole number
   *     or less than {@value #ABSENT}
   */
  public static Condition labels(NDArray classes) {
    Shape shape = classes.getShape();
    if (shape.dimension() < 1
        || shape.dimension() > 2
        || shape.size() != shape.get(0)
        || shape.size() == 0) {
      throw new IllegalArgumentException(
          "labels must have the shape (N) or (N, 1), one class per image, but had " + shape);
    }
    double[] values;
    try (NDArray doubles = classes.toType(DataType.FLOAT64, true)) {
      values = doubles.toDoubleArray();
    }
    int[] rows = new int[values.length];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = (int) values[i];
      if (rows[i] != values[i]) {
        throw new IllegalArgumentException(
            "labels must be whole numbers, the classes, but that of image "
                + i
                + " was "
                + values[i]);
      }
    }
    return labels(rows);
  }

  /**
   * A vector per image.
   *
   * @param vectors float32, shape (N, D); borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has another shape or type
   */
  public static Condition vectors(NDArray vectors) {
    return rows(Kind.VECTORS, vectors, "(N, D)", 2);
  }

  /**
   * An image per image, of the height and width of the noisy images.
   *
   * @param images float32, shape (N, K, H, W); borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has another shape or type
   */
  public static Condition images(NDArray images) {
    return rows(Kind.IMAGES, images, "(N, K, H, W)", 4);
  }

  /**
   * What the network took the clean images for one step before.
   *
   * @param x0 x̂_0, float32, shape (N, C, H, W), that of the noisy images; borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has another shape or type
   */
  public static Condition previousX0(NDArray x0) {
    return rows(Kind.PREVIOUS_X0, x0, "(N, C, H, W)", 4);
  }

  private static Condition rows(Kind kind, NDArray array, String wanted, int dimensions) {
    Shape shape = array.getShape();
    if (array.getDataType() != DataType.FLOAT32
        || shape.dimension() != dimensions
        || shape.size() == 0) {
      throw new IllegalArgumentException(
          "the condition's "
              + kind
              + " must be float32 of the shape "
              + wanted
              + ", one row per image, but are "
              + array.getDataType().toString().toLowerCase(Locale.ROOT)
              + " of the shape "
              + shape);
    }
    List<@Nullable Entry> entries = new ArrayList<>();
    for (int i = 0; i < shape.get(0); i++) {
      entries.add(new Row(array, i));
    }
    return of(kind, new Part(shape.slice(1), entries));
  }

  private static Condition of(Kind kind, Part part) {
    Map<Kind, Part> parts = new EnumMap<>(Kind.class);
    parts.put(kind, part);
    return new Condition(part.entries.size(), parts);
  }

  private Condition map(int newSize, UnaryOperator<Part> change) {
    Map<Kind, Part> changed = new EnumMap<>(Kind.class);
    parts.forEach((kind, part) -> changed.put(kind, change.apply(part)));
    return new Condition(newSize, changed);
  }

  /**
   * This condition and another of the same images, of other kinds.
   *
   * @param other the other; {@link #none()} changes nothing
   * @return both
   * @throws IllegalArgumentException if the number of images differs, or both have a kind
   */
  public Condition and(Condition other) {
    if (isNone() || other.isNone()) {
      return isNone() ? other : this;
    }
    if (size != other.size) {
      throw new IllegalArgumentException(
          "conditions that are combined must be of the same images, but one is of "
              + size
              + " and the other of "
              + other.size);
    }
    Map<Kind, Part> both = new EnumMap<>(parts);
    other.parts.forEach(
        (kind, part) -> {
          if (both.put(kind, part) != null) {
            throw new IllegalArgumentException(
                "conditions that are combined must be of different kinds, but both have "
                    + kind
                    + "; use concat to join those of different images");
          }
        });
    return new Condition(size, both);
  }

  /**
   * The conditions of some of the images.
   *
   * @param rows the images by their index, in any order; an index may be repeated
   * @return the condition of as many images; of none, none
   * @throws IllegalArgumentException if there are no indices, or one is outside the batch
   */
  public Condition select(int... rows) {
    if (isNone()) {
      return this;
    }
    if (rows.length == 0) {
      throw new IllegalArgumentException("rows must name at least 1 image, but there were none");
    }
    for (int row : rows) {
      requireImage(row);
    }
    return map(rows.length, part -> part.select(rows));
  }

  /**
   * The same images without their conditions, which is the unconditional half of classifier-free
   * guidance: every label, vector and image is absent. What the network made itself, the previous
   * x̂_0, stays.
   *
   * @return a condition of the same size and kinds; of none, none
   */
  public Condition dropped() {
    return dropped(image -> true);
  }

  /**
   * The same images, some without their conditions.
   *
   * @param which the images whose labels, vectors and images become absent; asked once for each, so
   *     that it may draw
   * @return a condition of the same size and kinds; of none, none
   * @see #dropped()
   */
  public Condition dropped(IntPredicate which) {
    if (isNone()) {
      return this;
    }
    // asked once per image, so that it loses all of its conditions or none
    boolean[] drops = new boolean[size];
    for (int image = 0; image < size; image++) {
      drops[image] = which.test(image);
    }
    Map<Kind, Part> kept = new EnumMap<>(parts);
    kept.replaceAll(
        (kind, part) -> kind == Kind.PREVIOUS_X0 ? part : part.map(image -> !drops[image]));
    return new Condition(size, kept);
  }

  /**
   * Other images, which have nothing of the kinds that these have, the previous x̂_0 included: what
   * {@link #concat} takes in place of {@link #none()}.
   *
   * @param images how many, at least 1
   * @return a condition of so many images, of the same kinds; of none, none
   * @throws IllegalArgumentException if {@code images} is less than 1
   */
  public Condition absent(int images) {
    if (images < 1) {
      throw new IllegalArgumentException("images must be at least 1, but was " + images);
    }
    return isNone()
        ? this
        : map(images, part -> new Part(part.shape, Collections.nCopies(images, null)));
  }

  /**
   * The conditions of two batches, those of this one first. A kind that only one of them has is
   * absent in the images of the other.
   *
   * @param other the condition of the images that follow
   * @return the condition of all images; of none and none, none
   * @throws IllegalArgumentException if one of the two alone is none, whose number of images is not
   *     known, or rows of a kind differ in shape
   */
  public Condition concat(Condition other) {
    if (isNone() && other.isNone()) {
      return this;
    }
    if (isNone() || other.isNone()) {
      throw new IllegalArgumentException(
          "conditions that are joined must both know their number of images, but one was"
              + " Condition.none(); use absent(images) of the other");
    }
    Map<Kind, Part> joined = new EnumMap<>(Kind.class);
    for (Kind kind : Kind.values()) {
      Part first = parts.get(kind);
      Part second = other.parts.get(kind);
      Part known = first == null ? second : first;
      if (known == null) {
        continue;
      }
      if (first != null && second != null && !first.shape.equals(second.shape)) {
        throw new IllegalArgumentException(
            kind
                + " that are joined must have the same shape per image, but one has "
                + first.shape
                + " and the other "
                + second.shape);
      }
      List<@Nullable Entry> entries = new ArrayList<>();
      add(entries, first, size);
      add(entries, second, other.size);
      joined.put(kind, new Part(known.shape, entries));
    }
    return new Condition(size + other.size, joined);
  }

  private static void add(List<@Nullable Entry> entries, @Nullable Part part, int count) {
    for (int i = 0; i < count; i++) {
      entries.add(part == null ? null : part.entries.get(i));
    }
  }

  /**
   * Whether this is the condition of an unconditional model.
   *
   * @return true for {@link #none()} alone
   */
  public boolean isNone() {
    return parts.isEmpty();
  }

  /**
   * The number of images.
   *
   * @return the number, or empty for {@link #none()}
   */
  public OptionalInt size() {
    return isNone() ? OptionalInt.empty() : OptionalInt.of(size);
  }

  /**
   * Whether there are conditions of a kind, be they absent in every image.
   *
   * @param kind the kind
   * @return true if so
   */
  public boolean has(Kind kind) {
    return parts.containsKey(kind);
  }

  /**
   * Whether an image has a condition of a kind.
   *
   * @param kind the kind
   * @param image the index in the batch
   * @return false if it is absent
   * @throws IllegalArgumentException if the index is outside the batch
   */
  public boolean isPresent(Kind kind, int image) {
    requireImage(image);
    Part part = parts.get(kind);
    return part != null && part.entries.get(image) != null;
  }

  /**
   * The class of an image.
   *
   * @param image the index in the batch
   * @return the class, or empty if it is absent
   * @throws IllegalArgumentException if the index is outside the batch
   */
  public OptionalInt label(int image) {
    requireImage(image);
    Part part = parts.get(Kind.LABELS);
    return part != null && part.entries.get(image) instanceof Label label
        ? OptionalInt.of(label.value)
        : OptionalInt.empty();
  }

  /**
   * The shape of one vector or image.
   *
   * @param kind the kind
   * @return (D) or (K, H, W); of labels, that of a scalar
   * @throws IllegalArgumentException if there are none of the kind
   */
  public Shape shape(Kind kind) {
    return part(kind).shape;
  }

  /**
   * The vectors or images of a kind as one array, in which absent ones are zeros.
   *
   * @param kind the kind, another than {@link Kind#LABELS}
   * @param manager owns the array that is returned, on its device
   * @return a new array, float32, shape (N, D) or (N, K, H, W)
   * @throws IllegalArgumentException if there are none of the kind, or it is {@link Kind#LABELS}
   */
  public NDArray array(Kind kind, NDManager manager) {
    if (kind == Kind.LABELS) {
      throw new IllegalArgumentException("labels have no array; ask for each by label(image)");
    }
    Part part = part(kind);
    try (NDList pieces = new NDList()) {
      for (int i = 0; i < size; ) {
        int end = i + 1;
        while (end < size && follows(part.entries.get(i), part.entries.get(end), end - i)) {
          end++;
        }
        pieces.add(piece(part, i, end, manager));
        i = end;
      }
      NDArray whole = pieces.size() == 1 ? pieces.head().duplicate() : NDArrays.concat(pieces, 0);
      whole.attach(manager);
      return whole;
    }
  }

  /** Whether an entry lies {@code distance} rows behind another, or both are absent. */
  private static boolean follows(@Nullable Entry first, @Nullable Entry other, int distance) {
    if (first instanceof Row start && other instanceof Row row) {
      return row.source == start.source && row.index == start.index + distance;
    }
    return first == null && other == null;
  }

  private static NDArray piece(Part part, int from, int to, NDManager manager) {
    if (part.entries.get(from) instanceof Row row) {
      NDArray rows =
          row.source.get(new NDIndex("{}:{}", (long) row.index, (long) row.index + to - from));
      if (rows.getDevice().equals(manager.getDevice())) {
        return rows;
      }
      try (NDArray elsewhere = rows) {
        return elsewhere.toDevice(manager.getDevice(), true);
      }
    }
    return manager.zeros(new Shape(to - from).addAll(part.shape));
  }

  private Part part(Kind kind) {
    Part part = parts.get(kind);
    if (part == null) {
      throw new IllegalArgumentException("the condition has no " + kind + ": it is " + this);
    }
    return part;
  }

  private void requireImage(int image) {
    if (image < 0 || image >= size) {
      throw new IllegalArgumentException(
          "image must be between 0 and " + (size - 1) + ", but was " + image);
    }
  }

  @Override
  public String toString() {
    if (isNone()) {
      return "Condition.none()";
    }
    return parts.entrySet().stream()
        .map(entry -> text(entry.getKey(), entry.getValue()))
        .collect(Collectors.joining(" and ", "Condition of " + size + " images by ", ""));
  }

  private static String text(Kind kind, Part part) {
    if (kind != Kind.LABELS) {
      return kind + " " + part.shape;
    }
    int more = part.entries.size() - SHOWN;
    return part.entries.stream()
        .limit(SHOWN)
        .map(entry -> entry instanceof Label label ? "" + label.value : "-")
        .collect(
            Collectors.joining(", ", kind + " [", more > 0 ? ", … and " + more + " more]" : "]"));
  }
}
