package io.github.ddpm4j.internal.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.ConsistencyTuning;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The fixed point of consistency tuning on Gaussian data, in closed form.
 *
 * <p>Data N(μ, s²), x_t = x_0 + t ε. The probability flow keeps quantiles, so the exact consistency
 * function is f(x, t) = μ + s (x − μ) / √(s² + t²).
 *
 * <p>Tuning compares f(x_t, t) with f(x_r, r) of the same x_0 and ε, whose gradient is stopped: of
 * all functions of x_t the mean E[f(x_r, r) | x_t] has the least squared error. If f(x, r) = μ +
 * a_r (x − μ), that is linear again, and since (x_t, x_r) is Gaussian,
 *
 * <pre>
 *   a_t = a_r · Cov(x_t, x_r) / Var(x_t) = a_r (s² + t r) / (s² + t²),    a_0 = 1
 * </pre>
 *
 * <p>so that for r = ρ t the fixed point is the product of (s² + ρ t_k²) / (s² + t_k²) over the
 * levels t_k = ρᵏ t. Its logarithm is −Σ (1 − ρ) t_k² / (s² + t_k²) + O((1 − ρ)²) for each of the 1
 * / (1 − ρ) levels that matter: a sum of rectangles for −∫ t / (s² + t²) dt = ln(s / √(s² + t²)).
 * The bias is of first order in 1 − ρ.
 */
class ConsistencyObjectiveTest {

  private static final Schedule SCHEDULE = Schedules.linear(1000);
  private static final double DEVIATION = 0.6;

  private static final int NODES = 41;

  private static Diffusion diffusion(Prediction prediction) {
    return new Diffusion(SCHEDULE, prediction, Variance.FIXED_LARGE, DataRange.DEFAULT);
  }

  static Stream<Prediction> predictions() {
    return Stream.concat(Prediction.plain().stream(), Stream.of(Prediction.edm(0.5)));
  }

  /** Of a prediction at whole timesteps. */
  private static Level level(double sigma) {
    return Level.of(SCHEDULE, (int) Math.rint(SCHEDULE.timestepOf(sigma)));
  }

