package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Two models of Gaussians: of the data, and one that takes them for wider and elsewhere. */
class AutoguidanceTest {

  private static final double MEAN = 0.3;
  private static final double VARIANCE = 0.25;
  private static final double WORSE_MEAN = 0.1;
  private static final double WORSE_VARIANCE = 0.6;

  private static final Schedule LINEAR = Schedules.linear(1000);

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static Diffusion diffusion(Schedule schedule, Prediction prediction) {
    return new Diffusion(schedule, prediction, Variance.FIXED_SMALL, DataRange.DEFAULT);
  }

  private static DenoisingModel model(Schedule schedule, Prediction prediction, Denoiser epsilon) {
    return DenoisingModel.of(
        diffusion(schedule, prediction), StandIns.predicting(prediction, epsilon));
  }

  private static DenoisingModel good(Prediction prediction) {
    return model(LINEAR, prediction, StandIns.gaussian(MEAN, VARIANCE));
  }

  private static DenoisingModel worse(Schedule schedule, Prediction prediction) {
    return model(schedule, prediction, StandIns.gaussian(WORSE_MEAN, WORSE_VARIANCE));
  }

  private static Sampling sampling(DenoisingModel model) {
    return Sampling.of(model)
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

  private static double x0(Level level, double mean, double variance, double x) {
    double signal = level.signal();
    return mean
        + signal
            * variance
            * (x - signal * mean)
            / (signal * signal * variance + level.noise() * level.noise());
  }

  /** Takes one number through a plan by the guided x̂_0. */
  private static double guided(SamplingPlan plan, double scale, double start) {
    double x = plan.initialScale() * start;
    for (SamplingPlan.Step row : plan.steps()) {
      double bad = x0(row.level(), WORSE_MEAN, WORSE_VARIANCE, x);
      double x0 = bad + scale * (x0(row.level(), MEAN, VARIANCE, x) - bad);
      double epsilon = (x - row.signal() * x0) / row.noise();
      x = row.cX() * x + row.cX0() * x0 + row.cEps() * epsilon;
    }
    return x;
  }

  private static final double[] STARTS = {0, 1, -0.3, 2.5, -2, 0.01, 0.7, -1};

  private static double[] guided(double scale) {
    SamplingPlan plan = Samplers.ddim(20).plan(diffusion(LINEAR, Prediction.EPSILON));
    return IntStream.range(0, STARTS.length)
        .mapToDouble(i -> guided(plan, scale, STARTS[i]))
        .toArray();
  }

  static Stream<Arguments> predictions() {
    List<Prediction> all =
        List.of(Prediction.EPSILON, Prediction.X0, Prediction.VELOCITY, Prediction.edm(0.5));
    return all.stream().flatMap(one -> all.stream().map(two -> Arguments.of(one, two)));
  }

  /* --- what is drawn --- */

  /** Whatever the two predict, and whatever levels the worse one's schedule has at its steps. */
  @ParameterizedTest
  @MethodSource("predictions")
  void samples_followTheGuidedField(Prediction prediction, Prediction other) {
    for (Schedule schedule : List.of(LINEAR, Schedules.cosine(1000))) {
      for (double scale : new double[] {0, 1, 2.5}) {
        double[] found =
            pixels(
                sampling(good(prediction))
                    .noise(StandIns.recorded(STARTS, new double[0], 2))
                    .guidance(Guidance.autoguidance(worse(schedule, other), scale))
                    .generate(2));
        assertThat(found).as("%s", scale).containsExactly(guided(scale), within(1e-9));
      }
    }
  }

  /**
   * Of data of mean 0 the guided flow in y = x / signal is known: dy / dσ = σ (w / (v + σ²) + (1 −
   * w) / (v_2 + σ²)) y, so y is as (v + σ²)^(w/2) (v_2 + σ²)^((1−w)/2). A solver of order 3 comes
   * to it by its order.
   */
  @Test
  void samples_inManySteps_endWhereTheGuidedFlowDoes() {
    double[] errors = new double[2];
    for (int i = 0; i < 2; i++) {
      Sampler sampler =
          Samplers.uniPc(40 << i).spacing(NoiseSpacing.uniformLogSnr()).endAtFirstTimestep(true);
      SamplingPlan plan = sampler.plan(diffusion(LINEAR, Prediction.VELOCITY));
      double ratio = factor(plan.end()) / factor(plan.steps().get(0).level());
      double[] found =
          pixels(
              sampling(model(LINEAR, Prediction.VELOCITY, StandIns.gaussian(0, VARIANCE)))
                  .sampler(sampler)
                  .noise(StandIns.recorded(STARTS, new double[0], 2))
                  .guidance(
                      Guidance.autoguidance(
                          model(LINEAR, Prediction.X0, StandIns.gaussian(0, WORSE_VARIANCE)), 2.5))
                  .generate(2));
      for (int k = 0; k < found.length; k++) {
        errors[i] = Math.max(errors[i], Math.abs(found[k] - ratio * STARTS[k]));
      }
    }
    assertThat(errors[1]).isLessThan(3e-4);
    assertThat(Math.log(errors[0] / errors[1]) / Math.log(2))
        .as("order from %s and %s", errors[0], errors[1])
        .isBetween(2.5, 3.5);
  }

  private static final double[] MEANS = {-0.5, 0.4};
  private static final double[] WORSE_MEANS = {-0.3, 0.6};

  /**
   * Of mixtures: in y = x / signal the flow is dy / dσ = −σ (w s + (1 − w) s_2) with the scores of
   * both, here slopes of logarithms of densities.
   */
  @Test
  void samples_ofMixtures_endWhereTheGuidedFlowDoes() {
    Sampler sampler =
        Samplers.uniPc(160).spacing(NoiseSpacing.uniformLogSnr()).endAtFirstTimestep(true);
    SamplingPlan plan = sampler.plan(diffusion(LINEAR, Prediction.VELOCITY));
    double[] found =
        pixels(
            sampling(model(LINEAR, Prediction.VELOCITY, mixture(MEANS, 0.2)))
                .sampler(sampler)
                .noise(StandIns.recorded(STARTS, new double[0], 2))
                .guidance(
                    Guidance.autoguidance(
                        model(LINEAR, Prediction.X0, mixture(WORSE_MEANS, 0.4)), 2.5))
                .generate(2));

    Level first = plan.steps().get(0).level();
    for (int k = 0; k < found.length; k++) {
      double y = plan.initialScale() * STARTS[k] / first.signal();
      double end = plan.end().signal() * ended(y, first.sigma(), plan.end().sigma());
      assertThat(found[k]).as("start %s", STARTS[k]).isCloseTo(end, within(1e-4));
    }
  }

  /** By Runge and Kutta, in even steps of ln σ. */
  private static double ended(double y, double from, double to) {
    int steps = 2000;
    double step = Math.log(to / from) / steps;
    for (int i = 0; i < steps; i++) {
      double s = Math.log(from) + i * step;
      double k1 = flow(y, s);
      double k2 = flow(y + step / 2 * k1, s + step / 2);
      double k3 = flow(y + step / 2 * k2, s + step / 2);
      double k4 = flow(y + step * k3, s + step);
      y += step / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
    }
    return y;
  }

  /** dy / d ln σ. */
  private static double flow(double y, double logSigma) {
    double square = Math.exp(2 * logSigma);
    double h = 1e-4 * Math.sqrt(1 + square);
    double slope = 0;
    for (double side : new double[] {h, -h}) {
      slope +=
          (2.5 * logDensity(y + side, MEANS, 0.2, square)
                  - 1.5 * logDensity(y + side, WORSE_MEANS, 0.4, square))
              / (2 * side);
    }
    return -square * slope;
  }

  /** Two Gaussians in equal shares, noised. */
  private static double logDensity(double y, double[] means, double deviation, double square) {
    double total = deviation * deviation + square;
    double one = -Math.pow(y - means[0], 2) / (2 * total);
    double two = -Math.pow(y - means[1], 2) / (2 * total);
    double greater = Math.max(one, two);
    return greater
        + Math.log(Math.exp(one - greater) + Math.exp(two - greater))
        - Math.log(total) / 2;
  }

  /** ε̂ of the same: each Gaussian's own, by how likely x is of it. */
  private static Denoiser mixture(double[] means, double deviation) {
    return (x, levels, condition) -> {
      double[] values = x.toDoubleArray();
      int size = values.length / levels.size();
      for (int i = 0; i < values.length; i++) {
        double signal = levels.signal(i / size);
        double noise = levels.noise(i / size);
        double total = Math.pow(signal * deviation, 2) + noise * noise;
        double one = values[i] - signal * means[0];
        double two = values[i] - signal * means[1];
        double share = 1 / (1 + Math.exp((one * one - two * two) / (2 * total)));
        values[i] = noise / total * (share * one + (1 - share) * two);
      }
      return x.getManager().create(values, x.getShape());
    };
  }

  private static double factor(Level level) {
    double square = level.sigma() * level.sigma();
    return level.signal()
        * Math.pow(VARIANCE + square, 1.25)
        * Math.pow(WORSE_VARIANCE + square, -0.75);
  }

  /** Classes 0 and 1 of the better model, and what the worse one takes them for. */
  private static Denoiser classes(List<Integer> calls, double... means) {
    return (x, levels, condition) -> {
      calls.add(levels.size());
      double[] mean =
          IntStream.range(0, levels.size())
              .mapToDouble(
                  i ->
                      condition.isNone() || condition.label(i).isEmpty()
                          ? 0
                          : means[condition.label(i).getAsInt()])
              .toArray();
      double[] shift =
          IntStream.range(0, mean.length).mapToDouble(i -> levels.signal(i) * mean[i]).toArray();
      NDArray off = PerImage.column(x, shift);
      return StandIns.gaussian(0, VARIANCE).predict(x.sub(off), levels, condition);
    };
  }

  private final List<Integer> calls = new ArrayList<>();
  private final List<Integer> worseCalls = new ArrayList<>();
  private final DenoisingModel classes =
      DenoisingModel.of(diffusion(LINEAR, Prediction.EPSILON), classes(calls, 0.4, -0.6));
  private final DenoisingModel worseClasses =
      DenoisingModel.of(diffusion(LINEAR, Prediction.EPSILON), classes(worseCalls, 0.1, -0.5));

  private double[] drawn(DenoisingModel model, Condition condition, Guidance guidance) {
    return pixels(sampling(model).condition(condition).guidance(guidance).generate(2));
  }

  /** All scores are linear in the means, so the samples are too. */
  @Test
  void besideClassifierFree_eachAddsWhatItAddsAlone() {
    Condition own = Condition.labels(0, 1);
    double[] free = drawn(classes, Condition.none(), Guidance.none());
    double[] better = drawn(classes, own, Guidance.none());
    double[] worse = drawn(worseClasses, own, Guidance.none());
    Guidance auto = Guidance.autoguidance(worseClasses, 2.5);
    calls.clear();
    worseCalls.clear();
    double[] both = drawn(classes, own, Guidance.classifierFree(1.5).and(auto));
    assertThat(calls).hasSize(20).containsOnly(4);
    assertThat(worseCalls).hasSize(20).containsOnly(2);
    double[] alone = drawn(classes, own, auto);
    double[] towards = drawn(classes, Condition.none(), auto.and(Guidance.towards(own, 1.5)));
    for (int i = 0; i < free.length; i++) {
      double step = 1.5 * (better[i] - worse[i]);
      assertThat(both[i]).isCloseTo(free[i] + 1.5 * (better[i] - free[i]) + step, within(1e-9));
      assertThat(alone[i]).isCloseTo(better[i] + step, within(1e-9));
      assertThat(towards[i]).isCloseTo(both[i], within(1e-9));
    }
  }

  /** With another network, whose field is that of the guided one, there is nothing to rescale. */
  @Test
  void rescale_bringsBackTheDeviationOfTheBetterModel() {
    NDArray pattern = manager.create(new double[] {2, -1, 0.5, 0}, new Shape(1, 1, 2, 2));
    Guidance auto =
        Guidance.autoguidance(
            model(
                LINEAR,
                Prediction.EPSILON,
                (x, levels, condition) ->
                    StandIns.gaussian(0, VARIANCE).predict(x, levels, condition).add(pattern)),
            3);
    Sampling one = sampling(good(Prediction.VELOCITY)).sampler(Samplers.ddim(1));
    // v̂ = (signal x_1 − x_0) / noise of a step from x_1 to x̂_0
    double[] plain = velocities(one.guidance(Guidance.none()));
    double[] guided = velocities(one.guidance(auto));
    double[] rescaled = velocities(one.guidance(auto.rescale(1)));
    assertThat(deviation(guided)).isNotCloseTo(deviation(plain), within(0.1));
    assertThat(deviation(rescaled)).isCloseTo(deviation(plain), within(1e-9));
    for (int i = 0; i < plain.length; i++) {
      assertThat(rescaled[i])
          .isCloseTo(guided[i] * deviation(plain) / deviation(guided), within(1e-9));
    }
  }

  private double[] velocities(Sampling sampling) {
    double[] start = {0.5, -1, 2, 0.1};
    double[] end = pixels(sampling.noise(StandIns.recorded(start, new double[0], 1)).generate(1));
    Level level =
        Samplers.ddim(1).plan(diffusion(LINEAR, Prediction.EPSILON)).steps().get(0).level();
    return IntStream.range(0, end.length)
        .mapToDouble(i -> (level.signal() * start[i] - end[i]) / level.noise())
        .toArray();
  }

  private static double deviation(double[] values) {
    double mean = IntStream.range(0, values.length).mapToDouble(i -> values[i]).average().orElse(0);
    double sum = 0;
    for (double value : values) {
      sum += (value - mean) * (value - mean);
    }
    return Math.sqrt(sum / values.length);
  }

  /* --- what is asked --- */

  @Test
  void networks_areAskedOnceAStepForAllRuns() {
    List<Integer> third = new ArrayList<>();
    DenoisingModel another =
        DenoisingModel.of(diffusion(LINEAR, Prediction.EPSILON), classes(third, 0, 0));
    Guidance auto = Guidance.autoguidance(worseClasses, 2);
    double[] alone = drawn(classes, Condition.labels(0, 1), auto);
    calls.clear();
    worseCalls.clear();
    try (SamplingRun one =
            sampling(classes).condition(Condition.labels(0, 1)).guidance(auto).start(2);
        SamplingRun two =
            sampling(classes).sampler(Samplers.ddim(25)).seed(2).guidance(auto).start(3);
        SamplingRun three =
            sampling(classes).seed(3).guidance(Guidance.autoguidance(another, 2)).start(1);
        SamplingRun four = sampling(classes).seed(4).start(1)) {
      while (one.hasNext()) {
        SamplingRun.advance(List.of(one, two, three, four));
      }
      assertThat(calls).hasSize(20).containsOnly(7);
      assertThat(worseCalls).hasSize(20).containsOnly(5);
      assertThat(third).hasSize(20).containsOnly(1);
      assertThat(pixels(one.finish())).containsExactly(alone, within(1e-12));
    }
  }

  @Test
  void interval_asksTheWorseModelWithinIt() {
    SamplingPlan plan = Samplers.ddim(20).plan(diffusion(LINEAR, Prediction.EPSILON));
    double least = plan.steps().get(10).level().sigma();
    double greatest = plan.steps().get(5).level().sigma();
    drawn(
        classes,
        Condition.none(),
        Guidance.autoguidance(worseClasses, 2).interval(least, greatest));
    assertThat(worseCalls).hasSize(5).containsOnly(2);
    worseCalls.clear();
    drawn(classes, Condition.none(), Guidance.autoguidance(worseClasses, 1));
    assertThat(worseCalls).isEmpty();
  }

  /** In its own words: its timestep of the same σ, its scale of the images, its condition. */
  @Test
  void worseModel_ofAnotherSchedule_isToldItsOwnLevels() {
    Schedule cosine = Schedules.cosine(300);
    List<Level> told = new ArrayList<>();
    Denoiser listening =
        (x, levels, condition) -> {
          told.add(levels.level(0));
          return StandIns.gaussian(WORSE_MEAN, WORSE_VARIANCE).predict(x, levels, condition);
        };
    DenoisingModel second = DenoisingModel.of(diffusion(cosine, Prediction.EPSILON), listening);
    drawn(
        good(Prediction.X0), Condition.none(), Guidance.autoguidance(second, 2).interval(0.1, 90));
    List<Level> expected =
        Samplers.ddim(20).plan(diffusion(LINEAR, Prediction.X0)).steps().stream()
            .map(SamplingPlan.Step::level)
            .filter(level -> level.sigma() > 0.1 && level.sigma() <= 90)
            .toList();
    assertThat(told).hasSameSizeAs(expected).hasSizeGreaterThan(10);
    for (int i = 0; i < told.size(); i++) {
      assertThat(told.get(i))
          .isEqualTo(
              new Level(
                  cosine.timestepOf(expected.get(i).sigma()),
                  expected.get(i).signal(),
                  expected.get(i).noise()));
    }
  }

  /** What the worse model says of the variance does not count. */
  @Test
  void variance_isThatOfTheBetterModel() {
    Sampler sampler = Samplers.ddpm(10);
    Diffusion learned =
        new Diffusion(LINEAR, Prediction.EPSILON, Variance.LEARNED_RANGE, DataRange.DEFAULT);
    DenoisingModel better = DenoisingModel.of(learned, variances(0.4));
    double[] same =
        pixels(
            sampling(better)
                .sampler(sampler)
                .guidance(Guidance.autoguidance(DenoisingModel.of(learned, variances(-0.9)), 3))
                .generate(2));
    assertThat(same)
        .containsExactly(pixels(sampling(better).sampler(sampler).generate(2)), within(1e-12));
  }

  private static Denoiser variances(double variance) {
    return new Denoiser() {
      @Override
      public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
        return x.concat(x.zerosLike().add(variance), 1);
      }

      @Override
      public boolean predictsVariance() {
        return true;
      }
    };
  }

