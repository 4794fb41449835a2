package io.github.ddpm4j.model;

import io.github.ddpm4j.internal.description.Quote;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** What the words must be that a file holds for people. */
final class Words {

  private Words() {}

  /** Names of classes. */
  static void requireNames(List<String> names) {
    Set<String> seen = new HashSet<>();
    for (int label = 0; label < names.size(); label++) {
      String name = names.get(label);
      requireText("the name of class " + label, name);
      if (name.isBlank()) {
        throw new IllegalArgumentException(
            "the name of class " + label + " must not be blank, but was \"" + Quote.of(name) + '"');
      }
      if (!seen.add(name)) {
        throw new IllegalArgumentException(
            "the names of classes must differ, but \""
                + Quote.of(name)
                + "\" is that of classes "
                + names.indexOf(name)
                + " and "
                + label);
      }
    }
  }

  /** Words under names. */
  static void requireTexts(Map<String, String> texts) {
    texts.forEach(
        (name, text) -> {
          requireText("a name of the metadata", Objects.requireNonNull(name, "metadata name"));
          requireText(
              "the metadata \"" + Quote.of(name) + "\"", Objects.requireNonNull(text, name));
        });
  }

  /** Half a pair of UTF-16 has no bytes in a file, and would come back as another character. */
  private static void requireText(String what, String text) {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw new IllegalArgumentException(
          what + " must be text, but has half of a surrogate pair: " + Quote.of(text));
    }
  }
}
