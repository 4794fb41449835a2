package io.github.ddpm4j.internal.data;

import ai.djl.ndarray.NDArray;
import ai.djl.training.dataset.Batch;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.io.UncheckedIOException;

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
   * The images of a batch.
   *
   * @param batch the batch
   * @param number its number, from 1
   * @return the first array of its data
   * @throws IllegalArgumentException if it has no data
   */
  public static NDArray images(Batch batch, long number) {
    if (batch.getData().isEmpty()) {
      throw new IllegalArgumentException(
          "the images must be the first array of the data of a batch, but batch "
              + number
              + " has no data; put the images into the data, not into the labels");
    }
    return batch.getData().head();
  }
}
