package io.github.ddpm4j.evaluation;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;

/**
 * An estimated metric with its interval and sample sizes.
 *
 * @param figure the name of the metric
 * @param value the value of the metric
 * @param low the lower end of its interval, within what the metric can be; NaN without a bootstrap
 *     and for fewer than {@value Bootstrap#LEAST_IMAGES} images
 * @param high the upper end of its interval, or NaN likewise
 * @param bootstrap the bootstrap settings
 * @param generated the number of generated images
 * @param reference the number of reference images, 0 if there are none
 * @param remark a note on interpreting the value, possibly empty
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

  /** The same with the interval cut to what the metric can be; a value beyond stays inside. */
  Estimate within(double least, double greatest) {
    return with(
        Math.max(low, Math.min(least, value)), Math.min(high, Math.max(greatest, value)), remark);
  }

  /** The same without an interval if there are too few images to resample. */
  Estimate resampling(long images) {
    if (bootstrap.resamples() == 0 || images >= Bootstrap.LEAST_IMAGES) {
      return this;
    }
    String why = "no interval of fewer than " + Bootstrap.LEAST_IMAGES + " images";
    return with(Double.NaN, Double.NaN, remark.isEmpty() ? why : remark + "; " + why);
  }

  private Estimate with(double low, double high, String remark) {
    return new Estimate(figure, value, low, high, bootstrap, generated, reference, remark);
  }

  /** The metric with its interval and the numbers of generated and reference images. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder(figure).append(' ').append(number(value));
    if (!Double.isNaN(low)) {
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
