package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Data N(0.3, 0.5²), noised with the variance preserved and along straight lines, of which the
 * exact network, the exact path of the probability-flow equation and the variance of what a
 * stochastic sampler gives are known.
 *
 * <p>The slow test shows that 4,000 images have that variance in plans of 250 steps, too.
 */
class ConvergenceTest {

  private static final double MEAN = 0.3;
  private static final double VARIANCE = 0.25;
  private static final int SAMPLES = 4000;

  /** Of a plan whose samples are drawn by the thousand in the fast test, too. */
  private static final int FEW_STEPS = 100;

  /** The 99.95% quantile of N(0, 1). */
  private static final double QUANTILE = 3.2905;

  @SuppressWarnings("ImmutableEnumChecker") // schedules are immutable
  enum Noising {
    NOISE(Schedules.linear(1000), Prediction.EPSILON),
    FLOW(Schedules.flow(1000, 2), Prediction.FLOW);

    private final Diffusion diffusion;

    Noising(Schedule schedule, Prediction prediction) {
      diffusion = new Diffusion(schedule, prediction, Variance.FIXED_SMALL, DataRange.DEFAULT);
    }

    Denoiser exact(double mean) {
      return this == FLOW
          ? StandIns.gaussianFlow(mean, VARIANCE)
          : StandIns.gaussian(mean, VARIANCE);
    }
  }

  @SuppressWarnings("ImmutableEnumChecker") // the functions keep nothing
  enum Method {
    EULER(Samplers::euler, 0.9, 1.05),
    DPM1(n -> Samplers.dpmSolverPlusPlus(n).order(1), 0.9, 1.05),
    DPM2(Samplers::dpmSolverPlusPlus, 1.85, 2.15),
    DPM2_HEUN(n -> Samplers.dpmSolverPlusPlus(n).heun(true), 1.85, 2.15),
    DPM3(n -> Samplers.dpmSolverPlusPlus(n).order(3), 2.7, 4.3),
    DPM3_PUBLISHED(n -> Samplers.dpmSolverPlusPlus(n).order(3).published(true), 1.7, 2.3),
    UNIPC2(Samplers::uniPc, 2.8, 3.15),
    UNIPC3(n -> Samplers.uniPc(n).order(3), 2.7, 3.3),
    HEUN(Samplers::heun, 1.85, 2.15),
    PLMS(Samplers::plms, 1.85, 2.15);

    private final IntFunction<LevelOptions<?>> sampler;
    private final double leastOrder;
    private final double greatestOrder;

    Method(IntFunction<LevelOptions<?>> sampler, double leastOrder, double greatestOrder) {
      this.sampler = sampler;
      this.leastOrder = leastOrder;
      this.greatestOrder = greatestOrder;
    }
  }

  @ParameterizedTest
  @EnumSource(Method.class)
  void order_onUniformLogSnr_isTheMethods(Method method) {
    for (Noising noising : Noising.values()) {
      double coarse = error(noising, method, 40);
      double fine = error(noising, method, 80);
      assertThat(Math.log(coarse / fine) / Math.log(2))
          .as("order of %s on %s from errors %s and %s", method, noising, coarse, fine)
          .isBetween(method.leastOrder, method.greatestOrder);
    }
  }

  private static double error(Noising noising, Method method, int steps) {
    Sampler sampler =
        method
            .sampler
            .apply(steps)
            .spacing(NoiseSpacing.uniformLogSnr())
            .lambdaMin(-5.1)
            .endAtFirstTimestep(true);
    return error(sampler.plan(noising.diffusion));
  }

  /** From pure noise on, in even steps of the flow's own time: no level is left out. */
  @ParameterizedTest
  @CsvSource({"EULER, 0.9, 1.1", "HEUN, 1.9, 2.2"})
  void order_onEvenTimesOfAFlow_isTheMethods(Method method, double least, double greatest) {
    double coarse = errorOnEvenTimes(method, 28); // 37 timesteps each
    double fine = errorOnEvenTimes(method, 112); // 9 timesteps each
    assertThat(Math.log(coarse / fine) / Math.log(37.0 / 9))
        .as("order of %s from errors %s and %s", method, coarse, fine)
        .isBetween(least, greatest);
  }

