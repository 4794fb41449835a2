package io.github.ddpm4j.internal.description;

import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;

/** Guesses which name is meant by one that there is not. */
public final class Names {

  private Names() {}

  /**
   * A question to end a complaint about an unknown name with.
   *
   * @param unknown the name that there is not
   * @param known the names that there are
   * @return {@code ; did you mean X?} with the nearest name, or nothing if none is near
   */
  public static String didYouMean(String unknown, Collection<String> known) {
    int most = Math.max(1, unknown.length() / 3);
    return known.stream()
        .filter(name -> distance(unknown, name) <= most)
        .min(
            Comparator.comparingInt((String name) -> distance(unknown, name))
                .thenComparing(Comparator.naturalOrder()))
        .map(name -> "; did you mean " + name + "?")
        .orElse("");
  }

  /** How many letters must be added, left out or replaced, whatever their case (Levenshtein). */
  private static int distance(String one, String other) {
    String a = one.toLowerCase(Locale.ROOT);
    String b = other.toLowerCase(Locale.ROOT);
    int[] above = new int[b.length() + 1];
    Arrays.setAll(above, j -> j);
    for (int i = 1; i <= a.length(); i++) {
      int[] row = new int[b.length() + 1];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = above[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(replaced, 1 + Math.min(above[j], row[j - 1]));
      }
      above = row;
    }
    return above[b.length()];
  }
}
