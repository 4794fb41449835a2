package io.github.ddpm4j.serving;

import ai.djl.modality.Input;
import ai.djl.ndarray.BytesSupplier;
import ai.djl.util.Pair;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.random.Seeds;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a request wants.
 *
 * @param seed the seed
 * @param count how many pictures
 * @param steps calls of the network; 0 for those of the model
 * @param label the class; -1 for none
 */
record DrawingRequest(long seed, long count, long steps, long label) {

  private static final String SEED = "seed";
  private static final String COUNT = "count";
  private static final String STEPS = "steps";
  private static final String LABEL = "label";
  private static final String MAX_COUNT = "maxCount";
  private static final List<String> KNOWN = List.of(SEED, COUNT, STEPS, LABEL);

  /** What bodies of requests are called. */
  private static final List<String> BODIES = List.of("", "data", "body");

  /**
   * What holds for all requests to a model.
   *
   * @param steps for requests that say none
   * @param maxCount the most pictures of one
   */
  record Defaults(long steps, long maxCount) {

    static Defaults of(Map<String, ?> arguments) {
      return new Defaults(
          atLeast(STEPS, arguments.get(STEPS), 0, 1),
          atLeast(MAX_COUNT, arguments.get(MAX_COUNT), ServingFactory.DEFAULT_MAX_COUNT, 1));
    }
  }

  /**
   * Reads a request.
   *
   * @param input parameters, or a body of JSON
   * @param defaults what holds for all
   * @param classNames the names of the model's classes, if it has any
   * @throws IllegalArgumentException if it asks for something that is not known or not possible
   */
  static DrawingRequest of(Input input, Defaults defaults, List<String> classNames) {
    Map<String, @Nullable Object> wanted = new LinkedHashMap<>();
    for (Pair<String, BytesSupplier> part : input.getContent()) {
      String key = part.getKey() == null ? "" : part.getKey();
      String value = part.getValue().getAsString();
      if (!BODIES.contains(key)) {
        put(wanted, key, value);
      } else if (!value.isBlank()) {
        body(part.getValue().getAsBytes()).forEach((name, each) -> put(wanted, name, each));
      }
    }
    Object seed = wanted.get(SEED);
    long count = atLeast(COUNT, wanted.get(COUNT), 1, 1);
    if (count > defaults.maxCount()) {
      throw new IllegalArgumentException(
          "count must be at most " + defaults.maxCount() + " here, but was " + count);
    }
    return new DrawingRequest(
        seed == null ? Seeds.drawn() : number(SEED, seed),
        count,
        atLeast(STEPS, wanted.get(STEPS), defaults.steps(), 1),
        label(wanted.get(LABEL), classNames));
  }

  private static Map<String, @Nullable Object> body(byte[] bytes) {
    try {
      return JsonFile.parse("the body of the request", bytes);
    } catch (IOException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  private static void put(
      Map<String, @Nullable Object> wanted, String key, @Nullable Object value) {
    if (!KNOWN.contains(key)) {
      throw new IllegalArgumentException(
          "a request may have " + String.join(", ", KNOWN) + ", but has " + Quote.of(key));
    }
    if (wanted.put(key, value) != null) {
      throw new IllegalArgumentException("a request must have " + key + " once, but has it twice");
    }
  }

  private static long atLeast(String name, @Nullable Object value, long otherwise, long least) {
    long number = value == null ? otherwise : number(name, value);
    if (value != null && (number < least || number > Integer.MAX_VALUE)) {
      throw new IllegalArgumentException(
          name + " must be a whole number, at least " + least + ", but was " + number);
    }
    return number;
  }

  private static long number(String name, Object value) {
    try {
      return Long.parseLong(value.toString().strip());
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          name + " must be a whole number, but was " + Quote.of(value), e);
    }
  }

  private static long label(@Nullable Object value, List<String> classNames) {
    if (value == null) {
      return -1;
    }
    int named = classNames.indexOf(value.toString());
    return named >= 0 ? named : atLeast(LABEL, value, 0, 0);
  }
}
