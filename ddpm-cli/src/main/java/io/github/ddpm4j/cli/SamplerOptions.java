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
import picocli.CommandLine.Option;

/** How pictures are drawn. */
final class SamplerOptions {

  private static final String DEFAULT = "dpm++2m:20";

  @Option(
      names = {"-s", "--sampler"},
      paramLabel = "SAMPLER",
      description =
          "As docs/samplers.md writes them, such as ddim:50 or 'unipc:10, karras' (default:"
              + " dpm++2m:20, or what the model was tuned for).")
  private @Nullable String sampler;

  @Option(
      names = "--any-sampler",
      description = "Take SAMPLER even for a model that was tuned for another.")
  private boolean any;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "The same seed draws the same pictures (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = {"-c", "--class"},
      paramLabel = "CLASS",
      split = ",",
      description = "A class of each picture in turn, by name or number.")
  private List<String> classes = List.of();

  @Option(
      names = {"-a", "--attributes"},
      paramLabel = "TEXT",
      description =
          "What a model of attributes shall draw, such as 'hair=long, hat=red'; given more than"
              + " once, of each picture in turn.")
  private List<String> attributes = List.of();

  @Option(
      names = {"-g", "--guidance"},
      paramLabel = "SCALE",
      description =
          "Classifier-free guidance towards class and attributes; 1 is none (default: 1).")
  private @Nullable Double guidance;

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

  long seed() {
    return seed;
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

  /** A run with these options, of pictures from an index on. */
  Sampling of(LoadedModel model, long from, int count) {
    Sampling sampling = model.sampling().sampler(parsed(model)).seed(seed);
    if (any) {
      sampling.anySampler();
    }
    Condition condition = Condition.none();
    if (!classes.isEmpty()) {
      int[] labels = new int[count];
      for (int i = 0; i < count; i++) {
        labels[i] =
            label(model.ddpm().classNames(), classes.get((int) ((from + i) % classes.size())));
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
  private static int label(List<String> names, String text) {
    for (int i = 0; i < names.size(); i++) {
      if (names.get(i).toLowerCase(Locale.ROOT).equals(text.toLowerCase(Locale.ROOT))) {
        return i;
      }
    }
    boolean number = text.matches("\\d{1,9}");
    if (number && (names.isEmpty() || Integer.parseInt(text) < names.size())) {
      return Integer.parseInt(text);
    }
    throw new IllegalArgumentException(
        "--class must be "
            + (names.isEmpty()
                ? "a number, since the model names no classes"
                : "of " + names + ", or its number from 0")
            + ", but was "
            + text);
  }
}
