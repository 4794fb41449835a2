package io.github.ddpm4j.internal.data;

import ai.djl.training.dataset.BatchSampler;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.RandomSampler;
import ai.djl.training.dataset.Sampler;
import ai.djl.training.dataset.SequenceSampler;
import java.lang.reflect.Field;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The batch size and order that a dataset was built with, by {@code setSampling}. DJL has no method
 * that tells them, so that fields are read; where that is not possible, they are not known.
 *
 * @param batchSize the batch size
 * @param order how the images are visited
 * @param name the class of the sampler, for messages
 */
public record OwnSampling(int batchSize, Order order, String name) {

  /** An order of images. */
  public enum Order {
    /** At random. */
    RANDOM,
    /** As they are stored. */
    STORED,
    /** As a sampler of the user's has it. */
    OTHER
  }

  /**
   * The batch size and order of a dataset.
   *
   * @param dataset the dataset
   * @return what it was built with, or empty if that is not known
   */
  public static Optional<OwnSampling> of(RandomAccessDataset dataset) {
    if (!(field(RandomAccessDataset.class, "sampler", dataset) instanceof Sampler sampler)) {
      return Optional.empty();
    }
    Order order = Order.OTHER;
    if (sampler.getClass() == BatchSampler.class) {
      Object inner = field(BatchSampler.class, "subSampler", sampler);
      if (inner == null) {
        return Optional.empty();
      }
      order =
          inner instanceof RandomSampler
              ? Order.RANDOM
              : inner instanceof SequenceSampler ? Order.STORED : Order.OTHER;
    }
    return Optional.of(
        new OwnSampling(sampler.getBatchSize(), order, sampler.getClass().getName()));
  }

  private static @Nullable Object field(Class<?> owner, String name, Object of) {
    try {
      Field field = owner.getDeclaredField(name);
      field.setAccessible(true);
      return field.get(of);
    } catch (ReflectiveOperationException | RuntimeException e) {
      return null;
    }
  }

  /**
   * The batch size of a run over the dataset, which visits the images in an order of its own.
   *
   * @param wanted the batch size that the run was told; 0 if none
   * @return that, or the dataset's
   * @throws IllegalArgumentException if the dataset was built for an order that the run would not
   *     keep, without a word from the user
   */
  public int batchSizeOfRun(int wanted) {
    if (order == Order.OTHER) {
      throw new IllegalArgumentException(
          "the dataset has a Sampler of its own, "
              + name
              + ", which training would not use: it visits every image once per epoch, in an order"
              + " that is a function of the seed; build the dataset with setSampling(batchSize,"
              + " true), or hand over a Dataset that is no RandomAccessDataset, whose batches are"
              + " taken as they come");
    }
    if (wanted == 0 && order == Order.STORED) {
      throw new IllegalArgumentException(
          "the dataset was built to be read in order, by setSampling("
              + batchSize
              + ", false), but training visits images in an order that is a function of the seed;"
              + " build it with setSampling("
              + batchSize
              + ", true), or call batchSize("
              + batchSize
              + ") on the training");
    }
    return wanted == 0 ? batchSize : wanted;
  }
}
