package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Guidance against closed forms: data of class k is N(mean_k, 1/4), and N(0, 1/4) without one. */
class GuidanceTest {

  private static final double VARIANCE = 0.25;
  private static final double[] MEANS = {0.4, -0.6};

  private final NDManager manager = NDManager.newBaseManager();
  private final List<Integer> calls = new ArrayList<>();

  @AfterEach
  void close() {
    manager.close();
  }

  private static Diffusion diffusion(Prediction prediction) {
    return new Diffusion(
        Schedules.linear(1000), prediction, Variance.FIXED_SMALL, DataRange.DEFAULT);
  }

  private static double mean(Condition condition, int image) {
    return condition.isNone() || condition.label(image).isEmpty()
        ? 0
        : MEANS[condition.label(image).getAsInt()];
  }

  /** The exact ε of the class of each image. */
  private Denoiser classes() {
    return (x, levels, condition) -> {
      int images = levels.size();
      calls.add(images);
      double[] shift =
          IntStream.range(0, images)
              .mapToDouble(i -> levels.signal(i) * mean(condition, i))
              .toArray();
      double[] factor =
          IntStream.range(0, images)
              .mapToDouble(
                  i ->
                      levels.noise(i)
                          / (levels.signal(i) * levels.signal(i) * VARIANCE
                              + levels.noise(i) * levels.noise(i)))
              .toArray();
      return x.sub(PerImage.column(x, shift)).mul(PerImage.column(x, factor));
    };
  }

