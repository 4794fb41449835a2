package io.github.ddpm4j.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import io.github.ddpm4j.internal.description.Quote;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;

/** Reads what files of pictures say of how they were drawn. */
final class Told {

  private static final Gson JSON = new GsonBuilder().disableHtmlEscaping().create();

  private Told() {}

  /**
   * Reads a word.
   *
   * @param name the name of the word
   * @param reader makes a value of the text, or throws
   * @param rule what holds for the values that there are
   * @throws IllegalArgumentException if it is missing or damaged
   */
  static <T> T value(
      Map<String, String> words, String name, Function<String, T> reader, Predicate<T> rule) {
    String text = words.get(name);
    if (text != null) {
      try {
        T value = reader.apply(text);
        if (rule.test(value)) {
          return value;
        }
      } catch (RuntimeException e) {
        // No such value, which is told below.
      }
    }
    throw new IllegalArgumentException(
        cannot("its " + name + " is " + (text == null ? "missing" : Quote.of(text))));
  }

  /** Reads a word as it is, which may not be missing. */
  static String text(Map<String, String> words, String name) {
    return value(words, name, text -> text, any -> true);
  }

  /** Reads a word of several texts; none if it is missing. */
  static List<String> texts(Map<String, String> words, String name) {
    return words.containsKey(name)
        ? value(
            words,
            name,
            text -> List.of(JSON.fromJson(text, String[].class)),
            texts -> !texts.isEmpty())
        : List.of();
  }

  /** Several texts in a word, from which they can be told apart, since texts have commas. */
  static String of(List<String> texts) {
    return JSON.toJson(texts);
  }

  /** The complaint about words. */
  static String cannot(String reason) {
    return "the pictures can't be drawn again from what the file says: " + reason;
  }
}
