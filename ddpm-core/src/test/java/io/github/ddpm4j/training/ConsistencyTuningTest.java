package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConsistencyTuningTest {

  /* --- levels --- */

  /** t (1 − (1 + 8 sigmoid(−t)) / 2^s) with numbers worked out apart. */
  @ParameterizedTest
  @CsvSource({
    "1, 1, 0", // 1 − 3.151 / 2 is negative
    "1, 2, 0.21211715",
    "1, 8, 0.98768933",
    "0.5, 3, 0.24872967",
    "40, 1, 20.0",
    "80, 3, 70.0",
  })
  void earlier_isTheLevelOfThePaper(double t, int stage, double expected) {
    assertThat(ConsistencyTuning.usual().earlier(t, stage)).isCloseTo(expected, within(1e-7));
  }

  @Test
  void stage_growsFromOneToTheLast() {
    ConsistencyTuning tuning = ConsistencyTuning.usual().stages(3).over(8);

    assertThat(tuning.doubling()).isEqualTo(3);
    assertThat(Stream.of(0, 2, 3, 5, 6, 7, 100).map(tuning::stage))
        .containsExactly(1, 1, 2, 2, 3, 3, 3);
    assertThat(ConsistencyTuning.usual().doubling(5).over(1_000).doubling()).isEqualTo(5);
    assertThatThrownBy(() -> ConsistencyTuning.usual().stage(0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the stage of a step needs the steps of a stage; call over(steps) or doubling(steps)");
  }

  @Test
  void settings_outOfRange_areRefused() {
    ConsistencyTuning usual = ConsistencyTuning.usual();
    assertRefused(() -> usual.ratio(1, 8, 1), "q must be more than 1 and finite, but was 1.0");
    assertRefused(() -> usual.ratio(2, -1, 1), "k must be finite and at least 0, but was -1.0");
    assertRefused(
        () -> usual.ratio(2, 8, Double.NaN), "b must be finite and at least 0, but was NaN");
    assertRefused(() -> usual.stages(0), "stages must be at least 1, but was 0");
    assertRefused(
        () -> usual.stages(21),
        "q to the power of stages must be at most 2^20, beyond which float32 does not tell the two"
            + " levels apart, but was 2.0 to the power of 21; use fewer stages");
    assertRefused(
        () -> usual.doubling(-1),
        "doubling must be at least 1 step, or 0 to divide the run evenly, but was -1");
    assertRefused(() -> usual.sigmaMax(0), "sigmaMax must be positive and finite, but was 0.0");
    assertRefused(
        () -> usual.guidance(Double.POSITIVE_INFINITY),
        "guidance must be finite, but was Infinity");
  }

  private static void assertRefused(Runnable setting, String message) {
    assertThatThrownBy(setting::run)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  /* --- steps --- */

  private static final Shape IMAGE = new Shape(2, 3, 4);
  private static final int PIXELS = 24;
  private static final int BATCH = 5;
  private static final int STEPS = 6;
  private static final long SEED = 11;

  record Case(boolean compiled, DataType type, Prediction prediction, int accumulation) {}

  static Stream<Case> cases() {
    return Stream.of(
        new Case(true, DataType.FLOAT32, Prediction.EPSILON, 1),
        new Case(true, DataType.FLOAT32, Prediction.X0, 2),
        new Case(true, DataType.FLOAT32, Prediction.VELOCITY, 1),
        new Case(true, DataType.FLOAT32, Prediction.PREVIOUS_MEAN, 1),
        new Case(true, DataType.FLOAT32, Prediction.edm(0.5), 2),
        new Case(true, DataType.FLOAT32, Prediction.FLOW, 2),
        new Case(true, DataType.BFLOAT16, Prediction.VELOCITY, 1),
        new Case(true, DataType.FLOAT16, Prediction.VELOCITY, 2),
        new Case(false, DataType.FLOAT32, Prediction.EPSILON, 2),
        new Case(false, DataType.FLOAT32, Prediction.PREVIOUS_MEAN, 1),
        new Case(false, DataType.FLOAT32, Prediction.FLOW, 1),
        new Case(false, DataType.FLOAT32, Prediction.edm(0.5), 1));
  }

  /**
   * Losses and gradients of every stage against the same written out in {@code double}; the rate is
   * so small that the weights stay where they are.
   */
  @ParameterizedTest
  @MethodSource("cases")
  void fit_followsTheReference(Case c) {
    Random random = new Random(1);
    float[] image = floats(random, 1);
    float[] scale = floats(random, 0.5);
    float[] shift = floats(random, 0.5);
    float slope = 0.3f;
    List<Double> losses = new ArrayList<>();
    List<Double> norms = new ArrayList<>();
    ConsistencyTuning tuning = ConsistencyTuning.usual().stages(3).sigmaMax(3);
    Schedule schedule;
    try (AffineDenoiser network =
            new AffineDenoiser(c.compiled, c.type, IMAGE, scale, shift, slope);
        NDManager manager = NDManager.newBaseManager()) {
      schedule = c.prediction == Prediction.FLOW ? Schedules.flow(1000) : Schedules.linear(1000);
      DDPM ddpm =
          DDPM.builder().schedule(schedule).prediction(c.prediction).denoiser(network).build();
      try (TrainedModel tuned =
          ddpm.consistencyTuning(tuning)
              .loss(Losses.pseudoHuber(0.3))
              .batchSize(BATCH)
              .accumulation(c.accumulation)
              .steps(STEPS)
              .learningRate(1e-9)
              .gradientClip(Double.POSITIVE_INFINITY)
              .seed(SEED)
              .listener(
                  event -> {
                    losses.add(event.loss());
                    norms.add(event.gradientNorm());
                  })
              .fit(data(manager, image))) {
        assertThat(tuned.losses().steps()).isEqualTo(STEPS);
      }
    }
    double[] expectedLosses = new double[STEPS];
    double[] expectedNorms = new double[STEPS];
    for (int s = 0; s < STEPS; s++) {
      double[] g = new double[2 * PIXELS + 1];
      for (int i = 0; i < c.accumulation; i++) {
        long pass = (long) s * c.accumulation + i;
        expectedLosses[s] +=
            batch(c, schedule, tuning, 1 + s / 2, pass, image, scale, shift, slope, g);
      }
      double squares = 0;
      for (double one : g) {
        squares += one * one;
      }
      expectedNorms[s] = Math.sqrt(squares);
    }
    double tolerance = c.type == DataType.FLOAT32 ? 2e-5 : 2e-2;
    assertClose("losses", losses, expectedLosses, tolerance);
    assertClose("gradient norms", norms, expectedNorms, tolerance);
  }

  private static void assertClose(
      String what, List<Double> actual, double[] expected, double tolerance) {
    for (int s = 0; s < STEPS; s++) {
      assertThat(actual.get(s) / expected[s])
          .as("%s of step %d, %s", what, s, expected[s])
          .isCloseTo(1, within(tolerance));
    }
  }

  private static double batch(
      Case c,
      Schedule schedule,
      ConsistencyTuning tuning,
      int stage,
      long pass,
      float[] image,
      float[] scale,
      float[] shift,
      float slope,
      double[] g) {
    UniformRandomProvider draw = CounterRandom.of(SEED, CounterRandom.Stream.TIMESTEPS).at(pass, 0);
    ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(draw);
    double loss = 0;
    for (int n = 0; n < BATCH; n++) {
      double least = 1 / Math.sqrt(schedule.snr(0));
      Level t = at(c, schedule, Math.min(3, Math.max(least, Math.exp(-1.1 + 2 * normal.sample()))));
      double sigma = tuning.earlier(t.sigma(), stage);
      Level r = sigma < least ? Level.CLEAN : at(c, schedule, sigma);
      if (r.timestep() == t.timestep() && c.prediction == Prediction.PREVIOUS_MEAN) {
        r = t.timestep() == 0 ? Level.CLEAN : Level.of(schedule, (int) t.timestep() - 1);
      }
      double[] epsilon = new double[PIXELS];
      CounterRandom.of(SEED, CounterRandom.Stream.TRAINING_NOISE).normal(pass, n, epsilon);
      LinearForm form = c.prediction.x0(schedule, t);
      double mean = 0;
      double[] errors = new double[PIXELS];
      double[] inputs = new double[PIXELS];
      for (int p = 0; p < PIXELS; p++) {
        double xt = t.signal() * image[p] + t.noise() * epsilon[p];
        inputs[p] = c.prediction.inputScale(t) * xt;
        double said = scale[p] * inputs[p] + shift[p] + slope * time(c, t);
        double target = image[p];
        if (r.noise() > 0) {
          double xr = r.signal() * image[p] + r.noise() * epsilon[p];
          double saidOfR =
              scale[p] * c.prediction.inputScale(r) * xr + shift[p] + slope * time(c, r);
          LinearForm ofR = c.prediction.x0(schedule, r);
          target = ofR.first() * xr + ofR.second() * saidOfR;
        }
        errors[p] = form.first() * xt + form.second() * said - target;
        mean += errors[p] * errors[p] / PIXELS;
      }
      double weight = 1 / (t.sigma() - r.sigma());
      double root = Math.sqrt(mean + 0.09);
      loss += weight * (root - 0.3) / (BATCH * c.accumulation);
      for (int p = 0; p < PIXELS; p++) {
        double of = weight * errors[p] * form.second() / (root * PIXELS * BATCH * c.accumulation);
        g[p] += of * inputs[p];
        g[PIXELS + p] += of;
        g[2 * PIXELS] += of * time(c, t);
      }
    }
    return loss;
  }

  private static Level at(Case c, Schedule schedule, double sigma) {
    Level level = Level.ofSigma(schedule, sigma);
    return c.prediction == Prediction.PREVIOUS_MEAN
        ? Level.of(schedule, (int) Math.rint(level.timestep()))
        : level;
  }

  private static double time(Case c, Level level) {
    return c.prediction.networkTimestep(level) / AffineDenoiser.TIME_UNIT;
  }

  private static float[] floats(Random random, double scale) {
    float[] values = new float[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
      values[i] = (float) (scale * (2 * random.nextDouble() - 1));
    }
    return values;
  }

  private static ArrayDataset data(NDManager manager, float[] image) {
    float[] images = new float[BATCH * PIXELS];
    for (int i = 0; i < BATCH; i++) {
      System.arraycopy(image, 0, images, i * PIXELS, PIXELS);
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(images, new Shape(BATCH).addAll(IMAGE)))
        .setSampling(1, false)
        .build();
  }

  /* --- what the model says of itself --- */

  @Test
  void tuned_isSampledAsItWasTunedFor() {
    float[] image = floats(new Random(1), 1);
    try (AffineDenoiser network =
            new AffineDenoiser(true, IMAGE, new float[PIXELS], new float[PIXELS], 0);
        NDManager manager = NDManager.newBaseManager()) {
      DDPM ddpm = DDPM.builder().prediction(Prediction.VELOCITY).denoiser(network).build();
      assertThat(sampler(ddpm)).isEqualTo("ddpm");
      try (TrainedModel tuned =
          ddpm.consistencyTuning(ConsistencyTuning.usual().sigmaMax(20))
              .batchSize(BATCH)
              .steps(2)
              .seed(1)
              .fit(data(manager, image))) {
        assertThat(tuned.ddpm().metadata())
            .containsEntry("ddpm4j.tunedFor", "consistency:2, sigmaMax=20");
        assertThat(tuned.ddpm().provenance())
            .containsEntry(
                "consistency",
                "q=2.0, k=8.0, b=1.0, stages=8, doubling=1, sigmaMax=20.0, guidance=1.0");
        assertThat(sampler(tuned.ddpm())).isEqualTo("consistency:2, sigmaMax=20");
        assertThat(sampler(tuned.ddpm().withMetadata(Map.of("licence", "CC0"))))
            .isEqualTo("consistency:2, sigmaMax=20");
        // The network of the first model was tuned in place.
        assertThat(sampler(ddpm)).isEqualTo("consistency:2, sigmaMax=20");
        assertThatThrownBy(
                () -> tuned.ddpm().sampling().sampler(Samplers.ddim(3)).seed(1).generate(1))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                "the model was tuned for consistency:2, sigmaMax=20: its x̂_0 is the end of a way,"
                    + " and not the mean that ddim:3 steps by; leave the sampler out, use"
                    + " Samplers.consistency(n), or call anySampler() to insist");
        tuned.ddpm().sampling().sampler(Samplers.ddim(3)).anySampler().seed(1).generate(1).close();
        tuned
            .ddpm()
            .sampling()
            .sampler(Samplers.resampling(Samplers.consistency(3), 1, 2))
            .seed(1)
            .generate(1)
            .close();
        try (TrainedModel again =
            tuned.ddpm().training().batchSize(BATCH).steps(1).seed(1).fit(data(manager, image))) {
          assertThat(again.ddpm().metadata()).isEmpty();
          assertThat(sampler(again.ddpm())).isEqualTo("ddpm");
        }
      }
    }
  }

  /** Samplers start where tuning ended, and levels above were never learned. */
  @Test
  void tuned_isAskedAtLevelsThatItWasTunedFor() {
    try (AffineDenoiser network =
            new AffineDenoiser(true, IMAGE, new float[PIXELS], new float[PIXELS], 0);
        NDManager manager = NDManager.newBaseManager()) {
      DDPM ddpm = DDPM.builder().prediction(Prediction.VELOCITY).denoiser(network).build();
      try (TrainedModel tuned =
          ddpm.consistencyTuning(ConsistencyTuning.usual().sigmaMax(20))
              .batchSize(BATCH)
              .steps(1)
              .seed(1)
              .fit(data(manager, new float[PIXELS]))) {
        DDPM result = tuned.ddpm();
        assertThat(sampler(result, "consistency:4")).isEqualTo("consistency:4, sigmaMax=20");
        assertThat(sampler(result, "consistency:3, resampling=1x2"))
            .isEqualTo("consistency:3, sigmaMax=20, resampling=1x2");
        assertThat(sampler(result, "consistency:3, sigmaMax=5"))
            .isEqualTo("consistency:3, sigmaMax=5");
        assertThat(sampler(result, "consistency, sigmas=20 3"))
            .isEqualTo("consistency, sigmas=20 3");
        String rule = "the model was tuned for noise / signal up to 20.0, but ";
        String wayOut = "; leave its sigmaMax out, or call anySampler() to insist";
        assertRefused(
            () -> sampler(result, "consistency:4, sigmaMax=80"),
            rule + "consistency:4, sigmaMax=80 asks it at 80.0" + wayOut);
        assertRefused(
            () -> sampler(result, "consistency, sigmas=30 3"),
            rule + "consistency, sigmas=30 3 asks it at 30.0" + wayOut);
        NDArray images = manager.zeros(new Shape(1).addAll(IMAGE));
        double sigma = Level.of(result.schedule(), 950).sigma();
        assertRefused(
            () -> result.sampling().imageToImage(images, 0.951),
            rule
                + "timestep 950 has "
                + sigma
                + "; start at a smaller timestep or strength, or call anySampler() to insist");
        result.sampling().seed(1).imageToImage(images, 0.5).close();
        result.sampling().anySampler().seed(1).imageToImage(images, 0.951).close();
        try (Samples samples =
            result
                .sampling()
                .sampler(Samplers.consistency(2).sigmaMax(80))
                .anySampler()
                .seed(1)
                .generate(1)) {
          assertThat(samples.provenance(0)).containsEntry("sampler", "consistency:2, sigmaMax=80");
        }
      }
    }
  }

  private static String sampler(DDPM ddpm, String text) {
    try (Samples samples = ddpm.sampling().sampler(Samplers.parse(text)).seed(1).generate(1)) {
      return samples.provenance(0).get("sampler");
    }
  }

  /** The model's own sampler would refuse to draw. */
  @Test
  void greatestLevel_belowThatOfTheSecondCall_isRefused() {
    try (AffineDenoiser network =
            new AffineDenoiser(true, IMAGE, new float[PIXELS], new float[PIXELS], 0);
        NDManager manager = NDManager.newBaseManager()) {
      ArrayDataset data = data(manager, new float[PIXELS]);
      String rule =
          "drawing with a tuned model starts at its greatest noise / signal, which must be more"
              + " than 0.821, that of the second call, but sigmaMax was ";
      String wayOut = "; use a greater sigmaMax, and a schedule that leads to noise";
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      double last = Level.of(ddpm.schedule(), 999).sigma();
      assertRefused(
          () ->
              ddpm.consistencyTuning(ConsistencyTuning.usual().sigmaMax(0.821)).steps(1).fit(data),
          rule + "0.821 and the schedule ends at " + last + wayOut);
      DDPM bright =
          DDPM.builder().schedule(Schedules.constant(100, 0.004)).denoiser(network).build();
      double end = Level.of(bright.schedule(), 99).sigma();
      assertThat(end).isLessThan(0.821);
      assertRefused(
          () -> bright.consistencyTuning().steps(1).fit(data),
          rule + "80.0 and the schedule ends at " + end + wayOut);
    }
  }

  private static String sampler(DDPM ddpm) {
    try (Samples samples = ddpm.sampling().seed(1).generate(1)) {
      return samples.provenance(0).get("sampler");
    }
  }

  /** Squares where the image is bright, which the loss of two arrays knows nothing of. */
  private record WhereBright() implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      throw new AssertionError("the images are needed");
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      T difference = ops.multiply(input.x0(), ops.subtract(input.output(), input.target()));
      return ops.meanPerImage(ops.square(difference));
    }
  }

  /** All pixels are 0.5, so that squares count a quarter. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void ownLoss_ofTheImages_getsThem(boolean compiled) {
    double bright = firstLoss(compiled, new WhereBright());
    assertThat(bright / firstLoss(compiled, Losses.simple())).isCloseTo(0.25, within(1e-5));
  }

  private static double firstLoss(boolean compiled, Loss loss) {
    float[] half = new float[PIXELS];
    Arrays.fill(half, 0.5f);
    try (AffineDenoiser network = new AffineDenoiser(compiled, IMAGE, half, half, 0.1f);
        NDManager manager = NDManager.newBaseManager();
        TrainedModel tuned =
            DDPM.builder()
                .denoiser(network)
                .build()
                .consistencyTuning()
                .loss(loss)
                .batchSize(BATCH)
                .steps(1)
                .seed(1)
                .anyRange()
                .fit(data(manager, half))) {
      return tuned.losses().loss(1);
    }
  }

  /** The coefficients that it asks for make x̂_0 of an output of the network's own. */
  private record OfX0() implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      T x0 =
          ops.add(
              ops.multiply(input.xt(), input.coefficient(Input.Coefficient.X0_OF_XT)),
              ops.multiply(input.output(), input.coefficient(Input.Coefficient.X0_OF_OUTPUT)));
      return perImage(ops, x0, input.x0());
    }
  }

  @Test
  void ownLoss_ofTheNetworksOwnOutput_isRefused() {
    assertRefused(
        () -> firstLoss(true, new OfX0()),
        "consistency tuning compares x̂_0 of two levels, but loss OfX0[] asks for X0_OF_XT, which"
            + " belongs to the network's own output; use a loss of output, target and images, such"
            + " as Losses.pseudoHuber(c)");
  }

  @ParameterizedTest
  @CsvSource({"BFLOAT16, 10", "FLOAT16, 13"})
  void stages_beyondTheTypeOfTheNetwork_areRefused(DataType type, int most) {
    float[] zeros = new float[PIXELS];
    try (AffineDenoiser network = new AffineDenoiser(true, type, IMAGE, zeros, zeros, 0);
        NDManager manager = NDManager.newBaseManager()) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      Training beyond = ddpm.consistencyTuning(ConsistencyTuning.usual().stages(most + 1));
      assertRefused(
          () -> beyond.steps(1).fit(data(manager, zeros)),
          "q to the power of stages must be at most 2^"
              + most
              + " for a network that computes in "
              + type
              + ", whose rounding is beyond there more than what the two levels differ by, but was"
              + " 2.0 to the power of "
              + (most + 1)
              + "; use fewer stages, or a network that computes in float32");
      ddpm.consistencyTuning(ConsistencyTuning.usual().stages(most))
          .batchSize(1)
          .steps(1)
          .anyRange()
          .fit(data(manager, zeros))
          .close();
    }
  }

  @Test
  void settings_thatTuningHasNoPlaceFor_areRefused() {
    try (AffineDenoiser network =
            new AffineDenoiser(true, IMAGE, new float[PIXELS], new float[PIXELS], 0);
        NDManager manager = NDManager.newBaseManager()) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      ArrayDataset data = data(manager, new float[PIXELS]);
      Training weighted =
          ddpm.consistencyTuning().weighting(Weighting.minSnr(5)).offsetNoise(0.1).steps(1);
      assertRefused(
          () -> weighted.fit(data),
          "consistency tuning weighs levels by 1 / (t - r) and has the same noise at both, but"
              + " weighting was minSnr(5.0), offsetNoise 0.1 and inputPerturbation 0.0; leave them"
              + " as they are by default");
      Training guided =
          ddpm.consistencyTuning(ConsistencyTuning.usual().guidance(2)).batchSize(1).steps(1);
      assertRefused(
          () -> guided.fit(data),
          "guidance was 2.0, but the network takes no condition towards which to guide; leave it at"
              + " 1");
    }
  }
}
