package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.unet.UNet.Execution;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Consistency tuning of U-Nets with dropout. */
class ConsistencyRunsTest {

  private static final int SIDE = 8;
  private static final int RECORDS = 12;
  private static final int STEPS = 4;

  private static UNet network(Execution execution, boolean classes) {
    UNetBuilder builder =
        UNet.builder()
            .image(1, SIDE, SIDE)
            .baseChannels(8)
            .groups(2)
            .channelMultipliers(1, 2)
            .residualBlocks(1)
            .attentionAtLevels(1)
            .dropout(0.5)
            .execution(execution)
            .seed(1);
    UNet network = (classes ? builder.classes(3) : builder).build();
    Random random = new Random(2);
    try (GradMode off = GradMode.off()) {
      network.weights().values().forEach(weight -> disturb(weight, random));
    }
    return network;
  }

  /** A new network says 0 to everything. */
  private static void disturb(NDArray weight, Random random) {
    float[] noise = new float[Math.toIntExact(weight.size())];
    for (int i = 0; i < noise.length; i++) {
      noise[i] = (float) (0.1 * random.nextGaussian());
    }
    try (NDArray added = weight.getManager().create(noise, weight.getShape())) {
      weight.addi(added);
    }
  }

  private static DDPM ddpm(UNet network, Prediction prediction) {
    Schedule schedule = prediction == Prediction.FLOW ? Schedules.flow(100) : Schedules.linear(100);
    return DDPM.builder().schedule(schedule).prediction(prediction).denoiser(network).build();
  }

  private static ArrayDataset images(NDManager manager) {
    Random random = new Random(3);
    float[] values = new float[RECORDS * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    float[] labels = new float[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
      labels[i] = i % 3;
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(RECORDS, 1, SIDE, SIDE)))
        .optLabels(manager.create(labels))
        .setSampling(1, false)
        .build();
  }

  private record Run(List<Double> losses, List<Double> norms, Map<String, float[]> weights) {}

  private interface Setting {
    Training of(Training training);
  }

