package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConsistencySamplerTest {

  private static final Schedule LINEAR = Schedules.linear(1000);

  private static Diffusion diffusion(Schedule schedule, Prediction prediction) {
    return new Diffusion(schedule, prediction, Variance.FIXED_LARGE, DataRange.DEFAULT);
  }

  private static SamplingPlan plan(Sampler sampler) {
    return sampler.plan(diffusion(LINEAR, Prediction.EPSILON));
  }

  private static double[] sigmas(SamplingPlan plan) {
    return plan.steps().stream().mapToDouble(row -> row.noise() / row.signal()).toArray();
  }

  @Test
  void plan_ofOneCall_leadsToTheImage() {
    SamplingPlan plan = plan(Samplers.consistency(1));

    assertThat(plan)
        .isEqualTo(
            new SamplingPlan(
                List.of(new SamplingPlan.Step(Level.ofSigma(LINEAR, 80), 0, 1, 0, List.of(), 0)),
                SamplingPlan.Memory.X0,
                1,
                Level.CLEAN));
  }

  /** The second of two calls is the published one, and the ratios are alike. */
  @Test
  void plan_ofSeveralCalls_isEvenInLogarithms() {
    assertThat(sigmas(plan(Samplers.consistency(2))))
        .containsExactly(new double[] {80, 0.821}, within(1e-12));
    double[] four = sigmas(plan(Samplers.consistency(4)));
    assertThat(four[0]).isCloseTo(80, within(1e-12));
    assertThat(four[2]).isCloseTo(0.821, within(1e-12));
    for (int k = 1; k < 3; k++) {
      assertThat(four[k] / four[k - 1]).isCloseTo(four[k + 1] / four[k], within(1e-12));
    }
    SamplingPlan.Step first = plan(Samplers.consistency(2)).steps().get(0);
    assertThat(first.cX0()).isCloseTo(1 / Math.hypot(1, 0.821), within(1e-12));
    assertThat(first.noiseHigh()).isCloseTo(0.821 / Math.hypot(1, 0.821), within(1e-12));
  }

  @Test
  void plan_levelsAreTheUsers() {
    assertThat(sigmas(plan(Samplers.consistency(2).sigmaMax(20).sigmaMiddle(1.5))))
        .containsExactly(new double[] {20, 1.5}, within(1e-12));
    assertThat(sigmas(plan(Samplers.consistency(1).sigmas(20, 2, 0.5))))
        .containsExactly(new double[] {20, 2, 0.5}, within(1e-12));
  }

  /** A schedule has no more noise than at its last timestep, at which the network is asked. */
  @Test
  void plan_scheduleThatEndsEarlier_startsAtItsEnd() {
    Schedule constant = Schedules.constant(100, 0.05);
    SamplingPlan plan = Samplers.consistency(2).plan(diffusion(constant, Prediction.EPSILON));

    assertThat(plan.steps().get(0).level()).isEqualTo(Level.of(constant, 99));
    assertThat(plan.steps().get(1).noise() / plan.steps().get(1).signal())
        .isCloseTo(0.821, within(1e-12));
  }

  @Test
  void plan_fromATimestep_callsThereAndBelow() {
    Diffusion diffusion = diffusion(LINEAR, Prediction.EPSILON);
    SamplingPlan plan = Samplers.consistency(4).plan(diffusion, 500);

    assertThat(plan.steps().get(0).level()).isEqualTo(Level.of(LINEAR, 500));
    assertThat(sigmas(plan)).hasSize(3).isSortedAccordingTo((a, b) -> Double.compare(b, a));
    assertThat(Samplers.consistency(4).plan(diffusion, 0).steps()).hasSize(1);
  }

  /** It exists at the schedule's timesteps alone. */
  @Test
  void plan_ofPreviousMean_staysOnTheSchedule() {
    SamplingPlan plan = Samplers.consistency(4).plan(diffusion(LINEAR, Prediction.PREVIOUS_MEAN));

    assertThat(plan.steps()).hasSize(4);
    for (SamplingPlan.Step row : plan.steps()) {
      assertThat(row.level()).isEqualTo(Level.of(LINEAR, (int) row.timestep()));
    }
  }

  @Test
  void settings_thatMakeNoSense_areRefused() {
    assertThatThrownBy(() -> Samplers.consistency(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("steps must be at least 1, but was 0");
    assertThatThrownBy(() -> Samplers.consistency(1).sigmaMax(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sigmaMax must be positive and finite, but was 0.0");
    assertThatThrownBy(() -> Samplers.consistency(1).sigmaMiddle(Double.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sigmaMiddle must be positive and finite, but was NaN");
    assertThatThrownBy(() -> Samplers.consistency(1).sigmas())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sigmas must name at least 1 level, but there were none");
    assertThatThrownBy(() -> Samplers.consistency(1).sigmas(3, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sigmas must be strictly descending, but were [3.0, 3.0]");
    assertThatThrownBy(() -> plan(Samplers.consistency(2).sigmaMax(0.5)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "consistency:2, sigmaMax=0.5 calls the network at noise / signal from 0.5 down to less"
                + " than 0.821, its sigmaMiddle; set a smaller sigmaMiddle, or the levels by"
                + " sigmas(...)");
  }

  /* --- an oracle --- */

  private static final double[] SHARES = {0.3, 0.7};
  private static final double[] MEANS = {-0.8, 0.5};
  private static final double[] DEVIATIONS = {0.1, 0.2};

  private static final int PIXELS = 20_000;

  /** The 99.95% quantile of N(0, 1). */
  private static final double QUANTILE = 3.2905;

  /**
   * In one dimension no two ways of the probability flow cross, so that it keeps the share of the
   * data below a point: the exact consistency function of a mixture of Gaussians maps a quantile of
   * x_0 + s ε to the same one of x_0. Whatever the number of calls, samples have the data's
   * moments.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void samples_ofTheExactFunction_haveTheMomentsOfTheData(int calls) {
    Denoiser exact =
        (x, levels, condition) -> {
          double signal = levels.signal(0);
          double sigma = levels.noise(0) / signal;
          double[] values = x.toDoubleArray();
          Arrays.setAll(values, i -> quantile(share(values[i] / signal, sigma)));
          NDArray images = x.getManager().create(values, x.getShape());
          return images;
        };
    double[] values;
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(DenoisingModel.of(diffusion(LINEAR, Prediction.X0), exact))
                .sampler(Samplers.consistency(calls))
                .shape(1, 1, PIXELS)
                .clip(false)
                .dataType(DataType.FLOAT64)
                .seed(3)
                .generate(1)) {
      values = samples.toNDArray(manager).toDoubleArray();
    }
    for (int power = 1; power <= 4; power++) {
      double expected = moment(power);
      double error = Math.sqrt((moment(2 * power) - expected * expected) / PIXELS);
      int p = power;
      assertThat(Arrays.stream(values).map(v -> Math.pow(v, p)).average().orElseThrow())
          .as("moment %d", power)
          .isCloseTo(expected, within(QUANTILE * error));
    }
  }

  /** E x^power, by the trapezoidal rule. */
  private static double moment(int power) {
    double sum = 0;
    double step = 1e-3;
    for (double x = -3; x <= 3; x += step) {
      for (int i = 0; i < SHARES.length; i++) {
        double z = (x - MEANS[i]) / DEVIATIONS[i];
        sum +=
            SHARES[i]
                * Math.exp(-z * z / 2)
                / (DEVIATIONS[i] * Math.sqrt(2 * Math.PI))
                * Math.pow(x, power)
                * step;
      }
    }
    return sum;
  }

  /** The share of x_0 + σ ε below a point. */
  private static double share(double x, double sigma) {
    double sum = 0;
    for (int i = 0; i < SHARES.length; i++) {
      sum += SHARES[i] * normal((x - MEANS[i]) / Math.hypot(DEVIATIONS[i], sigma));
    }
    return sum;
  }

  /** The point below which this share of the data lies. */
  private static double quantile(double share) {
    return bisected(x -> share(x, 0) - share);
  }

  private static double bisected(DoubleUnaryOperator rising) {
    double low = -3;
    double high = 3;
    for (int i = 0; i < 40; i++) {
      double middle = (low + high) / 2;
      if (rising.applyAsDouble(middle) < 0) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }

  /** Φ by its series about 0, Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/15 + …). */
  private static double normal(double x) {
    if (Math.abs(x) > 7) {
      return x > 0 ? 1 : 0;
    }
    double term = x;
    double sum = x;
    for (int k = 3; Math.abs(term) > 1e-17; k += 2) {
      term *= x * x / k;
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }
}
