package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;

/**
 * What a file says of a tensor before its values are read.
 *
 * @param shape the shape
 * @param type the type of the array that is read: that of the file, but float32 for bfloat16 and
 *     int32 for int16, which the engine's arrays lack; {@link DataType#UNKNOWN} if it cannot be
 *     read
 * @param kind what the file holds, such as {@code BF16}
 */
public record TensorInfo(Shape shape, DataType type, String kind) {

  static TensorInfo of(Shape shape, TensorType type) {
    return new TensorInfo(shape, type.array(), type.name());
  }

  /**
   * Whether the values can be read.
   *
   * @return false if the type is one that this library does not read, such as float8
   */
  public boolean isReadable() {
    return type != DataType.UNKNOWN;
  }

  /**
   * How much memory the array takes.
   *
   * @return the number of bytes; 0 if it cannot be read
   */
  public long bytes() {
    return isReadable() ? Math.multiplyExact(shape.size(), type.getNumOfBytes()) : 0;
  }
}
