package io.github.ddpm4j.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Scale;
import net.jqwik.api.constraints.Size;

class SchedulesPropertyTest {

  @Property
  void ofBetas_anyBetas_isMonotone(
      @ForAll @Size(min = 1, max = 60)
          List<@DoubleRange(min = 1e-6, max = 0.999) @Scale(6) Double> values) {
    double[] betas = values.stream().mapToDouble(Double::doubleValue).toArray();
    Schedule schedule = Schedules.ofBetas(betas);
    assertThat(schedule.timesteps()).isEqualTo(betas.length);
    for (int t = 0; t < betas.length; t++) {
      assertThat(schedule.beta(t)).isEqualTo(betas[t]);
      assertThat(schedule.alphaBar(t)).isPositive().isLessThan(schedule.alphaBarPrevious(t));
      assertThat(schedule.posteriorVariance(t)).isBetween(0.0, betas[t]);
      assertThat(schedule.posteriorMeanX0(t)).isBetween(0.0, 1.0);
      assertThat(schedule.posteriorMeanXt(t)).isBetween(0.0, 1.0);
      assertThat(schedule.posteriorLogVarianceClipped(t)).isFinite().isNegative();
    }
  }

  @Property
  void zeroTerminalSnr_anySchedule_endsAtZeroAndKeepsItsFirstSignal(
      @ForAll @IntRange(min = 2, max = 500) int timesteps,
      @ForAll @Scale(5) @DoubleRange(min = 1e-4, max = 0.01) double betaStart,
      @ForAll @Scale(5) @DoubleRange(min = 1e-4, max = 0.5) double betaEnd) {
    Schedule schedule = Schedules.linear(timesteps, betaStart, betaEnd);
    Schedule rescaled = Schedules.zeroTerminalSnr(schedule);
    assertThat(rescaled.alphaBar(timesteps - 1)).isZero();
    assertThat(Math.abs(rescaled.signal(0) - schedule.signal(0))).isLessThan(1e-14);
    for (int t = 1; t < timesteps; t++) {
      assertThat(rescaled.alphaBar(t)).isLessThan(rescaled.alphaBar(t - 1));
      assertThat(rescaled.posteriorLogVarianceClipped(t)).isFinite();
    }
  }

  @Property
  void timesteps_anySpacing_areDistinctDescendingAndInRange(
      @ForAll TimestepSpacing spacing,
      @ForAll @IntRange(min = 1, max = 5000) int trainingSteps,
      @ForAll @IntRange(min = 1, max = 5000) int wanted) {
    int steps = Math.min(wanted, trainingSteps);
    int[] timesteps = spacing.timesteps(trainingSteps, steps);
    assertThat(timesteps).hasSize(steps);
    assertThat(timesteps[0]).isLessThan(trainingSteps);
    assertThat(timesteps[steps - 1]).isNotNegative();
    for (int i = 1; i < steps; i++) {
      assertThat(timesteps[i]).isLessThan(timesteps[i - 1]);
    }
  }

  @Property
  void timesteps_asManyAsTheSchedule_areAll(
      @ForAll TimestepSpacing spacing, @ForAll @IntRange(min = 1, max = 5000) int trainingSteps) {
    assertThat(spacing.timesteps(trainingSteps, trainingSteps))
        .containsExactly(
            IntStream.range(0, trainingSteps).map(i -> trainingSteps - 1 - i).toArray());
  }

  @Property
  void ofBetas_oneBadBeta_isNamed(
      @ForAll @IntRange(min = 0, max = 9) int index, @ForAll boolean high) {
    double[] betas = new double[10];
    Arrays.fill(betas, 0.1);
    betas[index] = high ? 1.5 : 0;
    assertThatThrownBy(() -> Schedules.ofBetas(betas))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "beta["
                + index
                + "] must be above 0 and below 1, but was "
                + betas[index]
                + "; pass the variance of each noising step");
  }
}
