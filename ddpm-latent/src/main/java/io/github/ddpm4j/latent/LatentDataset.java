package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import ai.djl.training.dataset.Sampler;
import ai.djl.translate.Batchifier;
import ai.djl.util.Progress;
import io.github.ddpm4j.internal.data.DescribedDataset;
import io.github.ddpm4j.internal.data.PlannedSampler;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.torch.GradMode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Pictures as latents, to train a network in their space: each picture was encoded once, and each
 * visit draws from its distribution anew:
 *
 * <pre>z = scale · (μ + σ · noise)</pre>
 *
 * <p>where the noise is a function of (seed, picture, visit), and the visit of a training run is
 * its epoch: threads and resumption change nothing. A loop of DJL's own, over {@code
 * getData(manager)}, counts the passes over this object as visits. Records that are read in another
 * way, by index or for a validation, are the most likely latents, scale · μ, and so are those of an
 * autoencoder with a book of codes. Labels are those of the pictures.
 *
 * <pre>{@code
 * LatentDataset latents =
 *     LatentDataset.builder(autoencoder, pictures)
 *         .cache(Path.of("latents.safetensors"))
 *         .setSampling(64, true)
 *         .build();
 * DDPM ddpm = DDPM.builder().clip(false).denoiser(unet).build();
 * ddpm.training().anyRange().steps(10_000).fit(latents);
 * }</pre>
 *
 * <p>Means and variances lie in Java's memory, 8 bytes for each number of a picture's latents.
 * Thread-safe. Owns no native memory.
 */
public final class LatentDataset extends RandomAccessDataset implements DescribedDataset {

  /** The visit of a picture that is seen as it is. */
  private static final long PLAIN = -1;

  private final EncodedPictures encoded;
  private final int[] pictures;
  private final double scale;
  private final long seed;
  private final RandomAccessDataset source;
  private final AtomicLong passes = new AtomicLong();

  private LatentDataset(Builder builder, EncodedPictures encoded, int... pictures) {
    super(builder);
    this.source = builder.pictures;
    this.encoded = encoded;
    this.pictures = pictures;
    this.scale = builder.autoencoder.scale();
    this.seed = builder.seed;
  }

  /**
   * A part, with what the whole was built with: builder and autoencoder may be other ones by now.
   */
  private LatentDataset(LatentDataset whole, int... pictures) {
    super(new Part().setSampling(whole.sampler));
    this.source = whole.source;
    this.encoded = whole.encoded;
    this.pictures = pictures;
    this.scale = whole.scale;
    this.seed = whole.seed;
  }

  /** What the superclass wants to know of a part. */
  private static final class Part extends BaseBuilder<Part> {
    @Override
    protected Part self() {
      return this;
    }
  }

  /**
   * Sets up a dataset of latents.
   *
   * @param autoencoder encodes; not closed, and not needed after {@link Builder#build}
   * @param pictures in [−1, 1] as the first array of each record, float32, shape (C, H, W), sizes
   *     multiples of {@link Autoencoder#factor}, without anything at random; a label per record is
   *     kept if there is one
   * @return a builder, which requires {@code setSampling(batchSize, true)}
   */
  public static Builder builder(Autoencoder autoencoder, RandomAccessDataset pictures) {
    return new Builder(
        Objects.requireNonNull(autoencoder, "autoencoder"),
        Objects.requireNonNull(pictures, "pictures"));
  }

  /**
   * The shape of a picture's latents.
   *
   * @return (C, H, W), that of the images of the network to be trained
   */
  public Shape latentShape() {
    return encoded.shape();
  }

  /**
   * The most likely latents of a picture.
   *
   * @param manager owns the arrays
   * @param index the index of the picture
   * @return scale · μ, shape (C, H, W), and its label, if it has one
   */
  @Override
  public Record get(NDManager manager, long index) {
    int place = Math.toIntExact(Objects.checkIndex(index, pictures.length));
    try (NDManager own = manager.newSubManager()) {
      NDArray one = drawn(own, List.of((long) place), PLAIN, 0);
      NDArray image = one.reshape(encoded.shape());
      image.attach(manager);
      NDList labels = new NDList();
      if (encoded.hasLabels()) {
        labels.add(manager.create(encoded.label(pictures[place])));
      }
      return new Record(new NDList(image), labels);
    }
  }

  @Override
  public Iterable<Batch> getData(
      NDManager manager, Sampler order, @Nullable ExecutorService executor) {
    // The sampler of setSampling: a pass of a loop of the user's.
    long pass = order == sampler ? passes.getAndIncrement() : PLAIN;
    return () ->
        order instanceof PlannedSampler planned
            ? new Batches(manager, order, planned.recordsBefore(), true)
            : new Batches(manager, order, pass, false);
  }

  /**
   * Latents of pictures of this dataset.
   *
   * @param visit the visit of the first, or {@link #PLAIN}
   * @param place where in the visit the first is: later ones may belong to the next
   */
  private NDArray drawn(NDManager owner, List<Long> indices, long visit, long place) {
    int[] numbers = indices.stream().mapToInt(index -> pictures[index.intValue()]).toArray();
    Shape shape = new Shape(numbers.length).addAll(encoded.shape());
    try (GradMode off = GradMode.off()) {
      EagerOps ops = EagerOps.inference();
      NDArray mean = encoded.means(owner, numbers);
      if (visit == PLAIN || !encoded.hasVariances()) {
        return ops.scale(mean, scale);
      }
      CounterRandom random = CounterRandom.of(seed, CounterRandom.Stream.LATENTS);
      NDArray noise =
          Upload.rows(
              owner,
              shape,
              mean.getDataType(),
              (i, target) -> random.normal(numbers[i], visit + (place + i) / size(), target));
      NDArray logVariance = encoded.logVariances(owner, numbers);
      return ops.scope(() -> ops.scale(NormalLatents.drawn(ops, mean, logVariance, noise), scale));
    }
  }

