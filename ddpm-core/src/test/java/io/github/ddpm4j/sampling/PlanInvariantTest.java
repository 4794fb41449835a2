package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * For data that is one point x_0 a perfect network makes every row carry x = α x_0 + σ ε to the
 * next level exactly: {@code cX·α + cX0 = α'} and {@code (cX·σ + cEps)² + n² = σ'²}, where what is
 * remembered counts as x̂_0 or ε̂.
 */
class PlanInvariantTest {

  /** Relative to 1, or to the factors of the row where these are greater. */
  private static final double TOLERANCE = 1e-12;

  private record Planned(String name, Diffusion diffusion, int start, SamplingPlan plan) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Planned> plans() {
    List<Planned> plans = new ArrayList<>();
    for (Schedule schedule :
        List.of(
            Schedules.linear(1000),
            Schedules.linear(7),
            Schedules.cosine(1000),
            Schedules.sigmoidJabri(1000),
            Schedules.sigmoidGeoDiff(1000),
            Schedules.quadratic(1000),
            Schedules.zeroTerminalSnr(Schedules.linear(1000)))) {
      for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
        Diffusion diffusion =
            new Diffusion(schedule, Prediction.VELOCITY, variance, DataRange.DEFAULT);
        int last = schedule.timesteps() - 1;
        List<Sampler> samplers = new ArrayList<>(List.of(Samplers.ddpm()));
        for (TimestepSpacing spacing : TimestepSpacing.values()) {
          samplers.add(Samplers.ddpm(7).spacing(spacing));
          samplers.add(Samplers.ddimInversion(7).spacing(spacing));
          for (double eta : new double[] {0, 0.5, 1}) {
            samplers.add(Samplers.ddim(7).spacing(spacing).eta(eta));
            samplers.add(Samplers.ddim(7).spacing(spacing).eta(eta).rawEpsilon(true));
            samplers.add(Samplers.ddim(5).spacing(spacing).eta(eta).endAtFirstTimestep(true));
          }
        }
        samplers.addAll(solvers(schedule.timesteps()));
        for (Sampler sampler : samplers) {
          boolean solver = sampler instanceof LevelSampler;
          for (int start : new int[] {last + 1, last, last / 2, 0}) {
            if (start == 0 && sampler.toString().contains("endAtFirstTimestep")) {
              continue; // it would start where it ends
            }
            if (solver && !serves(sampler, schedule, start)) {
              continue; // it is refused, see SolversTest
            }
            if (schedule.alphaBar(last) == 0
                && start > last
                && sampler.toString().contains("leading")
                && !(solver || sampler instanceof DdimInversion)) {
              continue; // it is refused, see SamplersTest
            }
            plans.add(
                new Planned(
                    schedule.describe().get("type") + " " + variance + " " + sampler + " " + start,
                    diffusion,
                    start,
                    sampler.plan(diffusion, start)));
          }
        }
      }
    }
    return plans.stream();
  }

  private static boolean serves(Sampler sampler, Schedule schedule, int start) {
    if (schedule.alphaBar(schedule.timesteps() - 1) > 0) {
      return true;
    }
    String name = sampler.toString();
    return name.contains("trailing")
        && !((name.startsWith("dpm:") || name.startsWith("plms:"))
            && start >= schedule.timesteps() - 1);
  }

  private static List<Sampler> solvers(int timesteps) {
    List<Sampler> solvers = new ArrayList<>();
    for (int steps : timesteps == 7 ? new int[] {1, 5} : new int[] {1, 2, 20}) {
      List<LevelSampler<?>> methods =
          new ArrayList<>(
              List.of(
                  Samplers.euler(steps),
                  Samplers.eulerAncestral(steps),
                  Samplers.heun(steps),
                  Samplers.plms(steps),
                  Samplers.edm(steps),
                  Samplers.edm(steps).churn(40).churnBetween(0.05, 50)));
      for (int order : new int[] {1, 2, 3}) {
        for (boolean variant : new boolean[] {false, true}) {
          methods.add(Samplers.uniPc(steps).order(order).bh1(variant).lowerOrderFinal(!variant));
          methods.add(Samplers.dpmSolver(steps).order(order).heun(variant).published(variant));
          methods.add(
              Samplers.dpmSolverPlusPlus(steps)
                  .order(order)
                  .heun(variant)
                  .published(variant)
                  .lowerOrderFinal(!variant));
          methods.add(
              Samplers.dpmSolverPlusPlus(steps)
                  .order(order)
                  .stochastic(true)
                  .heun(variant)
                  .published(variant)
                  .eulerAtFinal(variant));
        }
      }
      for (LevelSampler<?> method : methods) {
        for (TimestepSpacing spacing : TimestepSpacing.values()) {
          solvers.add(method.spacing(spacing));
        }
        solvers.add(method.spacing(NoiseSpacing.karras()));
        solvers.add(method.spacing(NoiseSpacing.uniformLogSnr()).endAtFirstTimestep(true));
        solvers.add(method.lambdaMin(-3).spacing(TimestepSpacing.TRAILING));
      }
    }
    return solvers;
  }

  /** An x that is given stands at the level of the timestep that it is said to stand at. */
  @Test
  void firstRow_fromATimestep_isAskedThere() {
    plans().forEach(PlanInvariantTest::assertBeginsAtItsStart);
  }

  private static void assertBeginsAtItsStart(Planned planned) {
    SamplingStep first = planned.plan.steps().get(0);
    Schedule schedule = planned.diffusion.schedule();
    if (planned.start < schedule.timesteps() && !planned.name.contains(" ddim-inversion:")) {
      assertThat(first.timestep()).as(planned.name).isEqualTo(planned.start);
      assertThat(first.signal()).as(planned.name).isEqualTo(schedule.signal(planned.start));
      assertThat(first.noise()).as(planned.name).isEqualTo(schedule.noise(planned.start));
    }
  }

  @ParameterizedTest
  @MethodSource("plans")
  void row_carriesEachLevelToTheNext(Planned planned) {
    SamplingPlan plan = planned.plan;
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingStep row = plan.steps().get(i);
      double past = row.past().stream().mapToDouble(Double::doubleValue).sum();
      double pastX0 = plan.memory() == SamplingPlan.Memory.X0 ? past : 0;
      double pastEps = plan.memory() == SamplingPlan.Memory.EPSILON ? past : 0;
      assertThat(row.cX() * row.signal() + row.cX0() + pastX0)
          .as("signal after row %d of %s", i, planned)
          .isCloseTo(plan.signalAfter(i), within(TOLERANCE * Math.max(1, Math.abs(row.cX0()))));
      double kept = row.cX() * row.noise() + row.cEps() + pastEps;
      double expected = plan.noiseAfter(i) * plan.noiseAfter(i);
      boolean ancestral = planned.name.contains(" ddpm");
      if (ancestral
          && planned.diffusion.variance() == Variance.FIXED_LARGE
          && row.noiseHigh() > 0) {
        // Breaks the balance by intent: β' stands for the posterior variance β' (1 − ᾱ_s)/(1 −
        // ᾱ_t).
        double beta = row.noiseHigh() * row.noiseHigh();
        double small = beta * expected / (row.noise() * row.noise());
        assertThat(kept * kept + small)
            .as("noise after row %d of %s", i, planned)
            .isCloseTo(expected, within(TOLERANCE));
      } else {
        assertThat(kept * kept + row.noiseHigh() * row.noiseHigh())
            .as("noise after row %d of %s", i, planned)
            .isCloseTo(expected, within(TOLERANCE));
      }
    }
  }
}
