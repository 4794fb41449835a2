package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.lang.ref.SoftReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.DoubleSupplier;

/**
 * Copies numbers from Java into the engine's own memory.
 *
 * <p>{@link NDManager#create(float[], Shape)} makes an array that lies in a fresh direct buffer,
 * whose memory returns only when the garbage collector finds it: a loop that uploads something in
 * each step grows by all of it in the meantime. Here one buffer per thread is used again and again,
 * and the array is a copy that is freed when it is closed.
 */
public final class Upload {

  private static final int SMALLEST_BUFFER = 1 << 12;

  private static final ThreadLocal<SoftReference<ByteBuffer>> staging =
      ThreadLocal.withInitial(() -> new SoftReference<>(null));

  private Upload() {}

  /**
   * Uploads float32 values.
   *
   * @param manager owns the array that is returned, on its device
   * @param values the values, row-major
   * @param shape their shape
   * @return a float32 array
   */
  public static NDArray floats(NDManager manager, float[] values, Shape shape) {
    ByteBuffer buffer = buffer(values.length * Float.BYTES);
    buffer.asFloatBuffer().put(values);
    return copy(manager, buffer, shape, DataType.FLOAT32);
  }

  /**
   * Uploads float32 values that are made one after the other, without an array of Java between.
   *
   * @param manager owns the array that is returned, on its device
   * @param shape its shape
   * @param next gives the values, row-major; each is rounded to float32
   * @return a float32 array
   */
  public static NDArray floats(NDManager manager, Shape shape, DoubleSupplier next) {
    int size = Math.toIntExact(shape.size());
    ByteBuffer buffer = buffer(Math.multiplyExact(size, Float.BYTES));
    for (int i = 0; i < size; i++) {
      buffer.putFloat(i * Float.BYTES, (float) next.getAsDouble());
    }
    return copy(manager, buffer, shape, DataType.FLOAT32);
  }

  /**
   * Uploads float64 values as float32 or float64.
   *
   * @param manager owns the array that is returned, on its device
   * @param values the values, row-major
   * @param shape their shape
   * @param type FLOAT32, to which the values are rounded, or FLOAT64
   * @return an array of that type
   * @throws IllegalArgumentException if the type is another
   */
  public static NDArray doubles(NDManager manager, double[] values, Shape shape, DataType type) {
    ByteBuffer buffer = buffer(values.length, type);
    put(buffer, 0, values, type);
    return copy(manager, buffer, shape, type);
  }

  /** Makes the values of one image. */
  @FunctionalInterface
  public interface Row {

    /**
     * Makes the values.
     *
     * @param image the index in the batch
     * @param target receives them, row-major
     */
    void fill(int image, double[] target);
  }

  /**
   * Uploads values that are made image by image.
   *
   * @param manager owns the array that is returned, on its device
   * @param batch the shape of the batch, (N, …)
   * @param type FLOAT32, to which the values are rounded, or FLOAT64
   * @param row makes the values of an image
   * @return an array of that shape and type
   * @throws IllegalArgumentException if the type is another
   */
  public static NDArray rows(NDManager manager, Shape batch, DataType type, Row row) {
    int images = Math.toIntExact(batch.get(0));
    int size = Math.toIntExact(batch.size() / images);
    ByteBuffer buffer = buffer(Math.multiplyExact(images, size), type);
    double[] one = new double[size];
    for (int i = 0; i < images; i++) {
      row.fill(i, one);
      put(buffer, i * size, one, type);
    }
    return copy(manager, buffer, batch, type);
  }

  private static ByteBuffer buffer(int values, DataType type) {
    if (type != DataType.FLOAT32 && type != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          "values can be uploaded as float32 or float64, but not as " + type);
    }
    return buffer(Math.multiplyExact(values, type.getNumOfBytes()));
  }

  /** Writes values from the place {@code first} on. */
  private static void put(ByteBuffer buffer, int first, double[] values, DataType type) {
    if (type == DataType.FLOAT64) {
      buffer.asDoubleBuffer().put(first, values);
      return;
    }
    for (int i = 0; i < values.length; i++) {
      buffer.putFloat((first + i) * Float.BYTES, (float) values[i]);
    }
  }

  /**
   * Takes the thread's buffer, with the limit at this many bytes, until {@link #copy} gives it
   * back: what makes the values may upload something itself.
   */
  private static ByteBuffer buffer(int bytes) {
    ByteBuffer kept = staging.get().get();
    staging.remove();
    if (kept == null || kept.capacity() < bytes) {
      kept = ByteBuffer.allocateDirect(Math.max(SMALLEST_BUFFER, bytes));
    }
    return kept.order(ByteOrder.nativeOrder()).clear().limit(bytes);
  }

  private static NDArray copy(NDManager manager, ByteBuffer buffer, Shape shape, DataType type) {
    try (NDArray view = manager.create(buffer.slice(), shape, type)) {
      return view.duplicate();
    } finally {
      staging.set(new SoftReference<>(buffer));
    }
  }
}
