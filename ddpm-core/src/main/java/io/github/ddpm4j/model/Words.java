package io.github.ddpm4j.model;

import io.github.ddpm4j.internal.description.Quote;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/** What the words must be that a file holds for people. */
final class Words {

  /** All together, in UTF-8: a checkpoint has them in its header, which may not be much longer. */
  private static final int MOST_BYTES = 1 << 20;

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

  /** All of them. */
  static void requireShort(List<String> names, Map<String, String> texts) {
    long bytes =
        Stream.of(names, texts.keySet(), texts.values())
            .flatMap(Collection::stream)
            .mapToLong(text -> text.getBytes(StandardCharsets.UTF_8).length)
            .sum();
    if (bytes > MOST_BYTES) {
      throw new IllegalArgumentException(
          "names of classes and metadata must take at most "
              + MOST_BYTES
              + " bytes together, but take "
              + bytes
              + "; keep long texts beside the model folder");
    }
  }

  /** Half a pair of UTF-16 has no bytes in a file, and would come back as another character. */
  private static void requireText(String what, String text) {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw new IllegalArgumentException(
          what + " must be text, but has half of a surrogate pair: " + Quote.of(text));
    }
  }
}
