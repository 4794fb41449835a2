package io.github.ddpm4j.unet.internal.running;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;

/** Arrays that go into a network together with the images: on their device, in their manager. */
public final class Beside {

  private Beside() {}

  /**
   * Uploads numbers as float32.
   *
   * @param images what they go with
   * @param values the numbers, row-major
   * @param shape their shape
   * @return the array, in the manager of the images
   */
  public static NDArray upload(NDArray images, double[] values, Shape shape) {
    return move(images, Upload.doubles(images.getManager(), values, shape, DataType.FLOAT32));
  }

  /**
   * An array on the device of the images, where their manager may be on another.
   *
   * @param images what it goes with
   * @param array the array, which is closed if it was elsewhere
   * @return the array there
   */
  public static NDArray move(NDArray images, NDArray array) {
    if (array.getDevice().equals(images.getDevice())) {
      return array;
    }
    try (NDArray elsewhere = array) {
      return elsewhere.toDevice(images.getDevice(), true);
    }
  }
}