  private static Run tune(
      Execution execution,
      boolean classes,
      Prediction prediction,
      ConsistencyTuning tuning,
      Setting more) {
    List<Double> losses = new ArrayList<>();
    List<Double> norms = new ArrayList<>();
    Map<String, float[]> weights = new LinkedHashMap<>();
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(execution, classes)) {
      Training training =
          more.of(ddpm(network, prediction).consistencyTuning(tuning))
              .batchSize(4)
              .steps(STEPS)
              .seed(5)
              .listener(
                  event -> {
                    losses.add(event.loss());
                    norms.add(event.gradientNorm());
                  });
      try (TrainedModel tuned = training.fit(images(manager))) {
        assertThat(tuned.losses().steps()).isEqualTo(STEPS);
      }
      network.weights().forEach((name, weight) -> weights.put(name, weight.toFloatArray()));
    }
    return new Run(losses, norms, weights);
  }

  private static void assertSame(Run actual, Run expected) {
    for (int i = 0; i < STEPS; i++) {
      assertThat(actual.losses.get(i) / expected.losses.get(i)).isCloseTo(1, within(1e-4));
      assertThat(actual.norms.get(i) / expected.norms.get(i)).isCloseTo(1, within(1e-3));
    }
    expected.weights.forEach(
        (name, values) -> {
          // Adam's first steps have the size of the rate, however small the gradient.
          float[] own = actual.weights.get(name);
          double difference = 0;
          double size = 0;
          for (int i = 0; i < values.length; i++) {
            difference += Math.pow(own[i] - values[i], 2);
            size += Math.pow(values[i], 2);
          }
          assertThat(Math.sqrt(difference / (size + 1e-6))).as(name).isLessThan(2e-3);
        });
  }

  record Case(
      boolean classes, Prediction prediction, double guidance, int accumulation, boolean less) {}

  static Stream<Case> cases() {
    return Stream.of(
        new Case(false, Prediction.EPSILON, 1, 1, false),
        new Case(false, Prediction.VELOCITY, 1, 2, true),
        new Case(true, Prediction.edm(0.5), 3, 1, false),
        new Case(false, Prediction.FLOW, 1, 1, false),
        new Case(true, Prediction.FLOW, 2, 1, true),
        new Case(true, Prediction.EPSILON, 2, 2, true));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void fit_compiled_isThatOfOneOperationAfterTheOther(Case c) {
    ConsistencyTuning tuning = ConsistencyTuning.usual().stages(2).sigmaMax(5).guidance(c.guidance);
    Setting more =
        training -> {
          training.accumulation(c.accumulation);
          return c.less ? training.recomputation(Recomputation.everywhere()) : training;
        };

    assertSame(
        tune(Execution.COMPILED, c.classes, c.prediction, tuning, more),
        tune(Execution.EAGER, c.classes, c.prediction, tuning, more));
  }

  /**
   * Where the two levels all but coincide, so do the two images that the network makes of them if
   * it drops the same half of what it computes, and only then.
   */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void fit_levelsThatNearlyCoincide_differByNothingButTheMasks(Execution execution) {
    ConsistencyTuning tuning = ConsistencyTuning.usual().stages(1).ratio(10_000, 0, 1);
    Setting more =
        training ->
            training.loss(Losses.simple()).timestepSampler(TimestepSampler.logNormal(0, 0.1));

    Run run = tune(execution, false, Prediction.EPSILON, tuning, more);

    // With other masks: a squared difference of some 0.01 and more, over 1e-4.
    assertThat(run.losses).allSatisfy(loss -> assertThat(loss).isBetween(1e-9, 1e-2));
  }

  /**
   * Rounding adds to what two levels differ by, which halves with each stage: little at first, not
   * more than there is at the tenth, and nothing but it a few stages on.
   */
  @Test
  void fit_inBfloat16_lossesAreThoseOfFloat32WhileLevelsAreApart() {
    double[] single = lossesOfStages(UNet.Precision.FLOAT32);
    double[] half = lossesOfStages(UNet.Precision.BFLOAT16);
    for (int stage = 1; stage <= 10; stage++) {
      assertThat(half[stage - 1] / single[stage - 1])
          .as("stage %d", stage)
          .isBetween(0.9, stage <= 6 ? 1.2 : 2);
    }
  }

  private static double[] lossesOfStages(UNet.Precision precision) {
    double[] losses = new double[10];
    try (NDManager manager = NDManager.newBaseManager();
        UNet whole = network(Execution.COMPILED, false);
        UNet network = whole.runAs(Execution.COMPILED, precision);
        TrainedModel tuned =
            ddpm(network, Prediction.VELOCITY)
                .consistencyTuning(ConsistencyTuning.usual().stages(10).doubling(1))
                .batchSize(12)
                .steps(10)
                .learningRate(1e-12)
                .seed(5)
                .listener(event -> losses[Math.toIntExact(event.step()) - 1] = event.loss())
                .fit(images(manager))) {
      assertThat(tuned.losses().steps()).isEqualTo(10);
    }
    return losses;
  }

  /** The teacher of dropped conditions says the same twice. */
  @Test
  void guidance_withoutAnyCondition_changesNothing() {
    Setting dropped = training -> training.conditionDropout(1);
    ConsistencyTuning tuning = ConsistencyTuning.usual().stages(2);
    Run plain = tune(Execution.COMPILED, true, Prediction.EPSILON, tuning, dropped);
    Run guided = tune(Execution.COMPILED, true, Prediction.EPSILON, tuning.guidance(3), dropped);
    Run towards =
        tune(
            Execution.COMPILED, true, Prediction.EPSILON, tuning.guidance(3), training -> training);
    Run along = tune(Execution.COMPILED, true, Prediction.EPSILON, tuning, training -> training);

    assertThat(guided.losses).isEqualTo(plain.losses);
    assertThat(towards.losses).isNotEqualTo(along.losses);
  }

  /** A model of another library goes the way of one's own, and keeps its limit of x̂_0. */
  @Test
  void fit_pretrained_isThatOfOnesOwn(@TempDir Path temporary) throws Exception {
    Path folder = temporary.resolve("diffusers");
    List<Double> losses = new ArrayList<>();
    List<Double> expected = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(Execution.COMPILED, false)) {
      Pretrained.saveDiffusers(ddpm(network, Prediction.EPSILON), folder);
      Path scheduler = folder.resolve("scheduler").resolve("scheduler_config.json");
      Files.writeString(
          scheduler,
          Files.readString(scheduler)
              .replaceAll("\"clip_sample\": *true", "\"clip_sample\": false"));
      try (TrainedModel own =
              pretrained(ddpm(network, Prediction.EPSILON), expected).fit(images(manager));
          Pretrained model = Pretrained.options().dropout(0.5).load(folder);
          TrainedModel tuned = pretrained(model.ddpm(), losses).fit(images(manager))) {
        assertThat(own.losses().steps()).isEqualTo(STEPS);
        assertThat(losses).hasSize(STEPS);
        for (int i = 0; i < STEPS; i++) {
          assertThat(losses.get(i) / expected.get(i)).isCloseTo(1, within(1e-4));
        }
        tuned.ddpm().save(temporary.resolve("tuned"));
        try (DDPM loaded = DDPM.load(temporary.resolve("tuned"));
            Samples drawn = loaded.sampling().seed(3).generate(1)) {
          assertThat(drawn.provenance(0))
              .containsEntry("sampler", "consistency:2, sigmaMax=5")
              .containsEntry("limit", "none");
        }
      }
    }
  }

  private static Training pretrained(DDPM ddpm, List<Double> losses) {
    return ddpm.consistencyTuning(ConsistencyTuning.usual().stages(2).sigmaMax(5))
        .batchSize(4)
        .steps(STEPS)
        .seed(5)
        .listener(event -> losses.add(event.loss()));
  }

  @Test
  void saved_isSampledAsItWasTunedFor(@TempDir Path temporary) throws Exception {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(Execution.COMPILED, false);
        TrainedModel tuned =
            ddpm(network, Prediction.EPSILON)
                .consistencyTuning()
                .batchSize(4)
                .steps(2)
                .seed(1)
                .fit(images(manager))) {
      tuned.ddpm().save(temporary.resolve("model"));
      try (DDPM loaded = DDPM.load(temporary.resolve("model"));
          Samples own = tuned.ddpm().sampling().seed(3).generate(2);
          Samples again = loaded.sampling().seed(3).generate(2)) {
        NDArray expected = own.toNDArray(manager);
        assertThat(again.provenance(0)).containsEntry("sampler", "consistency:2, sigmaMax=80");
        assertThat(again.toNDArray(manager).toFloatArray())
            .containsExactly(expected.toFloatArray());
      }
    }
  }

  /** Through diffusers' folder and a file of ours; the model that was tuned in place, too. */
  @Test
  void savedForOthers_isSampledAsItWasTunedFor(@TempDir Path temporary) throws Exception {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(Execution.COMPILED, false)) {
      DDPM ddpm = ddpm(network, Prediction.EPSILON);
      tuned(ddpm, 20).fit(images(manager)).close();
      Pretrained.saveDiffusers(ddpm, temporary.resolve("diffusers"));
      Path file = temporary.resolve("tuned.safetensors");
      ddpm.saveSafetensors(file);
      float[] expected = drawn(ddpm.sampling().sampler(Samplers.consistency(2)), manager);
      for (Path saved : List.of(temporary.resolve("diffusers"), file)) {
        try (Pretrained loaded = Pretrained.load(saved)) {
          assertThat(drawn(loaded.sampling(), manager)).as("%s", saved).isEqualTo(expected);
          assertThat(drawn(loaded.ddpm().sampling(), manager)).isEqualTo(expected);
          assertThat(loaded.sampler(4)).hasToString("consistency:4");
          assertThat(loaded.audit().differences())
              .contains("tuned for consistency:2, sigmaMax=20; sampling() has it");
          Sampling other = loaded.sampling().sampler(Samplers.ddim(3));
          assertThatThrownBy(() -> other.generate(1))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageStartingWith("the model was tuned for consistency:2, sigmaMax=20: ");
        }
      }
      assertThatThrownBy(() -> Pretrained.saveNpz(ddpm, temporary.resolve("tuned.npz")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the authors' code draws in many calls, but the model was tuned for consistency:2,"
                  + " sigmaMax=20; save it by save(folder)");
      assertThat(temporary.resolve("tuned.npz")).doesNotExist();
    }
  }

  private static Training tuned(DDPM ddpm, double sigmaMax) {
    return ddpm.consistencyTuning(ConsistencyTuning.usual().sigmaMax(sigmaMax))
        .batchSize(4)
        .steps(2)
        .seed(1);
  }

  private static float[] drawn(Sampling sampling, NDManager manager) {
    try (Samples samples = sampling.seed(3).generate(2)) {
      assertThat(samples.provenance(0)).containsEntry("sampler", "consistency:2, sigmaMax=20");
      return samples.toNDArray(manager).toFloatArray();
    }
  }
}
