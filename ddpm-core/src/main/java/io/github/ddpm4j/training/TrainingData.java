package io.github.ddpm4j.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.apache.commons.rng.sampling.ArraySampler;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Endless batches of a dataset, checked. A {@link RandomAccessDataset} is visited in an order that
 * is a function of (seed, epoch), every image once per epoch; any other dataset keeps its own order
 * and batch size and is read again when it ends.
 */
final class TrainingData {

  private static final Logger logger = LoggerFactory.getLogger(TrainingData.class);

  /** How far outside the range rounding may put a value, as a share of the width of the range. */
  private static final double RANGE_TOLERANCE = 1e-4;

  private final Iterator<Batch> batches;
  private final Optional<Shape> imageShape;
  private final DataRange range;
  private long served;

  private TrainingData(Iterator<Batch> batches, Optional<Shape> imageShape, DataRange range) {
    this.batches = batches;
    this.imageShape = imageShape;
    this.range = range;
  }

  static TrainingData of(
      Dataset dataset,
      NDManager manager,
      int batchSize,
      long seed,
      Optional<Shape> imageShape,
      DataRange range) {
    try {
      Iterator<Batch> batches;
      if (dataset instanceof RandomAccessDataset indexed) {
        indexed.prepare();
        int size = Math.toIntExact(indexed.size());
        if (size == 0) {
          throw new IllegalArgumentException(
              "the dataset is empty; training needs at least one image");
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
        batches = indexed.getData(manager, new SeededSampler(size, batchSize, seed)).iterator();
      } else {
        batches = new Repeating(dataset, manager);
      }
      return new TrainingData(batches, imageShape, range);
    } catch (IOException e) {
      throw new UncheckedIOException("the dataset could not be read: " + e.getMessage(), e);
    } catch (TranslateException e) {
      throw new IllegalArgumentException("the dataset could not be read: " + e.getMessage(), e);
    }
  }

  /** The next batch; the caller closes it. Its first array holds the images, as checked. */
  Batch next() {
    Batch batch = batches.next();
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

  private void check(Batch batch) {
    if (batch.getData().isEmpty()) {
      throw new IllegalArgumentException(
          "the images must be the first array of the data of a batch, but batch "
              + served
              + " has no data; put the images into the data, not into the labels");
    }
    NDArray images = batch.getData().head();
    Shape shape = images.getShape();
    if (images.getDataType() != DataType.FLOAT32) {
      throw new IllegalArgumentException(
          "training data must be FLOAT32, but batch "
              + served
              + " is "
              + images.getDataType()
              + "; convert it and scale it to "
              + range);
    }
    if (shape.dimension() != 4
        || imageShape.filter(own -> !own.equals(shape.slice(1))).isPresent()) {
      throw new IllegalArgumentException(
          "training data must have shape (N, C, H, W)"
              + imageShape.map(own -> " with (C, H, W) = " + own).orElse("")
              + ", but batch "
              + served
              + " has "
              + shape);
    }
    if (shape.size() == 0) {
      throw new IllegalArgumentException(
          "training data must have at least one image per batch, but batch "
              + served
              + " has none, being of shape "
              + shape
              + "; leave empty batches out of the dataset");
    }
    float min;
    float max;
    try (NDArray least = images.min();
        NDArray greatest = images.max()) {
      min = least.getFloat();
      max = greatest.getFloat();
    }
    if (!Float.isFinite(min) || !Float.isFinite(max)) {
      throw new IllegalArgumentException(
          "training data must be finite, but batch "
              + served
              + " holds "
              + (Float.isFinite(min) ? max : min)
              + "; look for broken images");
    }
    if (served == 1 && min >= 0 && range.min() < 0) {
      logger.warn(
          "the first batch lies in [{}, {}] while the data range is {}: images in [0, 1], such as"
              + " those of DJL's ToTensor, must be mapped by 2x - 1, or dataRange(0, 1) set when"
              + " building DDPM",
          min,
          max,
          range);
    }
    double tolerance = RANGE_TOLERANCE * (range.max() - range.min());
    if (min < range.min() - tolerance || max > range.max() + tolerance) {
      throw new IllegalArgumentException(
          "training data must lie in the data range "
              + range
              + ", but batch "
              + served
              + " holds values from "
              + min
              + " to "
              + max
              + "; scale the images, or set dataRange(min, max) when building DDPM");
    }
  }

  /** An order for DJL to read by. */
  private record SeededSampler(int size, int batchSize, long seed) implements Sampler {
    @Override
    public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
      return new EndlessOrder(size, batchSize, seed);
    }

    @Override
    public int getBatchSize() {
      return batchSize;
    }
  }

  /**
   * Batches of indices: every epoch is a permutation of (seed, epoch), batches run across epochs.
   */
  private static final class EndlessOrder implements Iterator<List<Long>> {
    private final int[] order;
    private final int batchSize;
    private final CounterRandom random;
    private long epoch;
    private int position;

    EndlessOrder(int size, int batchSize, long seed) {
      this.order = new int[size];
      this.batchSize = batchSize;
      this.random = CounterRandom.of(seed, CounterRandom.Stream.DATA_ORDER);
      this.position = size;
    }

    @Override
    public boolean hasNext() {
      return true;
    }

    @Override
    public List<Long> next() {
      List<Long> batch = new ArrayList<>(batchSize);
      while (batch.size() < batchSize) {
        if (position == order.length) {
          for (int i = 0; i < order.length; i++) {
            order[i] = i;
          }
          ArraySampler.shuffle(random.at(epoch++, 0), order);
          position = 0;
        }
        batch.add((long) order[position++]);
      }
      return batch;
    }
  }

  /** The batches of a dataset over and over. */
  private static final class Repeating implements Iterator<Batch> {
    private final Dataset dataset;
    private final NDManager manager;
    private Iterator<Batch> current;

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
      try {
        if (!current.hasNext()) {
          current = dataset.getData(manager).iterator();
          if (!current.hasNext()) {
            throw new IllegalStateException(
                "the dataset gave batches once and none when it was read again; training reads it"
                    + " as often as the steps need");
          }
        }
      } catch (IOException e) {
        throw new UncheckedIOException("the dataset could not be read: " + e.getMessage(), e);
      } catch (TranslateException e) {
        throw new IllegalArgumentException("the dataset could not be read: " + e.getMessage(), e);
      }
      return current.next();
    }
  }
}
