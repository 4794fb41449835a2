package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.PictureRange;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.internal.data.SeededSampler;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Endless batches of a dataset, checked. A {@link RandomAccessDataset} is visited in an order that
 * is a function of (seed, epoch), every image once per epoch; any other dataset keeps its own order
 * and batch size and is read again when it ends.
 */
final class TrainingData {

  private final Dataset dataset;
  private final NDManager manager;
  private final Iterator<Batch> batches;
  private final Optional<Shape> imageShape;
  private final DataBounds bounds;

  /** The first images, read for their range alone; null if any range is taken. */
  private final @Nullable Supplier<Iterator<Batch>> sample;

  private long served;

  /** The number of images whose range was looked at, and that range. */
  private long looked;

  private Images.@Nullable Extent known;

  /** The indices that the last batch was read by; null if the dataset makes its own batches. */
  private final @Nullable SeededSampler sampler;

  private TrainingData(
      Dataset dataset,
      NDManager manager,
      Iterator<Batch> batches,
      @Nullable SeededSampler sampler,
      Optional<Shape> imageShape,
      DataBounds bounds,
      @Nullable Supplier<Iterator<Batch>> sample) {
    this.dataset = dataset;
    this.manager = manager;
    this.batches = batches;
    this.sampler = sampler;
    this.imageShape = imageShape;
    this.bounds = bounds;
    this.sample = sample;
  }

  static TrainingData of(
      Dataset dataset,
      NDManager manager,
      int batchSize,
      long seed,
      Optional<Shape> imageShape,
      DataBounds bounds,
      long before) {
    if (dataset instanceof RandomAccessDataset indexed) {
      SeededSampler sampler = Datasets.read(() -> sampler(indexed, batchSize, seed, before));
      Iterator<Batch> batches = Datasets.read(() -> indexed.getData(manager, sampler).iterator());
      Supplier<Iterator<Batch>> sample = () -> Datasets.read(() -> sample(indexed, manager, seed));
      return new TrainingData(
          dataset,
          manager,
          batches,
          sampler,
          imageShape,
          bounds,
          bounds.anyRange() ? null : sample);
    }
    Iterator<Batch> batches = Datasets.read(() -> new Repeating(dataset, manager));
    for (long i = 0; i < before; i++) {
      batches.next().close();
    }
    Supplier<Iterator<Batch>> none = Collections::emptyIterator;
    return new TrainingData(
        dataset, manager, batches, null, imageShape, bounds, bounds.anyRange() ? null : none);
  }

  /** The first images of a run in one batch, as far as they can be read without an effect on it. */
  private static Iterator<Batch> sample(RandomAccessDataset indexed, NDManager manager, long seed)
      throws IOException, TranslateException {
    int size = Math.toIntExact(indexed.size());
    int images = Math.min(PictureRange.IMAGES, size);
    return indexed.getData(manager, new SeededSampler(size, images, seed, 0)).iterator();
  }

  private static SeededSampler sampler(
      RandomAccessDataset indexed, int batchSize, long seed, long before)
      throws IOException, TranslateException {
    indexed.prepare();
    int size = Math.toIntExact(indexed.size());
    if (size == 0) {
      throw new IllegalArgumentException("the dataset is empty; training needs at least one image");
    }
    if (batchSize > size) {
      throw new IllegalArgumentException(
          "batchSize must be at most the size of the dataset, "
              + size
              + ", but was "
              + batchSize
              + "; use batchSize("
              + size
              + ") or less");
    }
    return new SeededSampler(size, batchSize, seed, before);
  }

  /** The next batch; the caller closes it. Its first array holds the images, as checked. */
  Batch next() {
    SeededSampler own = sampler;
    Batch batch =
        own != null && dataset instanceof RandomAccessDataset indexed
            ? Datasets.next(indexed, batches, own::last, manager)
            : batches.next();
    served++;
    boolean fine = false;
    try {
      check(batch);
      fine = true;
      return batch;
    } finally {
      if (!fine) {
        batch.close();
      }
    }
  }

