package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Few steps, and runs that start below pure noise: what a perfect network's images of Gaussian data
 * have for a deviation, in closed form, under every sampler, schedule and spacing.
 */
class FewStepsTest {

  private static final int T = 1000;
  private static final double[] DEVIATIONS = {0.1, 0.2, 0.5};

  private static Map<String, Schedule> schedules() {
    Map<String, Schedule> schedules = new LinkedHashMap<>();
    schedules.put("linear", Schedules.linear(T));
    schedules.put("cosine", Schedules.cosine(T));
    schedules.put("sigmoidJabri", Schedules.sigmoidJabri(T));
    schedules.put("sigmoidGeoDiff", Schedules.sigmoidGeoDiff(T));
    schedules.put("quadratic", Schedules.quadratic(T));
    schedules.put("zeroTerminalSnr", Schedules.zeroTerminalSnr(Schedules.linear(T)));
    return schedules;
  }

  private static Diffusion diffusion(Schedule schedule) {
    return new Diffusion(schedule, Prediction.VELOCITY, Variance.FIXED_SMALL, DataRange.DEFAULT);
  }

  private static Map<String, IntFunction<LevelOptions<?>>> levelSamplers() {
    Map<String, IntFunction<LevelOptions<?>>> samplers = new LinkedHashMap<>();
    samplers.put("euler", Samplers::euler);
    samplers.put("euler-a", Samplers::eulerAncestral);
    samplers.put("heun", Samplers::heun);
    samplers.put("edm", Samplers::edm);
    samplers.put("edm churn", n -> Samplers.edm(n).churn(10));
    samplers.put("plms", Samplers::plms);
    samplers.put("dpm", Samplers::dpmSolver);
    samplers.put("dpm 3", n -> Samplers.dpmSolver(n).order(3));
    samplers.put("dpm++ 1", n -> Samplers.dpmSolverPlusPlus(n).order(1));
    samplers.put("dpm++ 2", Samplers::dpmSolverPlusPlus);
    samplers.put("dpm++ 3", n -> Samplers.dpmSolverPlusPlus(n).order(3));
    samplers.put("dpm++ sde", n -> Samplers.dpmSolverPlusPlus(n).stochastic(true));
    samplers.put("dpm++ 3 sde", n -> Samplers.dpmSolverPlusPlus(n).order(3).stochastic(true));
    samplers.put("unipc", Samplers::uniPc);
    samplers.put("unipc 3 bh1", n -> Samplers.uniPc(n).order(3).bh1(true));
    return samplers;
  }

  private static Map<String, IntFunction<? extends Sampler>> samplers() {
    Map<String, IntFunction<? extends Sampler>> samplers = new LinkedHashMap<>(levelSamplers());
    samplers.put("ddpm", Samplers::ddpm);
    samplers.put("ddim", Samplers::ddim);
    samplers.put("ddim 1", n -> Samplers.ddim(n).eta(1));
    samplers.put("ddim raw", n -> Samplers.ddim(n).rawEpsilon(true));
    return samplers;
  }

  private static double greatestRatio(SamplingPlan plan) {
    double greatest = 0;
    for (double data : DEVIATIONS) {
      greatest = Math.max(greatest, GaussianData.deviation(plan, data) / data);
    }
    return greatest;
  }

  private static double greatestRatioFromData(SamplingPlan plan) {
    double greatest = 0;
    for (double data : DEVIATIONS) {
      greatest = Math.max(greatest, GaussianData.deviationFromData(plan, data) / data);
    }
    return greatest;
  }

  /* --- the usual spacing --- */

  private static double firstTimestep(Sampler sampler, Schedule schedule) {
    return sampler.plan(diffusion(schedule)).steps().get(0).timestep();
  }

