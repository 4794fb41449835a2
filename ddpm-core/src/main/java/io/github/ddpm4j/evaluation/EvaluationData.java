package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * The images of a dataset, once and in order, checked. A {@link RandomAccessDataset} gives batches
 * of the size that is asked for; any other dataset keeps its own order and batch size.
 */
final class EvaluationData {

  /** How far outside the range rounding may put a value, as a share of the width of the range. */
  private static final double RANGE_TOLERANCE = 1e-4;

  private EvaluationData() {}

  @FunctionalInterface
  interface Visitor {
    /** The part is closed afterwards. */
    void visit(NDArray images, NDList labels);
  }

  /** Shows the first {@code most} images of a dataset to a visitor, a batch at a time. */
  static void visit(Dataset dataset, NDManager manager, int batchSize, long most, Visitor visitor) {
    try {
      dataset.prepare();
      Iterable<Batch> batches =
          dataset instanceof RandomAccessDataset indexed
              ? indexed.getData(manager, new InOrder(Math.min(most, indexed.size()), batchSize))
              : dataset.getData(manager);
      long seen = 0;
      for (Iterator<Batch> all = batches.iterator(); seen < most && all.hasNext(); ) {
        try (Batch batch = all.next()) {
          if (batch.getData().isEmpty()) {
            throw new IllegalArgumentException(
                "the images must be the first array of the data of a batch, but a batch has no"
                    + " data; put the images into the data, not into the labels");
          }
          NDArray images = batch.getData().head();
          long count = images.getShape().get(0);
          if (count > most - seen) {
            count = most - seen;
            visitor.visit(first(images, count), firsts(batch.getLabels(), count));
          } else if (count > 0) {
            visitor.visit(images, batch.getLabels());
          }
          seen += count;
        }
      }
      if (seen == 0) {
        throw new IllegalArgumentException(
            "the dataset is empty; an evaluation needs at least one image");
      }
    } catch (IOException e) {
      throw new UncheckedIOException("the dataset could not be read: " + e.getMessage(), e);
    } catch (TranslateException e) {
      throw new IllegalArgumentException("the dataset could not be read: " + e.getMessage(), e);
    }
  }

  private static NDList firsts(NDList arrays, long count) {
    NDList some = new NDList();
    arrays.forEach(array -> some.add(first(array, count)));
    return some;
  }

  private static NDArray first(NDArray array, long count) {
    return array.get("0:" + count);
  }

  /**
   * Refuses what are no images in the data range.
   *
   * @param firstImage the number of the first of them, for messages
   */
  static void require(
      NDArray images, long firstImage, Optional<Shape> imageShape, DataRange range) {
    String which = "the images from number " + firstImage + " on";
    Shape shape = images.getShape();
    DataType type = images.getDataType();
    if (type != DataType.FLOAT32 && type != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          which
              + " must be float32 or float64, but were "
              + type
              + "; convert them and scale them to "
              + range);
    }
    if (shape.dimension() != 4
        || imageShape.filter(own -> !own.equals(shape.slice(1))).isPresent()) {
      throw new IllegalArgumentException(
          which
              + " must have shape (N, C, H, W)"
              + imageShape.map(own -> " with (C, H, W) = " + own).orElse("")
              + ", but had "
              + shape);
    }
    double low;
    double high;
    try (NDArray least = images.min();
        NDArray greatest = images.max()) {
      low = number(least);
      high = number(greatest);
    }
    double tolerance = RANGE_TOLERANCE * (range.max() - range.min());
    if (!(low >= range.min() - tolerance && high <= range.max() + tolerance)) {
      throw new IllegalArgumentException(
          which
              + " must lie in the data range "
              + range
              + ", but hold values from "
              + low
              + " to "
              + high
              + "; scale the images, or set dataRange(min, max) when building DDPM");
    }
  }

  private static double number(NDArray scalar) {
    return scalar.getDataType() == DataType.FLOAT64 ? scalar.getDouble() : scalar.getFloat();
  }

  /** The images from the first on. */
  private record InOrder(long size, int batchSize) implements Sampler {
    @Override
    public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
      return LongStream.iterate(0, first -> first < size, first -> first + batchSize)
          .mapToObj(
              first -> LongStream.range(first, Math.min(size, first + batchSize)).boxed().toList())
          .iterator();
    }

    @Override
    public int getBatchSize() {
      return batchSize;
    }
  }
}
