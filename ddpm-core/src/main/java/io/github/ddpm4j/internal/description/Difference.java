package io.github.ddpm4j.internal.description;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What tells a description from another, which may be long and alike but for a word. */
public final class Difference {

  private Difference() {}

  /**
   * What a value has in another way than another.
   *
   * @param own the value; may be null
   * @param other the other; may be null
   * @return of maps those entries of the first whose values differ, likewise in depth, and "none"
   *     for those that only the other has; of anything else the value
   */
  public static @Nullable Object of(@Nullable Object own, @Nullable Object other) {
    if (!(own instanceof Map<?, ?> some) || !(other instanceof Map<?, ?> others)) {
      return own;
    }
    Map<Object, @Nullable Object> left = new LinkedHashMap<>();
    some.forEach(
        (key, value) -> {
          if (!others.containsKey(key) || !same(value, others.get(key))) {
            left.put(key, of(value, others.get(key)));
          }
        });
    others.keySet().stream()
        .filter(key -> !some.containsKey(key))
        .forEach(key -> left.put(key, "none"));
    return left;
  }

  /** Numbers may be of other types in a file than in a run. */
  private static boolean same(@Nullable Object one, @Nullable Object other) {
    return String.valueOf(one).equals(String.valueOf(other));
  }
}
