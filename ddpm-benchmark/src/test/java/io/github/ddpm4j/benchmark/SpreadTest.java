package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class SpreadTest {

  @Test
  void of_oddCount_valuesInTheMiddle() {
    assertThat(Spread.of(5, 1, 4, 2, 3)).isEqualTo(new Spread(3, 2, 4, 1, 5, 5));
  }

  @Test
  void of_evenCount_interpolated() {
    assertThat(Spread.of(4, 1, 3, 2)).isEqualTo(new Spread(2.5, 1.75, 3.25, 1, 4, 4));
  }

  @Test
  void of_oneValue_everywhere() {
    assertThat(Spread.of(7)).isEqualTo(new Spread(7, 7, 7, 7, 7, 1));
  }

  @Test
  void of_nothing_refused() {
    assertThatThrownBy(Spread::of)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a spread needs at least 1 value, but there are 0");
  }

  @Test
  void of_argument_notSorted() {
    double[] values = {2, 1};
    Spread.of(values);
    assertThat(values).containsExactly(2, 1);
  }
}
