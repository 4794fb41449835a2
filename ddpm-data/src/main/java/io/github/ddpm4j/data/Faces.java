package io.github.ddpm4j.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import ai.djl.util.Progress;
import io.github.ddpm4j.internal.data.DescribedDataset;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.random.CounterRandom;
import java.util.Objects;
import java.util.function.Predicate;
import org.apache.commons.rng.UniformRandomProvider;
import org.jspecify.annotations.Nullable;

/**
 * {@linkplain Face Portraits} as a DJL dataset: images float32, (3, 32, 32), in [−1, 1], with their
 * attributes as labels, float32, ({@link Face#vectorLength()}). Each is made when it is asked for,
 * so a million of them take no memory.
 *
 * <pre>{@code
 * Faces faces = Faces.builder(50_000).seed(1).hidden(0.3).setSampling(64, true).build();
 * training.condition((images, labels) -> Condition.vectors(labels.head())).fit(faces);
 * }</pre>
 *
 * <p>Deterministic by (seed, index). Thread-safe.
 */
public final class Faces extends RandomAccessDataset implements DescribedDataset {

  /** Faces that are drawn for an index until one may be shown. */
  private static final int ATTEMPTS = 1000;

  /** What the second coordinate of a random number is for. */
  private static final long HIDING = 1;

  private final int count;
  private final long seed;
  private final double hidden;
  private final Predicate<Face> without;

  private Faces(Builder builder) {
    super(builder);
    count = builder.count;
    seed = builder.seed;
    hidden = builder.hidden;
    without = builder.without;
  }

  /**
   * A dataset of a number of faces.
   *
   * @param count at least 1
   * @return a builder, which requires {@code setSampling}
   * @throws IllegalArgumentException if {@code count} is less than 1
   */
  public static Builder builder(int count) {
    if (count < 1) {
      throw new IllegalArgumentException(
          "the number of faces must be at least 1, but was " + count);
    }
    return new Builder(count);
  }

  /**
   * One of the faces.
   *
   * @param index from 0
   * @return the face
   * @throws IndexOutOfBoundsException if there is none of this index
   * @throws IllegalStateException if {@link Builder#without} left out a thousand faces in a row
   */
  public Face face(long index) {
    Objects.checkIndex(index, (long) count);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Face face = Face.of(seed, index + (long) attempt * Integer.MAX_VALUE);
      if (!without.test(face)) {
        return face;
      }
    }
    throw new IllegalStateException(
        "what is left out of the faces must leave some, but "
            + ATTEMPTS
            + " in a row were left out");
  }

  /**
   * All faces of a range as one array.
   *
   * @param manager owns the result
   * @param from the first index
   * @param to the index after the last one
   * @return float32, shape (to − from, 3, 32, 32)
   * @throws IndexOutOfBoundsException if the range is empty or not within the dataset
   */
  public NDArray toArray(NDManager manager, int from, int to) {
    if (from < 0 || from >= to || to > count) {
      throw new IndexOutOfBoundsException(
          "a range of faces must be within [0, "
              + count
              + ") and hold a face, but was ["
              + from
              + ", "
              + to
              + ")");
    }
    int length = FaceParts.CHANNELS * Face.SIDE * Face.SIDE;
    float[] all = new float[Math.multiplyExact(length, to - from)];
    for (int i = from; i < to; i++) {
      System.arraycopy(face(i).pixels(), 0, all, (i - from) * length, length);
    }
    return Upload.floats(
        manager, all, new Shape(to - from, FaceParts.CHANNELS, Face.SIDE, Face.SIDE));
  }

  @Override
  public Record get(NDManager manager, long index) {
    Face face = face(index);
    float[] vector = face.vector();
    if (hidden > 0) {
      UniformRandomProvider random =
          CounterRandom.of(seed, CounterRandom.Stream.MADE_PICTURES).at(index, HIDING);
      for (Face.Attribute attribute : Face.Attribute.values()) {
        boolean hide = random.nextDouble() < hidden;
        for (int i = 0; hide && i < attribute.names().size(); i++) {
          vector[attribute.offset() + i] = 0;
        }
      }
    }
    NDArray image =
        manager.create(face.pixels(), new Shape(FaceParts.CHANNELS, Face.SIDE, Face.SIDE));
    return new Record(new NDList(image), new NDList(manager.create(vector)));
  }

  @Override
  protected long availableSize() {
    return count;
  }

  @Override
  public void prepare(@Nullable Progress progress) {}

  /** The number of a face; used in messages. */
  @Override
  public String nameOf(long index) {
    return "face " + index + " of seed " + seed;
  }

  /** What is hidden; used to tell runs apart. */
  @Override
  public String augmentation() {
    return "faces of seed " + seed + (hidden > 0 ? ", " + hidden + " of attributes hidden" : "");
  }

  /** Settings of {@link Faces}. {@code setSampling(batchSize, true)} is required. */
  public static final class Builder extends BaseBuilder<Builder> {

    /** The seed by default: {@value}. */
    public static final long DEFAULT_SEED = 0;

    private final int count;
    private long seed = DEFAULT_SEED;
    private double hidden;
    private Predicate<Face> without = face -> false;

    private Builder(int count) {
      this.count = count;
    }

    @Override
    protected Builder self() {
      return this;
    }

    /**
     * Sets the seed. Faces of other seeds are independent: use another one for held-out faces.
     *
     * @param value any number; {@value #DEFAULT_SEED} by default
     * @return this builder
     */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * Leaves attributes out of the vectors at random, each by itself, so that a network learns to
     * draw faces of which only some are asked for. It depends on (seed, index) alone.
     *
     * @param share the probability, in [0, 1]; 0 by default
     * @return this builder
     * @throws IllegalArgumentException if the share is out of range
     */
    public Builder hidden(double share) {
      if (!(share >= 0 && share <= 1)) {
        throw new IllegalArgumentException("hidden must be in [0, 1], but was " + share);
      }
      hidden = share;
      return this;
    }

    /**
     * Leaves faces out: another is drawn in the place of each.
     *
     * @param which tells the faces that are left out; always the same for the same face
     * @return this builder
     */
    public Builder without(Predicate<Face> which) {
      without = Objects.requireNonNull(which, "which");
      return this;
    }

    /**
     * Builds the dataset.
     *
     * @return the faces
     */
    public Faces build() {
      return new Faces(this);
    }
  }
}