  private Sampling sampling(Prediction prediction) {
    return Sampling.of(
            DenoisingModel.of(
                diffusion(prediction),
                prediction == Prediction.EPSILON
                    ? classes()
                    : StandIns.predicting(prediction, classes())))
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

  private static void assertClose(
      String what, double[] found, double[] expected, double tolerance) {
    double greatest = 0;
    for (int i = 0; i < expected.length; i++) {
      greatest = Math.max(greatest, Math.abs(found[i] - expected[i]));
    }
    System.out.println(what + ": greatest difference " + greatest);
    assertThat(greatest).as(what).isLessThan(tolerance);
  }

  /**
   * The scores are linear in the class mean, so guidance by w towards mean m samples N(w m, 1/4).
   */
  static Stream<Prediction> predictions() {
    return Stream.of(Prediction.EPSILON, Prediction.X0, Prediction.VELOCITY, Prediction.edm(0.5));
  }

  @ParameterizedTest
  @MethodSource("predictions")
  void classifierFree_ofEveryPrediction_movesTheMeanByTheScale(Prediction prediction) {
    double[] free = pixels(sampling(prediction).generate(2));
    for (double scale : new double[] {0, 1, 1.5, -0.5}) {
      double[] guided =
          pixels(
              sampling(prediction)
                  .condition(Condition.labels(0, 1))
                  .guidance(Guidance.classifierFree(scale))
                  .generate(2));
      double[] expected = new double[free.length];
      double[] unit =
          pixels(
              sampling(prediction)
                  .condition(Condition.labels(0, 1))
                  .generate(2)); // what scale 1 moves
      for (int i = 0; i < free.length; i++) {
        expected[i] = free[i] + scale * (unit[i] - free[i]);
      }
      assertClose(prediction + " scale " + scale, guided, expected, 1e-9);
    }
  }

  @Test
  void classifierFree_asksOnceForBothHalves() {
    pixels(
        sampling(Prediction.EPSILON)
            .condition(Condition.labels(1))
            .guidance(Guidance.classifierFree(2))
            .generate(3));
    assertThat(calls).hasSize(20).containsOnly(6);
    calls.clear();
    pixels(
        sampling(Prediction.EPSILON)
            .condition(Condition.labels(1))
            .guidance(Guidance.classifierFree(1))
            .generate(3));
    assertThat(calls).hasSize(20).containsOnly(3);
    calls.clear();
    pixels(
        sampling(Prediction.EPSILON)
            .condition(Condition.labels(1))
            .guidance(Guidance.classifierFree(2).interval(0.5, 2))
            .generate(3));
    assertThat(calls).hasSize(20).contains(3, 6);
    assertThat(calls.get(0)).isEqualTo(3);
    assertThat(calls.get(19)).isEqualTo(3);
  }

  @Test
  void towards_composesConditions() {
    double[] free = pixels(sampling(Prediction.EPSILON).generate(2));
    double[] first =
        pixels(sampling(Prediction.EPSILON).condition(Condition.labels(0)).generate(2));
    double[] second =
        pixels(sampling(Prediction.EPSILON).condition(Condition.labels(1)).generate(2));
    double[] both =
        pixels(
            sampling(Prediction.EPSILON)
                .condition(Condition.labels(0))
                .guidance(
                    Guidance.classifierFree(2).and(Guidance.towards(Condition.labels(1), -0.5)))
                .generate(2));
    double[] expected = new double[free.length];
    for (int i = 0; i < free.length; i++) {
      expected[i] = free[i] + 2 * (first[i] - free[i]) - 0.5 * (second[i] - free[i]);
    }
    assertClose("two conditions", both, expected, 1e-9);
    assertThat(calls.get(calls.size() - 1)).isEqualTo(6); // own, free, the other: 2 images each
  }

  /** Outside its own interval the condition of the run counts as the network learned it. */
  @Test
  void interval_besideAnotherCondition_keepsTheRunsOwn() {
    double[] free = pixels(sampling(Prediction.EPSILON).generate(2));
    Condition own = Condition.labels(0);
    double[] first = pixels(sampling(Prediction.EPSILON).condition(own).generate(2));
    double[] second =
        pixels(sampling(Prediction.EPSILON).condition(Condition.labels(1)).generate(2));
    Guidance nowhere = Guidance.classifierFree(2).interval(1e8, 1e9);
    double[] found =
        pixels(
            sampling(Prediction.EPSILON)
                .condition(own)
                .guidance(nowhere.and(Guidance.towards(Condition.labels(1), -0.5)))
                .generate(2));
    double[] expected = new double[free.length];
    for (int i = 0; i < free.length; i++) {
      expected[i] = free[i] + (first[i] - free[i]) - 0.5 * (second[i] - free[i]);
    }
    assertClose("own condition outside its interval", found, expected, 1e-9);
  }

  /* With y = x_0 + N(0, r) the posterior is Gaussian, and ln p(y | x_t) is known. */

  private static final double SEEN = 0.8;
  private static final double SEEN_VARIANCE = 0.1;

  /** The guided chain, pixel by pixel, is that of the guided score in plain numbers. */
  @ParameterizedTest
  @MethodSource("predictions")
  void classifier_ofAGaussian_followsTheGuidedScore(Prediction prediction) {
    Guidance.LogProbability likelihood =
        (x, levels) -> {
          double factor = likelihoodFactor(levels.signal(0), levels.noise(0));
          double spread = likelihoodSpread(levels.signal(0), levels.noise(0));
          NDArray off =
              x.mul(PerImage.column(x, each(x, factor))).sub(PerImage.column(x, each(x, SEEN)));
          return off.square()
              .mul(PerImage.column(x, each(x, -0.5 / spread)))
              .sum(new int[] {1, 2, 3});
        };
    double[] found =
        pixels(
            sampling(prediction)
                .noise(StandIns.recorded(STARTS, new double[0], 2))
                .guidance(Guidance.classifier(likelihood, 1))
                .generate(2));
    SamplingPlan plan = Samplers.ddim(20).plan(diffusion(prediction));
    double[] expected = Arrays.stream(STARTS).map(start -> guided(plan, start)).toArray();
    assertClose("guided by a classifier, " + prediction, found, expected, 1e-12);
  }

  /** The chain is linear in where it starts, so that it maps N(0, 1) to a Gaussian. */
  @Test
  void guidedScore_inAThousandSteps_endsInThePosterior() {
    SamplingPlan plan = Samplers.ddim(1000).plan(diffusion(Prediction.EPSILON));
    double mean = guided(plan, 0);
    double deviation = guided(plan, 1) - mean;
    assertThat(mean).isCloseTo(SEEN * VARIANCE / (VARIANCE + SEEN_VARIANCE), within(0.002));
    assertThat(deviation * deviation)
        .isCloseTo(VARIANCE * SEEN_VARIANCE / (VARIANCE + SEEN_VARIANCE), within(0.002));
  }

  private static final double[] STARTS = {0, 1, -0.3, 2.5, -2, 0.01, 0.7, -1};

  /** E[x_0 | x_t] = factor · x_t, for data of mean 0. */
  private static double likelihoodFactor(double signal, double noise) {
    return signal * VARIANCE / (signal * signal * VARIANCE + noise * noise);
  }

  /** The variance of y given x_t. */
  private static double likelihoodSpread(double signal, double noise) {
    return VARIANCE * noise * noise / (signal * signal * VARIANCE + noise * noise) + SEEN_VARIANCE;
  }

  /** Takes one number through a plan by ε − σ ∇ ln p(y | x_t), each in closed form. */
  private static double guided(SamplingPlan plan, double start) {
    double x = plan.initialScale() * start;
    for (SamplingPlan.Step row : plan.steps()) {
      double signal = row.signal();
      double noise = row.noise();
      double factor = likelihoodFactor(signal, noise);
      double slope = factor * (SEEN - factor * x) / likelihoodSpread(signal, noise);
      double total = signal * signal * VARIANCE + noise * noise;
      double epsilon = noise * x / total - noise * slope;
      double x0 = (x - noise * epsilon) / signal;
      x = row.cX() * x + row.cX0() * x0 + row.cEps() * epsilon;
    }
    return x;
  }

  private static double[] each(NDArray x, double value) {
    double[] values = new double[(int) x.getShape().get(0)];
    Arrays.fill(values, value);
    return values;
  }

  @Test
  void rescale_bringsTheDeviationBack() {
    Diffusion diffusion = diffusion(Prediction.EPSILON);
    double[] own = {1, 2, 3, 4, 0.5, 0.25, 0, 0};
    double[] free = {0, 1, 0, 1, 0.25, 0, 0, 1};
    for (double share : new double[] {0, 0.7, 1}) {
      NDArray x = manager.zeros(new ai.djl.ndarray.types.Shape(2, 1, 2, 2), DataType.FLOAT64);
      NoiseLevels levels = NoiseLevels.of(diffusion.schedule(), 500, 500);
      NDArray combined =
          Guidance.classifierFree(3)
              .rescale(share)
              .combine(
                  Stream.of(own, free)
                      .map(values -> manager.create(values, x.getShape()))
                      .map(
                          said ->
                              Answer.of(Prediction.EPSILON, diffusion.schedule(), x, levels, said))
                      .toList(),
                  diffusion)
              .prediction();
      double[] expected = new double[8];
      for (int image = 0; image < 2; image++) {
        double[] guided = new double[4];
        double[] conditional = Arrays.copyOfRange(own, image * 4, image * 4 + 4);
        for (int i = 0; i < 4; i++) {
          guided[i] = free[image * 4 + i] + 3 * (conditional[i] - free[image * 4 + i]);
        }
        double factor = share * deviation(conditional) / deviation(guided) + 1 - share;
        for (int i = 0; i < 4; i++) {
          expected[image * 4 + i] = guided[i] * factor;
        }
      }
      assertClose("rescale " + share, combined.toDoubleArray(), expected, 1e-14);
    }
  }

  private static double deviation(double[] values) {
    double mean = Arrays.stream(values).average().orElse(0);
    return Math.sqrt(Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum() / values.length);
  }

  /** A run with guidance and one without, in one call: as if each were alone. */
  @Test
  void advance_guidedBesideUnguided_equalLoneRuns() {
    double[] first = pixels(guided().generate(2));
    double[] second = pixels(sampling(Prediction.EPSILON).generate(3));
    Denoiser shared = classes();
    try (SamplingRun one = guided(shared).start(2);
        SamplingRun other =
            Sampling.of(DenoisingModel.of(diffusion(Prediction.EPSILON), shared))
                .sampler(Samplers.ddim(20))
                .shape(1, 2, 2)
                .clip(false)
                .dataType(DataType.FLOAT64)
                .seed(1)
                .start(3)) {
      calls.clear();
      while (one.hasNext()) {
        SamplingRun.advance(List.of(one, other));
      }
      assertThat(calls).hasSize(20).containsOnly(7);
      assertClose("guided", pixels(one.finish()), first, 1e-12);
      assertClose("unguided", pixels(other.finish()), second, 1e-12);
    }
  }

  private Sampling guided() {
    return guided(classes());
  }

  private static Sampling guided(Denoiser denoiser) {
    return Sampling.of(DenoisingModel.of(diffusion(Prediction.EPSILON), denoiser))
        .sampler(Samplers.ddim(20))
        .shape(1, 2, 2)
        .clip(false)
        .dataType(DataType.FLOAT64)
        .seed(5)
        .condition(Condition.labels(0, 1))
        .guidance(Guidance.classifierFree(2.5));
  }

  @Test
  void badSettings_areRefused() {
    assertRefused(
        () -> Guidance.classifierFree(Double.NaN), "guidance scale must be finite, but was NaN");
    assertRefused(
        () -> Guidance.classifierFree(2).interval(2, 1),
        "a guidance interval needs 0 <= least < greatest in terms of noise / signal, but was 2.0"
            + " to 1.0");
    assertRefused(
        () -> Guidance.classifierFree(2).rescale(1.5),
        "the share of rescaling must lie in [0, 1], but was 1.5");
    assertRefused(
        () -> Guidance.towards(Condition.none(), 1),
        "guidance towards a condition needs one, but it was Condition.none(); use"
            + " classifierFree(scale) for the condition of the run");
    assertRefused(
        () -> Guidance.classifierFree(2).rescale(0.5).and(Guidance.none().rescale(0.7)),
        "guidance that is combined can be rescaled by one share, but has 0.5 and 0.7; set rescale"
            + " on the sum");
    assertRefused(
        () -> sampling(Prediction.EPSILON).guidance(Guidance.classifierFree(2)).generate(1),
        "classifier-free guidance needs a condition to lead to, but the run has none; call"
            + " condition(...)");
    assertRefused(
        () -> sampling(Prediction.EPSILON).condition(Condition.labels(0, 1)).generate(3),
        "the condition must be of 1 image, which stands for all, or of each of the 3 that are"
            + " drawn, but is of 2");
    assertRefused(
        () ->
            sampling(Prediction.EPSILON)
                .guidance(Guidance.towards(Condition.labels(0, 1), 1))
                .generate(3),
        "the condition of guidance must be of 1 image or of all 3 of the run, but is of 2");
  }

  private static void assertRefused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }
}