  /** The batches of an order. */
  private final class Batches implements Iterator<Batch> {

    private final NDManager manager;
    private final Iterator<List<Long>> order;
    private final boolean planned;

    /** Of a planned order the records before the next batch, else the visit of all. */
    private long place;

    private long done;

    Batches(NDManager manager, Sampler order, long place, boolean planned) {
      this.manager = manager;
      this.order = order.sample(LatentDataset.this);
      this.place = place;
      this.planned = planned;
    }

    @Override
    public boolean hasNext() {
      return order.hasNext();
    }

    @Override
    public Batch next() {
      List<Long> indices = order.next();
      NDManager own = manager.newSubManager();
      boolean fine = false;
      try {
        NDArray latents =
            planned
                ? drawn(own, indices, place / size(), place % size())
                : drawn(own, indices, place, 0);
        NDList labels = new NDList();
        if (encoded.hasLabels()) {
          labels.add(
              own.create(
                  indices.stream()
                      .mapToLong(index -> encoded.label(pictures[index.intValue()]))
                      .toArray()));
        }
        place += planned ? indices.size() : 0;
        done += indices.size();
        Batch made =
            new Batch(
                own,
                new NDList(latents),
                labels,
                indices.size(),
                Batchifier.STACK,
                Batchifier.STACK,
                done,
                size(),
                indices);
        fine = true;
        return made;
      } finally {
        if (!fine) {
          own.close();
        }
      }
    }
  }

  @Override
  protected long availableSize() {
    return pictures.length;
  }

  /**
   * Does nothing: all is encoded.
   *
   * @param progress not told
   */
  @Override
  public void prepare(@Nullable Progress progress) {
    // Encoded when it was built.
  }

  @Override
  protected RandomAccessDataset newSubDataset(int[] indices, int from, int to) {
    return new LatentDataset(
        this, IntStream.range(from, to).map(i -> pictures[indices[i]]).toArray());
  }

  @Override
  protected RandomAccessDataset newSubDataset(List<Long> indices) {
    return new LatentDataset(
        this, indices.stream().mapToInt(index -> pictures[index.intValue()]).toArray());
  }

  /** Where a picture comes from; used in messages. */
  @Override
  public String nameOf(long index) {
    int picture = pictures[Math.toIntExact(Objects.checkIndex(index, pictures.length))];
    return source instanceof DescribedDataset described
        ? described.nameOf(picture)
        : "picture " + picture;
  }

  /** What is done at random; used to tell runs apart. */
  @Override
  public String augmentation() {
    return encoded.hasVariances() ? "seed " + seed + ": draws of latents" : "";
  }

  /** Settings of a {@link LatentDataset}. */
  public static final class Builder extends BaseBuilder<Builder> {

    /** The seed of the draws by default: {@value}. */
    public static final long DEFAULT_SEED = 0;

    private final Autoencoder autoencoder;
    private final RandomAccessDataset pictures;
    private @Nullable Path file;
    private long seed = DEFAULT_SEED;

    private Builder(Autoencoder autoencoder, RandomAccessDataset pictures) {
      this.autoencoder = autoencoder;
      this.pictures = pictures;
    }

    /**
     * Keeps means and variances in a file, from which they are read the next time. It knows by
     * which weights and configuration it was made, in which precision and {@linkplain
     * Autoencoder#tiles tiles}, and of which pictures (their number, and a sample of 16 of them),
     * and is refused for others. The scale is not in it.
     *
     * @param safetensors the file; made if it is missing
     * @return this builder
     */
    public Builder cache(Path safetensors) {
      file = Objects.requireNonNull(safetensors, "safetensors");
      return this;
    }

    /**
     * The seed of the draws.
     *
     * @param value any number; {@value #DEFAULT_SEED} by default
     * @return this builder
     */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * Encodes the pictures, or reads the file.
     *
     * @return the dataset
     * @throws IOException if the file cannot be read or written, is damaged, or was made by another
     *     autoencoder, in another way or of other pictures
     * @throws java.io.UncheckedIOException if the pictures cannot be read
     * @throws IllegalArgumentException if {@code setSampling} was not called, there are no
     *     pictures, they change from time to time, have another shape, type or range, or more than
     *     one label each
     * @throws IllegalStateException if the autoencoder is closed, or its weights are held in 16
     *     bits
     */
    public LatentDataset build() throws IOException {
      if (sampler == null) {
        throw new IllegalArgumentException(
            "the batch size is not set; call setSampling(batchSize, true)");
      }
      EncodedPictures encoded =
          file == null
              ? EncodedPictures.of(autoencoder, pictures)
              : EncodedPictures.of(autoencoder, pictures, file);
      return new LatentDataset(this, encoded, IntStream.range(0, encoded.size()).toArray());
    }

    @Override
    protected Builder self() {
      return this;
    }
  }
}
