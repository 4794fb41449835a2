package io.github.ddpm4j.internal.io;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.GradMode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Raw values of tensors on their way between files and the engine's own memory, without a copy
 * between, where the array lies in order on the CPU.
 */
final class EngineMemory {

  /** A buffer of Java ends at 2 GB, so larger arrays are seen in pieces. */
  static final int PIECE_BYTES = 1 << 26;

  /** How many bytes go into a stream at once. */
  private static final int STREAM_BYTES = 1 << 16;

  private EngineMemory() {}

  /** Where values come from. */
  @FunctionalInterface
  interface Bytes {

    /**
     * Fills a buffer with values, which are little-endian and row-major.
     *
     * @param first the place of the first byte, counted from the beginning of the tensor
     * @param target filled to its limit
     * @throws IOException if reading fails
     */
    void read(long first, ByteBuffer target) throws IOException;
  }

  /** Where values go. */
  @FunctionalInterface
  interface Target {

    /**
     * Takes the next values.
     *
     * @param values row-major
     * @throws IOException if writing fails
     */
    void write(ByteBuffer values) throws IOException;
  }

  /**
   * Makes an array.
   *
   * @param manager owns it, on its device
   * @param type the type
   * @param shape the shape
   * @param bytes gives the values
   * @return the array
   * @throws IOException if reading fails
   */
  static NDArray create(NDManager manager, DataType type, Shape shape, Bytes bytes)
      throws IOException {
    boolean done = false;
    NDArray array = manager.create(shape, type);
    try {
      fill(array, bytes);
      done = true;
      return array;
    } finally {
      if (!done) {
        array.close();
      }
    }
  }

  /**
   * Sets an array.
   *
   * @param array receives the values; on any device, in any order
   * @param bytes gives the values, in the array's type
   * @throws IOException if reading fails
   */
  static void fill(NDArray array, Bytes bytes) throws IOException {
    if (array.size() == 0) {
      return;
    }
    try (GradMode off = GradMode.off();
        NDManager temporary = array.getManager().newSubManager()) {
      ByteBuffer own = ownMemory(array, temporary);
      if (own == null) {
        fillInPieces(array, bytes, temporary);
      } else {
        bytes.read(0, inOrder(own));
      }
    }
  }

  /**
   * The memory of an array that one buffer sees; null if it is too large, on a GPU, or its values
   * do not lie in order. For these there is a buffer over a copy, and another one each time;
   * nothing else tells.
   */
  private static @Nullable ByteBuffer ownMemory(NDArray array, NDManager temporary) {
    if (array.getDevice().isGpu() || bytes(array) > PIECE_BYTES) {
      return null;
    }
    ByteBuffer own = flat(array, temporary).toByteBuffer(true);
    return isSame(own, flat(array, temporary).toByteBuffer(true)) ? own : null;
  }

  private static long bytes(NDArray array) {
    return array.size() * array.getDataType().getNumOfBytes();
  }

  private static void fillInPieces(NDArray array, Bytes bytes, NDManager temporary)
      throws IOException {
    if (isInOrder(array, temporary)) {
      pieces(array, temporary, (first, piece) -> bytes.read(first, inOrder(piece)));
    } else {
      NDManager cpu = temporary.newSubManager(Device.cpu());
      try (NDArray copy = create(cpu, array.getDataType(), array.getShape(), bytes)) {
        array.set(new NDIndex("..."), copy);
      }
    }
  }

  /**
   * Shows the values of an array.
   *
   * @param array the array; on any device, in any order
   * @param target takes them
   * @throws IOException if writing fails
   */
  static void show(NDArray array, Target target) throws IOException {
    if (array.size() == 0) {
      return;
    }
    try (GradMode off = GradMode.off();
        NDManager temporary = array.getManager().newSubManager()) {
      pieces(array, temporary, (first, piece) -> target.write(inOrder(piece)));
    }
  }

  /**
   * Writes the values of an array, in the byte order of this machine.
   *
   * @param array the array; on any device, in any order
   * @param out where to; not closed
   * @throws IOException if writing fails
   */
  static void write(NDArray array, OutputStream out) throws IOException {
    show(
        array,
        values -> {
          byte[] piece = new byte[Math.min(values.remaining(), STREAM_BYTES)];
          while (values.hasRemaining()) {
            int length = Math.min(values.remaining(), piece.length);
            values.get(piece, 0, length);
            out.write(piece, 0, length);
          }
        });
  }

  /** The values, which lie in order; the buffer is that of the engine, with its byte order. */
  private static ByteBuffer inOrder(NDArray piece) {
    return inOrder(piece.toByteBuffer(true));
  }

  private static ByteBuffer inOrder(ByteBuffer buffer) {
    return buffer.rewind().order(ByteOrder.nativeOrder());
  }

  /** What is done with a piece. */
  @FunctionalInterface
  private interface Piece {
    void see(long firstByte, NDArray piece) throws IOException;
  }

  private static void pieces(NDArray array, NDManager temporary, Piece work) throws IOException {
    long size = array.size();
    int width = array.getDataType().getNumOfBytes();
    long most = PIECE_BYTES / width;
    NDArray flat = flat(array, temporary);
    if (size <= most) {
      work.see(0, flat);
      return;
    }
    for (long first = 0; first < size; first += most) {
      try (NDManager each = temporary.newSubManager()) {
        NDArray piece = flat.get(new NDIndex("{}:{}", first, Math.min(size, first + most)));
        piece.attach(each);
        work.see(first * width, piece);
      }
    }
  }

  /** Of an array in order a view, of most others a copy. */
  private static NDArray flat(NDArray array, NDManager temporary) {
    NDArray flat = array.reshape(array.size());
    flat.attach(temporary);
    return flat;
  }

  /** Whether what is written into the array's buffer lands in the array; see {@link #ownMemory}. */
  private static boolean isInOrder(NDArray array, NDManager temporary) {
    if (array.getDevice().isGpu()) {
      return false;
    }
    return isSame(beginning(array, temporary), beginning(array, temporary));
  }

  private static boolean isSame(ByteBuffer one, ByteBuffer other) {
    byte before = one.get(0);
    one.put(0, (byte) ~before);
    boolean same = other.get(0) == (byte) ~before;
    one.put(0, before);
    return same;
  }

  private static ByteBuffer beginning(NDArray array, NDManager temporary) {
    NDArray flat = flat(array, temporary);
    if (bytes(flat) > PIECE_BYTES) {
      // Two of them, since one alone is always in order.
      flat = flat.get(new NDIndex("0:2"));
      flat.attach(temporary);
    }
    return flat.toByteBuffer(true);
  }
}
