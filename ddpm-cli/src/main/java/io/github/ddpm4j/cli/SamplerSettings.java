package io.github.ddpm4j.cli;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How pictures are drawn.
 *
 * @param sampler as docs/samplers.md writes them; null for what the model was tuned for
 * @param any whether it is taken for a model that was tuned for another
 * @param seed that of the noise
 * @param classes of each picture in turn, by name or number
 * @param attributes of each picture in turn
 * @param guidance the scale; null for none
 */
record SamplerSettings(
    @Nullable String sampler,
    boolean any,
    long seed,
    List<String> classes,
    List<String> attributes,
    @Nullable Double guidance) {

  private static final String DEFAULT = "dpm++2m:20";

  /** The sampler in full, as it draws from a model. */
  String text(LoadedModel model) {
    return parsed(model).toString();
  }

  private Sampler parsed(LoadedModel model) {
    DDPM ddpm = model.ddpm();
    return Samplers.parse(
        sampler != null
            ? sampler
            : TunedFor.of(ddpm.metadata(), ddpm.provenance()).orElse(DEFAULT));
  }

  /** What was asked for, as the user wrote it. */
  Map<String, String> asked() {
    Map<String, String> asked = new LinkedHashMap<>();
    if (!classes.isEmpty()) {
      asked.put("classes", classes.toString());
    }
    if (!attributes.isEmpty()) {
      asked.put("asked attributes", attributes.toString());
    }
    return asked;
  }

  /** Whether pictures differ by their place in what is asked for. */
  boolean alternates() {
    return classes.size() > 1 || attributes.size() > 1;
  }

  /** Checks what can be told without a model. */
  void check() {
    if (sampler != null) {
      Samplers.parse(sampler);
    }
    if (guidance != null) {
      if (classes.isEmpty() && attributes.isEmpty()) {
        throw new IllegalArgumentException(
            "--guidance needs --class or --attributes, towards which it guides");
      }
      Guidance.classifierFree(guidance);
    }
  }

  /** A run of pictures from an index on. */
  Sampling of(LoadedModel model, long from, int count) {
    Sampling sampling = model.sampling().sampler(parsed(model)).seed(seed);
    if (any) {
      sampling.anySampler();
    }
    Condition condition = Condition.none();
    if (!classes.isEmpty()) {
      int known = model.classes();
      int[] labels = new int[count];
      for (int i = 0; i < count; i++) {
        labels[i] =
            label(
                known, model.ddpm().classNames(), classes.get((int) ((from + i) % classes.size())));
      }
      condition = Condition.labels(labels);
    }
    if (!attributes.isEmpty()) {
      int[] rows = new int[count];
      Arrays.setAll(rows, i -> (int) ((from + i) % attributes.size()));
      condition = condition.and(model.attributes(attributes).select(rows));
    }
    sampling.condition(condition);
    if (guidance != null) {
      sampling.guidance(Guidance.classifierFree(guidance));
    }
    return sampling;
  }

  /** A class by its name, whatever the case, or its number. */
  private static int label(int known, List<String> names, String text) {
    for (int i = 0; i < names.size(); i++) {
      if (names.get(i).toLowerCase(Locale.ROOT).equals(text.toLowerCase(Locale.ROOT))) {
        return i;
      }
    }
    if (text.matches("\\d{1,9}") && Integer.parseInt(text) < known) {
      return Integer.parseInt(text);
    }
    throw new IllegalArgumentException(
        "--class must be "
            + (names.isEmpty()
                ? "a number less than " + known + ", since the model names no classes"
                : "of " + names + ", or its number from 0")
            + ", but was "
            + text);
  }
}
