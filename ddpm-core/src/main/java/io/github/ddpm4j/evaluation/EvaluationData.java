package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * The images of a dataset, once and in order, checked. A {@link RandomAccessDataset} gives batches
 * of the size that is asked for; any other dataset keeps its own order and batch size.
 */
final class EvaluationData {

  private EvaluationData() {}

  @FunctionalInterface
  interface Visitor {
    /** The part is closed afterwards. */
    void visit(NDArray images, NDList labels);
  }

  /** Shows the first {@code most} images of a dataset to a visitor, a batch at a time. */
  static void visit(
      Dataset dataset,
      NDManager manager,
      int batchSize,
      long most,
      Optional<Shape> image,
      Visitor visitor) {
    long seen =
        Datasets.read(
            () -> {
              dataset.prepare();
              return visitEach(dataset, manager, batchSize, most, image, visitor);
            });
    if (seen == 0) {
      throw new IllegalArgumentException(
          "the dataset is empty; an evaluation needs at least one image");
    }
  }

  private static Iterator<Batch> batches(
      Dataset dataset, NDManager manager, int batchSize, long most)
      throws IOException, TranslateException {
    return dataset instanceof RandomAccessDataset indexed
        ? indexed
            .getData(manager, new InOrder(Math.min(most, indexed.size()), batchSize))
            .iterator()
        : dataset.getData(manager).iterator();
  }

  private static long visitEach(
      Dataset dataset,
      NDManager manager,
      int batchSize,
      long most,
      Optional<Shape> image,
      Visitor visitor)
      throws IOException, TranslateException {
    Iterator<Batch> batches = batches(dataset, manager, batchSize, most);
    long seen = 0;
    for (long number = 1; seen < most && batches.hasNext(); number++) {
      try (Batch batch = next(dataset, batches, manager, seen, batchSize)) {
        NDArray images = Datasets.images(batch, RecordNames.ofBatch(number), image);
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
    return seen;
  }

  private static Batch next(
      Dataset dataset, Iterator<Batch> batches, NDManager manager, long first, int batchSize) {
    return dataset instanceof RandomAccessDataset indexed
        ? Datasets.next(
            indexed,
            batches,
            () ->
                LongStream.range(first, Math.min(indexed.size(), first + batchSize))
                    .boxed()
                    .toList(),
            manager)
        : batches.next();
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
   * @return their extent
   */
  static Images.Extent require(
      NDArray images, long firstImage, Optional<Shape> imageShape, DataRange range) {
    String name = "the batch of images from number " + firstImage + " on";
    Images.requireFloats(name, images, range);
    Images.requireBatch(name, images, imageShape);
    return Images.requireInRange(name, images, range);
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
