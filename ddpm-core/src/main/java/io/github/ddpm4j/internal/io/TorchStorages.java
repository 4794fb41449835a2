package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.pickle.PickledStorage;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Where the values of a checkpoint's tensors are. */
interface TorchStorages extends Closeable {

  /** What torch calls the types of storages; their names end with Storage. */
  Map<String, TensorType> TYPES =
      Map.of(
          "DoubleStorage", TensorType.F64,
          "FloatStorage", TensorType.F32,
          "HalfStorage", TensorType.F16,
          "BFloat16Storage", TensorType.BF16,
          "LongStorage", TensorType.I64,
          "IntStorage", TensorType.I32,
          "ShortStorage", TensorType.I16,
          "CharStorage", TensorType.I8,
          "ByteStorage", TensorType.U8,
          "BoolStorage", TensorType.BOOL);

  /** How many bytes the values of others take, which are not read. */
  Map<String, Integer> UNREAD =
      Map.of(
          "ComplexHalfStorage", 4,
          "ComplexFloatStorage", 8,
          "ComplexDoubleStorage", 16,
          "QInt8Storage", 1,
          "QUInt8Storage", 1,
          "QInt32Storage", 4,
          "QUInt4x2Storage", 1,
          "QUInt2x4Storage", 1,
          "UntypedStorage", 1);

  /** The type of the values; empty if they are not read. */
  static Optional<TensorType> type(PickledStorage storage) {
    return Optional.ofNullable(TYPES.get(storage.type()));
  }

  /**
   * How many bytes a storage takes.
   *
   * @throws IOException if the type is unknown, or no file is as large
   */
  static long bytes(Object file, PickledStorage storage) throws IOException {
    TensorType type = TYPES.get(storage.type());
    Integer width = type == null ? UNREAD.get(storage.type()) : Integer.valueOf(type.bytes());
    if (width == null) {
      throw new IOException(
          file + " has a storage of the unknown class " + Quote.of("torch." + storage.type()));
    }
    if (storage.count() > Long.MAX_VALUE / width) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "%s has a storage of %d values, which no file holds",
              file,
              storage.count()));
    }
    return storage.count() * width;
  }

  /**
   * Fills a buffer with values of a storage.
   *
   * @param storage the storage
   * @param first the place of the first byte in it
   * @param target filled to its limit
   * @throws IOException if reading fails
   */
  void read(PickledStorage storage, long first, ByteBuffer target) throws IOException;
}
