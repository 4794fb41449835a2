package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.Diffusion;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * What to draw, read from words.
 *
 * @param condition the class of one image, or none
 * @param vector its attributes, or null
 */
@SuppressWarnings("ArrayRecordComponent") // handed over once
record Prompt(Condition condition, float @Nullable [] vector) {

  /**
   * Reads words.
   *
   * @throws IllegalArgumentException if the model has no such class or attributes
   */
  static Prompt of(String text, Diffusion diffusion, Denoiser network) {
    String words = text.strip();
    if (words.isEmpty()) {
      return new Prompt(Condition.none(), null);
    }
    List<String> names = diffusion.classNames();
    OptionalInt classes = network.classes();
    Optional<Attributes> attributes = diffusion.attributes();
    for (int i = 0; i < names.size(); i++) {
      if (names.get(i).equalsIgnoreCase(words)) {
        return new Prompt(Condition.labels(i), null);
      }
    }
    if (words.matches("\\d{1,9}") && Integer.parseInt(words) < classes.orElse(0)) {
      return new Prompt(Condition.labels(Integer.parseInt(words)), null);
    }
    if (attributes.isPresent() && (words.contains("=") || classes.isEmpty())) {
      return new Prompt(Condition.none(), attributes.get().vector(words));
    }
    if (classes.isEmpty()) {
      throw new IllegalArgumentException(
          "the model has neither classes nor attributes, so that the prompt must be blank, but was"
              + " \""
              + words
              + "\"");
    }
    throw new IllegalArgumentException(
        "the prompt must be "
            + (names.isEmpty()
                ? "a number, since the model names no classes, less than " + classes.getAsInt()
                : "a class, of " + names + ", or its number from 0")
            + ", but was \""
            + words
            + "\"");
  }
}