  /**
   * The expected loss where f(x, t) = slope · x and f(x, r) = earlierSlope · x, whatever the
   * network has to say for that.
   */
  private static double loss(
      Prediction prediction,
      Loss loss,
      Level level,
      Level earlier,
      double slope,
      double earlierSlope) {
    double[] nodes = new double[NODES];
    double[] weights = new double[NODES];
    nodes(nodes, weights);
    int count = NODES * NODES;
    double[] x0 = new double[count];
    double[] noise = new double[count];
    double[] probabilities = new double[count];
    for (int i = 0; i < NODES; i++) {
      for (int j = 0; j < NODES; j++) {
        x0[i * NODES + j] = DEVIATION * nodes[i];
        noise[i * NODES + j] = nodes[j];
        probabilities[i * NODES + j] = weights[i] * weights[j];
      }
    }
    NoiseLevels levels = NoiseLevels.of(level, count);
    NoiseLevels compared = NoiseLevels.of(earlier, count);
    Diffusion diffusion = diffusion(prediction);
    Denoiser none = (x, asked, condition) -> x;
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = manager.create(x0, new Shape(count, 1, 1, 1));
      NDArray epsilon = manager.create(noise, new Shape(count, 1, 1, 1));
      ImageNumbers numbers =
          new ImageNumbers(diffusion, Weighting.uniform(), (n, random) -> levels, levels, compared);
      double[] each =
          new ConsistencyObjective(DenoisingModel.of(diffusion, none), loss)
              .of(
                  EagerOps.inference(),
                  new ArrayColumns(images, numbers),
                  new Objective.Batch<>(images, epsilon, epsilon, images),
                  x -> saying(prediction, level, slope, x),
                  x ->
                      earlier.noise() == 0
                          ? x.mul(0).add(1e3) // f(x, 0) = x all the same
                          : saying(prediction, earlier, earlierSlope, x))
              .each()
              .toDoubleArray();
      return IntStream.range(0, count).mapToDouble(i -> probabilities[i] * each[i]).sum();
    }
  }

  /** What the network says of its input where x̂_0 is to be slope · x / signal. */
  private static NDArray saying(Prediction prediction, Level level, double slope, NDArray input) {
    LinearForm x0 = prediction.x0(SCHEDULE, level);
    NDArray x = input.div(prediction.inputScale(level));
    return x.mul((slope / level.signal() - x0.first()) / x0.second());
  }

  @ParameterizedTest
  @MethodSource("predictions")
  void loss_onGaussianData_isLeastAtTheFixedPoint(Prediction prediction) {
    for (Loss loss : List.of(Losses.simple(), Losses.pseudoHuber(3))) {
      for (double t : new double[] {0.05, 0.7, 8, 60}) {
        Level level = level(t);
        for (Level earlier : List.of(Level.CLEAN, level(t * 0.8))) {
          double before = earlier.noise() == 0 ? 1 : 0.37;
          double sigma = level.sigma();
          double variance = DEVIATION * DEVIATION;
          double expected =
              before * (variance + sigma * earlier.sigma()) / (variance + sigma * sigma);

          assertThat(least(a -> loss(prediction, loss, level, earlier, a, before), expected))
              .as("%s %s at %s against %s", prediction, loss, level, earlier)
              .isCloseTo(expected, within(1e-6));
        }
      }
    }
  }

  /** Where a function with one minimum, near a point, has it: a parabola, drawn three times. */
  private static double least(DoubleUnaryOperator function, double near) {
    double at = near + 0.01;
    for (double h : new double[] {0.01, 1e-3, 1e-3}) {
      double left = function.applyAsDouble(at - h);
      double middle = function.applyAsDouble(at);
      double right = function.applyAsDouble(at + h);
      assertThat(left - 2 * middle + right).as("curvature").isPositive();
      at += h / 2 * (left - right) / (left - 2 * middle + right);
    }
    return at;
  }

  /** 1 / (t − r) of the mean squared error, with the deviations of the derivation above. */
  @ParameterizedTest
  @MethodSource("predictions")
  void loss_isTheSquaredErrorOverTheDistanceOfTheLevels(Prediction prediction) {
    Level level = level(0.7);
    Level earlier = level(0.5);
    double a = 0.6;
    double b = 0.8;
    double ofX0 = (a - b) * DEVIATION;
    double ofNoise = a * level.sigma() - b * earlier.sigma();
    double expected = (ofX0 * ofX0 + ofNoise * ofNoise) / (level.sigma() - earlier.sigma());

    assertThat(loss(prediction, Losses.simple(), level, earlier, a, b))
        .isCloseTo(expected, within(1e-9));
  }

  /** Half the distance, half the bias. */
  @Test
  void fixedPoint_approachesTheExactFunctionWithOrderOne() {
    for (double t : new double[] {0.5, 3, 80}) {
      double exact = DEVIATION / Math.hypot(DEVIATION, t);
      double[] errors = new double[4];
      Arrays.setAll(errors, i -> fixedPoint(t, 8 + i) - exact);
      for (int i = 1; i < errors.length; i++) {
        assertThat(errors[i - 1] / errors[i]).as("t = %s", t).isCloseTo(2, within(0.03));
      }
    }
  }

  /**
   * The levels of a schedule begin at t_0 and not at 0, where r is clean at once: a_{t_0} is s² /
   * (s² + t_0²) in place of s / √(s² + t_0²). However many stages there are, all of f is too small
   * by the ratio of the two, s / √(s² + t_0²) = 1 − t_0² / (2 s²) + ….
   */
  @ParameterizedTest
  @CsvSource({"0.6, 0.04, 2", "0.1, 1e-4, 5", "0.6, 1e-4, 0.5"})
  void fixedPoint_ofAScheduleWithAFirstLevel_hasAFloor(double deviation, double beta, double t) {
    Schedule schedule = Schedules.linear(1000, beta, 0.02);
    double first = Level.of(schedule, 0).sigma();
    double exact = deviation / Math.hypot(deviation, t);
    double floor = deviation / Math.hypot(deviation, first);
    double[] ratios = {
      fixedPoint(schedule, deviation, t, 12) / exact, fixedPoint(schedule, deviation, t, 13) / exact
    };
    double limit = 2 * ratios[1] - ratios[0]; // without what halves

    assertThat(limit / floor).isCloseTo(1, within(2e-5));
    assertThat(1 - floor)
        .isCloseTo(first * first / (2 * deviation * deviation), within(0.1 * (1 - floor)));
  }

  /** a_t over the levels that a run with this schedule compares. */
  private static double fixedPoint(Schedule schedule, double deviation, double t, int stage) {
    ConsistencyTuning tuning = ConsistencyTuning.usual().ratio(2, 0, 1).stages(stage);
    Diffusion diffusion =
        new Diffusion(schedule, Prediction.X0, Variance.FIXED_LARGE, DataRange.DEFAULT);
    LevelPairs pairs = new LevelPairs(tuning, diffusion);
    double variance = deviation * deviation;
    double a = 1;
    Level level = Level.ofSigma(schedule, t);
    while (level.noise() > 0) {
      Level earlier = pairs.earlier(NoiseLevels.of(level, 1), stage).level(0);
      a *= (variance + level.sigma() * earlier.sigma()) / (variance + Math.pow(level.sigma(), 2));
      level = earlier;
    }
    return a;
  }

  /** a_t of the same ratio of levels everywhere. */
  private static double fixedPoint(double t, int stage) {
    ConsistencyTuning tuning = ConsistencyTuning.usual().ratio(2, 0, 1).stages(stage);
    double variance = DEVIATION * DEVIATION;
    double a = 1;
    for (double level = t; level > 1e-6; level = tuning.earlier(level, stage)) {
      double earlier = tuning.earlier(level, stage);
      a *= (variance + level * earlier) / (variance + level * level);
    }
    return a;
  }

  @Test
  void lossOfAVariance_isRefused() {
    Denoiser none = (x, asked, condition) -> x;
    DenoisingModel model = DenoisingModel.of(diffusion(Prediction.EPSILON), none);

    assertThatThrownBy(() -> new ConsistencyObjective(model, Losses.vlb()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "consistency tuning compares images, but loss vlb is about a variance; use"
                + " Losses.pseudoHuber(c) or Losses.simple()");
  }

  /** The trapezoidal rule for N(0, 1), which has all digits of smooth functions. */
  private static void nodes(double[] nodes, double[] weights) {
    double step = 16.0 / (nodes.length - 1);
    for (int i = 0; i < nodes.length; i++) {
      nodes[i] = -8 + i * step;
      weights[i] = step * Math.exp(-nodes[i] * nodes[i] / 2) / Math.sqrt(2 * Math.PI);
    }
  }
}
