package io.github.ddpm4j.internal.description;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A map that describes a schedule, a network or a model, as it is read back. Numbers may be of any
 * type, as JSON has one kind only. What is missing, or of another kind than asked for, is an {@link
 * IllegalArgumentException} that names the key, the rule and the value.
 */
public final class Description {

  private static final String TYPE = "type";

  private final String subject;
  private final Map<String, Object> values;

  private Description(String subject, Map<String, Object> values) {
    this.subject = subject;
    this.values = values;
  }

  /**
   * Reads a description.
   *
   * @param subject what is described, as complaints name it
   * @param values the values by key
   * @return the reader
   */
  public static Description of(String subject, Map<?, ?> values) {
    Map<String, Object> copy = new LinkedHashMap<>();
    values.forEach((key, value) -> copy.put(String.valueOf(key), value));
    return new Description(subject, copy);
  }

  /**
   * Reads a description of something that there are several types of, under the key {@value #TYPE}.
   *
   * @param kind what there are types of, such as "schedule"
   * @param values the type, and its settings by key
   * @return the reader of the settings, with kind and type for a subject
   * @throws IllegalArgumentException if no type is named
   */
  public static Description typed(String kind, Map<?, ?> values) {
    Description whole = of("the " + kind, values);
    String type = whole.text(TYPE);
    whole.values.remove(TYPE);
    return new Description(kind + " " + Quote.of(type), whole.values);
  }

  /**
   * The type that a description names.
   *
   * @param kind what there are types of, such as "schedule"
   * @param values the type, and perhaps settings
   * @return the type
   * @throws IllegalArgumentException if no type is named
   */
  public static String typeOf(String kind, Map<?, ?> values) {
    return of("the " + kind, values).text(TYPE);
  }

  /**
   * All values.
   *
   * @return an unmodifiable view, in the order of the map that was given, without the type
   */
  public Map<String, Object> values() {
    return Collections.unmodifiableMap(values);
  }

  /**
   * Refuses keys that mean nothing.
   *
   * @param known the keys that may be there
   * @throws IllegalArgumentException if there is another
   */
  public void allowOnly(String... known) {
    Set<String> sorted = new TreeSet<>(Arrays.asList(known));
    for (String key : values.keySet()) {
      if (!sorted.contains(key)) {
        throw new IllegalArgumentException(
            subject
                + " has the unknown setting \""
                + Quote.of(key)
                + "\"; known are "
                + String.join(", ", sorted)
                + Names.didYouMean(key, sorted));
      }
    }
  }

  /**
   * Whether there is a value.
   *
   * @param key the key
   * @return true if so
   */
  public boolean has(String key) {
    return values.get(key) != null;
  }

  /**
   * A value of any kind.
   *
   * @param key the key
   * @return the value
   * @throws IllegalArgumentException if there is none
   */
  public Object value(String key) {
    Object value = values.get(key);
    if (value == null) {
      throw new IllegalArgumentException(subject + " lacks \"" + key + "\"");
    }
    return value;
  }

  /**
   * A text.
   *
   * @param key the key
   * @return the text
   * @throws IllegalArgumentException if there is no value, or another
   */
  public String text(String key) {
    if (value(key) instanceof String text) {
      return text;
    }
    throw refused(key, "a string");
  }

  /**
   * A truth value.
   *
   * @param key the key
   * @return the value; false if there is none
   * @throws IllegalArgumentException if there is another value
   */
  public boolean flag(String key) {
    if (!has(key)) {
      return false;
    }
    if (value(key) instanceof Boolean flag) {
      return flag;
    }
    throw refused(key, "true or false");
  }

  /**
   * A number.
   *
   * @param key the key
   * @return the number
   * @throws IllegalArgumentException if there is no value, or another
   */
  public double number(String key) {
    return number(key, value(key));
  }

  /**
   * A whole number.
   *
   * @param key the key
   * @return the number
   * @throws IllegalArgumentException if there is no value, or another
   */
  public int integer(String key) {
    return integer(key, value(key));
  }

  /**
   * A list of numbers.
   *
   * @param key the key
   * @return the numbers
   * @throws IllegalArgumentException if there is no value, or another
   */
  public double[] numbers(String key) {
    List<?> list = list(key, "a list of numbers");
    double[] numbers = new double[list.size()];
    Arrays.setAll(numbers, i -> number(key + "[" + i + "]", list.get(i)));
    return numbers;
  }

  /**
   * A list of whole numbers.
   *
   * @param key the key
   * @return the numbers
   * @throws IllegalArgumentException if there is no value, or another
   */
  public int[] integers(String key) {
    List<?> list = list(key, "a list of whole numbers");
    int[] numbers = new int[list.size()];
    Arrays.setAll(numbers, i -> integer(key + "[" + i + "]", list.get(i)));
    return numbers;
  }

  /**
   * One of the constants of an enum, by its name.
   *
   * @param <E> the enum
   * @param key the key
   * @param type the enum
   * @return the constant
   * @throws IllegalArgumentException if there is no value, or another
   */
  public <E extends Enum<E>> E choice(String key, Class<E> type) {
    Object value = value(key);
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equals(value)) {
        return constant;
      }
    }
    throw refused(
        key,
        Arrays.stream(type.getEnumConstants())
            .map(Enum::name)
            .collect(Collectors.joining(", ", "one of ", "")));
  }

  /**
   * A description inside this one.
   *
   * @param key the key
   * @return the values by key
   * @throws IllegalArgumentException if there is no value, or another
   */
  public Map<String, Object> object(String key) {
    if (value(key) instanceof Map<?, ?> map) {
      return of(key, map).values;
    }
    throw refused(key, "an object");
  }

  /**
   * The complaint about a value.
   *
   * @param key the key
   * @param rule what the value must be
   * @return the exception, to be thrown
   */
  public IllegalArgumentException refused(String key, String rule) {
    return refused(key, rule, values.get(key));
  }

  private IllegalArgumentException refused(String key, String rule, @Nullable Object value) {
    return new IllegalArgumentException(
        "\"" + key + "\" of " + subject + " must be " + rule + ", but was " + Quote.of(value));
  }

  private List<?> list(String key, String rule) {
    if (value(key) instanceof List<?> list) {
      return list;
    }
    throw refused(key, rule);
  }

  private double number(String name, @Nullable Object value) {
    if (value instanceof Number number) {
      return number.doubleValue();
    }
    throw refused(name, "a number", value);
  }

  private int integer(String name, @Nullable Object value) {
    if (value instanceof Number number
        && number.doubleValue() == Math.rint(number.doubleValue())
        && Math.abs(number.doubleValue()) <= Integer.MAX_VALUE) {
      return number.intValue();
    }
    throw refused(name, "a whole number", value);
  }
}
