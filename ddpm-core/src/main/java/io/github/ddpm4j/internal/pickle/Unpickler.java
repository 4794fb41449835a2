package io.github.ddpm4j.internal.pickle;

import io.github.ddpm4j.internal.description.Quote;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads Python's pickles, protocols 2 to 5, as torch writes them. A pickle is a program for a
 * machine with a stack that can call any function of Python; this one calls none ({@link Globals}).
 * What it reads is a tree of maps (by {@code String} and {@code Long}), lists, tuples ({@code
 * Object[]}), {@code String}, {@code Long}, {@code BigInteger}, {@code Double}, {@code Boolean},
 * null, {@link PickledTensor}, {@link PickledStorage} and {@link Opaque}. Parts may be there more
 * than once, and a list may hold itself.
 */
public final class Unpickler {

  private static final int MOST_STEPS = 20_000_000;
  private static final int MOST_CONTAINERS = 1_000_000;
  private static final int HIGHEST_PROTOCOL = 5;

  private final PickleInput in;
  private final List<@Nullable Object> stack = new ArrayList<>();

  /** The heights of the stack at its marks; what lies below the last one cannot be reached. */
  private final List<Integer> marks = new ArrayList<>();

  private final List<@Nullable Object> memo = new ArrayList<>();
  private final Map<String, PickledStorage> storages;
  private int containers;

  private Unpickler(PickleInput in, Map<String, PickledStorage> storages) {
    this.in = in;
    this.storages = storages;
  }

  /**
   * Reads the next pickle.
   *
   * @param in stands at it, and afterwards behind it
   * @param storages receives all storages that it refers to, by their keys
   * @return what it holds
   * @throws PickleException if it holds or does anything that is not on the list
   * @throws IOException if reading fails
   */
  public static @Nullable Object read(PickleInput in, Map<String, PickledStorage> storages)
      throws IOException {
    return new Unpickler(in, storages).run();
  }

  private @Nullable Object run() throws IOException {
    for (int steps = 0; steps < MOST_STEPS; steps++) {
      int opcode = in.unsignedByte();
      if (opcode == Opcode.STOP.code) {
        return pop();
      }
      step(Opcode.of(opcode));
    }
    throw new PickleException("has more than " + MOST_STEPS + " steps, more than any model needs");
  }

  private void step(Opcode opcode) throws IOException {
    switch (opcode) {
      case PROTO -> requireProtocol(in.unsignedByte());
      case FRAME -> in.number(Long.BYTES);
      case MARK -> marks.add(stack.size());
      case POP -> {
        if (!marks.isEmpty() && marks.get(marks.size() - 1) == stack.size()) {
          marks.remove(marks.size() - 1);
        } else {
          pop();
        }
      }
      case POP_MARK -> popMark();
      case DUP -> push(top());
      case NONE -> push(null);
      case NEWTRUE -> push(true);
      case NEWFALSE -> push(false);
      case BININT -> push((long) (int) in.number(Integer.BYTES));
      case BININT1 -> push((long) in.unsignedByte());
      case BININT2 -> push(in.number(Short.BYTES));
      case LONG1 -> push(whole(in.bytes(in.unsignedByte())));
      case BINFLOAT -> push(in.bigEndianDouble());
      case BINUNICODE -> push(in.text(in.number(Integer.BYTES), StandardCharsets.UTF_8));
      case SHORT_BINUNICODE -> push(in.text(in.unsignedByte(), StandardCharsets.UTF_8));
      case BINUNICODE8 -> push(in.text(in.number(Long.BYTES), StandardCharsets.UTF_8));
      case BINSTRING -> push(in.text(in.number(Integer.BYTES), StandardCharsets.ISO_8859_1));
      case SHORT_BINSTRING -> push(in.text(in.unsignedByte(), StandardCharsets.ISO_8859_1));
      case BINBYTES -> skip(in.number(Integer.BYTES));
      case SHORT_BINBYTES -> skip(in.unsignedByte());
      case BINBYTES8 -> skip(in.number(Long.BYTES));
      case EMPTY_TUPLE -> push(NOTHING);
      case TUPLE -> push(popMark().toArray());
      case TUPLE1 -> push(popLast(1));
      case TUPLE2 -> push(popLast(2));
      case TUPLE3 -> push(popLast(3));
      case EMPTY_LIST -> push(contained(new ArrayList<>(0)));
      case EMPTY_DICT -> push(contained(new LinkedHashMap<>()));
      case APPEND -> append(Collections.singletonList(pop()));
      case APPENDS -> append(popMark());
      case SETITEM -> {
        Object value = pop();
        setItems(Arrays.asList(pop(), value));
      }
      case SETITEMS -> setItems(popMark());
      case BINPUT -> put(in.unsignedByte());
      case LONG_BINPUT -> put(in.number(Integer.BYTES));
      case MEMOIZE -> put(memo.size());
      case BINGET -> get(in.unsignedByte());
      case LONG_BINGET -> get(in.number(Integer.BYTES));
      case GLOBAL -> {
        String module = in.line();
        push(new Mention(module + "." + in.line()));
      }
      case STACK_GLOBAL -> {
        if (!(pop() instanceof String name) || !(pop() instanceof String module)) {
          throw new PickleException("names a class by something else than texts");
        }
        push(new Mention(module + "." + name));
      }
      case REDUCE -> {
        Object arguments = pop();
        push(contained(Globals.call(pop(), arguments)));
      }
      case NEWOBJ -> {
        Object arguments = pop();
        push(contained(Globals.make(pop(), arguments)));
      }
      case BUILD -> build();
      case BINPERSID -> push(storage(Globals.storage(pop())));
      default ->
          throw new PickleException(
              "has the opcode " + opcode + ", which torch does not write for weights");
    }
  }

