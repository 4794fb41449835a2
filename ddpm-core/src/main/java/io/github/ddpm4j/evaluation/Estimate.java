package io.github.ddpm4j.evaluation;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;

/**
 * A figure with what it rests on.
 *
 * @param figure what was measured
 * @param value the figure
 * @param low where its interval begins, NaN without a bootstrap
 * @param high where it ends, NaN without a bootstrap
 * @param bootstrap how the interval was found
 * @param generated the number of generated images
 * @param reference the number of images that they were compared with, 0 if with none
 * @param remark what must be known to read the figure, empty if nothing
 */
public record Estimate(
    String figure,
    double value,
    double low,
    double high,
    Bootstrap bootstrap,
    long generated,
    long reference,
    String remark) {

  static Estimate of(
      String figure,
      double value,
      double[] replicates,
      Bootstrap bootstrap,
      long generated,
      long reference,
      String remark) {
    return new Estimate(
        figure,
        value,
        bootstrap.low(value, replicates),
        bootstrap.high(value, replicates),
        bootstrap,
        generated,
        reference,
        remark);
  }

  /** The figure with its interval and the number of images on either side. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder(figure).append(' ').append(number(value));
    if (bootstrap.resamples() > 0) {
      text.append(" [")
          .append(number(low))
          .append(", ")
          .append(number(high))
          .append("] at ")
          .append(percent(bootstrap.confidence()))
          .append(" % (")
          .append(bootstrap.resamples())
          .append(" resamples)");
    }
    text.append(", ").append(generated).append(" generated");
    if (reference > 0) {
      text.append(" against ").append(reference);
    }
    return remark.isEmpty() ? text.toString() : text.append("; ").append(remark).toString();
  }

  private static String percent(double share) {
    return BigDecimal.valueOf(100 * share)
        .round(new MathContext(4))
        .stripTrailingZeros()
        .toPlainString();
  }

  private static String number(double value) {
    return String.format(
        Locale.ROOT, Math.abs(value) < 0.01 && value != 0 ? "%.3e" : "%.4f", value);
  }
}
