package io.github.ddpm4j.data;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
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
import io.github.ddpm4j.internal.ops.Upload;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.jspecify.annotations.Nullable;

/**
 * Pictures of one size as a DJL dataset, with their classes if they have any: float32, shape (C, H,
 * W), in [−1, 1] unless {@link Builder#normalization} says otherwise; labels are int64.
 *
 * <p>Batches are made ready on a few threads while the step before runs. What is drawn at random,
 * such as flips, is a function of (seed, picture, visit), where the visit of a training run of this
 * library is its epoch: threads and resumption change nothing. A loop of DJL's own, over {@code
 * getData(manager)}, counts the passes over this object as visits. Records that are read in another
 * way, by index or for an evaluation, are the pictures as they are.
 *
 * <p>Thread-safe. Owns no native memory, and its threads end when there is nothing to do.
 */
public class PictureDataset extends RandomAccessDataset implements DescribedDataset {

  private final Source source;
  private final Shape image;
  private final Augmenter augmenter;
  private final Workers workers;
  private final String crops;
  private final int batchesAhead;
  private final @Nullable Device target;
  private final AtomicLong passes = new AtomicLong();

  /** What makes the same dataset of other pictures. */
  private final Builder<?> builder;

  PictureDataset(Builder<?> builder, Source source, Workers workers, String crops) {
    super(builder);
    this.builder = builder;
    this.source = source;
    this.workers = workers;
    this.image = builder.image;
    this.augmenter = builder.augmenter();
    this.crops = crops;
    this.batchesAhead = Math.max(1, builder.ahead());
    this.target = builder.target();
  }

  /**
   * The shape of an image.
   *
   * @return (C, H, W)
   */
  public final Shape imageShape() {
    return image;
  }

  /**
   * The names of the classes.
   *
   * @return the name of class 0, of class 1, and so on; empty if the pictures have no classes
   */
  public final List<String> classNames() {
    return source.classNames();
  }

  /**
   * How levels become values.
   *
   * @return the normalization
   */
  public final Normalization normalization() {
    return augmenter.normalization();
  }

  /**
   * The first pictures, as they are.
   *
   * @param manager owns the result
   * @param count the number of pictures, at least 1; begins again after the last one
   * @return float32, shape (count, C, H, W)
   * @throws IOException if a picture cannot be read
   */
  public final NDArray first(NDManager manager, int count) throws IOException {
    source.prepare();
    try (NDManager own = manager.newSubManager()) {
      NDList pictures = new NDList();
      for (int i = 0; i < count; i++) {
        pictures.add(
            i < size()
                ? get(own, i).getData().head()
                : pictures.get(Math.floorMod(i, (int) size())));
      }
      NDArray all = NDArrays.stack(pictures);
      all.attach(manager);
      return all;
    }
  }

  /**
   * One picture as it is: no flips, and the middle of what is cropped at random.
   *
   * @param manager owns the arrays
   * @param index the index of the picture
   * @return its values and its label, if it has one
   * @throws IOException if it cannot be read
   */
  @Override
  public final Record get(NDManager manager, long index) throws IOException {
    source.prepare();
    int number = Math.toIntExact(Objects.checkIndex(index, source.size()));
    float[] values = new float[Math.toIntExact(image.size())];
    Workers.await(
        workers.submit(
            () -> {
              augmenter.write(source.frame(number), number, Augmenter.PLAIN, values, 0);
              return values;
            }));
    NDList labels = new NDList();
    if (source.label(number) != Source.NO_LABEL) {
      labels.add(manager.create((long) source.label(number)));
    }
    return new Record(new NDList(Upload.floats(manager, values, image)), labels);
  }

  @Override
  public final Iterable<Batch> getData(
      NDManager manager, Sampler order, @Nullable ExecutorService executor) throws IOException {
    prepare(null);
    // The sampler of setSampling: a pass of a loop of the user's.
    long pass = order == sampler ? passes.getAndIncrement() : Augmenter.PLAIN;
    return () -> {
      if (order instanceof PlannedSampler planned) {
        return new Batches(manager, order.sample(this), planned.plan(), planned.recordsBefore());
      }
      return new Batches(manager, order.sample(this), null, pass);
    };
  }

