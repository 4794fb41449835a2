package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pictures of four pixels that are N(mean, covariance), of which the posterior is known. */
class MeasurementTest {

  private static final double DEVIATION = 0.3;

  private static final double[] MEAN = {0.3, -0.1, 0.2, 0};
  private static final double[] COVARIANCE = {
    0.5, 0.3, 0.1, 0, 0.3, 0.6, 0.2, 0.1, 0.1, 0.2, 0.4, -0.1, 0, 0.1, -0.1, 0.3
  };

  private final NDManager manager = NDManager.newBaseManager();
  private final NDArray mean = manager.create(MEAN).duplicate();
  private final NDArray covariance = manager.create(COVARIANCE, new Shape(4, 4)).duplicate();

  @AfterEach
  void close() {
    manager.close();
  }

  private static Diffusion diffusion(Prediction prediction) {
    return new Diffusion(
        Schedules.linear(1000), prediction, Variance.FIXED_SMALL, DataRange.DEFAULT);
  }

  /** The exact ε. */
  private Denoiser gaussian() {
    return (x, levels, condition) -> {
      Level level = levels.level(0);
      NDArray total = total(level.signal() * level.signal(), level.noise() * level.noise());
      NDArray factor = total.inverse().mul(level.noise()).duplicate();
      NDArray shift = mean.mul(level.signal()).duplicate();
      NDArray rows = x.reshape(x.getShape().get(0), 4);
      return rows.sub(shift).matMul(factor).reshape(x.getShape());
    };
  }

  private NDArray total(double ofCovariance, double ofIdentity) {
    return covariance
        .mul(ofCovariance)
        .add(manager.eye(4).toType(DataType.FLOAT64, false).mul(ofIdentity));
  }

