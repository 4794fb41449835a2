package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Flow matching of the mixture 0.3 N(−1, 0.2²) + 0.7 N(0.5, 0.3²), whose velocity field is known in
 * closed form and bends every path.
 */
class FlowMixtureTest {

  private static final double[] WEIGHTS = {0.3, 0.7};
  private static final double[] MEANS = {-1, 0.5};
  private static final double[] VARIANCES = {0.04, 0.09};

  private static final Schedule FLOW = Schedules.flow(1000);
  private static final Diffusion DIFFUSION =
      new Diffusion(FLOW, Prediction.FLOW, Variance.FIXED_SMALL, DataRange.DEFAULT);

  /** Of the integral over x_0 and ε, in deviations. */
  private static final double REACH = 9;

  private static final int PLACES = 361;

  /** E[x_0 | x], by Bayes' rule. */
  private static double estimate(Level level, double x) {
    double total = 0;
    double sum = 0;
    for (int k = 0; k < WEIGHTS.length; k++) {
      double variance =
          level.signal() * level.signal() * VARIANCES[k] + level.noise() * level.noise();
      double off = x - level.signal() * MEANS[k];
      double weight = WEIGHTS[k] / Math.sqrt(variance) * Math.exp(-off * off / (2 * variance));
      total += weight;
      sum += weight * (MEANS[k] + level.signal() * VARIANCES[k] * off / variance);
    }
    return sum / total;
  }

  /** E[ε − x_0 | x], where x = (1 − σ) x_0 + σ ε. */
  private static double velocity(Level level, double x) {
    return (x - estimate(level, x)) / level.noise();
  }

  /**
   * The derivative of the loss at the exact field is 0 in every direction: what is left of the
   * target has no correlation with any function of x.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 100, 499, 900, 999})
  void loss_hasItsMinimumAtTheExactField(int t) {
    Level level = Level.of(FLOW, t);
    LinearForm target = Prediction.FLOW.target(FLOW, level);
    List<DoubleUnaryOperator> directions =
        List.of(x -> 1, x -> x, x -> x * x, x -> Math.cos(3 * x), x -> Math.tanh(5 * x));
    double[] slopes = new double[directions.size()];
    for (int k = 0; k < WEIGHTS.length; k++) {
      for (int i = 0; i < PLACES; i++) {
        for (int j = 0; j < PLACES; j++) {
          double a = place(i);
          double epsilon = place(j);
          double x0 = MEANS[k] + Math.sqrt(VARIANCES[k]) * a;
          double x = level.signal() * x0 + level.noise() * epsilon;
          double left = velocity(level, x) - (target.first() * x0 + target.second() * epsilon);
          double weight = WEIGHTS[k] * density(a) * density(epsilon);
          for (int d = 0; d < slopes.length; d++) {
            slopes[d] += 2 * weight * left * directions.get(d).applyAsDouble(x);
          }
        }
      }
    }
    for (int d = 0; d < slopes.length; d++) {
      assertThat(slopes[d]).as("slope in direction %d at %d", d, t).isCloseTo(0, within(1e-6));
    }
  }

  private static double place(int i) {
    return REACH * (2.0 * i / (PLACES - 1) - 1);
  }

  private static double density(double z) {
    return Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI) * 2 * REACH / (PLACES - 1);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 499, 999})
  void field_asTheNetworksOutput_saysTheEstimate(int t) {
    Level level = Level.of(FLOW, t);
    LinearForm form = Prediction.FLOW.x0(FLOW, level);
    for (double x : new double[] {-2, 0.1, 1.3}) {
      assertThat(form.first() * x + form.second() * velocity(level, x))
          .isCloseTo(estimate(level, x), within(1e-13));
    }
  }

  /** As on every path: all noise that a level may have fresh is that of the posterior. */
  @Test
  void ddim_withAllNoiseFresh_isAncestral() {
    SamplingPlan ancestral = Samplers.ddpm(7).spacing(TimestepSpacing.TRAILING).plan(DIFFUSION);
    SamplingPlan ddim = Samplers.ddim(7).spacing(TimestepSpacing.TRAILING).eta(1).plan(DIFFUSION);
    for (int i = 0; i < 7; i++) {
      SamplingPlan.Step expected = ancestral.steps().get(i);
      SamplingPlan.Step row = ddim.steps().get(i);
      assertThat(row.cX()).isCloseTo(expected.cX(), within(1e-12));
      assertThat(row.cX0()).isCloseTo(expected.cX0(), within(1e-12));
      assertThat(row.noiseHigh()).isCloseTo(expected.noiseHigh(), within(1e-12));
    }
  }

