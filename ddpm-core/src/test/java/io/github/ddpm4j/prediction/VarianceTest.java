package io.github.ddpm4j.prediction;

import static io.github.ddpm4j.Golden.assertRelative;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.Golden;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
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
                        LINEAR.alphaBar(timesteps[i]),
                        i == 0 ? 1 : LINEAR.alphaBar(timesteps[i - 1])))
            .toArray();
    assertRelative("respaced betas " + key, large, golden.data("new_betas_linear"), 1e-12);
  }

  @Test
  void variance_neighbouringLevels_isThatOfTheSchedule() {
    for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
      for (int t = 0; t < 1000; t++) {
        double expected = variance.variance(LINEAR, t);
        double bar = LINEAR.alphaBar(t);
        double previous = LINEAR.alphaBarPrevious(t);
        // ᾱ near 1 has no more digits of 1 − ᾱ than this; those of the schedule are tested there
        assertThat(variance.variance(LINEAR.beta(t), bar, previous))
            .isCloseTo(expected, within(2e-12 * expected));
        assertThat(variance.variance(bar, previous)).isCloseTo(expected, within(1e-15));
      }
    }
  }

  @Test
  void variance_toTheCleanImage_isZeroOrTheWholeNoise() {
    assertThat(Variance.FIXED_SMALL.variance(0.25, 1)).isZero();
    assertThat(Variance.FIXED_LARGE.variance(0.25, 1)).isEqualTo(0.75);
    assertThat(Variance.FIXED_LARGE.variance(0, 0.5)).isEqualTo(1);
    assertThat(Variance.FIXED_SMALL.variance(0, 0.5)).isEqualTo(0.5);
  }

  @Test
  void variance_badLevels_areRefused() {
    String rule =
        "alphaBar must be at least 0 and less than alphaBarPrevious, which is at most 1, but they"
            + " were %s and %s; a reverse step goes from the noisier level to the less noisy one";
    assertRefused(
        () -> Variance.FIXED_SMALL.variance(0.5, 0.5), String.format(Locale.ROOT, rule, 0.5, 0.5));
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(-0.1, 0.5),
        String.format(Locale.ROOT, rule, -0.1, 0.5));
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(0.1, 1.5), String.format(Locale.ROOT, rule, 0.1, 1.5));
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(0.3, Double.NaN, 1),
        String.format(Locale.ROOT, rule, Double.NaN, 1.0));
    assertRefused(
        () -> Variance.FIXED_LARGE.variance(0, 0.5, 1),
        "beta must be above 0 and at most 1, but was 0.0");
    assertThatThrownBy(() -> Variance.FIXED_LARGE.logVariance(LINEAR, 1000))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("t must be at least 0 and less than 1000, but was 1000");
  }

  @Test
  void learned_isBoundedAndNotFixed() {
    assertThat(Variance.LEARNED_RANGE.leastVariance(0.5, 0.25, 0.5))
        .isEqualTo(Variance.FIXED_SMALL.variance(0.5, 0.25, 0.5));
    assertThat(Variance.LEARNED_RANGE.greatestVariance(0.5, 0.25, 0.5)).isEqualTo(0.5);
    assertThat(Math.log(Variance.LEARNED.leastVariance(0.5, 0.25, 0.5)))
        .isCloseTo(-1, within(1e-15));
    assertThat(Math.log(Variance.LEARNED.greatestVariance(0.5, 0.25, 0.5)))
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
              () -> variance.variance(0.5, 0.25, 0.5),
              () -> variance.variance(LINEAR, 3),
              () -> variance.logVariance(LINEAR, 3))) {
        assertThatThrownBy(call).isInstanceOf(IllegalStateException.class).hasMessage(message);
      }
      assertRefused(
          () -> variance.leastVariance(0, 0.25, 0.5),
          "beta must be above 0 and at most 1, but was 0.0");
    }
    for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
      assertThat(variance.isLearned()).isFalse();
      assertThat(variance.leastVariance(0.5, 0.25, 0.5))
          .isEqualTo(variance.greatestVariance(0.5, 0.25, 0.5))
          .isEqualTo(variance.variance(0.5, 0.25, 0.5));
    }
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }
}
