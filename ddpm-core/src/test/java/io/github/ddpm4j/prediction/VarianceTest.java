package io.github.ddpm4j.prediction;

import static io.github.ddpm4j.Golden.assertRelative;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.Golden;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class VarianceTest {

  private static final Schedule LINEAR = Schedules.linear(1000);

  @Test
  void variance_schedule_isTheTable() {
    for (int t : new int[] {0, 1, 500, 999}) {
      assertThat(Variance.FIXED_SMALL.variance(LINEAR, t)).isEqualTo(LINEAR.posteriorVariance(t));
      assertThat(Variance.FIXED_LARGE.variance(LINEAR, t)).isEqualTo(LINEAR.beta(t));
    }
    assertThat(Variance.FIXED_SMALL.variance(LINEAR, 0)).isZero();
  }

  @Test
  void logVariance_anchors_agree() {
    assertThat(Variance.FIXED_SMALL.logVariance(LINEAR, 0)).isCloseTo(-9.8167251353, within(1e-9));
    assertThat(Variance.FIXED_SMALL.logVariance(LINEAR, 1)).isCloseTo(-9.8167251353, within(1e-9));
    assertThat(Variance.FIXED_SMALL.logVariance(LINEAR, 500))
        .isCloseTo(-4.6000497400, within(1e-9));
    assertThat(Variance.FIXED_LARGE.logVariance(LINEAR, 0)).isCloseTo(-9.8167251353, within(1e-9));
    assertThat(Variance.FIXED_LARGE.logVariance(LINEAR, 1)).isCloseTo(-9.0286863719, within(1e-9));
    assertThat(Variance.FIXED_LARGE.logVariance(LINEAR, 500))
        .isCloseTo(-4.5991920944, within(1e-9));
  }

  @Test
  void logVariance_bounds_areThoseOfTheNetwork() {
    Variance range = Variance.LEARNED_RANGE;
    assertThat(range.leastLogVariance(LINEAR, 0)).isCloseTo(-9.8167251353, within(1e-9));
    assertThat(range.greatestLogVariance(LINEAR, 0)).isCloseTo(-9.2103403720, within(1e-9));
    assertThat(range.leastLogVariance(LINEAR, 1)).isCloseTo(-9.8167251353, within(1e-9));
    assertThat(range.greatestLogVariance(LINEAR, 1)).isCloseTo(-9.0286863719, within(1e-9));
    assertThat(range.leastLogVariance(LINEAR, 500)).isCloseTo(-4.6000497400, within(1e-9));
    assertThat(range.greatestLogVariance(LINEAR, 500)).isCloseTo(-4.5991920944, within(1e-9));
    for (int t : new int[] {0, 1, 999}) {
      assertThat(Variance.LEARNED.leastLogVariance(LINEAR, t)).isEqualTo(-1);
      assertThat(Variance.LEARNED.greatestLogVariance(LINEAR, t)).isEqualTo(1);
      for (Variance fixed : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
        double only = fixed.logVariance(LINEAR, t);
        assertThat(fixed.leastLogVariance(LINEAR, t)).isEqualTo(only);
        assertThat(fixed.greatestLogVariance(LINEAR, t)).isEqualTo(only);
      }
    }
    for (Variance variance : Variance.values()) {
      assertThatThrownBy(() -> variance.greatestLogVariance(LINEAR, 1000))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("t must be at least 0 and less than 1000, but was 1000");
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FIXED_SMALL", "FIXED_LARGE"})
  void logVariance_edgeSchedules_isFinite(Variance variance) {
    Schedule zeroSnr = Schedules.zeroTerminalSnr(LINEAR);
    for (int t = 0; t < 1000; t++) {
      assertThat(variance.logVariance(zeroSnr, t)).isFinite();
    }
    Schedule one = Schedules.constant(1, 0.25);
    assertThat(variance.logVariance(one, 0)).isEqualTo(Math.log(0.25));
  }

  /** improved-diffusion rebuilds the betas of the timesteps that it keeps. */
  @ParameterizedTest
  @ValueSource(strings = {"1000|50", "1000|ddim50"})
  void variance_respacedGolden_agrees(String key) {
    Golden golden = Golden.load("improved_respace.json").at(key);
    int[] timesteps = golden.integers("timesteps");
    double[] large =
        IntStream.range(0, timesteps.length)
            .mapToDouble(
                i ->
                    Variance.FIXED_LARGE.variance(
                        Level.of(LINEAR, timesteps[i]),
                        i == 0 ? Level.CLEAN : Level.of(LINEAR, timesteps[i - 1])))
            .toArray();
    assertRelative("respaced betas " + key, large, golden.data("new_betas_linear"), 1e-12);
  }

  @Test
  void variance_neighbouringLevels_isThatOfTheSchedule() {
    for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
      for (int t = 0; t < 1000; t++) {
        double expected = variance.variance(LINEAR, t);
        Level level = Level.of(LINEAR, t);
        Level previous = t == 0 ? Level.CLEAN : Level.of(LINEAR, t - 1);
        assertThat(variance.variance(LINEAR.beta(t), level, previous))
            .isCloseTo(expected, within(1e-14 * expected));
        assertThat(variance.variance(level, previous))
            .isCloseTo(expected, within(2e-12 * expected));
      }
    }
  }

  @Test
  void variance_toTheCleanImage_isZeroOrTheWholeNoise() {
    assertThat(Variance.FIXED_SMALL.variance(level(0.25), Level.CLEAN)).isZero();
    assertThat(Variance.FIXED_LARGE.variance(level(0.25), Level.CLEAN))
        .isCloseTo(0.75, within(1e-15));
    assertThat(Variance.FIXED_LARGE.variance(level(0), level(0.5))).isCloseTo(1, within(1e-15));
    assertThat(Variance.FIXED_SMALL.variance(level(0), level(0.5))).isCloseTo(0.5, within(1e-15));
  }

  /** x_s given x_t, for one x_0 and for N(0, 1), by the rules of joint Gaussians. */
  @ParameterizedTest
  @CsvSource({"0.3, 0.9, 0.6, 0.5", "0, 1, 0.25, 0.75", "0.1, 0.9, 0.7, 0.3", "0.4, 0.6, 1, 0"})
  void variance_anyTwoLevels_isThatOfTheOneGivenTheOther(
      double signal, double noise, double signalAfter, double noiseAfter) {
    Level level = new Level(9, signal, noise);
    Level previous = new Level(3, signalAfter, noiseAfter);
    double ratio = signal / signalAfter;
    for (double ofData : new double[] {0, 1}) {
      double of = signal * signal * ofData + noise * noise;
      double ofPrevious = signalAfter * signalAfter * ofData + noiseAfter * noiseAfter;
      double covariance = ratio * ofPrevious;
      Variance variance = ofData == 0 ? Variance.FIXED_SMALL : Variance.FIXED_LARGE;
      assertThat(variance.variance(level, previous))
          .as("of %s", variance)
          .isCloseTo(ofPrevious - covariance * covariance / of, within(1e-15));
    }
  }

  private static Level level(double alphaBar) {
    return new Level(0, Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar));
  }

  @Test
  void variance_badLevels_areRefused() {
    String rule =
        "a reverse step goes from the noisier level to the less noisy one, but sigma was %s before"
            + " and %s after it";
    Level noisy = new Level(9, 0.3, 0.7);
    Level clean = new Level(3, 0.5, 0.5);
    assertRefused(
        () -> Variance.FIXED_SMALL.variance(clean, noisy),
        String.format(Locale.ROOT, rule, 1.0, noisy.sigma()));
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(0.3, noisy, new Level(9, 0, 1)),
        String.format(Locale.ROOT, rule, noisy.sigma(), "Infinity"));
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(clean, clean),
        "beta must be above 0 and at most 1, but was 0.0");
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(0, noisy, clean),
        "beta must be above 0 and at most 1, but was 0.0");
    assertThatThrownBy(() -> Variance.FIXED_LARGE.logVariance(LINEAR, 1000))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("t must be at least 0 and less than 1000, but was 1000");
  }

  @Test
  void learned_isBoundedAndNotFixed() {
    Level from = level(0.25);
    Level to = level(0.5);
    assertThat(Variance.LEARNED_RANGE.leastVariance(0.5, from, to))
        .isEqualTo(Variance.FIXED_SMALL.variance(0.5, from, to));
    assertThat(Variance.LEARNED_RANGE.greatestVariance(0.5, from, to)).isEqualTo(0.5);
    assertThat(Math.log(Variance.LEARNED.leastVariance(0.5, from, to)))
        .isCloseTo(-1, within(1e-15));
    assertThat(Math.log(Variance.LEARNED.greatestVariance(0.5, from, to)))
        .isCloseTo(1, within(1e-15));
    for (Variance variance : List.of(Variance.LEARNED, Variance.LEARNED_RANGE)) {
      assertThat(variance.isLearned()).isTrue();
      String message =
          "variance "
              + variance
              + " is the network's to say; leastVariance and greatestVariance are what v = -1 and v"
              + " = 1 stand for";
      for (ThrowingCallable call :
          List.<ThrowingCallable>of(
              () -> variance.variance(0.5, from, to),
              () -> variance.variance(LINEAR, 3),
              () -> variance.logVariance(LINEAR, 3))) {
        assertThatThrownBy(call).isInstanceOf(IllegalStateException.class).hasMessage(message);
      }
      assertRefused(
          () -> variance.leastVariance(0, from, to),
          "beta must be above 0 and at most 1, but was 0.0");
    }
    for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
      assertThat(variance.isLearned()).isFalse();
      assertThat(variance.leastVariance(0.5, from, to))
          .isEqualTo(variance.greatestVariance(0.5, from, to))
          .isEqualTo(variance.variance(0.5, from, to));
    }
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }
}
