package io.github.ddpm4j.model;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.StringJoiner;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What the entries of a condition vector mean: attributes with their values, such as the colour of
 * a hat. An entry is 1 where its value is asked for, else 0; an attribute of zeros is not asked
 * for.
 *
 * <pre>{@code
 * Attributes attributes = ddpm.attributes().orElseThrow();
 * float[] asked = attributes.vector("glasses=dark, hat=red");
 * }</pre>
 *
 * <p>A model has them under the name {@value #METADATA} of its metadata, as {@link #toString}
 * writes them. The case of letters does not matter, and "_" is a space. Immutable.
 */
public final class Attributes {

  /** The name of the metadata that hold a model's attributes: {@value}. */
  public static final String METADATA = "attributes";

  /** What takes words apart, and ends of lines. */
  private static final Pattern SIGNS = Pattern.compile("[=,|\\v]");

  private final Map<String, List<String>> values;
  private final int length;

  private Attributes(Map<String, List<String>> values) {
    this.values = values;
    this.length = values.values().stream().mapToInt(List::size).sum();
  }

  /**
   * Attributes by their names.
   *
   * @param values the values of each attribute, in the order of the vector's entries
   * @return the attributes
   * @throws IllegalArgumentException if there is none, one has fewer than two values, or a name or
   *     a value is blank, is there twice or has one of the signs {@code =,|}
   */
  public static Attributes of(Map<String, List<String>> values) {
    Map<String, List<String>> all = new LinkedHashMap<>();
    Objects.requireNonNull(values, "values")
        .forEach(
            (name, own) -> {
              List<String> words = new ArrayList<>();
              own.forEach(value -> words.add(word(value, words, "value of " + name)));
              if (words.size() < 2) {
                throw new IllegalArgumentException(
                    "attributes must have at least 2 values, but " + name + " has " + words);
              }
              all.put(word(name, all.keySet(), "attribute"), List.copyOf(words));
            });
    if (all.isEmpty()) {
      throw new IllegalArgumentException("attributes must be at least 1, but there are none");
    }
    return new Attributes(Collections.unmodifiableMap(all));
  }

  private static String word(String text, Collection<String> before, String what) {
    String word = normal(text);
    if (word.isBlank() || SIGNS.matcher(word).find() || before.contains(word)) {
      throw new IllegalArgumentException(
          "each "
              + what
              + " must be another word without the signs \"=\", \",\" and \"|\", but one was \""
              + text
              + "\"");
    }
    return word;
  }

  private static String normal(String text) {
    return text.strip().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  /** Those that metadata hold; empty if there are none of this form. */
  static Optional<Attributes> in(Map<String, String> metadata) {
    String text = metadata.get(METADATA);
    if (text == null) {
      return Optional.empty();
    }
    Map<String, List<String>> values = new LinkedHashMap<>();
    for (String attribute : text.split(",", -1)) {
      String[] sides = attribute.split("=", -1);
      if (sides.length != 2
          || values.put(sides[0].strip(), List.of(sides[1].split("\\|", -1))) != null) {
        return Optional.empty();
      }
    }
    try {
      return Optional.of(of(values));
    } catch (IllegalArgumentException other) {
      // Metadata are free text: somebody means something else by the word.
      return Optional.empty();
    }
  }

  /**
   * The attributes and their values.
   *
   * @return an unmodifiable map, in the order of the vector's entries, in lower case
   */
  public Map<String, List<String>> values() {
    return values;
  }

  /**
   * The length of a vector.
   *
   * @return the number of values of all attributes
   */
  public int length() {
    return length;
  }

  /**
   * Some attributes as a vector, with zeros for those that are not named.
   *
   * @param text such as {@code "glasses=dark, hair color=black"}; blank for none
   * @return a new array of {@link #length()} numbers
   * @throws IllegalArgumentException if a word is not an attribute and its value, or an attribute
   *     is named twice
   */
  public float[] vector(String text) {
    Map<String, String> asked = new LinkedHashMap<>();
    for (String word : text.isBlank() ? new String[0] : text.split(",", -1)) {
      String[] sides = word.split("=", -1);
      String name = normal(sides[0]);
      List<String> known = values.get(name);
      if (known == null) {
        throw new IllegalArgumentException(
            "attributes are "
                + values.keySet()
                + ", each with its value as in \""
                + example()
                + "\", but there was \""
                + word.strip()
                + "\"");
      }
      String value = sides.length == 2 ? normal(sides[1]) : "";
      if (!known.contains(value)) {
        throw new IllegalArgumentException(
            name + " must be one of " + known + ", but was \"" + word.strip() + "\"");
      }
      if (asked.put(name, value) != null) {
        throw new IllegalArgumentException(
            name + " must be named once, but was twice in \"" + text + "\"");
      }
    }
    float[] vector = new float[length];
    int offset = 0;
    for (Map.Entry<String, List<String>> attribute : values.entrySet()) {
      int value = attribute.getValue().indexOf(asked.getOrDefault(attribute.getKey(), ""));
      if (value >= 0) {
        vector[offset + value] = 1;
      }
      offset += attribute.getValue().size();
    }
    return vector;
  }

  /**
   * What a vector asks for, as {@link #vector} reads it.
   *
   * @param vector any numbers
   * @return the text, {@code ""} if nothing is asked for; empty if the vector has another length,
   *     or an attribute of it is neither zeros nor one 1
   */
  public Optional<String> text(float[] vector) {
    if (vector.length != length) {
      return Optional.empty();
    }
    StringJoiner words = new StringJoiner(", ");
    int offset = 0;
    for (Map.Entry<String, List<String>> attribute : values.entrySet()) {
      String asked = null;
      for (String value : attribute.getValue()) {
        float entry = vector[offset++];
        if (entry != 0 && (entry != 1 || asked != null)) {
          return Optional.empty();
        }
        asked = entry == 1 ? value : asked;
      }
      if (asked != null) {
        words.add(attribute.getKey() + "=" + asked);
      }
    }
    return Optional.of(words.toString());
  }

  private String example() {
    Map.Entry<String, List<String>> first = values.entrySet().iterator().next();
    return first.getKey() + "=" + first.getValue().get(0);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Attributes all && toString().equals(all.toString());
  }

  @Override
  public int hashCode() {
    return toString().hashCode();
  }

  /** As metadata hold them: {@code "hat=none|red, mouth=happy|sad"}. */
  @Override
  public String toString() {
    StringJoiner all = new StringJoiner(", ");
    values.forEach((name, own) -> all.add(name + "=" + String.join("|", own)));
    return all.toString();
  }
}
