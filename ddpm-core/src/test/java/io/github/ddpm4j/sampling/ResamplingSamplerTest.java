package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.WithVariance;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Jumps back are those of RePaint, whatever the variance. */
class ResamplingSamplerTest {

  private static final int TIMESTEPS = 40;

  private static Diffusion diffusion(Variance variance) {
    return new Diffusion(
        Schedules.linear(TIMESTEPS), Prediction.EPSILON, variance, DataRange.DEFAULT);
  }

  /**
   * The loop of the paper's code ({@code get_schedule_jump}), as the rows that the network sees.
   */
  private static List<Integer> published(int steps, int jumpLength, int jumps) {
    Map<Integer, Integer> left = new HashMap<>();
    for (int t = 0; t < steps - jumpLength; t += jumpLength) {
      left.put(t, jumps - 1);
    }
    List<Integer> times = new ArrayList<>();
    int t = steps;
    while (t >= 1) {
      t--;
      times.add(t);
      if (left.getOrDefault(t, 0) > 0) {
        left.merge(t, -1, Integer::sum);
        for (int k = 0; k < jumpLength; k++) {
          t++;
          times.add(t);
        }
      }
    }
    times.add(-1);
    List<Integer> rows = new ArrayList<>();
    for (int i = 0; i + 1 < times.size(); i++) {
      if (times.get(i + 1) < times.get(i)) {
        rows.add(steps - 1 - times.get(i));
      }
    }
    return rows;
  }

  @ParameterizedTest
  @CsvSource({"20,5,3", "20,4,2", "21,5,2", "20,1,2", "10,10,3", "40,10,10", "1,1,2"})
  void plan_rows_areInTheOrderOfThePaper(int steps, int jumpLength, int jumps) {
    Diffusion diffusion = diffusion(Variance.FIXED_SMALL);
    Sampler base = Samplers.ddpm(steps);
    List<Double> asked =
        base.plan(diffusion).steps().stream().map(SamplingPlan.Step::timestep).toList();
    assertThat(
            Samplers.resampling(base, jumpLength, jumps).plan(diffusion).steps().stream()
                .map(row -> asked.indexOf(row.timestep()))
                .toList())
        .isEqualTo(published(steps, jumpLength, jumps));
  }

  @Test
  void plan_jumpToPureNoise_isRefused() {
    Diffusion terminal =
        new Diffusion(
            Schedules.zeroTerminalSnr(Schedules.linear(TIMESTEPS)),
            Prediction.VELOCITY,
            Variance.FIXED_SMALL,
            DataRange.DEFAULT);
    Sampler base = Samplers.ddim(4).spacing(TimestepSpacing.TRAILING);
    assertThatThrownBy(() -> Samplers.resampling(base, 3, 2).plan(terminal))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "resampling cannot jump back to where no signal is left; start later than the first"
                + " timestep, or use a schedule that keeps some signal");
    assertThat(Samplers.resampling(base, 3, 2).plan(terminal, TIMESTEPS - 2).steps()).isNotEmpty();
  }

  /** A row, then the way up, with two draws of noise: of their sum the one draw has the size. */
  @ParameterizedTest
  @EnumSource(
      value = Variance.class,
      names = {"FIXED_SMALL", "LEARNED_RANGE", "LEARNED"})
  void row_withAJump_hasTheNoiseOfBoth(Variance variance) {
    Diffusion diffusion = diffusion(variance);
    double v = variance == Variance.LEARNED ? -5 : 0.3;
    Sampler base = Samplers.ddpm(8);
    List<SamplingPlan.Step> plain = base.plan(diffusion).steps();
    SamplingPlan plan = Samplers.resampling(base, 3, 2).plan(diffusion);
    List<Double> deviations = new ArrayList<>();
    double z = 1e6;
    try (NDManager manager = NDManager.newBaseManager();
        Samples with = run(diffusion, plan, v, z);
        Samples without = run(diffusion, plan, v, 0);
        NDArray noisy = with.toNDArray(manager);
        NDArray quiet = without.toNDArray(manager)) {
      // x' − x'(z = 0) after the one row that has a jump
      deviations.add((noisy.toDoubleArray()[0] - quiet.toDoubleArray()[0]) / z);
    }
    int at = jumpRow(plan, plain);
    SamplingPlan.Step before =
        plain.stream()
            .filter(row -> row.timestep() == plan.steps().get(at).timestep())
            .findFirst()
            .orElseThrow();
    int index = plain.indexOf(before);
    double said =
        Math.pow(before.noiseLow(), (1 - v) / 2) * Math.pow(before.noiseHigh(), (1 + v) / 2);
    double r = plan.levelAfter(at).signal() / plain.get(index + 1).signal();
    double fresh =
        plan.levelAfter(at).noise() * plan.levelAfter(at).noise()
            - Math.pow(r * plain.get(index + 1).noise(), 2);
    double expected = Math.sqrt(r * r * said * said + fresh);
    System.out.println(
        variance + ": noise of a row with a jump " + deviations.get(0) + " of " + expected);
    assertThat(deviations.get(0)).isCloseTo(expected, within(1e-9));
  }

  private static int jumpRow(SamplingPlan plan, List<SamplingPlan.Step> plain) {
    for (int i = 0; i + 1 < plan.steps().size(); i++) {
      if (plan.steps().get(i + 1).timestep() > plan.steps().get(i).timestep()) {
        return i;
      }
    }
    throw new AssertionError("no jump in " + plain);
  }

  /** The row with the jump alone, from 0, with noise z. */
  private static Samples run(Diffusion diffusion, SamplingPlan plan, double v, double z) {
    int at = jumpRow(plan, List.of());
    SamplingPlan one =
        new SamplingPlan(List.of(plan.steps().get(at)), SamplingPlan.Memory.X0, 0, Level.CLEAN);
    return Sampling.of(
            DenoisingModel.of(
                diffusion,
                WithVariance.where(
                    diffusion.variance().isLearned(),
                    (x, levels, condition) ->
                        diffusion.variance().isLearned() ? x.concat(x.zerosLike().add(v), 1) : x)))
        .sampler((model, start) -> one)
        .noise((image, draw, target) -> target[0] = draw == 0 ? 0 : z)
        .clip(false)
        .shape(1, 1, 1)
        .dataType(DataType.FLOAT64)
        .generate(1);
  }

  @Test
  void plan_withoutJumps_isThatOfTheBase() {
    Diffusion diffusion = diffusion(Variance.LEARNED_RANGE);
    assertThat(Samplers.resampling(Samplers.ddpm(9), 2, 1).plan(diffusion))
        .isEqualTo(Samplers.ddpm(9).plan(diffusion));
  }
}
