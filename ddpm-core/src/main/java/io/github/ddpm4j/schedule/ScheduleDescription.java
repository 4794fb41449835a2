package io.github.ddpm4j.schedule;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Reads the map of {@link Schedule#describe()} back, with complaints that name what is wrong. */
final class ScheduleDescription {

  private final String type;
  private final Map<String, Object> values;

  private ScheduleDescription(String type, Map<String, Object> values) {
    this.type = type;
    this.values = values;
  }

  static ScheduleDescription of(Map<String, Object> description) {
    if (!(description.get("type") instanceof String type)) {
      throw new IllegalArgumentException(
          "a schedule's description must name its type as text, but had "
              + description.get("type"));
    }
    return new ScheduleDescription(type, description);
  }

  String type() {
    return type;
  }

  /** Refuses missing and unknown arguments. */
  void takes(String... names) {
    Set<String> expected = new TreeSet<>(Arrays.asList(names));
    Set<String> found = new TreeSet<>(values.keySet());
    found.remove("type");
    if (!found.equals(expected)) {
      throw new IllegalArgumentException(
          "schedule " + type + " must be described by " + expected + ", but was by " + found);
    }
  }

  int integer(String name) {
    double value = number(name);
    if (value != Math.rint(value) || Math.abs(value) > Integer.MAX_VALUE) {
      throw refused(name, "a whole number", value);
    }
    return (int) value;
  }

  double number(String name) {
    if (!(values.get(name) instanceof Number number)) {
      throw refused(name, "a number", values.get(name));
    }
    return number.doubleValue();
  }

  double[] numbers(String name) {
    if (!(values.get(name) instanceof List<?> list)) {
      throw refused(name, "a list of numbers", values.get(name));
    }
    double[] numbers = new double[list.size()];
    for (int i = 0; i < numbers.length; i++) {
      if (!(list.get(i) instanceof Number number)) {
        throw refused(name + "[" + i + "]", "a number", list.get(i));
      }
      numbers[i] = number.doubleValue();
    }
    return numbers;
  }

  Map<String, Object> map(String name) {
    if (!(values.get(name) instanceof Map<?, ?> map)) {
      throw refused(name, "a description of a schedule", values.get(name));
    }
    Map<String, Object> copy = new LinkedHashMap<>();
    map.forEach((key, value) -> copy.put(String.valueOf(key), value));
    return copy;
  }

  private IllegalArgumentException refused(String name, String rule, @Nullable Object value) {
    return new IllegalArgumentException(
        name + " of schedule " + type + " must be " + rule + ", but was " + value);
  }
}