  /* --- what is refused --- */

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private static Guidance by(DenoisingModel worse) {
    return Guidance.autoguidance(worse, 2);
  }

  @Test
  void modelOfOtherImages_isRefusedAtOnce() {
    DenoisingModel good = good(Prediction.EPSILON);
    assertRefused(
        () -> sampling(good).guidance(by(good)),
        "autoguidance needs a second model that is worse than that of the run, but both have one"
            + " network; give a smaller one, or an earlier snapshot of the same training");
    Denoiser network = StandIns.modelG();
    Diffusion other =
        new Diffusion(LINEAR, Prediction.EPSILON, Variance.FIXED_SMALL, new DataRange(0, 1));
    assertRefused(
        () -> sampling(good).guidance(by(DenoisingModel.of(other, network))),
        "autoguidance needs a second model of the images of the run, but its data range is "
            + new DataRange(0, 1)
            + ", and that of the run is "
            + DataRange.DEFAULT);
    try (TinyDenoiser small = new TinyDenoiser(2, 0, 1);
        TinyDenoiser large = new TinyDenoiser(4, 0, 1)) {
      Diffusion diffusion = diffusion(LINEAR, Prediction.EPSILON);
      assertRefused(
          () ->
              Sampling.of(DenoisingModel.of(diffusion, small))
                  .guidance(by(DenoisingModel.of(diffusion, large))),
          "autoguidance needs a second model of the images of the run, but its image shape is"
              + " (1, 4, 4), and that of the run is (1, 2, 2)");
    }
    Denoiser elsewhere =
        new Denoiser() {
          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            return x;
          }

          @Override
          public Optional<Device> device() {
            return Optional.of(Device.gpu());
          }
        };
    assertRefused(
        () -> sampling(good).guidance(by(model(elsewhere))),
        "autoguidance needs a second model of the images of the run, but its device is"
            + " Optional[gpu(0)], and that of the run is Optional.empty");
    assertRefused(
        () -> Guidance.autoguidance(good, Double.NaN),
        "guidance scale must be finite, but was NaN");
  }

  private static DenoisingModel model(Denoiser denoiser) {
    return DenoisingModel.of(diffusion(LINEAR, Prediction.EPSILON), denoiser);
  }

  @Test
  void levelsBeyondTheWorseModel_areRefusedBeforeTheFirstStep() {
    Schedule small = Schedules.linear(100); // which ends at σ = 0.72
    Level end = Level.of(small, 99);
    SamplingPlan plan = Samplers.ddim(20).plan(diffusion(LINEAR, Prediction.EPSILON));
    Guidance guidance = by(worse(small, Prediction.X0));
    assertRefused(
        () -> sampling(good(Prediction.EPSILON)).guidance(guidance).start(1),
        "the schedule of the second model of autoguidance has levels of noise / signal from "
            + Level.of(small, 0).sigma()
            + " to "
            + end.sigma()
            + ", but the run is at "
            + plan.steps().get(0).level().sigma()
            + "; guide within these by interval(least, greatest), or take a model of the run's"
            + " schedule");
    sampling(good(Prediction.EPSILON))
        .guidance(guidance.interval(0, end.sigma()))
        .generate(1)
        .close();
    // EDM's network is told any level
    sampling(good(Prediction.EPSILON))
        .guidance(by(worse(small, Prediction.edm(0.5))))
        .generate(1)
        .close();
  }

  @Test
  void conditionThatTheWorseModelRefuses_isRefusedBeforeTheFirstStep() {
    Denoiser strict =
        new Denoiser() {
          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            return x;
          }

          @Override
          public void requireUsable(Shape images, DataType type, Condition condition) {
            if (!condition.isNone()) {
              throw new IllegalArgumentException("no classes here");
            }
          }
        };
    Guidance guidance = by(model(strict));
    String message = "the second model of autoguidance: no classes here";
    assertRefused(
        () -> sampling(classes).condition(Condition.labels(1)).guidance(guidance).start(1),
        message);
    assertRefused(
        () ->
            sampling(classes)
                .guidance(guidance.and(Guidance.towards(Condition.labels(1), 2)))
                .start(1),
        message);
    sampling(classes).guidance(guidance).start(1).close();
  }

  /** Of networks that can be saved every weight counts. */
  @Test
  void restore_anotherWorseModel_isRefused(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("run.safetensors");
    Diffusion diffusion = diffusion(LINEAR, Prediction.EPSILON);
    try (TinyDenoiser network = new TinyDenoiser(2, 0, 1);
        TinyDenoiser snapshot = new TinyDenoiser(2, 0, 2);
        TinyDenoiser other = new TinyDenoiser(2, 0, 3)) {
      DenoisingModel model = DenoisingModel.of(diffusion, network);
      Sampling sampling = Sampling.of(model).sampler(Samplers.ddim(5)).seed(1);
      try (SamplingRun run =
          sampling.guidance(by(DenoisingModel.of(diffusion, snapshot))).start(2)) {
        run.next();
        run.save(file);
        assertThat(run.restore(file).step()).isEqualTo(1);
      }
      int resources = NativeResources.inAll();
      String message =
          file + " was saved by a run with another guidance; set this run up as that one was";
      List<Guidance> others =
          List.of(
              by(DenoisingModel.of(diffusion, other)),
              by(DenoisingModel.of(diffusion(LINEAR, Prediction.X0), snapshot)),
              Guidance.autoguidance(DenoisingModel.of(diffusion, snapshot), 3),
              Guidance.none());
      for (Guidance guidance : others) {
        try (SamplingRun run = sampling.guidance(guidance).start(2)) {
          assertRefused(() -> run.restore(file), message);
        }
      }
      assertThat(NativeResources.inAll()).isEqualTo(resources);
    }
  }

  /** The worse model stays its owner's. */
  @Test
  void run_closesNeitherModel() {
    boolean[] closed = new boolean[1];
    Denoiser watched =
        new Denoiser() {
          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            return x.mul(0.5);
          }

          @Override
          public void close() {
            closed[0] = true;
          }
        };
    drawn(classes, Condition.none(), by(model(watched)));
    assertThat(closed[0]).isFalse();
    assertThat(by(model(watched)))
        .hasToString(
            "Guidance[0 towards conditions, 1 away from second models, 0 by classifiers, 0 by"
                + " measurements, rescale 0.0]");
  }
}