  private Sampling sampling(Prediction prediction) {
    return Sampling.of(
            DenoisingModel.of(diffusion(prediction), StandIns.predicting(prediction, gaussian())))
        .sampler(Samplers.ddim(20))
        .shape(1, 2, 2)
        .clip(false)
        .dataType(DataType.FLOAT64)
        .seed(1);
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  /* --- the posterior --- */

  /** Two numbers of four pixels, as rows of a matrix. */
  private Measurement twoOfFour(double... y) {
    NDArray matrix = manager.create(new double[] {0.5, 0.5, 0, 0, 0, 1, -1, 0.3}, new Shape(2, 4));
    NDArray operator = matrix.transpose().duplicate();
    return Measurement.of(
        x0 -> x0.reshape(x0.getShape().get(0), 4).matMul(operator),
        manager.create(y, new Shape(y.length / 2, 2)).duplicate(),
        DEVIATION);
  }

  private double[][] posterior(double... y) {
    NDArray a = manager.create(new double[] {0.5, 0.5, 0, 0, 0, 1, -1, 0.3}, new Shape(2, 4));
    NDArray seen = a.matMul(covariance).matMul(a.transpose());
    NDArray noise = manager.eye(2).toType(DataType.FLOAT64, false).mul(DEVIATION * DEVIATION);
    NDArray gain = covariance.matMul(a.transpose()).matMul(seen.add(noise).inverse());
    NDArray off = manager.create(y, new Shape(2, 1)).sub(a.matMul(mean.reshape(4, 1)));
    return new double[][] {
      mean.add(gain.matMul(off).reshape(4)).toDoubleArray(),
      covariance.sub(gain.matMul(a).matMul(covariance)).toDoubleArray()
    };
  }

  static List<Prediction> predictions() {
    return List.of(Prediction.EPSILON, Prediction.X0, Prediction.VELOCITY, Prediction.edm(0.5));
  }

  /**
   * Without noise of its own, a chain is affine in where it starts, N(0, I): five starts tell the
   * mean and covariance of all. With more steps they come to those of the posterior.
   */
  @ParameterizedTest
  @MethodSource("predictions")
  void posterior_ofAGaussian_isMetAsStepsGrow(Prediction prediction) {
    double[][] expected = posterior(0.9, -0.8);
    double coarse = error(prediction, 8, expected);
    double fine = error(prediction, 40, expected);
    // a run starts at N(0, I), not at what is left of the data, 0.006 of it
    assertThat(fine).isLessThan(0.004).isLessThan(coarse / 4);
  }

  private double error(Prediction prediction, int steps, double[][] expected) {
    double[] starts = new double[20];
    for (int i = 0; i < 4; i++) {
      starts[4 + 5 * i] = 1;
    }
    double[] ends =
        pixels(
            sampling(prediction)
                .sampler(
                    Samplers.uniPc(steps)
                        .spacing(NoiseSpacing.uniformLogSnr())
                        .endAtFirstTimestep(true))
                .noise(StandIns.recorded(starts, new double[0], 5))
                .guidance(Guidance.posterior(twoOfFour(0.9, -0.8)))
                .generate(5));
    double greatest = 0;
    for (int i = 0; i < 4; i++) {
      greatest = Math.max(greatest, Math.abs(ends[i] - expected[0][i]));
      for (int k = 0; k < 4; k++) {
        double found = 0;
        for (int start = 1; start < 5; start++) {
          found += (ends[4 * start + i] - ends[i]) * (ends[4 * start + k] - ends[k]);
        }
        greatest = Math.max(greatest, Math.abs(found - expected[1][4 * i + k]));
      }
    }
    return greatest;
  }

  /** As many iterations as there are numbers are exact, so more change nothing; one is not. */
  @Test
  void iterations_beyondTheNumbersMeasured_changeNothing() {
    double[] two = drawn(Guidance.posterior(twoOfFour(0.9, -0.8), 2));
    assertThat(drawn(Guidance.posterior(twoOfFour(0.9, -0.8), 7)))
        .containsExactly(two, within(1e-9));
    double[] one = drawn(Guidance.posterior(twoOfFour(0.9, -0.8), 1));
    assertThat(Math.abs(one[1] - two[1])).isGreaterThan(1e-3);
  }

  private double[] drawn(Guidance guidance) {
    return pixels(sampling(Prediction.EPSILON).guidance(guidance).generate(2));
  }

  /** Each image has its own measurement, whatever batch it is in. */
  @Test
  void measurements_areOfEachImage_inAnyBatch() {
    double[] first = pixels(guided(twoOfFour(0.9, -0.8)).generate(3));
    double[] second = pixels(guided(twoOfFour(-0.5, 0.4)).generate(3));
    Measurement both = twoOfFour(0.9, -0.8, -0.5, 0.4, 0.9, -0.8);
    for (int size : new int[] {1, 2, 3}) {
      double[] found = pixels(guided(both).batchSize(size).generate(3));
      assertThat(Arrays.copyOf(found, 4)).containsExactly(Arrays.copyOf(first, 4), within(1e-12));
      assertThat(Arrays.copyOfRange(found, 4, 8))
          .containsExactly(Arrays.copyOfRange(second, 4, 8), within(1e-12));
      assertThat(Arrays.copyOfRange(found, 8, 12))
          .containsExactly(Arrays.copyOfRange(first, 8, 12), within(1e-12));
    }
  }

  private Sampling guided(Measurement measurement) {
    return sampling(Prediction.X0).guidance(Guidance.posterior(measurement));
  }

  /** Of one step, in plain numbers, with an operator that is not linear. */
  @Test
  void posterior_ofANonlinearOperator_isLinearisedAtTheEstimate() {
    NDArray y = manager.create(new double[] {0.5, -0.2, 0.1, 0.7}, new Shape(1, 1, 2, 2));
    Measurement cubes = Measurement.of(x0 -> x0.mul(x0).mul(x0), y.duplicate(), DEVIATION);
    double[] start = {0.4, -1.2, 0.8, 2};
    int timestep = 400;
    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion(Prediction.EPSILON), StandIns.gaussian(0.3, 0.25)))
            .sampler(Samplers.ddim(1).timesteps(timestep))
            .shape(1, 2, 2)
            .clip(false)
            .dataType(DataType.FLOAT64)
            .noise(StandIns.recorded(start, new double[0], 1))
            .guidance(Guidance.posterior(cubes, 4));
    double[] found = pixels(sampling.generate(1));
    Level level = Level.of(Schedules.linear(1000), timestep);
    double square = level.noise() * level.noise();
    double slope = level.signal() * 0.25 / (level.signal() * level.signal() * 0.25 + square); // J
    for (int i = 0; i < 4; i++) {
      double x0 = 0.3 + slope * (start[i] - level.signal() * 0.3);
      double cube = 3 * x0 * x0;
      double variance = square / level.signal() * slope;
      double score =
          slope
              * cube
              * (y.toDoubleArray()[i] - x0 * x0 * x0)
              / (DEVIATION * DEVIATION + cube * variance * cube);
      assertThat(found[i]).isCloseTo(x0 + square / level.signal() * score, within(2e-3));
    }
  }

  /** Outside its interval nothing is asked of the measurement. */
  @Test
  void interval_leavesTheOtherLevelsFree() {
    SamplingPlan plan = Samplers.ddim(20).plan(diffusion(Prediction.EPSILON));
    double greatest = plan.steps().get(15).level().sigma();
    int[] calls = new int[1];
    Measurement counted =
        Measurement.of(
            x0 -> {
              calls[0]++;
              return x0.reshape(x0.getShape().get(0), 4);
            },
            manager.zeros(new Shape(1, 4), DataType.FLOAT64),
            DEVIATION);
    drawn(Guidance.posterior(counted, 1).interval(0, greatest));
    // once before the start; for each of 5 rows the measurement and a difference of two
    assertThat(calls[0]).isEqualTo(1 + 5 * 3);
  }

  /* --- DPS --- */

  /** One step, against central differences of the distance. */
  @Test
  void dps_movesAgainstTheGradientOfTheDistance() {
    double[] start = {0.4, -1.2, 0.8, 2};
    NDArray y = manager.create(new double[] {0.5, -0.2, 0.1, 0.7}, new Shape(1, 1, 2, 2));
    Measurement.Operator cubes = x0 -> x0.mul(x0).mul(x0);
    Sampling sampling = sampling(Prediction.VELOCITY).sampler(Samplers.ddim(1).timesteps(400));
    double[] free = estimate(sampling, start);
    double[] found =
        estimate(
            sampling.guidance(Guidance.dps(Measurement.of(cubes, y.duplicate(), 1), 0.7)), start);
    sampling.guidance(Guidance.none());
    for (int i = 0; i < 4; i++) {
      double[] ends = new double[2];
      for (int side = 0; side < 2; side++) {
        double[] moved = start.clone();
        moved[i] += side == 0 ? -1e-5 : 1e-5;
        double[] x0 = estimate(sampling, moved);
        double squares = 0;
        for (int k = 0; k < 4; k++) {
          double off = y.toDoubleArray()[k] - x0[k] * x0[k] * x0[k];
          squares += off * off;
        }
        ends[side] = Math.sqrt(squares);
      }
      assertThat(found[i]).isCloseTo(free[i] - 0.7 * (ends[1] - ends[0]) / 2e-5, within(1e-8));
    }
  }

  private double[] estimate(Sampling sampling, double... start) {
    return pixels(sampling.noise(StandIns.recorded(start, new double[0], 1)).generate(1));
  }

  /**
   * What DPS gives is not the posterior: however noisy the measurement, it is fitted, and images
   * spread less.
   */
  @Test
  void dps_ofAGaussian_fitsTheMeasurementWhateverItsNoise() {
    NDArray y = manager.create(new double[] {1.2, 0, 0, 0}, new Shape(1, 1, 2, 2));
    NDArray mask = manager.create(new double[] {1, 0, 0, 0}, new Shape(1, 1, 2, 2));
    double[][] found = new double[2][];
    for (int i = 0; i < 2; i++) {
      Measurement one = Measurement.of(Measurement.pixels(mask), y.duplicate(), i == 0 ? 0.01 : 1);
      found[i] =
          pixels(
              sampling(Prediction.EPSILON)
                  .sampler(Samplers.ddpm(100))
                  .guidance(Guidance.dps(one, 0.1))
                  .generate(100));
    }
    assertThat(found[0]).isEqualTo(found[1]);
    // the posterior of the pixel with σ_y = 1: mean 0.3 + 0.5 / 1.5 · 0.9 = 0.6, variance 1 / 3
    double[] pixel = new double[100];
    Arrays.setAll(pixel, i -> found[1][4 * i]);
    double average = Arrays.stream(pixel).average().orElseThrow();
    double variance =
        Arrays.stream(pixel).map(v -> (v - average) * (v - average)).average().orElseThrow();
    System.out.println("DPS: mean " + average + ", variance " + variance);
    assertThat(average).isCloseTo(1.2, within(0.05));
    assertThat(variance).isLessThan(0.02);
    // and what is known of the others: 0.3 / 0.5 of what the pixel is off by
    double other = 0;
    for (int i = 0; i < 100; i++) {
      other += found[1][4 * i + 1] / 100;
    }
    assertThat(other).isCloseTo(-0.1 + 0.6 * (average - 0.3), within(0.25));
  }

  /* --- operators --- */

  @Test
  void operators_measurePixelsAndMeans() {
    NDArray x0 = manager.arange(16f).reshape(1, 1, 4, 4);
    assertThat(Measurement.averages(2).of(x0).toFloatArray())
        .containsExactly(2.5f, 4.5f, 10.5f, 12.5f);
    NDArray mask = manager.zeros(new Shape(1, 1, 4, 4));
    mask.set(new NDIndex("0, 0, 1, 2"), 1);
    float[] seen = Measurement.pixels(mask).of(x0).toFloatArray();
    assertThat(seen[6]).isEqualTo(6);
    seen[6] = 0;
    assertThat(seen).containsOnly(0);
  }

  /** Sums over all pixels, with weights that are made of distances. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void blur_anyAxes_meansOfThePixelsAround(int axes) {
    int[] sizes = {3, 4, 2};
    Shape shape = new Shape(2, 2);
    for (int axis = 0; axis < axes; axis++) {
      shape = shape.add(sizes[axis]);
    }
    NDArray x0 = manager.randomNormal(shape, DataType.FLOAT64);
    double[] x = x0.toDoubleArray();
    int pixels = x.length / 4;
    double[] expected = new double[x.length];
    for (int i = 0; i < pixels; i++) {
      double sum = 0;
      for (int j = 0; j < pixels; j++) {
        double weight = Math.exp(-squaredDistance(i, j, sizes, axes) / (2 * 0.7 * 0.7));
        sum += weight;
        for (int picture = 0; picture < 4; picture++) {
          expected[picture * pixels + i] += weight * x[picture * pixels + j];
        }
      }
      for (int picture = 0; picture < 4; picture++) {
        expected[picture * pixels + i] /= sum;
      }
    }
    NDArray blurred = Measurement.blur(0.7).of(x0);
    assertThat(blurred.getShape()).isEqualTo(shape);
    assertThat(blurred.toDoubleArray()).containsExactly(expected, within(1e-14));
  }

  private static double squaredDistance(int i, int j, int[] sizes, int axes) {
    double sum = 0;
    for (int axis = axes - 1; axis >= 0; axis--) {
      double away = i % sizes[axis] - j % sizes[axis];
      sum += away * away;
      i /= sizes[axis];
      j /= sizes[axis];
    }
    return sum;
  }

  /* --- what is refused --- */

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
  void badSettings_areRefused(double bad) {
    NDArray y = manager.zeros(new Shape(1, 4));
    assertRefused(
        () -> Measurement.of(x0 -> x0, y, bad),
        "the deviation of a measurement must be above 0 and finite, but was "
            + bad
            + "; take 0.01 for one that is exact");
    assertRefused(
        () -> Measurement.of(x0 -> x0, manager.zeros(new Shape(4)), 1),
        "a measurement must be float32 or float64 of shape (N, …), but was float32 of shape (4)");
    assertRefused(
        () -> Measurement.averages(0),
        "the side of the squares that are averaged must be at least 1, but was 0");
    assertRefused(
        () -> Measurement.blur(bad),
        "the spread of a blur must be above 0 and finite, in pixels, but was " + bad);
    Measurement fine = Measurement.of(x0 -> x0, y, 1);
    assertRefused(
        () -> Guidance.posterior(fine, 0),
        "moment matching needs at least 1 iteration, but was given 0");
    if (bad != 0) {
      assertRefused(
          () -> Guidance.dps(fine, bad),
          "the step of diffusion posterior sampling must be finite and at least 0, but was " + bad);
    }
  }

  @Test
  void measurementOfOtherPictures_isRefusedBeforeTheFirstStep() {
    assertRefused(
        () -> guided(twoOfFour(0, 0, 0, 0)).start(3),
        "the measurement must be of 1 image or of all 3 of the run, but is of 2");
    int resources = NativeResources.inAll();
    NDArray y = manager.zeros(new Shape(1, 5), DataType.FLOAT64);
    assertRefused(
        () -> guided(Measurement.of(x0 -> x0.reshape(-1, 4), y, 1)).start(3),
        "the operator of a measurement must give what was measured, (1, 5) float64, of pictures (1,"
            + " 1, 2, 2), but gave (1, 4) float64");
    y.close();
    assertThat(NativeResources.inAll()).isEqualTo(resources);
  }

  private static NDArray halved(NDArray x) {
    try (GradMode off = GradMode.off()) {
      return x.mul(0.5);
    }
  }

  @Test
  void networkThatRecordsNothing_isRefused() {
    Denoiser silent = (x, levels, condition) -> halved(x);
    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion(Prediction.EPSILON), silent))
            .shape(1, 2, 2)
            .sampler(Samplers.ddim(3))
            .guidance(
                Guidance.posterior(
                    Measurement.of(x0 -> x0, manager.zeros(new Shape(1, 1, 2, 2)), 1)));
    assertThatThrownBy(() -> sampling.generate(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser of "
                + silent.getClass()
                + " records no gradients of the images; let it do so in predictRecording(x, levels,"
                + " condition)");
  }

  @Test
  void operatorThatRecordsNothing_isRefused() {
    NDArray y = manager.zeros(new Shape(1, 1, 2, 2), DataType.FLOAT64);
    Sampling sampling = guided(Measurement.of(x0 -> x0.duplicate(), y, 1));
    assertThatThrownBy(() -> sampling.generate(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the operator of a measurement must be computed by operations that are differentiated,"
                + " but nothing of it was recorded; leave out duplicate() and toType(type, true)");
  }

  @Test
  void restore_anotherMeasurement_isRefused(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = guided(twoOfFour(0.9, -0.8)).start(2)) {
      run.next();
      run.save(file);
      assertThat(run.restore(file).step()).isEqualTo(1);
    }
    for (Guidance other :
        List.of(
            Guidance.posterior(twoOfFour(0.9, -0.7)),
            Guidance.posterior(twoOfFour(0.9, -0.8), 3),
            Guidance.dps(twoOfFour(0.9, -0.8), 1))) {
      try (SamplingRun run = sampling(Prediction.X0).guidance(other).start(2)) {
        assertRefused(
            () -> run.restore(file),
            file + " was saved by a run with another guidance; set this run up as that one was");
      }
    }
  }

  /** Of a network with weights, whose own gradients are not touched. */
  @Test
  void run_ofANetwork_freesAllThatWasRecorded() {
    try (TinyDenoiser network = new TinyDenoiser(4, 0, 1)) {
      DenoisingModel model = DenoisingModel.of(diffusion(Prediction.EPSILON), network);
      Measurement small =
          Measurement.of(Measurement.averages(2), manager.ones(new Shape(1, 1, 2, 2)), 0.1);
      Measurement blurred =
          Measurement.of(Measurement.blur(1), manager.ones(new Shape(1, 1, 4, 4)), 0.1);
      Sampling sampling =
          Sampling.of(model)
              .sampler(Samplers.ddim(5))
              .seed(1)
              .guidance(
                  Guidance.posterior(small)
                      .and(Guidance.dps(small, 0.1))
                      .and(Guidance.posterior(blurred)));
      sampling.generate(2).close();
      int resources = NativeResources.inAll();
      try (SamplingRun run = sampling.start(2)) {
        run.next();
        int inRun = NativeResources.inAll();
        run.next();
        run.next();
        assertThat(NativeResources.inAll()).isEqualTo(inRun);
      }
      assertThat(NativeResources.inAll()).isEqualTo(resources);
    }
  }

  @Test
  void condition_isThatOfTheRun() {
    boolean[] asked = new boolean[2];
    Denoiser watched =
        (x, levels, condition) -> {
          asked[x.hasGradient() ? 1 : 0] |= condition.equals(Condition.none());
          return gaussian().predict(x, levels, condition);
        };
    pixels(
        Sampling.of(DenoisingModel.of(diffusion(Prediction.EPSILON), watched))
            .sampler(Samplers.ddim(3))
            .shape(1, 2, 2)
            .dataType(DataType.FLOAT64)
            .condition(Condition.labels(1))
            .seed(1)
            .guidance(Guidance.classifierFree(2).and(Guidance.posterior(twoOfFour(0.9, -0.8))))
            .generate(1));
    assertThat(asked[1]).as("without a condition, recorded").isFalse();
  }
}