  @ParameterizedTest
  @CsvSource({
    "linear, 1, 999", "linear, 2, 999", "linear, 3, 666", "linear, 10, 900",
    "cosine, 1, 999", "cosine, 5, 999", "cosine, 7, 999", "cosine, 8, 875",
    "zeroTerminalSnr, 10, 999"
  })
  void usualSpacing_beginsWherePureNoiseIs(String schedule, int steps, int first) {
    Schedule known = schedules().get(schedule);
    for (Sampler sampler : List.of(Samplers.ddim(steps), Samplers.ddpm(steps))) {
      assertThat(firstTimestep(sampler, known)).as("%s", sampler).isEqualTo(first);
    }
    assertThat(Samplers.ddim(steps).plan(diffusion(known)))
        .isEqualTo(
            Samplers.ddim(steps)
                .spacing(first == 999 ? TimestepSpacing.TRAILING : TimestepSpacing.LEADING)
                .plan(diffusion(known)));
  }

  @Test
  void usualSpacing_ofPlms_beginsWherePureNoiseIs() {
    Schedule linear = schedules().get("linear");
    assertThat(firstTimestep(Samplers.plms(1), linear)).isEqualTo(999);
    assertThat(firstTimestep(Samplers.plms(2), linear)).isEqualTo(999);
    assertThat(firstTimestep(Samplers.plms(3), linear)).isEqualTo(666);
    assertThat(Samplers.plms(3).plan(diffusion(linear)))
        .isEqualTo(Samplers.plms(3).spacing(TimestepSpacing.LEADING).plan(diffusion(linear)));
  }

  /** Published values use such lists. */
  @Test
  void spacing_thatIsSetOrRead_isObeyed() {
    for (Schedule schedule : schedules().values()) {
      if (schedule.signal(T - 1) > 0) {
        for (String text : List.of("ddim:1, leading", "ddpm:1, leading", "plms:1, leading")) {
          assertThat(firstTimestep(Samplers.parse(text), schedule)).isEqualTo(0);
        }
        assertThat(firstTimestep(Samplers.ddim(1).spacing(TimestepSpacing.LEADING), schedule))
            .isEqualTo(0);
        assertThat(firstTimestep(Samplers.parse("plms:2, trailing"), schedule)).isEqualTo(999);
        assertThat(firstTimestep(Samplers.parse("edm:2, karras"), schedule)).isEqualTo(999);
      }
    }
  }

  @Test
  void spacing_thatBeginsFarFromNoise_isWarnedOf() {
    Diffusion linear = diffusion(schedules().get("linear"));
    Sampler leading = Samplers.ddim(1).spacing(TimestepSpacing.LEADING);
    assertThat(UsualSpacing.warning(leading.plan(linear), linear.schedule()))
        .hasValue(
            "the network is asked about pure noise at timestep 0.000, where images keep a signal of"
                + " 1.0; space the timesteps by trailing, or take more steps");
    for (Sampler sampler : List.of(Samplers.ddim(1), Samplers.ddim(3), Samplers.ddpm())) {
      assertThat(UsualSpacing.warning(sampler.plan(linear), linear.schedule())).isEmpty();
    }
    Diffusion noisier = diffusion(Schedules.linear(10));
    assertThat(UsualSpacing.warning(Samplers.ddim(3).plan(noisier), noisier.schedule())).isEmpty();
  }

  /* --- the deviation that comes out --- */

