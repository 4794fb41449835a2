package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EmaTest {

  private static final int BATCH = 64;

  @Test
  void of_warmsUp() {
    Ema ema = Ema.of(Ema.DEFAULT_DECAY);
    assertThat(ema.decayAfter(1, BATCH)).isCloseTo(2.0 / 11, within(1e-15));
    assertThat(ema.decayAfter(90, BATCH)).isCloseTo(0.91, within(1e-15));
    assertThat(ema.decayAfter(1_000_000, BATCH)).isEqualTo(0.9999);
    assertThat(ema).hasToString("warm-up to 0.9999");
  }

  @Test
  void constant_isThat() {
    assertThat(Ema.constant(0.99).decayAfter(1, BATCH)).isEqualTo(0.99);
    assertThat(Ema.of(0).decayAfter(1, BATCH)).isZero();
    assertThat(Ema.constant(0.99)).hasToString("0.99");
  }

  /**
   * The decays by the formula of ema-pytorch 0.7.7 with beta .995, update_every 10 and its defaults
   * (update_after_step 100, inv_gamma 1, power 2/3), as in denoising_diffusion_pytorch's Trainer.
   */
  @ParameterizedTest
  @CsvSource({
    "1, 0",
    "2, 1",
    "10, 1",
    "11, 0",
    "91, 0",
    "101, 0",
    "102, 1",
    "111, 0.7978199917664",
    "121, 0.8686226582675",
    "1001, 0.9892802792352",
    "5001, 0.995"
  })
  void inverseGamma_asInPython(long step, double decay) {
    Ema ema = Ema.inverseGamma(0.995, 1, 2.0 / 3).after(100).every(10);
    assertThat(ema.decayAfter(step, BATCH)).isCloseTo(decay, within(1e-12));
    assertThat(ema)
        .hasToString(
            "inverse gamma 1.0, power 0.6666666666666666, to 0.995, every 10 steps, after 100"
                + " steps");
  }

  /** EDM's training loop: 0.5 ** (batch / max(min(half, 0.05 * images), 1e-8)). */
  @Test
  void halfLife_countsImages() {
    Ema ema = Ema.halfLife(500_000);
    assertThat(ema.decayAfter(1, 512)).isZero();
    assertThat(ema.decayAfter(2, 512)).isCloseTo(Math.pow(0.5, 20), within(1e-12));
    assertThat(ema.decayAfter(101, 512)).isCloseTo(Math.pow(0.5, 0.2), within(1e-12));
    assertThat(ema.decayAfter(1_000_000, 512))
        .isCloseTo(Math.pow(0.5, 512.0 / 500_000), within(1e-15));
    assertThat(ema.decayAfter(1_000_000, 1024))
        .isCloseTo(Math.pow(0.5, 1024.0 / 500_000), within(1e-15));
    assertThat(ema).hasToString("half-life of 500000.0 images");
  }

  /** β_t = (1 − 1/t)^(γ + 1), with γ = 6.94 for a width of 0.1 (Karras et al. 2024, eq. 1). */
  @Test
  void powerFunction_isAShareOfTheRun() {
    Ema ema = Ema.powerFunction(0.1);
    assertThat(ema.decayAfter(1, BATCH)).isZero();
    assertThat(ema.decayAfter(2, BATCH)).isCloseTo(Math.pow(0.5, 7.94), within(1e-4));
    assertThat(ema.decayAfter(1000, BATCH)).isCloseTo(Math.pow(0.999, 7.94), within(1e-5));
    assertThat(ema).hasToString("power function of width 0.1");
    Ema every = ema.every(10).after(5);
    assertThat(every.decayAfter(11, BATCH)).isZero();
    assertThat(every.decayAfter(20, BATCH)).isEqualTo(1);
    assertThat(every.decayAfter(105, BATCH)).isEqualTo(1);
    assertThat(every.decayAfter(101, BATCH)).isCloseTo(Math.pow(1 - 10 / 96.0, 7.94), within(1e-3));
    assertThatThrownBy(() -> Ema.powerFunction(0.3))
        .hasMessage("the width of an average must lie in (0, 0.28867513459481287], but was 0.3");
  }

  @ParameterizedTest
  @ValueSource(doubles = {1, -0.1, Double.NaN})
  void decay_outsideItsRange_isRefused(double decay) {
    String message = "EMA decay must lie in [0, 1), but was " + decay;
    assertThatThrownBy(() -> Ema.of(decay)).hasMessage(message);
    assertThatThrownBy(() -> Ema.constant(decay)).hasMessage(message);
    assertThatThrownBy(() -> Ema.inverseGamma(decay, 1, 1)).hasMessage(message);
  }

  @Test
  void others_outsideTheirRange_areRefused() {
    assertThatThrownBy(() -> Ema.inverseGamma(0.9, 0, 1))
        .hasMessage("EMA gamma must be positive and finite, but was 0.0");
    assertThatThrownBy(() -> Ema.inverseGamma(0.9, 1, Double.POSITIVE_INFINITY))
        .hasMessage("EMA power must be positive and finite, but was Infinity");
    assertThatThrownBy(() -> Ema.halfLife(-1))
        .hasMessage("EMA images must be positive and finite, but was -1.0");
    assertThatThrownBy(() -> Ema.of(0.9).every(0))
        .hasMessage("every must be at least 1 step, but was 0");
    assertThatThrownBy(() -> Ema.of(0.9).after(-1))
        .hasMessage("after must be at least 0 steps, but was -1");
  }
}
