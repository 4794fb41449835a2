package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.types.DataType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The types of values in files, by the names that safetensors has for them. */
enum TensorType {
  F64(DataType.FLOAT64, 8),
  F32(DataType.FLOAT32, 4),
  F16(DataType.FLOAT16, 2),
  /** The engine's arrays know none: read as float32, which holds each value exactly. */
  BF16(DataType.FLOAT32, 2),
  I64(DataType.INT64, 8),
  I32(DataType.INT32, 4),
  /** The engine's arrays know none: read as int32. */
  I16(DataType.INT32, 2),
  I8(DataType.INT8, 1),
  U8(DataType.UINT8, 1),
  BOOL(DataType.BOOLEAN, 1),
  // Known, but not read.
  F8_E5M2(DataType.UNKNOWN, 1),
  F8_E4M3(DataType.UNKNOWN, 1),
  F8_E8M0(DataType.UNKNOWN, 1),
  U16(DataType.UNKNOWN, 2),
  U32(DataType.UNKNOWN, 4),
  U64(DataType.UNKNOWN, 8),
  C64(DataType.UNKNOWN, 8);

  private static final int WIDENED_AT_ONCE = 1 << 13;

  private final DataType array;
  private final int bytes;

  TensorType(DataType array, int bytes) {
    this.array = array;
    this.bytes = bytes;
  }

  /** The type of the arrays that are made of them; UNKNOWN if they are not read. */
  DataType array() {
    return array;
  }

  /** The type in the file, for messages; an array need not be able to have it. */
  DataType inFile() {
    return switch (this) {
      case BF16 -> DataType.BFLOAT16;
      case I16 -> DataType.INT16;
      default -> array;
    };
  }

  /** How many bytes a value takes in a file. */
  int bytes() {
    return bytes;
  }

  /** Whether an array of a type holds every value. */
  boolean fits(DataType type) {
    return array == type || (this == F16 && type == DataType.FLOAT32);
  }

  /** Values as an array has them, of values as a file has them. */
  EngineMemory.Bytes widened(EngineMemory.Bytes raw) {
    return widened(raw, array);
  }

  /** Values as an array of a type that {@linkplain #fits fits} has them. */
  EngineMemory.Bytes widened(EngineMemory.Bytes raw, DataType type) {
    boolean half = this == F16 && type == DataType.FLOAT32;
    return half || this == BF16 || this == I16 ? (first, target) -> widen(raw, first, target) : raw;
  }

  private void widen(EngineMemory.Bytes raw, long first, ByteBuffer target) throws IOException {
    ByteBuffer narrow =
        ByteBuffer.allocate(Math.min(target.remaining() / 2, Short.BYTES * WIDENED_AT_ONCE))
            .order(ByteOrder.LITTLE_ENDIAN);
    target.order(ByteOrder.nativeOrder());
    for (long place = first / 2; target.hasRemaining(); place += narrow.limit()) {
      narrow.clear().limit(Math.min(narrow.capacity(), target.remaining() / 2));
      raw.read(place, narrow);
      narrow.flip();
      while (narrow.hasRemaining()) {
        short value = narrow.getShort();
        target.putInt(
            switch (this) {
              case BF16 -> value << Short.SIZE;
              case F16 -> Float.floatToRawIntBits(half(value));
              default -> value;
            });
      }
    }
  }

  /** The value of the bits of a float16: 5 of exponent, 10 of fraction (IEEE 754, binary16). */
  static float half(short bits) {
    int exponent = bits >> 10 & 0x1f;
    int fraction = bits & 0x3ff;
    float size =
        switch (exponent) {
          case 0 -> fraction * 0x1p-24f;
          case 0x1f -> fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
          default -> Math.scalb(1 + fraction * 0x1p-10f, exponent - 15);
        };
    return bits < 0 ? -size : size;
  }

  /** The bits of the bfloat16 that is nearest to a float32; of two, the even one. NaN stays NaN. */
  static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) (bits >> Short.SIZE | 1 << 6);
    }
    int even = (bits >> Short.SIZE) & 1;
    return (short) ((bits + 0x7fff + even) >> Short.SIZE);
  }
}