  /**
   * One step has no deviation at all, and each sampler loses some with few; none has too much. The
   * two that take differences of slopes go up to 3.6 times with the least steps that they allow.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 20})
  void deviation_withTheUsualSpacing_isThatOfTheData(int steps) {
    int refused = 0;
    int checked = 0;
    for (Map.Entry<String, Schedule> schedule : schedules().entrySet()) {
      for (Map.Entry<String, IntFunction<? extends Sampler>> family : samplers().entrySet()) {
        Sampler sampler = family.getValue().apply(steps);
        SamplingPlan plan;
        try {
          plan = sampler.plan(diffusion(schedule.getValue()));
        } catch (IllegalArgumentException e) {
          assertThat(family.getKey()).containsPattern("^(plms|heun|edm|dpm( 3)?$)");
          refused++;
          continue;
        }
        double most = family.getKey().matches("heun|edm.*") ? 3.6 : 1.4;
        assertThat(greatestRatio(plan)).as("%s on %s", sampler, schedule.getKey()).isLessThan(most);
        checked++;
      }
    }
    assertThat(checked + refused).isEqualTo(schedules().size() * samplers().size());
    assertThat(refused).as("refused").isLessThanOrEqualTo(30);
  }

  /** Noised data has the deviation of data again, from wherever it starts, in every spacing. */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5, 20})
  void deviation_fromAStart_isThatOfTheData(int steps) {
    for (Map.Entry<String, Schedule> schedule : schedules().entrySet()) {
      Diffusion diffusion = diffusion(schedule.getValue());
      for (IntFunction<? extends Sampler> family : samplers().values()) {
        for (Sampler sampler : spacings(family.apply(steps))) {
          requireDeviationFromStarts(sampler, schedule.getKey(), diffusion);
        }
      }
    }
  }

  /** The usual spacing, and each that can be set where the method looks at what it remembers. */
  private static List<Sampler> spacings(Sampler sampler) {
    List<Sampler> spacings = new ArrayList<>(List.of(sampler));
    if (sampler instanceof DpmSolverSampler || sampler instanceof UniPcSampler) {
      LevelOptions<?> levels = (LevelOptions<?>) sampler;
      for (TimestepSpacing spacing : TimestepSpacing.values()) {
        spacings.add(levels.spacing(spacing));
      }
      spacings.add(levels.spacing(NoiseSpacing.karras()));
      spacings.add(levels.spacing(NoiseSpacing.uniformLogSnr()));
      spacings.add(levels.spacing(NoiseSpacing.karras().wholeTimesteps(true)));
    }
    return spacings;
  }

  private static void requireDeviationFromStarts(
      Sampler sampler, String schedule, Diffusion diffusion) {
    double whole;
    try {
      whole = greatestRatio(sampler.plan(diffusion));
    } catch (IllegalArgumentException e) {
      // such levels are spaced from there, so that the same list from noise is the measure
      whole =
          e.getMessage().contains("has no first level") && !(sampler instanceof EdmSampler)
              ? greatestRatio(((LevelOptions<?>) sampler).lambdaMin(-5.1).plan(diffusion))
              : 1;
    }
    boolean slopes = sampler instanceof EdmSampler || sampler.toString().matches("(heun|plms).*");
    for (int start = 3; start < T; start += 71) {
      SamplingPlan plan;
      try {
        plan = sampler.plan(diffusion, start);
      } catch (IllegalArgumentException e) {
        boolean divides = slopes || sampler.toString().startsWith("dpm:");
        assertThat(divides).as("%s: %s", sampler, e.getMessage()).isTrue();
        continue;
      }
      assertThat(greatestRatioFromData(plan))
          .as("%s on %s from %d", sampler, schedule, start)
          .isLessThan(slopes ? 4.3 : 1.6 * Math.max(1, whole));
    }
  }

  /** A start just above a level of the grid: 1.35 for 0.2, with factors of 5,600. */
  @ParameterizedTest
  @ValueSource(strings = {"dpm++2m", "dpm++3m", "dpm++2m-sde", "unipc", "unipc, order=3"})
  void deviation_fromAStartBesideALevel_isThatOfTheData(String text) {
    Diffusion linear = diffusion(schedules().get("linear"));
    for (String spacing : List.of("karras", "uniformLogSnr", "linspace", "trailing", "leading")) {
      Sampler sampler = Samplers.parse(text + ", " + spacing, 20);
      List<SamplingPlan.Step> grid = sampler.plan(linear).steps();
      List<Integer> starts = new ArrayList<>(List.of(301));
      grid.forEach(row -> starts.add((int) Math.min(T - 1, Math.floor(row.timestep()) + 1)));
      if (spacing.equals("karras")) {
        assertThat(GaussianData.deviationFromData(sampler.plan(linear, 301), 0.2))
            .as("%s", sampler)
            .isCloseTo(0.2, within(0.02));
      }
      for (int start : starts) {
        SamplingPlan plan = sampler.plan(linear, start);
        double factor =
            plan.steps().stream()
                .flatMap(row -> row.past().stream())
                .mapToDouble(Math::abs)
                .max()
                .orElse(0);
        assertThat(factor).as("%s from %d", sampler, start).isLessThan(10);
        assertThat(GaussianData.deviationFromData(plan, 0.2))
            .as("%s from %d", sampler, start)
            .isBetween(0.04, 0.25);
      }
    }
  }

  @Test
  void start_besideALevel_isRememberedNoLonger() {
    Diffusion linear = diffusion(schedules().get("linear"));
    DpmSolverSampler third = Samplers.dpmSolverPlusPlus(10).order(3);
    assertThat(pastOf(third.plan(linear, 505))).containsExactly(0, 0, 1, 2, 1, 0);
    assertThat(pastOf(third.plan(linear, 500))).containsExactly(0, 1, 2, 1, 0);
    assertThat(pastOf(third.plan(linear))).containsExactly(0, 1, 2, 2, 2, 2, 2, 2, 1, 0);
    // a grid from pure noise is as it is published, however short its first step
    DpmSolverSampler even = Samplers.dpmSolverPlusPlus(3).spacing(NoiseSpacing.karras(1));
    assertThat(pastOf(even.plan(linear))).containsExactly(0, 1, 0);
    assertThat(pastOf(even.plan(linear, 999))).containsExactly(0, 0, 0);
  }

  private static List<Integer> pastOf(SamplingPlan plan) {
    return plan.steps().stream().map(row -> row.past().size()).toList();
  }

  /* --- what is refused --- */

  @Test
  void steps_thatWouldMultiplyErrors_areRefused() {
    Diffusion cosine = diffusion(schedules().get("cosine"));
    assertThatThrownBy(() -> Samplers.plms(2).plan(cosine))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "plms:2 would multiply the network's errors by up to 1.4e+04 in the step from timestep"
                + " 999.0, since the next level is far away; use dpmSolverPlusPlus, take more steps,"
                + " or leave out levels of next to no signal by lambdaMin(-5.1); a spacing that is"
                + " set is obeyed");
    for (LevelOptions<?> sampler :
        List.of(Samplers.plms(1), Samplers.plms(5), Samplers.heun(5), Samplers.edm(5))) {
      assertThatThrownBy(() -> sampler.plan(cosine))
          .as("%s", sampler)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("use dpmSolverPlusPlus");
      assertThat(sampler.spacing(TimestepSpacing.TRAILING).plan(cosine).warning()).isPresent();
    }
    // from nearly pure noise, as image to image does with strength 1
    assertThatThrownBy(() -> Samplers.plms(8).plan(cosine, 999))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("plms:8 would multiply the network's errors by up to");
    assertThat(Samplers.plms(8).plan(cosine).steps()).hasSize(9);
  }

  /** 20,000 times an error of the network, which clipping x̂_0 does not hold. */
  @Test
  void dpmSolver_whereSignalIsNextToNone_isRefused() {
    Diffusion cosine = diffusion(schedules().get("cosine"));
    for (LevelOptions<?> sampler :
        List.of(
            Samplers.dpmSolver(15),
            Samplers.dpmSolver(500).order(3),
            Samplers.dpmSolver(15).spacing(NoiseSpacing.karras()))) {
      assertThatThrownBy(() -> sampler.plan(cosine))
          .as("%s", sampler)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "dpmSolver divides by the signal of its first level, which must be at least 0.001, but"
                  + " timestep 999 has 4.9e-05; use dpmSolverPlusPlus, or leave out levels of next"
                  + " to no signal by lambdaMin(-5.1)");
      assertThat(sampler.plan(cosine, 900).steps()).isNotEmpty();
      assertThat(greatestRatio(sampler.lambdaMin(-5.1).plan(cosine))).isLessThan(1.1);
    }
  }
}
