package io.github.ddpm4j.unet.internal.peers;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.io.JsonFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A {@code config.json} or {@code scheduler_config.json}: values that may be missing, for which a
 * default of the class holds, and keys that must not be there with a meaning that nobody knows.
 */
public final class ConfigFile {

  private final Path file;
  private final Map<String, @Nullable Object> values;
  private final Description description;
  private final Set<String> seen = new HashSet<>();

  private ConfigFile(Path file, Map<String, @Nullable Object> values) {
    this.file = file;
    this.values = values;
    description = Description.of(file.toString(), values);
  }

  /**
   * Reads a file.
   *
   * @param file the file
   * @return what it says
   * @throws IOException if it cannot be read or is no object of JSON
   */
  public static ConfigFile read(Path file) throws IOException {
    return new ConfigFile(file, JsonFile.read(file));
  }

  /**
   * The file.
   *
   * @return the file
   */
  public Path file() {
    return file;
  }

  /**
   * Whether there is a value other than null.
   *
   * @param key the key
   * @return whether there is
   */
  public boolean has(String key) {
    seen.add(key);
    return values.get(key) != null;
  }

  /**
   * Whether there is a value, null included.
   *
   * @param key the key
   * @return whether there is
   */
  public boolean mentions(String key) {
    seen.add(key);
    return values.containsKey(key);
  }

  /**
   * A text.
   *
   * @param key the key
   * @param otherwise what holds if there is none
   * @return the value
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public String text(String key, String otherwise) throws IOException {
    return has(key) ? checked(() -> description.text(key)) : otherwise;
  }

  /**
   * A number.
   *
   * @param key the key
   * @param otherwise what holds if there is none
   * @return the value
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public double number(String key, double otherwise) throws IOException {
    return has(key) ? checked(() -> description.number(key)) : otherwise;
  }

  /**
   * A whole number.
   *
   * @param key the key
   * @param otherwise what holds if there is none
   * @return the value
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public int integer(String key, int otherwise) throws IOException {
    return has(key) ? checked(() -> description.integer(key)) : otherwise;
  }

  /**
   * A truth value.
   *
   * @param key the key
   * @param otherwise what holds if there is none
   * @return the value
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public boolean flag(String key, boolean otherwise) throws IOException {
    return has(key) ? checked(() -> description.flag(key)) : otherwise;
  }

  /**
   * Whole numbers.
   *
   * @param key the key
   * @param otherwise what holds if there is none
   * @return the values
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public int[] integers(String key, int... otherwise) throws IOException {
    return has(key) ? checked(() -> description.integers(key)) : otherwise;
  }

  /**
   * Numbers, which must be there.
   *
   * @param key the key
   * @return the values
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public double[] numbers(String key) throws IOException {
    seen.add(key);
    return checked(() -> description.numbers(key));
  }

  /**
   * Whether a value is a list.
   *
   * @param key the key
   * @return whether it is
   */
  public boolean isList(String key) {
    return values.get(key) instanceof List;
  }

  /**
   * Texts.
   *
   * @param key the key
   * @param otherwise what holds if there is none
   * @return the values
   * @throws IOException if it is of another kind, naming file, key and value
   */
  public List<String> texts(String key, List<String> otherwise) throws IOException {
    if (!has(key)) {
      return otherwise;
    }
    if (values.get(key) instanceof List<?> list
        && list.stream().allMatch(item -> item instanceof String)) {
      return list.stream().map(Object::toString).toList();
    }
    throw refused(key, "a list of strings");
  }

  /**
   * Truth values, of which one may stand for all.
   *
   * @param key the key
   * @param count how many there must be in a list
   * @return the values; all false if there is none
   * @throws IOException if it is of another kind or length, naming file, key and value
   */
  public List<Boolean> flags(String key, int count) throws IOException {
    if (values.get(key) instanceof List<?> list) {
      seen.add(key);
      if (list.size() != count || !list.stream().allMatch(item -> item instanceof Boolean)) {
        throw refused(key, "true, false or " + count + " of these");
      }
      return list.stream().map(Boolean.TRUE::equals).toList();
    }
    return Collections.nCopies(count, flag(key, false));
  }

  private interface Reading<T> {
    T get();
  }

  private static <T> T checked(Reading<T> reading) throws IOException {
    try {
      return reading.get();
    } catch (IllegalArgumentException e) {
      throw new IOException(Objects.requireNonNull(e.getMessage()), e);
    }
  }

  /**
   * A complaint about a value.
   *
   * @param key the key
   * @param rule what it must be
   * @return the complaint
   */
  public IOException refused(String key, String rule) {
    return new IOException(
        file + ": \"" + key + "\" must be " + rule + ", but was " + Quote.of(values.get(key)));
  }

  /**
   * A complaint about a value that means a network or schedule that ours cannot be.
   *
   * @param key the key
   * @param meaning what the value means
   * @return the complaint
   */
  public IOException unsupported(String key, String meaning) {
    return new IOException(
        file
            + ": \""
            + key
            + "\" is "
            + Quote.of(values.get(key))
            + ", "
            + meaning
            + ", which this version does not load");
  }

  /**
   * Requires one value of a key that could have others.
   *
   * @param key the key
   * @param only the value
   * @param meaning what another one means
   * @throws IOException if there is another value
   */
  public void requireOnly(String key, Object only, String meaning) throws IOException {
    if (has(key) && !same(values.get(key), only)) {
      throw unsupported(key, meaning);
    }
  }

  private static boolean same(@Nullable Object value, Object only) {
    return (value instanceof Number number && only instanceof Number other)
        ? number.doubleValue() == other.doubleValue()
        : only.equals(value);
  }

  /**
   * Takes keys as seen that mean nothing here.
   *
   * @param keys the keys
   */
  public void ignore(String... keys) {
    seen.addAll(List.of(keys));
  }

  /**
   * Refuses the keys that nobody asked for, unless they are null, false, empty or of those that
   * every file has.
   *
   * @throws IOException if there is one, naming it
   */
  public void requireAllSeen() throws IOException {
    for (Map.Entry<String, @Nullable Object> entry : values.entrySet()) {
      Object value = entry.getValue();
      boolean nothing = value == null || value.equals(false) || value.equals(List.of());
      if (!nothing && !entry.getKey().startsWith("_") && !seen.contains(entry.getKey())) {
        throw new IOException(
            file
                + " has the unknown setting \""
                + Quote.of(entry.getKey())
                + "\" with the value "
                + Quote.of(value)
                + "; what it would change is not known to this version");
      }
    }
  }
}
