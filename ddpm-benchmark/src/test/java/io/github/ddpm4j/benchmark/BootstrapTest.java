package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.benchmark.Bootstrap.Interval;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BootstrapTest {

  private static final int SERIES = 60;
  private static final int LENGTH = 400;

  /** A first-order autoregression of variance 1: x_k = φ x_(k−1) + √(1 − φ²) z. */
  private static double[] series(Random random, double phi) {
    double[] values = new double[LENGTH];
    double x = random.nextGaussian();
    for (int i = 0; i < LENGTH; i++) {
      values[i] = x;
      x = phi * x + Math.sqrt(1 - phi * phi) * random.nextGaussian();
    }
    return values;
  }

  /**
   * How many intervals have the true value in them, of 95 % that should. The 95th percentile of a
   * normal distribution is 1.6449, and the mean 0.
   */
  @ParameterizedTest
  @CsvSource({"0, 0.85", "0.7, 0.8"})
  void interval_knownDistribution_coversTheTruth(double phi, double least) {
    Random random = new Random(5);
    int means = 0;
    int quantiles = 0;
    for (int i = 0; i < SERIES; i++) {
      double[] values = series(random, phi);
      if (Bootstrap.interval(values, BootstrapTest::mean, i).contains(0)) {
        means++;
      }
      if (Bootstrap.interval(values, v -> Spread.quantile(v, 0.95), i).contains(1.6449)) {
        quantiles++;
      }
    }
    assertThat((double) means / SERIES).isBetween(least, 1.0);
    assertThat((double) quantiles / SERIES).isBetween(least, 1.0);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElseThrow();
  }

  /** Of a mean, about 1.96 deviations to each side: of n independent ones, or fewer than that. */
  @Test
  void interval_dependentValues_wider() {
    Random random = new Random(6);
    Interval free = Bootstrap.interval(series(random, 0), BootstrapTest::mean, 1);
    Interval bound = Bootstrap.interval(series(random, 0.7), BootstrapTest::mean, 1);
    assertThat(free.high() - free.low()).isBetween(0.15, 0.24);
    // Their mean has (1 + φ) / (1 − φ) = 5.7 times the variance.
    assertThat(bound.high() - bound.low()).isBetween(0.3, 0.55);
  }

  @Test
  void interval_sameSeed_same() {
    double[] values = series(new Random(7), 0.5);
    Interval one = Bootstrap.interval(values, Latencies::last, 3);
    assertThat(Bootstrap.interval(values, Latencies::last, 3)).isEqualTo(one);
    assertThat(Bootstrap.interval(values, Latencies::last, 4)).isNotEqualTo(one);
    assertThat(Bootstrap.interval(new double[] {2}, Latencies::last, 1))
        .isEqualTo(new Interval(2, 2));
    assertThatThrownBy(() -> Bootstrap.interval(new double[0], Latencies::last, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a bootstrap needs at least 1 value, but there are 0");
  }

  @Test
  void differences_whatIsFarOff_named() {
    double[] measured = series(new Random(8), 0);
    Arrays.setAll(measured, i -> 100 + 10 * measured[i]);
    double[] same = Arrays.stream(measured).map(value -> 1.001 * value).toArray();
    double[] slow = Arrays.stream(same).map(value -> 1.2 * value).toArray();
    double[] tail = same.clone();
    Arrays.fill(tail, 0, 20, 150);
    assertThat(agreement(measured, same).differences()).isEmpty();
    assertThat(agreement(measured, slow).differences()).containsExactly("mean", "median", "p99");
    assertThat(agreement(measured, tail).differences()).containsExactly("p99");
    assertThat(agreement(measured, same).cells()).endsWith(" | yes |");
    assertThat(agreement(measured, tail).cells()).endsWith(" | not p99 |");
    assertThat(agreement(new double[0], new double[0]).cells()).startsWith("- | ");
  }

  private static Agreement agreement(double[] measured, double[] simulated) {
    return new Agreement(new Latencies(measured), new Latencies(simulated));
  }
}
