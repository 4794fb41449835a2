package io.github.ddpm4j.internal.pickle;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A tensor: which values of a storage it is. Element (i, j, …) is value {@code offset + i·stride_0
 * + j·stride_1 + …}. All of them lie in the storage.
 *
 * @param storage the values; null if the tensor is of a kind that cannot be read
 * @param offset the first value
 * @param shape the shape
 * @param stride how many values lie between neighbours, for each dimension
 * @param refusal why it cannot be read; empty if it can
 */
public record PickledTensor(
    @Nullable PickledStorage storage,
    long offset,
    List<Long> shape,
    List<Long> stride,
    String refusal) {

  static PickledTensor unread(String refusal) {
    return new PickledTensor(null, 0, List.of(), List.of(), refusal);
  }

  /**
   * Checks a tensor.
   *
   * @throws PickleException if it is none, or not all of it lies in the storage
   */
  static PickledTensor of(PickledStorage storage, long offset, List<Long> shape, List<Long> stride)
      throws PickleException {
    if (shape.size() != stride.size()) {
      throw new PickleException(
          "holds a tensor with " + shape.size() + " dimensions and " + stride.size() + " strides");
    }
    boolean empty = false;
    long last = offset;
    long size = 1;
    try {
      for (int i = 0; i < shape.size(); i++) {
        long dimension = shape.get(i);
        if (dimension < 0 || stride.get(i) < 0) {
          throw new PickleException("holds a tensor with a negative dimension or stride");
        }
        empty |= dimension == 0;
        size = Math.multiplyExact(size, Math.max(1, dimension));
        last = Math.addExact(last, Math.multiplyExact(Math.max(0, dimension - 1), stride.get(i)));
      }
    } catch (ArithmeticException e) {
      throw new PickleException("holds a tensor that is larger than any file");
    }
    if (offset < 0 || offset > storage.count() || (!empty && last >= storage.count())) {
      throw new PickleException(
          "holds a tensor of the values "
              + offset
              + " to "
              + last
              + " of a storage that has "
              + storage.count());
    }
    return new PickledTensor(storage, offset, shape, stride, "");
  }

  /**
   * The number of elements.
   *
   * @return the product of the dimensions
   */
  public long size() {
    return shape.stream().mapToLong(Long::longValue).reduce(1, (a, b) -> a * b);
  }

  /**
   * How many neighbouring values of the storage hold all elements.
   *
   * @return from the first to the last one; 0 if there are none
   */
  public long span() {
    long span = 1;
    for (int i = 0; i < shape.size(); i++) {
      if (shape.get(i) == 0) {
        return 0;
      }
      span += (shape.get(i) - 1) * stride.get(i);
    }
    return span;
  }

  /**
   * Whether the values of the storage are the elements, in their order.
   *
   * @return false for a transposed tensor, say
   */
  public boolean isInOrder() {
    long step = 1;
    for (int i = shape.size() - 1; i >= 0; i--) {
      if (shape.get(i) != 1 && stride.get(i) != step) {
        return size() == 0;
      }
      step *= shape.get(i);
    }
    return true;
  }
}
