package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

/**
 * For data that is one point x_0 a perfect network makes every row carry x = α x_0 + σ ε to the
 * next level exactly: {@code cX·α + cX0 = α'} and {@code (cX·σ + cEps)² + n² = σ'²}, where what is
 * remembered counts as x̂_0 or ε̂.
 */
class PlanInvariantTest {

  /** All combinations below but those that are refused: a loop must not lose some unnoticed. */
  private static final int PLANS = 29_070;

  /** How many failures are told apart. */
  private static final int TOLD = 20;

  /** Relative to 1, or to the factors of the row where these are greater. */
  private static final double TOLERANCE = 1e-12;

  private record Planned(String name, Diffusion diffusion, int start, SamplingPlan plan) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static List<Planned> plans() {
    List<Planned> plans = new ArrayList<>();
    for (Schedule schedule :
        List.of(
            Schedules.linear(1000),
            Schedules.linear(7),
            Schedules.cosine(1000),
            Schedules.sigmoidJabri(1000),
            Schedules.sigmoidGeoDiff(1000),
            Schedules.quadratic(1000),
            Schedules.zeroTerminalSnr(Schedules.linear(1000)),
            Schedules.flow(1000),
            Schedules.flow(1000, 3))) {
      for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
        Diffusion diffusion =
            new Diffusion(schedule, Prediction.VELOCITY, variance, DataRange.DEFAULT);
        int last = schedule.timesteps() - 1;
        List<Sampler> samplers = new ArrayList<>(List.of(Samplers.ddpm()));
        for (TimestepSpacing spacing : TimestepSpacing.values()) {
          samplers.add(Samplers.ddpm(7).spacing(spacing));
          samplers.add(Samplers.ddim(7).spacing(spacing).inversion());
          for (double eta : new double[] {0, 0.5, 1}) {
            samplers.add(Samplers.ddim(7).spacing(spacing).eta(eta));
            samplers.add(Samplers.ddim(7).spacing(spacing).eta(eta).rawEpsilon(true));
            samplers.add(Samplers.ddim(5).spacing(spacing).eta(eta).endAtFirstTimestep(true));
          }
        }
        for (ConsistencySampler consistency :
            List.of(
                Samplers.consistency(1),
                Samplers.consistency(2).sigmaMiddle(0.05),
                Samplers.consistency(20).sigmaMax(300).sigmaMiddle(0.1),
                Samplers.consistency(1).sigmas(50, 2.5, 0.02))) {
          samplers.add(consistency);
        }
        samplers.addAll(solvers(schedule.timesteps()));
        for (Sampler sampler : samplers) {
          boolean solver = sampler instanceof LevelOptions;
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
                    schedule.describe() + " " + variance + " " + sampler + " " + start,
                    diffusion,
                    start,
                    sampler.plan(diffusion, start)));
          }
        }
      }
    }
    return plans;
  }

  private static boolean serves(Sampler sampler, Schedule schedule, int start) {
    int last = schedule.timesteps() - 1;
    boolean beginsLower = start > last && sampler.toString().matches(".*(leading|lambdaMin).*");
    if (sampler.toString().startsWith("dpm:")
        && !beginsLower
        && schedule.signal(Math.min(start, last)) < 0.001) {
      return false;
    }
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
      List<LevelOptions<?>> methods =
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
      for (LevelOptions<?> method : methods) {
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
    SamplingPlan.Step first = planned.plan.steps().get(0);
    Schedule schedule = planned.diffusion.schedule();
    if (planned.start < schedule.timesteps() && !planned.name.contains(" ddim-inversion:")) {
      assertThat(first.timestep()).as(planned.name).isEqualTo(planned.start);
      assertThat(first.signal()).as(planned.name).isEqualTo(schedule.signal(planned.start));
      assertThat(first.noise()).as(planned.name).isEqualTo(schedule.noise(planned.start));
    }
  }

  @Test
  void row_carriesEachLevelToTheNext() {
    List<String> failures = new ArrayList<>();
    int checked = 0;
    for (Planned planned : plans()) {
      for (int i = 0; i < planned.plan.steps().size(); i++) {
        checkRow(planned, i, failures);
      }
      checked++;
    }
    assertThat(failures.stream().limit(TOLD))
        .as("the first %d of %d failures", Math.min(TOLD, failures.size()), failures.size())
        .isEmpty();
    assertThat(checked).as("plans that were checked").isEqualTo(PLANS);
  }

  /** Near clean images 1 − ᾱ is small: the rows must have its digits. */
  @Test
  void row_smallBetas_carriesEachLevelToTheNext() {
    List<String> failures = new ArrayList<>();
    for (Variance variance : List.of(Variance.FIXED_SMALL, Variance.FIXED_LARGE)) {
      Diffusion diffusion =
          new Diffusion(
              Schedules.constant(50, 3e-16), Prediction.VELOCITY, variance, DataRange.DEFAULT);
      for (Sampler sampler :
          List.of(Samplers.ddpm(), Samplers.ddim(50), Samplers.ddim(7), Samplers.euler(7))) {
        SamplingPlan plan = sampler.plan(diffusion, 49);
        Planned planned = new Planned(" " + sampler, diffusion, 49, plan);
        for (int i = 0; i < plan.steps().size(); i++) {
          checkRow(planned, i, failures);
        }
      }
    }
    assertThat(failures).isEmpty();
  }

  private static void checkRow(Planned planned, int i, List<String> failures) {
    SamplingPlan plan = planned.plan;
    SamplingPlan.Step row = plan.steps().get(i);
    double past = 0;
    for (double factor : row.past()) {
      past += factor;
    }
    double pastX0 = plan.memory() == SamplingPlan.Memory.X0 ? past : 0;
    double pastEps = plan.memory() == SamplingPlan.Memory.EPSILON ? past : 0;
    double signal = row.cX() * row.signal() + row.cX0() + pastX0;
    double tolerance = TOLERANCE * Math.max(1, Math.abs(row.cX0()));
    if (differs(signal, plan.levelAfter(i).signal(), tolerance)) {
      failures.add(
          String.format(
              Locale.ROOT,
              "signal after row %d of %s is %s, but the next level has %s",
              i,
              planned,
              signal,
              plan.levelAfter(i).signal()));
    }
    double kept = row.cX() * row.noise() + row.cEps() + pastEps;
    double expected = plan.levelAfter(i).noise() * plan.levelAfter(i).noise();
    double added = row.noiseHigh() * row.noiseHigh();
    boolean ancestral = planned.name.contains(" ddpm");
    if (ancestral && planned.diffusion.variance() == Variance.FIXED_LARGE && row.noiseHigh() > 0) {
      // Breaks the balance by intent: β' stands for the posterior variance β' (1 − ᾱ_s)/(1 − ᾱ_t).
      double powers = row.level().power() / plan.levelAfter(i).power();
      added *= expected / (row.noise() * row.noise()) * powers;
    }
    double squared = kept * kept + added;
    if (differs(squared, expected, TOLERANCE)) {
      failures.add(
          String.format(
              Locale.ROOT,
              "noise² after row %d of %s is %s, but the next level has %s",
              i,
              planned,
              squared,
              expected));
    }
  }

  /** What is not a number differs from all. */
  private static boolean differs(double actual, double expected, double tolerance) {
    return !(Math.abs(actual - expected) <= tolerance);
  }
}
