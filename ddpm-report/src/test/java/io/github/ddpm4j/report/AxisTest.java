package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.assertj.core.util.DoubleComparator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AxisTest {

  @Test
  void fromZero_hasRoundTicks() {
    assertThat(Axis.fromZero(9_000).ticks()).containsExactly(0.0, 2e3, 4e3, 6e3, 8e3);
    assertThat(Axis.fromZero(500).ticks()).containsExactly(0.0, 100.0, 200.0, 300.0, 400.0, 500.0);
    assertThat(Axis.fromZero(0)).isEqualTo(Axis.fromZero(1));
  }

  @Test
  void over_wideAndPositive_isLogarithmic() {
    Axis axis = Axis.over(0.009, 1.1);
    assertThat(axis.logarithmic()).isTrue();
    assertThat(axis.ticks()).containsExactly(0.01, 0.1, 1.0);
    assertThat(axis.place(0.009)).isZero();
    assertThat(axis.place(1.1)).isEqualTo(1);
    assertThat(axis.place(Math.sqrt(0.009 * 1.1))).isCloseTo(0.5, within(1e-12));
    assertThat(axis.place(0)).as("below it").isZero();
    assertThat(Axis.over(0.1, 1.2).ticks()).containsExactly(0.1, 0.2, 0.5, 1.0);
    assertThat(Axis.over(1e-12, 1e12).ticks()).hasSizeBetween(4, 7);
  }

  @Test
  void over_narrowOrNegative_isEven() {
    assertThat(Axis.over(-1, 100).logarithmic()).isFalse();
    assertThat(Axis.over(1, 2).ticks())
        .usingElementComparator(new DoubleComparator(1e-9))
        .containsExactly(1.0, 1.2, 1.4, 1.6, 1.8, 2.0);
    assertThat(Axis.over(1, 2).place(1.25)).isEqualTo(0.25);
    Axis one = Axis.over(3, 3);
    assertThat(one.place(3)).isCloseTo(0.5, within(1e-12));
    assertThat(Axis.over(0, 0).place(0)).isCloseTo(0.5, within(1e-12));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "0|0",
        "3|3",
        "800000|800,000",
        "1000000|1e6",
        "0.1|0.1",
        "0.031415|0.03142",
        "12.3456|12.35",
        "1234.5678|1,235",
        "0.0002|2e-4",
        "0.00012341|1.234e-4",
        "-0.5|-0.5",
        "99999.6|100,000",
        "1.5e12|1.5e12",
      })
  void number_isShort(double value, String words) {
    assertThat(Axis.number(value)).isEqualTo(words);
  }
}
