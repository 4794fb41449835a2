package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.DoubleSupplier;

/**
 * Copies numbers from Java into the engine's own memory.
 *
 * <p>{@link NDManager#create(float[], Shape)} makes an array that lies in a fresh direct buffer,
 * whose memory returns only when the garbage collector finds it: a loop that uploads something in
 * each step grows by all of it in the meantime. Here values pass through a small buffer, piece by
 * piece, into an array of the engine's. All threads share the buffers, of which few are kept, since
 * one for each of many threads would fill the memory that buffers may take.
 */
public final class Upload {

  /** The size of every buffer. */
  static final int PIECE_BYTES = 1 << 20;

  /** How many buffers are kept; more are made when more threads upload at once, and let go. */
  static final int MOST_KEPT = 16;

  private static final BlockingQueue<ByteBuffer> kept = new ArrayBlockingQueue<>(MOST_KEPT);

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
    return upload(
        manager,
        shape,
        DataType.FLOAT32,
        (piece, first, count) -> piece.asFloatBuffer().put(values, first, count));
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
    return upload(
        manager,
        shape,
        DataType.FLOAT32,
        (piece, first, count) -> {
          for (int i = 0; i < count; i++) {
            piece.putFloat((float) next.getAsDouble());
          }
        });
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
    return upload(
        manager, shape, type, (piece, first, count) -> put(piece, values, first, count, type));
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
    int size = Math.toIntExact(batch.size() / batch.get(0));
    double[] one = new double[size];
    return upload(
        manager,
        batch,
        type,
        (piece, first, count) -> {
          for (int i = first; i < first + count; ) {
            int done = i % size;
            if (done == 0) {
              row.fill(i / size, one);
            }
            int some = Math.min(size - done, first + count - i);
            put(piece, one, done, some, type);
            i += some;
          }
        });
  }

  /** Makes values in their order. */
  @FunctionalInterface
  private interface Source {
    /** Puts the next {@code count} values, of which {@code first} is the first, into a buffer. */
    void put(ByteBuffer piece, int first, int count);
  }

  private static void put(ByteBuffer piece, double[] values, int first, int count, DataType type) {
    for (int i = first; i < first + count; i++) {
      if (type == DataType.FLOAT64) {
        piece.putDouble(values[i]);
      } else {
        piece.putFloat((float) values[i]);
      }
    }
  }

  private static NDArray upload(NDManager manager, Shape shape, DataType type, Source source) {
    if (type != DataType.FLOAT32 && type != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          "values can be uploaded as float32 or float64, but not as " + type);
    }
    int size = Math.toIntExact(shape.size());
    int most = PIECE_BYTES / type.getNumOfBytes();
    if (size > most) {
      return pieces(manager, shape, type, source);
    }
    ByteBuffer buffer = take();
    try {
      source.put(buffer, 0, size);
      try (NDArray view = view(manager, buffer, size, shape, type)) {
        return view.duplicate();
      }
    } finally {
      giveBack(buffer);
    }
  }

  private static NDArray pieces(NDManager manager, Shape shape, DataType type, Source source) {
    int size = Math.toIntExact(shape.size());
    int most = PIECE_BYTES / type.getNumOfBytes();
    ByteBuffer buffer = take();
    NDArray whole = manager.create(shape, type);
    boolean done = false;
    try (NDArray flat = whole.reshape(size)) {
      for (int first = 0; first < size; first += most) {
        int count = Math.min(most, size - first);
        source.put(buffer.clear(), first, count);
        try (NDArray view = view(manager, buffer, count, new Shape(count), type)) {
          flat.set(new NDIndex("{}:{}", first, first + count), view);
        }
      }
      done = true;
      return whole;
    } finally {
      giveBack(buffer);
      if (!done) {
        whole.close();
      }
    }
  }

  /** An array that lies in the buffer: copy it before the buffer is used again. */
  private static NDArray view(
      NDManager manager, ByteBuffer buffer, int count, Shape shape, DataType type) {
    ByteBuffer values = buffer.duplicate().position(0).limit(count * type.getNumOfBytes());
    return manager.create(values.slice().order(ByteOrder.nativeOrder()), shape, type);
  }

  /** A buffer that nobody else has, even while the values are made: that may upload something. */
  private static ByteBuffer take() {
    ByteBuffer buffer = kept.poll();
    return buffer == null
        ? ByteBuffer.allocateDirect(PIECE_BYTES).order(ByteOrder.nativeOrder())
        : buffer.clear();
  }

  private static void giveBack(ByteBuffer buffer) {
    // If enough are kept, it is let go: the collector frees it before memory for another runs out.
    boolean unused = kept.offer(buffer);
  }
}