  private static final Object[] NOTHING = {};

  private static void requireProtocol(int protocol) throws PickleException {
    if (protocol < 2 || protocol > HIGHEST_PROTOCOL) {
      throw new PickleException(
          "has the pickle protocol " + protocol + ", but 2 to " + HIGHEST_PROTOCOL + " are read");
    }
  }

  /** Two's complement, little-endian. */
  private static Number whole(byte[] littleEndian) {
    if (littleEndian.length == 0) {
      return 0L;
    }
    byte[] bytes = new byte[littleEndian.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = littleEndian[bytes.length - 1 - i];
    }
    BigInteger number = new BigInteger(bytes);
    return number.bitLength() < Long.SIZE ? (Number) number.longValue() : number;
  }

  /** One object for all that refer to it. */
  private PickledStorage storage(PickledStorage storage) throws PickleException {
    PickledStorage known = storages.putIfAbsent(storage.key(), storage);
    if (known != null && !known.equals(storage)) {
      throw new PickleException(
          "describes the storage " + Quote.of(storage.key()) + " in two ways");
    }
    return known == null ? storage : known;
  }

  private void skip(long bytes) throws IOException {
    in.skip(bytes);
    push(Opaque.VALUE);
  }

  private void build() throws PickleException {
    pop();
    Object built = top();
    if (!(built instanceof Map<?, ?>) && built != Opaque.VALUE && !isTensor(built)) {
      throw new PickleException("sets the state of something that has none");
    }
  }

  private static boolean isTensor(@Nullable Object value) {
    return value instanceof PickledTensor;
  }

  private void append(List<@Nullable Object> values) throws PickleException {
    Object target = top();
    if (target instanceof ArrayList<?>) {
      @SuppressWarnings("unchecked") // all lists here are made by this class
      List<@Nullable Object> list = (List<@Nullable Object>) target;
      list.addAll(values);
    } else if (target != Opaque.VALUE) {
      throw new PickleException("appends to something that is no list");
    }
  }

  private void setItems(List<@Nullable Object> pairs) throws PickleException {
    Object target = top();
    if (pairs.size() % 2 != 0) {
      throw new PickleException("has a key without a value");
    }
    if (target instanceof Map<?, ?>) {
      @SuppressWarnings("unchecked") // all maps here are made by this package
      Map<Object, @Nullable Object> map = (Map<Object, @Nullable Object>) target;
      for (int i = 0; i < pairs.size(); i += 2) {
        Globals.put(map, pairs.get(i), pairs.get(i + 1));
      }
    } else if (target != Opaque.VALUE) {
      throw new PickleException("sets items of something that is no dictionary");
    }
  }

  /** Python numbers what it remembers from 0 or 1 on. */
  private void put(long index) throws PickleException {
    if (index > memo.size() + 1L) {
      throw new PickleException("remembers a value under the number " + index + ", out of turn");
    }
    while (memo.size() <= index) {
      memo.add(null);
    }
    memo.set((int) index, top());
  }

  private void get(long index) throws PickleException {
    if (index >= memo.size()) {
      throw new PickleException("recalls the value " + index + ", which it never remembered");
    }
    push(memo.get((int) index));
  }

  private <T> T contained(T value) throws PickleException {
    if ((value instanceof Map || value instanceof List) && ++containers > MOST_CONTAINERS) {
      throw new PickleException(
          "holds more than " + MOST_CONTAINERS + " lists and dictionaries, more than any model");
    }
    return value;
  }

  private void push(@Nullable Object value) {
    stack.add(value);
  }

  private int floor() {
    return marks.isEmpty() ? 0 : marks.get(marks.size() - 1);
  }

  private @Nullable Object top() throws PickleException {
    if (stack.size() <= floor()) {
      throw new PickleException("takes from an empty stack");
    }
    return stack.get(stack.size() - 1);
  }

  private @Nullable Object pop() throws PickleException {
    Object top = top();
    stack.remove(stack.size() - 1);
    return top;
  }

  private @Nullable Object[] popLast(int count) throws PickleException {
    @Nullable Object[] values = new @Nullable Object[count];
    for (int i = count - 1; i >= 0; i--) {
      values[i] = pop();
    }
    return values;
  }

  private List<@Nullable Object> popMark() throws PickleException {
    if (marks.isEmpty()) {
      throw new PickleException("looks for a mark that it never set");
    }
    List<@Nullable Object> above = stack.subList(marks.remove(marks.size() - 1), stack.size());
    List<@Nullable Object> values = new ArrayList<>(above);
    above.clear();
    return values;
  }
}
