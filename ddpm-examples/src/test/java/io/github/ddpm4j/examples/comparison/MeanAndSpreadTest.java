package io.github.ddpm4j.examples.comparison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class MeanAndSpreadTest {

  @Test
  void of_isMeanAndDeviation() {
    MeanAndSpread spread = MeanAndSpread.of(1, 2, 6);
    assertThat(spread.mean()).isCloseTo(3, within(1e-12));
    assertThat(spread.deviation()).isCloseTo(Math.sqrt(7), within(1e-12));
  }

  @Test
  void format_ofOneOrLarge() {
    assertThat(MeanAndSpread.of(0.12345).format("%.3f")).isEqualTo("0.123");
    assertThat(MeanAndSpread.of(0.1, 0.3).format("%.2f")).isEqualTo("0.20 ± 0.14");
    assertThat(MeanAndSpread.of(1e6, 3e6).format("%.2f")).isEqualTo("2.0e+06 ± 1.4e+06");
  }

  @Test
  void rootMeanSquare_isOverAllPixels() {
    assertThat(
            Comparison.rootMeanSquare(
                new float[][] {{0, 1}, {2, 3}}, new float[][] {{0, 1}, {2, 7}}))
        .isCloseTo(2, within(1e-12));
  }
}
