package io.github.ddpm4j.examples.comparison;

import java.util.Arrays;
import java.util.Locale;

/**
 * Repeated figures.
 *
 * @param mean their mean
 * @param deviation their standard deviation, with n − 1; NaN for a single one
 */
record MeanAndSpread(double mean, double deviation) {

  /** Means from here on are written with an exponent. */
  private static final double LARGE = 1000;

  static MeanAndSpread of(double... values) {
    double mean = Arrays.stream(values).average().orElseThrow();
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return new MeanAndSpread(mean, Math.sqrt(squares / (values.length - 1)));
  }

  /** Mean ± deviation, each in the format; the mean alone where there is no deviation. */
  String format(String number) {
    String fitting = Math.abs(mean) < LARGE ? number : "%.1e";
    String text = String.format(Locale.ROOT, fitting, mean);
    return Double.isNaN(deviation)
        ? text
        : text + " ± " + String.format(Locale.ROOT, fitting, deviation);
  }
}
