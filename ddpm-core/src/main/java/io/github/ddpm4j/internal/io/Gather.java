package io.github.ddpm4j.internal.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The values of a tensor that lie in another order, such as transposed, row-major. The part of the
 * storage that holds them is read once.
 */
final class Gather implements EngineMemory.Bytes {

  private final EngineMemory.Bytes storage;
  private final long span;
  private final int width;
  private final long[] shape;
  private final long[] stride;
  private final String about;
  private @Nullable ByteBuffer values;

  /**
   * The values in order.
   *
   * @param storage gives the bytes of the storage, from the tensor's first value on
   * @param span how many bytes of it hold the tensor
   * @param width the bytes of a value: 1, 2, 4 or 8
   * @param shape the shape
   * @param stride how many values lie between neighbours, for each dimension
   * @param about the tensor, for messages
   */
  Gather(
      EngineMemory.Bytes storage, long span, int width, long[] shape, long[] stride, String about) {
    this.storage = storage;
    this.span = span;
    this.width = width;
    this.shape = shape;
    this.stride = stride;
    this.about = about;
  }

  @Override
  public void read(long first, ByteBuffer target) throws IOException {
    ByteBuffer from = values().order(target.order());
    long[] index = index(first / width);
    int last = shape.length - 1;
    while (target.hasRemaining()) {
      long place = 0;
      for (int i = 0; i < shape.length; i++) {
        place += index[i] * stride[i];
      }
      // Along the last dimension, as far as it and the buffer go.
      long steps = Math.min(shape[last] - index[last], target.remaining() / width);
      for (long step = 0; step < steps; step++) {
        copy(from, (int) ((place + step * stride[last]) * width), target);
      }
      index[last] += steps;
      for (int i = last; i > 0 && index[i] == shape[i]; i--) {
        index[i] = 0;
        index[i - 1]++;
      }
    }
  }

  private long[] index(long element) {
    long[] index = new long[shape.length];
    long rest = element;
    for (int i = shape.length - 1; i >= 0; i--) {
      index[i] = rest % shape[i];
      rest /= shape[i];
    }
    return index;
  }

  private void copy(ByteBuffer from, int place, ByteBuffer target) {
    switch (width) {
      case 1 -> target.put(from.get(place));
      case 2 -> target.putShort(from.getShort(place));
      case 4 -> target.putInt(from.getInt(place));
      default -> target.putLong(from.getLong(place));
    }
  }

  private ByteBuffer values() throws IOException {
    ByteBuffer read = values;
    if (read == null) {
      if (span > Integer.MAX_VALUE - Long.BYTES) {
        throw new IOException(
            about + " lies out of order over more than 2 GB; save it with contiguous()");
      }
      read = ByteBuffer.allocate((int) span);
      storage.read(0, read);
      values = read.clear();
    }
    return read;
  }
}