  private static double errorOnEvenTimes(Method method, int steps) {
    Diffusion flow =
        new Diffusion(
            Schedules.flow(1000), Prediction.FLOW, Variance.FIXED_SMALL, DataRange.DEFAULT);
    SamplingPlan plan =
        method
            .sampler
            .apply(steps)
            .spacing(TimestepSpacing.LINSPACE)
            .endAtFirstTimestep(true)
            .plan(flow);
    assertThat(plan.steps().get(0).signal()).isZero();
    return error(plan);
  }

  @ParameterizedTest
  @EnumSource(
      value = Method.class,
      names = {"DPM2", "UNIPC2", "UNIPC3"})
  void error_onTrailingTimesteps_isBounded(Method method) {
    double[] bounds = {0.09, 0.045, 0.02};
    for (int i = 0; i < bounds.length; i++) {
      int steps = 20 << i;
      Sampler sampler = method.sampler.apply(steps).spacing(TimestepSpacing.TRAILING);
      for (Noising noising : Noising.values()) {
        assertThat(error(sampler.plan(noising.diffusion)))
            .as("error of %s on %s with %d steps", method, noising, steps)
            .isLessThan(bounds[i]);
      }
    }
  }

  /** The greatest distance from the exact path, over some starts. */
  private static double error(SamplingPlan plan) {
    SamplingPlan.Step first = plan.steps().get(0);
    double from = deviation(first.signal(), first.noise());
    double to = deviation(plan.end().signal(), plan.end().noise());
    double greatest = 0;
    for (double start : new double[] {-2, -1, 0, 1, 2}) {
      double exact = plan.end().signal() * MEAN + to / from * (start - first.signal() * MEAN);
      greatest = Math.max(greatest, Math.abs(run(plan, MEAN, start, row -> 0) - exact));
    }
    return greatest;
  }

  private static double deviation(double signal, double noise) {
    return Math.sqrt(signal * signal * VARIANCE + noise * noise);
  }

