package io.github.ddpm4j.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class LevelTest {

  private static final Schedule LINEAR = Schedules.linear(1000);

  @Test
  void of_timestep_isThatOfTheSchedule() {
    for (int t : new int[] {0, 500, 999}) {
      Level level = Level.of(LINEAR, t);
      assertThat(level).isEqualTo(new Level(t, LINEAR.signal(t), LINEAR.noise(t)));
      assertThat(level.sigma()).isCloseTo(level.noise() / level.signal(), within(1e-15));
      assertThat(level.lambda()).isCloseTo(-Math.log(level.sigma()), within(1e-12));
    }
  }

  @Test
  void ofSigma_betweenTimesteps_isOnTheUnitCircle() {
    Level level = Level.ofSigma(LINEAR, 3);
    assertThat(level.sigma()).isCloseTo(3, within(1e-14));
    assertThat(Math.hypot(level.signal(), level.noise())).isCloseTo(1, within(1e-15));
    int below = (int) level.timestep();
    assertThat(Level.of(LINEAR, below).sigma()).isLessThan(3);
    assertThat(Level.of(LINEAR, below + 1).sigma()).isGreaterThan(3);
    assertThat(Level.ofSigma(LINEAR, Double.POSITIVE_INFINITY)).isEqualTo(new Level(999, 0, 1));
    assertThat(level.atWholeTimestep().timestep()).isEqualTo(Math.rint(level.timestep()));
  }

  @Test
  void ratioTo_withoutSignal_isDefined() {
    Level noisy = Level.of(LINEAR, 900);
    Level clean = Level.of(LINEAR, 100);
    assertThat(noisy.ratioTo(clean)).isCloseTo(clean.sigma() / noisy.sigma(), within(1e-15));
    assertThat(new Level(999, 0, 1).ratioTo(clean)).isZero();
  }

  @Test
  void badNumbers_areRefused() {
    String rule = "signal and noise must be finite, at least 0 and not both 0, but were ";
    double[][] pairs = {
      {0, 0},
      {-0.1, 1},
      {1, -0.1},
      {Double.NaN, 1},
      {1, Double.NaN},
      {Double.POSITIVE_INFINITY, 1},
      {1, Double.POSITIVE_INFINITY}
    };
    for (double[] pair : pairs) {
      assertThatThrownBy(() -> new Level(0, pair[0], pair[1]))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(rule + pair[0] + " and " + pair[1]);
    }
    assertThatThrownBy(() -> new Level(Double.NaN, 1, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("timestep must be finite, but was NaN");
    assertThatThrownBy(() -> Level.of(LINEAR, 1000))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("t must be at least 0 and less than 1000, but was 1000");
    assertThatThrownBy(() -> Level.ofSigma(LINEAR, -1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sigma must be at least 0, but was -1.0");
  }
}