  @Override
  protected final long availableSize() {
    try {
      source.prepare();
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
    return source.size();
  }

  /**
   * Finds out which pictures there are; later calls do nothing.
   *
   * @param progress not told
   * @throws IOException if they cannot be read
   */
  @Override
  public final void prepare(@Nullable Progress progress) throws IOException {
    source.prepare();
  }

  @Override
  protected final RandomAccessDataset newSubDataset(int[] indices, int from, int to) {
    int[] part = IntStream.range(from, to).map(i -> indices[i]).toArray();
    return new PictureDataset(builder, source.only(part), workers, crops);
  }

  @Override
  protected final RandomAccessDataset newSubDataset(List<Long> indices) {
    int[] part = indices.stream().mapToInt(Math::toIntExact).toArray();
    return new PictureDataset(builder, source.only(part), workers, crops);
  }

  /** Where a picture comes from; used in messages. */
  @Override
  public final String nameOf(long index) {
    return source.name(Math.toIntExact(Objects.checkIndex(index, availableSize())));
  }

  /** What is done at random; used to tell runs apart. */
  @Override
  public final String augmentation() {
    String words = augmenter.description();
    String all = crops + (crops.isEmpty() || words.isEmpty() ? "" : ", ") + words;
    return all.isEmpty() ? "" : "seed " + augmenter.seed() + ": " + all;
  }

  /** Changes the values of an image at random. */
  @FunctionalInterface
  public interface Augmentation {

    /**
     * Changes an image in place. Called on several threads at once.
     *
     * @param values normalized, row-major over (C, H, W)
     * @param random the only source of chance, a function of (seed, picture, visit)
     */
    void apply(float[] values, UniformRandomProvider random);
  }

  /** A batch that is being made ready. */
  // Made for it alone.
  @SuppressWarnings("ArrayRecordComponent")
  private record Coming(List<Long> indices, float[] values, List<Future<?>> parts) {}

  /** The batches of an order, some of which are made ready ahead. */
  private final class Batches implements Iterator<Batch> {

    private final NDManager manager;
    private final Iterator<List<Long>> order;

    /** The same order, to be read ahead; null if the order itself may be. */
    private final @Nullable Iterator<List<Long>> plan;

    /** With a plan, the records before the next batch; else the visit of all. */
    private long place;

    private final ArrayDeque<Coming> coming = new ArrayDeque<>();
    private long done;

    Batches(
        NDManager manager,
        Iterator<List<Long>> order,
        @Nullable Iterator<List<Long>> plan,
        long place) {
      this.manager = manager;
      this.order = order;
      this.plan = plan;
      this.place = place;
    }

    private Iterator<List<Long>> ahead() {
      return plan != null ? plan : order;
    }

    @Override
    public boolean hasNext() {
      return !coming.isEmpty() || ahead().hasNext();
    }

    @Override
    public Batch next() {
      while (coming.size() <= batchesAhead && ahead().hasNext()) {
        coming.add(begin(ahead().next()));
      }
      Coming batch = coming.remove();
      if (plan != null) {
        // Told to whoever made the order: these are the records of this batch.
        List<Long> now = order.next();
        if (!now.equals(batch.indices)) {
          throw new IllegalStateException(
              "the order gave " + now + " and planned " + batch.indices);
        }
      }
      try {
        for (Future<?> part : batch.parts) {
          Workers.await(part);
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e.getMessage(), e);
      }
      return finished(batch);
    }

    private Coming begin(List<Long> indices) {
      int values = Math.toIntExact(image.size());
      float[] all = new float[Math.multiplyExact(values, indices.size())];
      List<Future<?>> parts = new ArrayList<>();
      for (int i = 0; i < indices.size(); i++) {
        int index = Math.toIntExact(indices.get(i));
        int offset = i * values;
        long visit = plan == null ? place : (place + i) / source.size();
        parts.add(
            workers.submit(
                () -> {
                  augmenter.write(source.frame(index), index, visit, all, offset);
                  return index;
                }));
      }
      if (plan != null) {
        place += indices.size();
      }
      return new Coming(indices, all, parts);
    }

    private Batch finished(Coming batch) {
      NDManager own = manager.newSubManager();
      boolean fine = false;
      try {
        int count = batch.indices.size();
        NDList labels = new NDList();
        if (source.label(0) != Source.NO_LABEL) {
          long[] classes =
              batch.indices.stream().mapToLong(index -> source.label(index.intValue())).toArray();
          labels.add(onDevice(own.create(classes)));
        }
        NDArray images = onDevice(Upload.floats(own, batch.values, new Shape(count).addAll(image)));
        done += count;
        Batch made =
            new Batch(
                own,
                new NDList(images),
                labels,
                count,
                Batchifier.STACK,
                Batchifier.STACK,
                done,
                source.size(),
                batch.indices);
        fine = true;
        return made;
      } finally {
        if (!fine) {
          own.close();
        }
      }
    }

    private NDArray onDevice(NDArray array) {
      return target == null ? array : array.toDevice(target, false);
    }
  }

  /**
   * Settings of a {@link PictureDataset}. {@code setSampling(batchSize, true)} is required, as for
   * all datasets of DJL; {@code optPrefetchNumber} is the number of batches that are made ready
   * ahead, 2 by default.
   *
   * @param <B> the builder
   */
  public abstract static class Builder<B extends Builder<B>> extends BaseBuilder<B> {

    /** The seed of augmentation by default: {@value}. */
    public static final long DEFAULT_SEED = 0;

    final Shape image;
    private final List<Augmentation> own = new ArrayList<>();
    private boolean flips;
    private boolean verticalFlips;
    private boolean turns;
    private int shift;
    private Normalization normalization = Normalization.CENTRED;
    private long seed = DEFAULT_SEED;
    private int threads = Math.max(1, Runtime.getRuntime().availableProcessors() / 2);

    Builder(Shape image) {
      this.image = image;
    }

    /**
     * Exchanges left and right in half of the visits. Ho et al. 2020 do so for CIFAR-10. Off by
     * default.
     *
     * @return this builder
     */
    public B horizontalFlips() {
      this.flips = true;
      return self();
    }

    /**
     * Exchanges above and below in half of the visits. Off by default.
     *
     * @return this builder
     */
    public B verticalFlips() {
      this.verticalFlips = true;
      return self();
    }

    /**
     * Turns images by 0, 1, 2 or 3 quarters, for what has no above and below. Off by default.
     *
     * @return this builder
     * @throws IllegalArgumentException if images are not square
     */
    public B quarterTurns() {
      if (image.get(1) != image.get(2)) {
        throw new IllegalArgumentException(
            "quarterTurns() needs square images, but they are " + image);
      }
      this.turns = true;
      return self();
    }

    /**
     * Shifts images by some pixels in each direction; the pixels at the border are repeated. 0 by
     * default.
     *
     * @param pixels the most pixels, at least 0 and less than height and width
     * @return this builder
     * @throws IllegalArgumentException if it is outside that range
     */
    public B shifts(int pixels) {
      long side = Math.min(image.get(1), image.get(2));
      if (pixels < 0 || pixels >= side) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "shifts must be at least 0 and less than %d pixels, the smaller side of %s, but was"
                    + " %d",
                side,
                image,
                pixels));
      }
      this.shift = pixels;
      return self();
    }

    /**
     * Adds a change of the user's own, after the others. What it does must depend on its arguments
     * alone.
     *
     * @param augmentation changes the values of an image
     * @return this builder
     */
    public B augment(Augmentation augmentation) {
      own.add(Objects.requireNonNull(augmentation, "augmentation"));
      return self();
    }

    /**
     * How levels become values. {@link Normalization#CENTRED} by default, [−1, 1].
     *
     * @param normalization the normalization; with another than the default, build the model with
     *     the data range {@link Normalization#range}
     * @return this builder
     * @throws IllegalArgumentException if it is of another number of channels
     */
    public B normalization(Normalization normalization) {
      Objects.requireNonNull(normalization, "normalization");
      normalization.requireChannels(image.get(0));
      this.normalization = normalization;
      return self();
    }

    /**
     * The seed of what is drawn at random.
     *
     * @param seed any number; {@value #DEFAULT_SEED} by default
     * @return this builder
     */
    public B seed(long seed) {
      this.seed = seed;
      return self();
    }

    /**
     * The number of threads that read pictures. They change nothing but the speed.
     *
     * @param threads at least 1; half of the processors by default
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public B threads(int threads) {
      if (threads < 1) {
        throw new IllegalArgumentException("threads must be at least 1, but was " + threads);
      }
      this.threads = threads;
      return self();
    }

    /**
     * Builds the dataset.
     *
     * @return the dataset
     * @throws IOException if there are no pictures, or they cannot be listed
     * @throws IllegalArgumentException if {@code setSampling} was not called, or what this dataset
     *     does not do was asked for: DJL's transforms and batchifiers
     */
    public abstract PictureDataset build() throws IOException;

    final void requireUsable() {
      if (sampler == null) {
        throw new IllegalArgumentException(
            "the batch size is not set; call setSampling(batchSize, true)");
      }
      if (pipeline != null
          || targetPipeline != null
          || dataBatchifier != Batchifier.STACK
          || labelBatchifier != Batchifier.STACK) {
        throw new IllegalArgumentException(
            "pictures are not passed through transforms, pipelines and batchifiers of DJL; use"
                + " augment(…)");
      }
    }

    final Augmenter augmenter() {
      return new Augmenter(
          Math.toIntExact(image.get(1)),
          Math.toIntExact(image.get(2)),
          flips,
          verticalFlips,
          turns,
          shift,
          List.copyOf(own),
          normalization,
          seed);
    }

    final Workers workers() {
      return new Workers(threads);
    }

    final int ahead() {
      return prefetchNumber;
    }

    final @Nullable Device target() {
      return device;
    }
  }
}
