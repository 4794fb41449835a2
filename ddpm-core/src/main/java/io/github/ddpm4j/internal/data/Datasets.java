package io.github.ddpm4j.internal.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** How datasets are read, in training and in evaluation alike. */
public final class Datasets {

  private Datasets() {}

  /**
   * Something that a dataset does.
   *
   * @param <T> what it gives
   */
  @FunctionalInterface
  public interface Reading<T> {

    /**
     * Does it.
     *
     * @return what it gives
     * @throws IOException if reading fails
     * @throws TranslateException if a record cannot be turned into arrays
     */
    T read() throws IOException, TranslateException;
  }

  /**
   * Reads from a dataset.
   *
   * @param reading what to do
   * @param <T> what it gives
   * @return what it gave
   * @throws UncheckedIOException if reading failed
   * @throws IllegalArgumentException if a record could not be turned into arrays
   */
  public static <T> T read(Reading<T> reading) {
    try {
      return reading.read();
    } catch (IOException e) {
      throw new UncheckedIOException("the dataset could not be read: " + e.getMessage(), e);
    } catch (TranslateException e) {
      throw new IllegalArgumentException("the dataset could not be read: " + e.getMessage(), e);
    }
  }

  /**
   * Takes the next batch of a dataset that is read by indices. If a record cannot be read, the
   * message names it: one after the other is tried alone, unless the thread is interrupted.
   *
   * @param dataset the dataset
   * @param batches its batches
   * @param names the names of the records of the next batch, known once it is taken
   * @param manager owns what is read to find the record
   * @return the batch; the caller closes it
   * @throws UncheckedIOException if a file could not be read
   * @throws IllegalStateException if a record could not be read for another reason
   */
  public static Batch next(
      RandomAccessDataset dataset,
      Iterator<Batch> batches,
      Supplier<List<Long>> names,
      NDManager manager) {
    try {
      return batches.next();
    } catch (RuntimeException e) {
      if (Thread.currentThread().isInterrupted()) {
        throw e;
      }
      List<Long> indices = names.get();
      for (long index : indices) {
        try (NDManager own = manager.newSubManager()) {
          dataset.get(own, index);
        } catch (UnsupportedOperationException single) {
          // It reads whole batches alone, and which image is to blame cannot be told.
          throw unread(RecordNames.of(dataset, indices), e);
        } catch (IOException | RuntimeException own) {
          throw unread(RecordNames.of(dataset, List.of(index)), own);
        }
      }
      throw unread(RecordNames.of(dataset, indices), e);
    }
  }

  private static RuntimeException unread(RecordNames names, Exception failure) {
    String message = names.all() + " could not be read: " + failure.getMessage();
    return failure instanceof IOException io
        ? new UncheckedIOException(message, io)
        : new IllegalStateException(message, failure);
  }

  /**
   * The images of a batch. Signals of shape (C, L) and vectors of shape (C) are images of height 1
   * to a network of (C, 1, L) or (C, 1, 1).
   *
   * @param batch the batch, whose first array becomes the result
   * @param names its names
   * @param image the shape (C, H, W) of the network's images, if it tells
   * @return the first array of its data; owned by the batch
   * @throws IllegalArgumentException if it has no data
   */
  public static NDArray images(Batch batch, RecordNames names, Optional<Shape> image) {
    if (batch.getData().isEmpty()) {
      throw new IllegalArgumentException(
          "the images must be the first array of the data of a batch, but "
              + names.all()
              + " has no data; put the images into the data, not into the labels");
    }
    NDArray read = batch.getData().head();
    Shape own = read.getShape();
    if (image.isEmpty() || own.dimension() < 2 || !isFlat(own.slice(1), image.get())) {
      return read;
    }
    NDArray images = read.reshape(new Shape(own.get(0)).addAll(image.get()));
    images.attach(batch.getManager());
    batch.getData().set(0, images);
    return images;
  }

  /** Whether a record is a signal or a vector of as many channels and values as an image. */
  private static boolean isFlat(Shape record, Shape image) {
    return record.dimension() < image.dimension()
        && image.dimension() == 3
        && image.get(1) == 1
        && record.get(0) == image.get(0)
        && record.size() == image.size();
  }
}
