package io.github.ddpm4j.service;

import io.github.ddpm4j.service.SamplingService.WhenFull;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** What is set of a service, by its builder or by properties. */
final class ServiceSettings {

  /** How the names of properties begin. */
  static final String PREFIX = "ddpm4j.service.";

  static final String QUEUE = "queue";
  static final String MOST_IMAGES = "most-images";
  static final String MOST_RESIDENT_IMAGES = "most-resident-images";
  private static final String WHEN_FULL = "when-full";
  private static final List<String> NAMES =
      List.of(QUEUE, WHEN_FULL, MOST_IMAGES, MOST_RESIDENT_IMAGES);

  /** A value of {@value #MOST_IMAGES} that leaves it open. */
  private static final String MEASURE = "measure";

  private final Map<String, Integer> numbers = new LinkedHashMap<>();
  private @Nullable WhenFull whenFull;

  /** Reads properties. */
  static ServiceSettings of(Properties properties) {
    ServiceSettings settings = new ServiceSettings();
    for (String full : new TreeSet<>(properties.stringPropertyNames())) {
      if (full.startsWith(PREFIX)) {
        settings.read(
            full, full.substring(PREFIX.length()), properties.getProperty(full, "").strip());
      }
    }
    return settings;
  }

  private void read(String full, String name, String text) {
    if (!NAMES.contains(name)) {
      throw new IllegalArgumentException(
          "there is no property " + full + "; those of " + PREFIX + " are " + NAMES);
    }
    if (name.equals(WHEN_FULL)) {
      set(whenFull(full, text));
    } else if (!name.equals(MOST_IMAGES) || !text.equals(MEASURE)) {
      set(name, full, number(full, text));
    }
  }

  private static WhenFull whenFull(String full, String text) {
    for (WhenFull one : WhenFull.values()) {
      if (one.name().toLowerCase(Locale.ROOT).equals(text.toLowerCase(Locale.ROOT))) {
        return one;
      }
    }
    throw new IllegalArgumentException(
        full + " must be refuse, wait or shed, but was \"" + text + "\"");
  }

  private static int number(String full, String text) {
    try {
      return Integer.parseInt(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          full + " must be a whole number, but was \"" + text + "\"", e);
    }
  }

  /**
   * Sets a number.
   *
   * @param name what is set
   * @param said what the user calls it
   * @param value at least 1
   */
  void set(String name, String said, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(said + " must be at least 1, but was " + value);
    }
    numbers.put(name, value);
  }

  void set(WhenFull value) {
    whenFull = value;
  }

  /** These settings, and for what is not set others. */
  ServiceSettings over(ServiceSettings others) {
    ServiceSettings both = new ServiceSettings();
    both.numbers.putAll(others.numbers);
    both.numbers.putAll(numbers);
    both.whenFull = whenFull == null ? others.whenFull : whenFull;
    return both;
  }

  int queue(int otherwise) {
    return numbers.getOrDefault(QUEUE, otherwise);
  }

  int mostResidentImages(int otherwise) {
    return numbers.getOrDefault(MOST_RESIDENT_IMAGES, otherwise);
  }

  /** The images of a call; null if they are to be measured. */
  @Nullable Integer mostImages() {
    return numbers.get(MOST_IMAGES);
  }

  WhenFull whenFull(WhenFull otherwise) {
    return whenFull == null ? otherwise : whenFull;
  }
}
