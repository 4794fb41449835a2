package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EmaTest {

  @Test
  void decayAfter_warmsUp() {
    Ema ema = Ema.of(Ema.DEFAULT_DECAY);
    assertThat(ema.decay()).isEqualTo(0.9999);
    assertThat(ema.warmup()).isTrue();
    assertThat(ema.decayAfter(1)).isCloseTo(2.0 / 11, within(1e-15));
    assertThat(ema.decayAfter(90)).isCloseTo(0.91, within(1e-15));
    assertThat(ema.decayAfter(1_000_000)).isEqualTo(0.9999);
  }

  @Test
  void decayAfter_noWarmup_isConstant() {
    assertThat(new Ema(0.99, false).decayAfter(1)).isEqualTo(0.99);
    assertThat(Ema.of(0).decayAfter(1)).isZero();
  }

  @ParameterizedTest
  @ValueSource(doubles = {1, -0.1, Double.NaN})
  void constructor_outsideItsRange_isRefused(double decay) {
    assertThatThrownBy(() -> Ema.of(decay))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("EMA decay must lie in [0, 1), but was " + decay);
  }
}