  /** How messages name the images of the last batch. */
  RecordNames names() {
    return sampler != null
        ? RecordNames.of(dataset, sampler.last())
        : RecordNames.ofBatch(batches instanceof Repeating own ? own.number : served);
  }

  private void check(Batch batch) {
    RecordNames names = names();
    NDArray images = Datasets.images(batch, names, imageShape);
    String name = "training data (" + names.all() + ")";
    Images.requireFloat32(name, images, bounds.range());
    Images.requireBatch(name, images, imageShape);
    Images.Extent extent = requireWithin(images, names);
    if (sample != null && looked < PictureRange.IMAGES) {
      look(extent, images.getShape().get(0), sample);
    }
  }

  /** Judges the first images together: a single one may lie in a narrow range by right. */
  private void look(Images.Extent extent, long images, Supplier<Iterator<Batch>> sample) {
    looked += images;
    known = known == null ? extent : known.with(extent);
    if (PictureRange.within(known, bounds.range()).isEmpty()) {
      looked = PictureRange.IMAGES;
    } else if (looked >= PictureRange.IMAGES) {
      requireFilled(known);
    } else {
      Iterator<Batch> more = sample.get();
      if (more.hasNext()) {
        looked = PictureRange.IMAGES;
        try (Batch batch = more.next()) {
          requireFilled(Images.Extent.of(batch.getData().head()));
        }
      }
    }
  }

  /** Refuses data that were made in a narrower range than that of the model. */
  private void requireFilled(Images.Extent extent) {
    DataRange range = bounds.range();
    PictureRange.within(extent, range)
        .ifPresent(
            usual -> {
              throw new IllegalArgumentException(
                  "training data must fill the data range "
                      + range
                      + ", but the first images hold values from "
                      + extent.least()
                      + " to "
                      + extent.greatest()
                      + ", which looks like "
                      + usual
                      + "; map them by "
                      + usual.mapping(range)
                      + ", set dataRange("
                      + usual.ends()
                      + ") when building DDPM, or call anyRange() on the training if they are"
                      + " meant");
            });
  }

  /** The whole batch at once; image by image only to tell which ones are to blame. */
  private Images.Extent requireWithin(NDArray images, RecordNames names) {
    try {
      return bounds.require("training data", images);
    } catch (IllegalArgumentException e) {
      List<Integer> refused = new ArrayList<>();
      for (int i = 0; i < images.getShape().get(0); i++) {
        try (NDArray image = images.get("{}:{}", i, i + 1)) {
          bounds.require("an image", image);
        } catch (IllegalArgumentException own) {
          refused.add(i);
        }
      }
      return bounds.require("training data (" + names.some(refused) + ")", images);
    }
  }

  /** The batches of a dataset over and over. */
  private static final class Repeating implements Iterator<Batch> {
    private final Dataset dataset;
    private final NDManager manager;
    private Iterator<Batch> current;

    /** The number of the last batch since the dataset was last begun, from 1. */
    private long number;

    Repeating(Dataset dataset, NDManager manager) throws IOException, TranslateException {
      this.dataset = dataset;
      this.manager = manager;
      dataset.prepare();
      this.current = dataset.getData(manager).iterator();
      if (!current.hasNext()) {
        throw new IllegalArgumentException(
            "the dataset gave no batch; training needs at least one image");
      }
    }

    @Override
    public boolean hasNext() {
      return true;
    }

    @Override
    public Batch next() {
      if (!current.hasNext()) {
        current = Datasets.read(() -> dataset.getData(manager).iterator());
        number = 0;
        if (!current.hasNext()) {
          throw new IllegalStateException(
              "the dataset gave batches once and none when it was read again; training reads it as"
                  + " often as the steps need");
        }
      }
      number++;
      return current.next();
    }
  }
}