  /** Where some signal is left, the spread of images is less than 1 on this path. */
  @Test
  void initialNoise_hasTheSpreadOfTheFirstLevel() {
    SamplingPlan plan = Samplers.dpmSolverPlusPlus(5).lambdaMin(0).plan(DIFFUSION);
    Level first = plan.steps().get(0).level();
    assertThat(plan.initialScale())
        .isLessThan(0.8)
        .isCloseTo(Math.hypot(first.signal(), first.noise()), within(1e-15));
    assertThat(Samplers.ddim(5).plan(DIFFUSION).initialScale()).isEqualTo(1);
    EdmSampler edm = Samplers.edm(5).lambdaMin(0);
    assertThat(edm.plan(DIFFUSION).initialScale()).isEqualTo(plan.initialScale());
  }

  @SuppressWarnings("ImmutableEnumChecker") // the functions keep nothing
  enum Method {
    EULER(
        n -> Samplers.euler(n).spacing(TimestepSpacing.LINSPACE).endAtFirstTimestep(true),
        28,
        112,
        37.0 / 9,
        0.9,
        1.1),
    HEUN(
        n -> Samplers.heun(n).spacing(TimestepSpacing.LINSPACE).endAtFirstTimestep(true),
        28,
        112,
        37.0 / 9,
        1.8,
        2.2),
    DDIM(
        n -> Samplers.ddim(n).spacing(TimestepSpacing.LINSPACE).endAtFirstTimestep(true),
        28,
        112,
        37.0 / 9,
        0.9,
        1.1),
    DPM2(n -> inLogSnr(Samplers.dpmSolverPlusPlus(n)), 80, 160, 2, 1.8, 2.2),
    DPM3(n -> inLogSnr(Samplers.dpmSolverPlusPlus(n).order(3)), 80, 160, 2, 2.7, 3.3),
    UNIPC2(n -> inLogSnr(Samplers.uniPc(n)), 80, 160, 2, 2.7, 3.4);

    private final IntFunction<Sampler> sampler;
    private final int coarse;
    private final int fine;
    private final double finer;
    private final double leastOrder;
    private final double greatestOrder;

    Method(
        IntFunction<Sampler> sampler,
        int coarse,
        int fine,
        double finer,
        double leastOrder,
        double greatestOrder) {
      this.sampler = sampler;
      this.coarse = coarse;
      this.fine = fine;
      this.finer = finer;
      this.leastOrder = leastOrder;
      this.greatestOrder = greatestOrder;
    }

    private static Sampler inLogSnr(LevelOptions<?> sampler) {
      return sampler.spacing(NoiseSpacing.uniformLogSnr()).lambdaMin(-5.1).endAtFirstTimestep(true);
    }
  }

  @ParameterizedTest
  @EnumSource(Method.class)
  void order_onTheMixture_isTheMethods(Method method) {
    double coarse = error(method.sampler.apply(method.coarse).plan(DIFFUSION));
    double fine = error(method.sampler.apply(method.fine).plan(DIFFUSION));
    assertThat(Math.log(coarse / fine) / Math.log(method.finer))
        .as("order of %s from errors %s and %s", method, coarse, fine)
        .isBetween(method.leastOrder, method.greatestOrder);
  }

  private static double error(SamplingPlan plan) {
    double greatest = 0;
    for (double start : new double[] {-1.5, -0.3, 0.6, 1.7}) {
      double exact = exact(plan.steps().get(0).level(), plan.end(), start);
      greatest = Math.max(greatest, Math.abs(run(plan, start) - exact));
    }
    return greatest;
  }

  /** dx/dσ = v, by the method of Runge and Kutta in steps that leave no error to see. */
  private static double exact(Level from, Level to, double start) {
    int steps = 4000;
    double h = (to.noise() - from.noise()) / steps;
    double x = start;
    for (int i = 0; i < steps; i++) {
      double sigma = from.noise() + i * h;
      double first = slope(sigma, x);
      double second = slope(sigma + h / 2, x + h / 2 * first);
      double third = slope(sigma + h / 2, x + h / 2 * second);
      double fourth = slope(sigma + h, x + h * third);
      x += h / 6 * (first + 2 * second + 2 * third + fourth);
    }
    return x;
  }

  private static double slope(double sigma, double x) {
    return velocity(new Level(0, 1 - sigma, sigma), x);
  }

  private static double run(SamplingPlan plan, double start) {
    double x = start;
    List<Double> remembered = new ArrayList<>();
    for (SamplingPlan.Step row : plan.steps()) {
      double x0 = estimate(row.level(), x);
      double epsilon = (x - row.signal() * x0) / row.noise();
      x = row.cX() * x + row.cX0() * x0 + row.cEps() * epsilon;
      for (int k = 0; k < row.past().size(); k++) {
        x += row.past().get(k) * remembered.get(k);
      }
      remembered.add(0, plan.memory() == SamplingPlan.Memory.X0 ? x0 : epsilon);
    }
    return x;
  }
}
