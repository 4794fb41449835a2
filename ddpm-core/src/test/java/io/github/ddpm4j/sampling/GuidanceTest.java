package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
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
import org.jspecify.annotations.Nullable;
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

  /** On v, the output of the paper's network, it is the published function. */
  @Test
  void rescale_bringsTheDeviationBack() {
    double[] own = {1, 2, 3, 4, 0.5, 0.25, 0, 0};
    double[] free = {0, 1, 0, 1, 0.25, 0, 0, 1};
    for (double share : new double[] {0, 0.7, 1}) {
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
      NDArray combined = combined(Guidance.classifierFree(3).rescale(share), own, free);
      assertClose("rescale " + share, combined.toDoubleArray(), expected, 1e-14);
    }
  }

  /** The guided v̂ of two images in a row of pixels. */
  private NDArray combined(Guidance guidance, double[] own, double[] free) {
    return combined(guidance, DataType.FLOAT64, own, free);
  }

  private NDArray combined(Guidance guidance, DataType type, double[] own, double[] free) {
    Diffusion diffusion = diffusion(Prediction.VELOCITY);
    NDArray x = manager.zeros(new Shape(2, 1, 1, own.length / 2), type);
    NoiseLevels levels = NoiseLevels.of(diffusion.schedule(), 500, 500);
    List<Answer> answers =
        Stream.of(own, free)
            .map(values -> manager.create(values).toType(type, false).reshape(x.getShape()))
            .map(said -> Answer.of(Prediction.VELOCITY, diffusion.schedule(), x, levels, said))
            .toList();
    return guidance.combine(answers, Condition.labels(0, 1), diffusion).prediction();
  }

  /** Nothing deviates, or by rounding alone: there is nothing to bring back. */
  @Test
  void rescale_ofFlatPredictions_changesNothing() {
    double[] own = new double[14];
    double[] free = new double[14];
    for (int i = 0; i < 7; i++) {
      own[i] = 0.1 + i % 2 * 1e-8; // rounding
      free[i] = 0.7 + i % 3 * 6e-8;
    }
    for (DataType type : List.of(DataType.FLOAT32, DataType.FLOAT64)) {
      double[] plain = Golden.values(combined(Guidance.classifierFree(3), type, own, free));
      double[] rescaled =
          Golden.values(combined(Guidance.classifierFree(3).rescale(0.7), type, own, free));
      assertThat(rescaled).as("%s", type).isEqualTo(plain);
    }
  }

  @Test
  void rescale_ofOnePixel_changesNothing() {
    Guidance guidance = Guidance.classifierFree(3);
    double[] plain = pixels(onePixel().guidance(guidance).generate(3));
    assertThat(pixels(onePixel().guidance(guidance.rescale(1)).generate(3))).isEqualTo(plain);
    assertThat(plain).doesNotContain(Double.NaN);
  }

  private Sampling onePixel() {
    return Sampling.of(DenoisingModel.of(diffusion(Prediction.EPSILON), classes()))
        .sampler(Samplers.ddim(20))
        .shape(1, 1, 1)
        .clip(false)
        .seed(1)
        .condition(Condition.labels(0));
  }

  /**
   * What is rescaled is v̂, whatever the network says, and towards one condition's, whoever has it.
   */
  @ParameterizedTest
  @MethodSource("predictions")
  void rescale_dependsOnNeitherThePredictionNorTheHolder(Prediction prediction) {
    Condition own = Condition.labels(0);
    Guidance guidance = Guidance.classifierFree(3);
    double[] plain =
        pixels(patterns(Prediction.VELOCITY).condition(own).guidance(guidance).generate(3));
    guidance = guidance.rescale(0.7);
    double[] expected =
        pixels(patterns(Prediction.VELOCITY).condition(own).guidance(guidance).generate(3));
    double[] byRun = pixels(patterns(prediction).condition(own).guidance(guidance).generate(3));
    double[] byGuidance =
        pixels(patterns(prediction).guidance(Guidance.towards(own, 3).rescale(0.7)).generate(3));
    assertClose("rescaled, " + prediction, byRun, expected, 1e-9);
    assertClose("towards, rescaled, " + prediction, byGuidance, byRun, 1e-12);
    double change = 0;
    for (int i = 0; i < plain.length; i++) {
      change = Math.max(change, Math.abs(plain[i] - expected[i]));
    }
    assertThat(change).as("change by rescaling").isGreaterThan(1e-3);
  }

  /** Of pixels that differ from each other in the mean of a class. */
  private Sampling patterns(Prediction prediction) {
    NDArray off = manager.create(new double[] {2, -1, 0.5, 0}, new Shape(1, 1, 2, 2));
    Denoiser classes = classes();
    Denoiser patterned =
        (x, levels, condition) -> {
          NDArray zero = x.zerosLike();
          NDArray mean = classes.predict(zero, levels, condition);
          return classes.predict(x, levels, Condition.none()).add(mean.mul(off));
        };
    return Sampling.of(
            DenoisingModel.of(
                diffusion(prediction),
                prediction == Prediction.EPSILON
                    ? patterned
                    : StandIns.predicting(prediction, patterned)))
        .sampler(Samplers.ddim(20))
        .shape(1, 2, 2)
        .clip(false)
        .dataType(DataType.FLOAT64)
        .seed(1);
  }

  @Test
  void rescale_ofNoOneCondition_isRefused() {
    String nothing =
        "rescaling takes the deviation of a condition's prediction, but this guidance leads towards"
            + " none; call rescale on classifierFree(scale), on towards(condition, scale) or on a"
            + " sum with one of these";
    assertRefused(() -> Guidance.none().rescale(0.7), nothing);
    assertRefused(() -> Guidance.classifier((x, levels) -> x.sum(), 1).rescale(0.7), nothing);
    assertThat(Guidance.none().rescale(0)).isNotNull();
    Guidance first = Guidance.towards(Condition.labels(0), 2);
    Guidance two = first.and(Guidance.towards(Condition.labels(1), 1)).rescale(0.5);
    Guidance away = Guidance.towards(Condition.labels(0), -1).rescale(0.5);
    assertRefused(
        () -> sampling(Prediction.EPSILON).guidance(two).start(1),
        "rescaled guidance takes the deviation of one condition's prediction, but the run has no"
            + " condition and guidance leads towards 2; call condition(...) with the one that"
            + " counts, or leave rescale out");
    assertRefused(
        () -> sampling(Prediction.EPSILON).guidance(away).start(1),
        "rescaled guidance takes the deviation of one condition's prediction, but the run has no"
            + " condition and guidance leads towards 0; call condition(...) with the one that"
            + " counts, or leave rescale out");
    for (Guidance guidance : List.of(two, away)) {
      sampling(Prediction.EPSILON)
          .condition(Condition.labels(1))
          .guidance(guidance)
          .start(1)
          .close();
    }
    sampling(Prediction.EPSILON)
        .guidance(first.and(Guidance.towards(Condition.labels(1), -1)).rescale(0.5))
        .start(1)
        .close();
  }

  /* --- what is asked --- */

  private void assertAsked(int images, @Nullable Condition own, Guidance guidance) {
    calls.clear();
    Sampling sampling = sampling(Prediction.EPSILON).guidance(guidance);
    pixels((own == null ? sampling : sampling.condition(own)).generate(2));
    assertThat(calls).as("%s", guidance).hasSize(20).containsOnly(images);
  }

  /** Nothing of weight 0: two images, each under as many conditions as count. */
  @Test
  void questions_areThoseThatCount() {
    Condition own = Condition.labels(0);
    Guidance other = Guidance.towards(Condition.labels(1), 0.5);
    assertAsked(2, own, Guidance.classifierFree(0));
    assertAsked(2, own, Guidance.classifierFree(1));
    assertAsked(4, own, Guidance.classifierFree(2));
    assertAsked(4, own, Guidance.classifierFree(0).rescale(0.5));
    assertAsked(2, own, Guidance.classifierFree(1).rescale(0.5));
    assertAsked(6, own, other);
    assertAsked(4, own, Guidance.classifierFree(0.5).and(other));
    assertAsked(4, own, Guidance.classifierFree(0).and(other));
    assertAsked(2, own, Guidance.towards(Condition.labels(1), 0));
    assertAsked(4, null, other);
    assertAsked(2, null, Guidance.towards(Condition.labels(1), 1));
    assertAsked(2, null, Guidance.towards(Condition.labels(1), 0));
    assertAsked(4, null, other.and(other));
    assertAsked(8, null, other.and(other).and(other));
  }

  /** Of one term and the same: a sum of equal conditions is guidance by the sum of their scales. */
  @Test
  void towards_twiceTheSame_addsUp() {
    Guidance half = Guidance.towards(Condition.labels(1), 1);
    double[] twice = pixels(sampling(Prediction.EPSILON).guidance(half.and(half)).generate(2));
    double[] once =
        pixels(
            sampling(Prediction.EPSILON)
                .guidance(Guidance.towards(Condition.labels(1), 2))
                .generate(2));
    assertClose("the same twice", twice, once, 1e-12);
  }

  /** Beside another condition, that of the run counts as the network learned it. */
  @Test
  void towards_besideTheRunsCondition_addsToIt() {
    double[] free = pixels(sampling(Prediction.EPSILON).generate(2));
    Condition own = Condition.labels(0);
    double[] first = pixels(sampling(Prediction.EPSILON).condition(own).generate(2));
    double[] second =
        pixels(sampling(Prediction.EPSILON).condition(Condition.labels(1)).generate(2));
    double[] found =
        pixels(
            sampling(Prediction.EPSILON)
                .condition(own)
                .guidance(Guidance.towards(Condition.labels(1), 1.5))
                .generate(2));
    double[] expected = new double[free.length];
    for (int i = 0; i < free.length; i++) {
      expected[i] = first[i] + 1.5 * (second[i] - free[i]);
    }
    assertClose("own condition and another", found, expected, 1e-9);
  }

  /* --- the ends of an interval --- */

  /** The σ of a row of the sampler's plan. */
  private static double sigma(int row) {
    return Samplers.ddim(20).plan(diffusion(Prediction.EPSILON)).steps().get(row).level().sigma();
  }

  @Test
  void interval_includesTheNoisierEndAlone() {
    pixels(
        sampling(Prediction.EPSILON)
            .condition(Condition.labels(1))
            .guidance(Guidance.classifierFree(2).interval(sigma(10), sigma(5)))
            .generate(3));
    List<Integer> expected = new ArrayList<>();
    for (int row = 0; row < 20; row++) {
      expected.add(row >= 5 && row < 10 ? 6 : 3);
    }
    assertThat(calls).isEqualTo(expected);
  }

  @Test
  void interval_ofAClassifier_includesTheNoisierEndAlone() {
    List<Double> asked = new ArrayList<>();
    Guidance.LogProbability likelihood =
        (x, levels) -> {
          asked.add(levels.level(0).sigma());
          return x.sum(new int[] {1, 2, 3});
        };
    double[] guided =
        pixels(
            sampling(Prediction.EPSILON)
                .guidance(Guidance.classifier(likelihood, 1).interval(sigma(10), sigma(5)))
                .generate(2));
    assertThat(asked).containsExactly(sigma(5), sigma(6), sigma(7), sigma(8), sigma(9));
    assertThat(guided).isNotEqualTo(pixels(sampling(Prediction.EPSILON).generate(2)));
  }

  /* --- the variance --- */

  /** A network that predicts the same image for all, but a variance of its own for each class. */
  private static Sampling varianceByClass() {
    Denoiser network =
        new Denoiser() {
          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            double[] v =
                IntStream.range(0, levels.size()).mapToDouble(i -> mean(condition, i)).toArray();
            NDArray variance = x.zerosLike().add(PerImage.column(x, v));
            return x.mul(PerImage.column(x, each(x, 0.9))).concat(variance, 1);
          }

          @Override
          public boolean predictsVariance() {
            return true;
          }
        };
    Diffusion diffusion =
        new Diffusion(
            Schedules.linear(1000), Prediction.EPSILON, Variance.LEARNED_RANGE, DataRange.DEFAULT);
    return Sampling.of(DenoisingModel.of(diffusion, network))
        .sampler(Samplers.ddpm(10))
        .shape(1, 2, 2)
        .dataType(DataType.FLOAT64)
        .seed(1);
  }

  @Test
  void variance_underGuidance_isThatOfTheCondition() {
    Condition own = Condition.labels(0);
    double[] conditional = pixels(varianceByClass().condition(own).generate(2));
    double[] free = pixels(varianceByClass().generate(2));
    assertThat(conditional).isNotEqualTo(free);
    Guidance towards = Guidance.towards(own, 2);
    assertClose(
        "variance of the run's condition",
        pixels(varianceByClass().condition(own).guidance(Guidance.classifierFree(2)).generate(2)),
        conditional,
        1e-12);
    assertClose(
        "variance of the condition of guidance",
        pixels(varianceByClass().guidance(towards).generate(2)),
        conditional,
        1e-12);
    assertClose(
        "variance at scale 0",
        pixels(varianceByClass().condition(own).guidance(Guidance.classifierFree(0)).generate(2)),
        free,
        1e-12);
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
        () -> Guidance.classifierFree(2).rescale(0.5).and(Guidance.classifierFree(2).rescale(0.7)),
        "guidance that is combined can be rescaled by one share, but has 0.5 and 0.7; set rescale"
            + " on the sum");
    assertRefused(
        () -> sampling(Prediction.EPSILON).guidance(Guidance.classifierFree(2)).generate(1),
        "classifier-free guidance needs a condition to lead to, but the run has none; call"
            + " condition(...)");
    Condition contexts = Condition.contexts(manager.ones(new Shape(1, 3, 2)));
    String missing =
        "guidance asks the network without a condition, but nothing stands for none beside the"
            + " context of image 0; give the encoded empty text, or one to stay away from, by"
            + " Condition.contexts(contexts, unconditional)";
    assertRefused(
        () ->
            sampling(Prediction.EPSILON)
                .condition(contexts)
                .guidance(Guidance.classifierFree(2))
                .generate(1),
        missing);
    assertRefused(
        () -> sampling(Prediction.EPSILON).guidance(Guidance.towards(contexts, 2)).generate(1),
        missing);
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
