package io.github.ddpm4j.internal.torch;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Writes the few opcodes of Python's pickle protocol 2 that libtorch's own reader needs: values are
 * pushed on a stack, and some opcodes combine what is on top of it.
 */
final class Pickle {

  private static final int PROTOCOL = 0x80;
  private static final int VERSION = 2;
  private static final int GLOBAL = 'c';
  private static final int MARK = '(';
  private static final int TUPLE = 't';
  private static final int EMPTY_TUPLE = ')';
  private static final int EMPTY_DICT = '}';
  private static final int SET_ITEMS = 'u';
  private static final int NEW_OBJECT = 0x81;
  private static final int BUILD = 'b';
  private static final int REDUCE = 'R';
  private static final int PERSISTENT_ID = 'Q';
  private static final int STRING = 'X';
  private static final int TRUE = 0x88;
  private static final int FALSE = 0x89;
  private static final int INT32 = 'J';
  private static final int LONG = 0x8a;
  private static final int STOP = '.';

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  Pickle() {
    out.write(PROTOCOL);
    out.write(VERSION);
  }

  /** Pushes the class or function of that name. */
  Pickle global(String module, String name) {
    out.write(GLOBAL);
    out.writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8));
    return this;
  }

  /** Remembers the height of the stack, for {@link #tuple} and {@link #setItems}. */
  Pickle mark() {
    out.write(MARK);
    return this;
  }

  /** Makes a tuple of everything above the mark. */
  Pickle tuple() {
    out.write(TUPLE);
    return this;
  }

  Pickle emptyTuple() {
    out.write(EMPTY_TUPLE);
    return this;
  }

  Pickle emptyDict() {
    out.write(EMPTY_DICT);
    return this;
  }

  /** Puts the keys and values above the mark into the dictionary below it. */
  Pickle setItems() {
    out.write(SET_ITEMS);
    return this;
  }

  /** Makes an instance of a class from a tuple of arguments, without calling its constructor. */
  Pickle newObject() {
    out.write(NEW_OBJECT);
    return this;
  }

  /** Sets the attributes of the instance below the dictionary on top. */
  Pickle build() {
    out.write(BUILD);
    return this;
  }

  /** Calls a function with a tuple of arguments. */
  Pickle reduce() {
    out.write(REDUCE);
    return this;
  }

  /** Replaces the tuple on top by what lies outside the pickle under that name. */
  Pickle persistentId() {
    out.write(PERSISTENT_ID);
    return this;
  }

  Pickle string(String value) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    out.write(STRING);
    out.writeBytes(littleEndian(Integer.BYTES).putInt(bytes.length).array());
    out.writeBytes(bytes);
    return this;
  }

  Pickle bool(boolean value) {
    out.write(value ? TRUE : FALSE);
    return this;
  }

  Pickle integer(long value) {
    if (value == (int) value) {
      out.write(INT32);
      out.writeBytes(littleEndian(Integer.BYTES).putInt((int) value).array());
    } else {
      out.write(LONG);
      out.write(Long.BYTES);
      out.writeBytes(littleEndian(Long.BYTES).putLong(value).array());
    }
    return this;
  }

  byte[] finish() {
    out.write(STOP);
    return out.toByteArray();
  }

  private static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