  /** Executes a plan on one number, with data N(mean, 1/4) and the noise of each row. */
  private static double run(SamplingPlan plan, double mean, double start, IntToDoubleFunction z) {
    double x = start;
    List<Double> remembered = new ArrayList<>();
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double total = row.signal() * row.signal() * VARIANCE + row.noise() * row.noise();
      double epsilon = row.noise() * (x - row.signal() * mean) / total;
      double x0 = mean + row.signal() * VARIANCE * (x - row.signal() * mean) / total;
      x = row.cX() * x + row.cX0() * x0 + row.cEps() * epsilon;
      for (int k = 0; k < row.past().size(); k++) {
        x += row.past().get(k) * remembered.get(k);
      }
      x += row.noiseHigh() * z.applyAsDouble(i);
      remembered.add(0, plan.memory() == SamplingPlan.Memory.X0 ? x0 : epsilon);
    }
    return x;
  }

  @SuppressWarnings("ImmutableEnumChecker") // samplers are immutable
  enum Stochastic {
    DDPM(Samplers.ddpm(250)),
    DDIM_ETA_1(Samplers.ddim(250).eta(1)),
    EULER_ANCESTRAL(Samplers.eulerAncestral(250)),
    SDE_DPM2(Samplers.dpmSolverPlusPlus(50).stochastic(true)),
    SDE_DPM3(Samplers.dpmSolverPlusPlus(50).order(3).stochastic(true)),
    EDM(Samplers.edm(50).churn(20).churnBetween(0.05, 50).lambdaMin(-5.1));

    private final Sampler sampler;

    Stochastic(Sampler sampler) {
      this.sampler = sampler;
    }
  }

  @ParameterizedTest
  @EnumSource(Stochastic.class)
  void variance_isThatOfTheData(Stochastic setting) {
    for (Noising noising : Noising.values()) {
      SamplingPlan plan = setting.sampler.plan(noising.diffusion);
      assertThat(variance(plan))
          .as("variance of %s on %s", setting, noising)
          .isCloseTo(VARIANCE, within(0.1 * VARIANCE));
      if (plan.steps().size() <= FEW_STEPS) {
        requireVarianceOfSamples(noising, setting);
      }
    }
  }

  /** Image by image, the loop does what the plan says. */
  @ParameterizedTest
  @EnumSource(Stochastic.class)
  void samples_followThePlan(Stochastic setting) {
    for (Noising noising : Noising.values()) {
      requireThePlanFollowed(noising, setting);
    }
  }

  private static void requireThePlanFollowed(Noising noising, Stochastic setting) {
    SamplingPlan plan = setting.sampler.plan(noising.diffusion);
    NoiseSource noise = NoiseSource.seeded(7);
    double[] values = samples(noising, setting, 4, DataType.FLOAT64);
    double[] expected = new double[values.length];
    for (int i = 0; i < expected.length; i++) {
      int image = i;
      expected[i] =
          run(
              plan,
              0,
              plan.initialScale() * draw(noise, image, 0),
              row -> draw(noise, image, row + 1));
    }
    assertThat(values).containsExactly(expected, within(1e-12));
  }

  private static double draw(NoiseSource noise, long image, long draw) {
    double[] z = new double[1];
    noise.normal(image, draw, z);
    return z[0];
  }

  @ParameterizedTest
  @EnumSource(Stochastic.class)
  @Tag("slow")
  void variance_ofSamples_isThatOfThePlan(Stochastic setting) {
    for (Noising noising : Noising.values()) {
      requireVarianceOfSamples(noising, setting);
    }
  }

  private static void requireVarianceOfSamples(Noising noising, Stochastic setting) {
    double exact = variance(setting.sampler.plan(noising.diffusion));
    double[] values = samples(noising, setting, SAMPLES, DataType.FLOAT32);
    double mean = Arrays.stream(values).average().orElseThrow();
    double measured = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum() / (SAMPLES - 1);
    assertThat(measured)
        .as("variance of %d samples of %s", SAMPLES, setting)
        .isCloseTo(exact, within(QUANTILE * exact * Math.sqrt(2.0 / (SAMPLES - 1))));
  }

  private static double[] samples(Noising noising, Stochastic setting, int count, DataType type) {
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(DenoisingModel.of(noising.diffusion, noising.exact(0)))
                .sampler(setting.sampler)
                .shape(1, 1, 1)
                .clip(false)
                .dataType(type)
                .batchSize(count)
                .seed(7)
                .generate(count)) {
      return Golden.values(samples.toNDArray(manager));
    }
  }

  /** For data of mean 0, x is a linear form of the draws: its variance is the sum of squares. */
  private static double variance(SamplingPlan plan) {
    int rows = plan.steps().size();
    double[] x = new double[rows + 1];
    x[0] = plan.initialScale();
    List<double[]> remembered = new ArrayList<>();
    for (int i = 0; i < rows; i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double total = row.signal() * row.signal() * VARIANCE + row.noise() * row.noise();
      double ofX0 = row.signal() * VARIANCE / total;
      double ofEpsilon = row.noise() / total;
      double[] next = new double[rows + 1];
      double[] kept = new double[rows + 1];
      for (int draw = 0; draw <= rows; draw++) {
        next[draw] = (row.cX() + row.cX0() * ofX0 + row.cEps() * ofEpsilon) * x[draw];
        kept[draw] = (plan.memory() == SamplingPlan.Memory.X0 ? ofX0 : ofEpsilon) * x[draw];
        for (int k = 0; k < row.past().size(); k++) {
          next[draw] += row.past().get(k) * remembered.get(k)[draw];
        }
      }
      next[i + 1] += row.noiseHigh();
      remembered.add(0, kept);
      x = next;
    }
    return Arrays.stream(x).map(factor -> factor * factor).sum();
  }
}
