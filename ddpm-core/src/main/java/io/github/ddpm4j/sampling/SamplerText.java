package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Writes a sampler down as {@link SamplerParser} reads it: {@code name:steps, option, …}. */
final class SamplerText {

  private final StringBuilder text;

  private SamplerText(String start) {
    text = new StringBuilder(start);
  }

  static SamplerText of(String name) {
    return new SamplerText(name);
  }

  static SamplerText of(String name, int steps) {
    return new SamplerText(name + ":" + steps);
  }

  /** The grid of a sampler over a spacing of timesteps, as it follows the name. */
  static String grid(TimestepSpacing spacing, int steps) {
    return of("", steps).option(name(spacing)).toString();
  }

  /** The grid of a sampler over a list of timesteps. */
  static String grid(int... timesteps) {
    return of("")
        .option(
            "timesteps="
                + Arrays.stream(timesteps)
                    .mapToObj(Integer::toString)
                    .collect(Collectors.joining(" ")))
        .toString();
  }

  static String name(TimestepSpacing spacing) {
    return spacing.name().toLowerCase(Locale.ROOT);
  }

  SamplerText option(String option) {
    text.append(", ").append(option);
    return this;
  }

  /** Nothing where the value is the usual one. */
  SamplerText flag(String name, boolean value, boolean usual) {
    return value == usual ? this : option(value ? name : name + "=false");
  }

  /** Nothing where the value is the usual one. */
  SamplerText number(String name, double value, double usual) {
    return value == usual ? this : option(name + "=" + number(value));
  }

  /** As short as goes without loss. */
  static String number(double value) {
    String text = Double.toString(value);
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
