package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Given;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The conditioning of each image in a batch: a class label, a vector, an image, a context such as
 * an encoded text, or several of these.
 *
 * <pre>{@code
 * Condition digits = Condition.labels(0, 1, 2);
 * Condition enlarged = Condition.images(lowResolution).and(Condition.labels(3, 3, 7));
 * }</pre>
 *
 * <p>For each {@link Kind}, an image's condition is either present or absent. A network built for
 * the kind treats an absent label as an extra class, the null class, with a learned embedding (Ho
 * and Salimans 2022, "Classifier-Free Diffusion Guidance"); an absent vector or image is all zeros.
 * A context cannot be absent where a network takes one: what stands for none is the encoded empty
 * text, or a text to stay away from, which is given beside it ({@link #contexts(NDArray,
 * NDArray)}).
 *
 * <p>Immutable. A condition borrows its arrays: the caller owns them, must not modify them while
 * the condition is in use, and closes them afterwards. Selecting, concatenating and dropping do not
 * copy arrays; only {@link #array} creates one.
 */
public final class Condition {

  /** The label of an image without a class: {@value}. */
  public static final int ABSENT = -1;

  /** Labels that {@link #toString} shows. */
  private static final int SHOWN = 8;

  /** The kinds of conditioning. */
  public enum Kind {
    /** A class, a number from 0. */
    LABELS("labels"),
    /** A vector, which the network embeds. */
    VECTORS("vectors"),
    /** An image of the same size, which the network sees beside the noisy one. */
    IMAGES("images"),
    /** A sequence of tokens, which the network attends to, such as an encoded text. */
    CONTEXTS("contexts"),
    /**
     * The denoised estimate of the previous step, for self-conditioning (Chen, Zhang and Hinton
     * 2022, "Analog Bits", section 3). Supplied by training and sampling.
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

  /** The condition of one kind for one image. */
  private sealed interface Value permits Label, Row {}

  private record Label(int value) implements Value {}

  /** One row of an array. */
  private record Row(NDArray source, int index) implements Value {}

  /**
   * A value, and what it becomes when it is dropped.
   *
   * @param dropped null where it is absent then
   */
  private record Entry(Value value, @Nullable Value dropped) {

    static Entry kept(Value value) {
      return new Entry(value, value);
    }

    @Nullable Entry drop() {
      return dropped == null ? null : kept(dropped);
    }
  }

  /**
   * The conditions of one kind, with an entry per image, null where it is absent.
   *
   * @param shape the shape of one row; of a label, that of a scalar
   */
  private record Part(Shape shape, List<@Nullable Entry> entries) {

    Part drop(IntPredicate which) {
      List<@Nullable Entry> left = new ArrayList<>();
      for (int i = 0; i < entries.size(); i++) {
        Entry entry = entries.get(i);
        left.add(entry != null && which.test(i) ? entry.drop() : entry);
      }
      return new Part(shape, left);
    }

    Part kept() {
      List<@Nullable Entry> all = new ArrayList<>();
      for (Entry entry : entries) {
        all.add(entry == null ? null : Entry.kept(entry.value));
      }
      return new Part(shape, all);
    }

    @Nullable Value value(int image) {
      Entry entry = entries.get(image);
      return entry == null ? null : entry.value;
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
   * The empty condition of an unconditional model, for any number of images.
   *
   * @return the shared instance
   */
  public static Condition none() {
    return NONE;
  }

  /**
   * One class label per image.
   *
   * @param perImage the classes, numbered from 0; {@link #ABSENT} for none
   * @return a condition with one entry per label
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
      entries.add(perImage[i] == ABSENT ? null : new Entry(new Label(perImage[i]), null));
    }
    return of(Kind.LABELS, new Part(new Shape(), entries));
  }

  /**
   * One class label per image, from an array as datasets supply it.
   *
   * @param classes one class per image, integer-valued in any type, shape (N) or (N, 1); copied
   * @return a condition of N images
   * @throws IllegalArgumentException if the array has a different shape, or a value is not an
   *     integer or is less than {@value #ABSENT}
   */
  public static Condition labels(NDArray classes) {
    Given.open(classes, "classes");
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
   * One vector per image.
   *
   * @param vectors float32, shape (N, D); borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has a different shape or type
   */
  public static Condition vectors(NDArray vectors) {
    Given.open(vectors, "vectors");
    return rows(Kind.VECTORS, vectors, "(N, D)", 2, 2);
  }

  /**
   * One conditioning image per image, with the height and width of the noisy images.
   *
   * @param images float32, shape (N, K, H, W), or (N, K, L) beside signals and (N, K, D, H, W)
   *     beside volumes; borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has a different shape or type
   */
  public static Condition images(NDArray images) {
    Given.open(images, "images");
    return rows(Kind.IMAGES, images, "(N, K, H, W)", 3, 5);
  }

  /**
   * One context per image, without one that stands for none: {@link #dropped} leaves it absent,
   * which networks refuse, so this serves sampling without guidance.
   *
   * @param contexts S tokens per image, float32, shape (N, S, X); borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has a different shape or type
   * @see #contexts(NDArray, NDArray)
   */
  public static Condition contexts(NDArray contexts) {
    Given.open(contexts, "contexts");
    return rows(Kind.CONTEXTS, contexts, "(N, S, X)", 3, 3);
  }

  /**
   * One context per image, and what each becomes when it is {@linkplain #dropped dropped}: the
   * encoded empty text as networks learned it, or at sampling a text to stay away from (a negative
   * prompt).
   *
   * @param contexts S tokens per image, float32, shape (N, S, X); borrowed
   * @param unconditional the same for images without a condition, shape (N, S, X), or (1, S, X) for
   *     all images alike; borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if an array has a different shape or type
   */
  public static Condition contexts(NDArray contexts, NDArray unconditional) {
    Given.open(contexts, "contexts");
    Given.open(unconditional, "unconditional");
    Condition own = contexts(contexts);
    Part without = rows(Kind.CONTEXTS, unconditional, "(N, S, X)", 3, 3).part(Kind.CONTEXTS);
    Part with = own.part(Kind.CONTEXTS);
    int count = without.entries.size();
    if (!without.shape.equals(with.shape) || (count != 1 && count != own.size)) {
      throw new IllegalArgumentException(
          "unconditional contexts must have the shape of the contexts, "
              + contexts.getShape()
              + ", or be one for all, but have "
              + unconditional.getShape()
              + "; pad texts to one number of tokens before they are encoded");
    }
    List<@Nullable Entry> entries = new ArrayList<>();
    for (int i = 0; i < own.size; i++) {
      entries.add(new Entry(new Row(contexts, i), new Row(unconditional, count == 1 ? 0 : i)));
    }
    return of(Kind.CONTEXTS, new Part(with.shape, entries));
  }

  /**
   * The denoised estimates of the previous step, for self-conditioning.
   *
   * @param x0 x̂_0, float32, shape (N, C, H, W) or whatever that of the noisy images is; borrowed
   * @return the condition of N images
   * @throws IllegalArgumentException if the array has a different shape or type
   */
  public static Condition previousX0(NDArray x0) {
    Given.open(x0, "x0");
    return rows(Kind.PREVIOUS_X0, x0, "(N, C, H, W)", 3, 5).kept();
  }

  private static Condition rows(Kind kind, NDArray array, String wanted, int least, int most) {
    Shape shape = array.getShape();
    if (array.getDataType() != DataType.FLOAT32
        || shape.dimension() < least
        || shape.dimension() > most
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
      entries.add(new Entry(new Row(array, i), null));
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
   * Combines this condition with another of different kinds for the same images.
   *
   * @param other the other condition; {@link #none()} has no effect
   * @return the combined condition
   * @throws IllegalArgumentException if the number of images differs, or a kind occurs in both
   */
  public Condition and(Condition other) {
    Objects.requireNonNull(other, "other");
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
   * Selects the conditions of some of the images.
   *
   * @param rows image indices, in any order, possibly repeated
   * @return a condition with one entry per index; for {@link #none()}, itself
   * @throws IllegalArgumentException if there are no indices, or one is out of range
   */
  public Condition select(int... rows) {
    Objects.requireNonNull(rows, "rows");
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
   * This condition as one that {@link #dropped} leaves as it is, in guidance and in training: such
   * as the known part of a picture that is filled in as a text says. What is absent stays absent.
   *
   * <pre>{@code
   * Condition.contexts(text, emptyText).and(Condition.images(known).kept())
   * }</pre>
   *
   * @return a condition of the same size and kinds; for {@link #none()}, itself
   */
  public Condition kept() {
    return map(size, Part::kept);
  }

  /**
   * This condition with every label, vector and image absent and every context that of no
   * condition: the unconditional half of classifier-free guidance. What is {@linkplain #kept kept}
   * stays, and so does the previous x̂_0, which the network produced itself.
   *
   * @return a condition of the same size and kinds; for {@link #none()}, itself
   */
  public Condition dropped() {
    return dropped(image -> true);
  }

  /**
   * This condition with the conditions of some images dropped.
   *
   * @param which selects the images whose labels, vectors and images become absent, and whose
   *     contexts those of no condition; called exactly once per image, so it may be random
   * @return a condition of the same size and kinds; for {@link #none()}, itself
   * @see #dropped()
   */
  public Condition dropped(IntPredicate which) {
    Objects.requireNonNull(which, "which");
    if (isNone()) {
      return this;
    }
    // asked once per image, so that it loses all of its conditions or none
    boolean[] drops = new boolean[size];
    for (int image = 0; image < size; image++) {
      drops[image] = which.test(image);
    }
    return map(size, part -> part.drop(image -> drops[image]));
  }

  /**
   * A condition of the same kinds for other images, all absent, including the previous x̂_0. Use it
   * with {@link #concat}, which does not accept {@link #none()}.
   *
   * @param images the number of images, at least 1
   * @return a condition of the same kinds for that many images; for {@link #none()}, itself
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
   * Concatenates the conditions of two batches, this one first. A kind that occurs in only one of
   * them is absent for the images of the other.
   *
   * @param other the condition of the second batch
   * @return the condition of all images; {@link #none()} if both are
   * @throws IllegalArgumentException if exactly one of the two is {@link #none()}, whose number of
   *     images is unknown, or the rows of a kind differ in shape
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
   * @return true only for {@link #none()}
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
   * Whether this condition has a kind, even if it is absent for every image.
   *
   * @param kind the kind
   * @return true if so
   */
  public boolean has(Kind kind) {
    Objects.requireNonNull(kind, "kind");
    return parts.containsKey(kind);
  }

  /**
   * Whether the condition of a kind is present for an image.
   *
   * @param kind the kind
   * @param image the index in the batch
   * @return false if it is absent
   * @throws IllegalArgumentException if the index is out of range
   */
  public boolean isPresent(Kind kind, int image) {
    Objects.requireNonNull(kind, "kind");
    requireImage(image);
    Part part = parts.get(kind);
    return part != null && part.entries.get(image) != null;
  }

  /**
   * The class of an image.
   *
   * @param image the index in the batch
   * @return the class, or empty if it is absent
   * @throws IllegalArgumentException if the index is out of range
   */
  public OptionalInt label(int image) {
    requireImage(image);
    Part part = parts.get(Kind.LABELS);
    return part != null && part.value(image) instanceof Label label
        ? OptionalInt.of(label.value)
        : OptionalInt.empty();
  }

  /**
   * The shape of one vector, image or context of a kind.
   *
   * @param kind the kind
   * @return (D), (K, H, W) or (S, X); a scalar shape for labels
   * @throws IllegalArgumentException if this condition lacks the kind
   */
  public Shape shape(Kind kind) {
    Objects.requireNonNull(kind, "kind");
    return part(kind).shape;
  }

  /**
   * The vectors, images or contexts of a kind as one array, with zeros for absent vectors and
   * images. Gradients that are recorded go through it to the arrays of the condition, so that an
   * encoder before them learns.
   *
   * @param kind the kind, not {@link Kind#LABELS}
   * @param manager owns the returned array and determines its device
   * @return a new array, float32, shape (N, D), (N, K, H, W) or (N, S, X)
   * @throws IllegalArgumentException if this condition lacks the kind, it is {@link Kind#LABELS},
   *     or the context of an image is absent
   */
  public NDArray array(Kind kind, NDManager manager) {
    Objects.requireNonNull(kind, "kind");
    Objects.requireNonNull(manager, "manager");
    if (kind == Kind.LABELS) {
      throw new IllegalArgumentException("labels have no array; ask for each by label(image)");
    }
    Part part = part(kind);
    if (kind == Kind.CONTEXTS) {
      requireContexts(part);
    }
    try (NDList pieces = new NDList()) {
      for (int i = 0; i < size; ) {
        int end = i + 1;
        while (end < size && follows(part.value(i), part.value(end), end - i)) {
          end++;
        }
        pieces.add(piece(part, i, end, manager));
        i = end;
      }
      // Gradients go through tile, which copies too; duplicate() cuts them off.
      NDArray whole = pieces.size() == 1 ? pieces.head().tile(1) : NDArrays.concat(pieces, 0);
      whole.attach(manager);
      return whole;
    }
  }

  private static void requireContexts(Part part) {
    int absent = part.entries.indexOf(null);
    if (absent >= 0) {
      throw new IllegalArgumentException(
          "every image must have a context, but image "
              + absent
              + " has none; give the encoded empty text as well, by contexts(contexts,"
              + " unconditional)");
    }
  }

  /** Whether a value lies {@code distance} rows behind another, or both are absent. */
  private static boolean follows(@Nullable Value first, @Nullable Value other, int distance) {
    if (first instanceof Row start && other instanceof Row row) {
      return row.source == start.source && row.index == start.index + distance;
    }
    return first == null && other == null;
  }

  private static NDArray piece(Part part, int from, int to, NDManager manager) {
    if (part.value(from) instanceof Row row) {
      NDArray rows =
          Given.open(row.source, "an array of the condition")
              .get(new NDIndex("{}:{}", (long) row.index, (long) row.index + to - from));
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
        .map(entry -> entry != null && entry.value instanceof Label label ? "" + label.value : "-")
        .collect(
            Collectors.joining(", ", kind + " [", more > 0 ? ", … and " + more + " more]" : "]"));
  }
}
