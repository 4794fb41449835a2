package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;

/**
 * One number per image of a batch, worked out in {@code double} and uploaded as one small array.
 *
 * <p>Batches have the image as first dimension, any number of dimensions after it, and {@code
 * float32} or {@code float64} values. Stateless and thread-safe.
 */
public final class PerImage {

  private PerImage() {}

  /**
   * Uploads one number per image, shaped to be multiplied with a batch.
   *
   * @param like a batch of shape (N, …)
   * @param values N numbers
   * @return an array of shape (N, 1, …, 1) with the rank, dtype and device of {@code like},
   *     attached to the manager of {@code like}
   * @throws IllegalArgumentException if {@code like} is no batch of floats, or there is not one
   *     value per image
   */
  public static NDArray column(NDArray like, double... values) {
    return column(like.getManager(), like, values);
  }

  /**
   * Uploads one number per image to a manager of the caller's choice, which receives what is
   * computed with the column on the left.
   *
   * @param manager what the array is attached to
   * @param like a batch of shape (N, …)
   * @param values N numbers
   * @return an array of shape (N, 1, …, 1) with the rank, dtype and device of {@code like}
   * @throws IllegalArgumentException if {@code like} is no batch of floats, or there is not one
   *     value per image
   */
  public static NDArray column(NDManager manager, NDArray like, double... values) {
    requireBatch("the batch", like);
    requireOnePerImage("values", values.length, "the batch", like);
    long[] dimensions = new long[like.getShape().dimension()];
    Arrays.fill(dimensions, 1);
    dimensions[0] = values.length;
    Shape shape = new Shape(dimensions);
    NDArray column = Upload.doubles(manager, values, shape, like.getDataType());
    if (column.getDevice().equals(like.getDevice())) {
      return column;
    }
    try (NDArray elsewhere = column) {
      return elsewhere.toDevice(like.getDevice(), true);
    }
  }

  /**
   * Refuses an array that is no batch of floats.
   *
   * @param name what messages call it
   * @param batch the array
   * @throws IllegalArgumentException if it has fewer than 2 dimensions, no image, or another dtype
   *     than {@code float32} and {@code float64}
   */
  public static void requireBatch(String name, NDArray batch) {
    Shape shape = batch.getShape();
    if (shape.dimension() < 2 || shape.get(0) < 1) {
      throw new IllegalArgumentException(
          name
              + " must have a first dimension for the image and at least one more, but had shape "
              + shape
              + "; a single image needs expandDims(0)");
    }
    DataType type = batch.getDataType();
    if (type != DataType.FLOAT32 && type != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          name
              + " must be float32 or float64, but was "
              + type
              + "; convert it with toType(DataType.FLOAT32, false)");
    }
  }

  /**
   * Refuses an array that does not fit another one.
   *
   * @param name what messages call the array
   * @param array the array
   * @param likeName what messages call the other one
   * @param like the other one
   * @throws IllegalArgumentException if the two differ in shape, dtype or device
   */
  public static void requireLike(String name, NDArray array, String likeName, NDArray like) {
    requireSame(name, "shape", array.getShape(), likeName, like.getShape(), "");
    requireSame(
        name,
        "data type",
        array.getDataType(),
        likeName,
        like.getDataType(),
        "; convert one of them with toType");
    requireSame(
        name,
        "device",
        array.getDevice(),
        likeName,
        like.getDevice(),
        "; move one of them with toDevice");
  }

  /**
   * Refuses a number of values that is not the number of images.
   *
   * @param name what messages call the values
   * @param count how many there are
   * @param batchName what messages call the batch
   * @param batch the batch
   * @throws IllegalArgumentException if {@code count} is not the first dimension of {@code batch}
   */
  public static void requireOnePerImage(String name, int count, String batchName, NDArray batch) {
    if (count != batch.getShape().get(0)) {
      throw new IllegalArgumentException(
          name
              + " must have one entry per image of "
              + batchName
              + ", that is "
              + batch.getShape().get(0)
              + ", but had "
              + count);
    }
  }

  private static void requireSame(
      String name, String what, Object found, String likeName, Object expected, String wayOut) {
    if (!found.equals(expected)) {
      throw new IllegalArgumentException(
          name
              + " must have the "
              + what
              + " of "
              + likeName
              + ", "
              + expected
              + ", but had "
              + found
              + wayOut);
    }
  }
}
