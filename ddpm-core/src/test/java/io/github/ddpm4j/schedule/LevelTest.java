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
    assertThat(Level.last(LINEAR)).isEqualTo(Level.of(LINEAR, 999));
    assertThat(Level.of(LINEAR, below).sigma()).isLessThan(3);
    assertThat(Level.of(LINEAR, below + 1).sigma()).isGreaterThan(3);
    assertThat(Level.ofSigma(LINEAR, Double.POSITIVE_INFINITY)).isEqualTo(new Level(999, 0, 1));
    assertThat(level.atWholeTimestep().timestep()).isEqualTo(Math.rint(level.timestep()));
  }

  @Test
  void ofSigma_flow_isOnTheLine() {
    Schedule flow = Schedules.flow(10);
    Level level = Level.ofSigma(flow, 3);
    assertThat(level.sigma()).isCloseTo(3, within(1e-14));
    assertThat(level.signal() + level.noise()).isCloseTo(1, within(1e-15));
    assertThat(Level.ofSigma(flow, Double.POSITIVE_INFINITY)).isEqualTo(new Level(9, 0, 1));
    assertThat(Level.ofSigma(flow, 0)).isEqualTo(new Level(0, 1, 0));
  }

  @Test
  void power_isOneToRoundingWhereTheVarianceIsPreserved() {
    for (int t = 0; t < 1000; t++) {
      assertThat(Level.of(LINEAR, t).power()).isEqualTo(1);
    }
    assertThat(new Level(0, 0.75, 0.25).power()).isEqualTo(0.625);
  }

  @Test
  void varianceFrom_isWhatANoisingStepAdds() {
    Level clean = new Level(1, 0.75, 0.25);
    Level noisy = new Level(2, 0.25, 0.75);
    assertThat(noisy.varianceFrom(clean)).isCloseTo(0.5625 - 0.0625 / 9, within(1e-15));
    assertThat(noisy.varianceFrom(Level.CLEAN)).isEqualTo(0.5625);
    assertThat(new Level(3, 0, 1).varianceFrom(clean)).isEqualTo(1);
    assertThat(clean.varianceFrom(clean)).isZero();
    for (int t : new int[] {1, 500, 999}) {
      double ratio = LINEAR.alphaBar(t) / LINEAR.alphaBar(t - 1);
      assertThat(Level.of(LINEAR, t).varianceFrom(Level.of(LINEAR, t - 1)))
          .isCloseTo(1 - ratio, within(1e-15));
    }
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
