package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What training conditions images on, as the network sees it pass by pass. */
class ConditioningTest {

  private static final long SEED = 4;
  private static final int SIZE = 2;
  private static final int PIXELS = SIZE * SIZE;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** One pass as the network saw it. */
  private static final class Seen {
    private final int[] labels;
    private final double[] vectors;
    private final double @Nullable [] estimate;
    private final double[] xt;

    Seen(int[] labels, double[] vectors, double @Nullable [] estimate, double[] xt) {
      this.labels = labels;
      this.vectors = vectors;
      this.estimate = estimate;
      this.xt = xt;
    }
  }

  /** A network that notes its conditions; it computes something that does not depend on them. */
  private static final class Noting implements TrainableDenoiser {
    private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);
    private final Set<Kind> kinds;
    private final List<Seen> seen = new ArrayList<>();
    private final List<Condition> first = new ArrayList<>();

    /** What the network was asked about for its estimates, and whether gradients were recorded. */
    private final List<double[]> asked = new ArrayList<>();

    private final List<Boolean> recorded = new ArrayList<>();
    private final List<double[]> contexts = new ArrayList<>();

    Noting(Set<Kind> kinds) {
      this.kinds = kinds;
    }

    private static double[] values(Condition condition, Kind kind, NDManager manager) {
      try (NDArray array = condition.array(kind, manager)) {
        return Golden.values(array);
      }
    }

    @Override
    public Set<Kind> conditionKinds() {
      return kinds;
    }

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      first.add(condition);
      asked.add(Golden.values(x));
      recorded.add(JniUtils.isGradMode());
      return network.predict(x, levels, condition);
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
      seen.add(
          new Seen(
              condition.isNone()
                  ? new int[0]
                  : IntStream.range(0, levels.size())
                      .map(i -> condition.label(i).orElse(-1))
                      .toArray(),
              condition.has(Kind.VECTORS)
                  ? values(condition, Kind.VECTORS, x.getManager())
                  : new double[0],
              condition.has(Kind.PREVIOUS_X0)
                  ? values(condition, Kind.PREVIOUS_X0, x.getManager())
                  : null,
              Golden.values(x)));
      if (condition.has(Kind.CONTEXTS)) {
        contexts.add(values(condition, Kind.CONTEXTS, x.getManager()));
      }
      return network.predictForTraining(x, levels, condition, pass);
    }

    @Override
    public Map<String, NDArray> weights() {
      return network.weights();
    }

    @Override
    public TinyDenoiser copy() {
      return network.copy();
    }

    @Override
    public String type() {
      return network.type();
    }

    @Override
    public Map<String, Object> describe() {
      return network.describe();
    }

    @Override
    public void close() {
      network.close();
    }
  }

  /** Image i is of the class i and of i / 20 everywhere. */
  private ArrayDataset data(boolean labels) {
    int count = 16;
    float[] values = new float[count * PIXELS];
    int[] classes = new int[count];
    for (int i = 0; i < count; i++) {
      Arrays.fill(values, i * PIXELS, (i + 1) * PIXELS, i / 20f);
      classes[i] = i;
    }
    ArrayDataset.Builder builder =
        new ArrayDataset.Builder()
            .setData(manager.create(values, new Shape(count, 1, SIZE, SIZE)))
            .setSampling(1, false);
    return (labels ? builder.optLabels(manager.create(classes)) : builder).build();
  }

  private static Training training(TrainableDenoiser network) {
    return DDPM.builder()
        .timesteps(100)
        .denoiser(network)
        .build()
        .training()
        .anyRange()
        .batchSize(8)
        .steps(12)
        .seed(SEED)
        // so that all passes are of one network
        .learningRate(step -> 0);
  }

  private static boolean dropped(long step, long image, double rate) {
    return CounterRandom.of(SEED, CounterRandom.Stream.CONDITION_DROPOUT)
            .at(step, image)
            .nextDouble()
        < rate;
  }

  @Test
  void fit_labels_areTheClassesOfTheirImages() {
    try (Noting network = new Noting(EnumSet.of(Kind.LABELS))) {
      List<double[]> clean = new ArrayList<>();
      training(network)
          .condition(
              (images, labels) -> {
                clean.add(Golden.values(images));
                return Condition.labels(labels.head().toIntArray());
              })
          .fit(data(true))
          .close();
      List<Seen> byFunction = List.copyOf(network.seen);
      network.seen.clear();
      training(network).fit(data(true)).close();
      assertThat(network.seen).hasSize(12);
      for (int step = 0; step < 12; step++) {
        int[] labels = network.seen.get(step).labels;
        assertThat(labels).isEqualTo(byFunction.get(step).labels).hasSize(8);
        for (int i = 0; i < labels.length; i++) {
          assertThat(clean.get(step)[i * PIXELS]).isEqualTo(labels[i] / 20f);
        }
      }
    }
  }

  @Test
  void conditionDropout_seedStepAndImage_decide() {
    try (Noting network = new Noting(EnumSet.of(Kind.LABELS, Kind.VECTORS))) {
      Training training =
          training(network)
              .conditionDropout(0.3)
              .condition(
                  (images, labels) ->
                      Condition.labels(labels.head().toIntArray())
                          .and(Condition.vectors(images.reshape(8, PIXELS).add(1))));
      try (TrainedModel result = training.fit(data(true))) {
        assertThat(result.ddpm().provenance()).containsEntry("conditionDropout", 0.3);
      }
      int drops = 0;
      for (int step = 0; step < 12; step++) {
        Seen seen = network.seen.get(step);
        for (int i = 0; i < 8; i++) {
          boolean dropped = dropped(step, i, 0.3);
          drops += dropped ? 1 : 0;
          assertThat(seen.labels[i] == -1).as("step %s, image %s", step, i).isEqualTo(dropped);
          for (int p = 0; p < PIXELS; p++) {
            assertThat(seen.vectors[i * PIXELS + p])
                .isEqualTo(dropped ? 0 : 1 + seen.labels[i] / 20f);
          }
        }
      }
      assertThat(drops).as("of 96").isBetween(15, 45);
    }
  }

  @Test
  void conditionDropout_contexts_becomeThoseOfNoCondition() {
    NDArray empty = manager.full(new Shape(1, 2, 3), -1f);
    try (Noting network = new Noting(EnumSet.of(Kind.CONTEXTS))) {
      training(network)
          .conditionDropout(0.3)
          .condition((images, labels) -> Condition.contexts(tokens(labels), empty))
          .fit(data(true))
          .close();
      int drops = 0;
      for (int step = 0; step < 12; step++) {
        double[] seen = network.contexts.get(step);
        assertThat(seen).hasSize(8 * 6);
        for (int i = 0; i < 8; i++) {
          boolean dropped = dropped(step, i, 0.3);
          drops += dropped ? 1 : 0;
          assertThat(seen[6 * i] == -1).as("step %s, image %s", step, i).isEqualTo(dropped);
        }
      }
      assertThat(drops).as("of 96").isBetween(15, 45);
      Training without =
          training(network)
              .conditionDropout(0.3)
              .condition((images, labels) -> Condition.contexts(tokens(labels)));
      assertThatThrownBy(() -> without.fit(data(true)))
          .hasMessageMatching(
              "conditionDropout was 0\\.3, but nothing stands for none beside the context of image"
                  + " \\d+ of (batch 0 of )?the dataset; give the encoded empty text as well, by"
                  + " Condition\\.contexts\\(contexts, unconditional\\)");
    }
  }

  private static NDArray tokens(NDList labels) {
    NDArray classes = labels.head().toType(DataType.FLOAT32, true).reshape(-1, 1, 1);
    return classes.tile(new long[] {1, 2, 3});
  }

  @Test
  void conditionDropout_accumulation_sameImagesOfAStep() {
    try (Noting network = new Noting(EnumSet.of(Kind.LABELS))) {
      training(network).conditionDropout(0.5).fit(data(true)).close();
      List<Seen> whole = List.copyOf(network.seen);
      network.seen.clear();
      training(network).conditionDropout(0.5).batchSize(2).accumulation(4).fit(data(true)).close();
      assertThat(network.seen).hasSize(48);
      for (int pass = 0; pass < 48; pass++) {
        for (int i = 0; i < 2; i++) {
          assertThat(network.seen.get(pass).labels[i])
              .as("step %s, image %s", pass / 4, pass % 4 * 2 + i)
              .isEqualTo(whole.get(pass / 4).labels[pass % 4 * 2 + i]);
        }
      }
    }
  }

  @Test
  void selfConditioning_halfOfTheSteps_clippedEstimateWithoutGradient() {
    try (Noting network = new Noting(EnumSet.of(Kind.LABELS, Kind.PREVIOUS_X0))) {
      training(network).accumulation(2).fit(data(true)).close();
      Schedule schedule = DDPM.builder().timesteps(100).build().schedule();
      int estimates = 0;
      double clipped = 0;
      for (int step = 0; step < 12; step++) {
        boolean drawn =
            CounterRandom.of(SEED, CounterRandom.Stream.SELF_CONDITIONING).at(step, 0).nextDouble()
                < 0.5;
        for (int i = 0; i < 2; i++) {
          Seen seen = network.seen.get(2 * step + i);
          assertThat(seen.estimate != null).as("step %s", step).isEqualTo(drawn);
          if (seen.estimate == null) {
            continue;
          }
          Condition before = network.first.get(estimates++);
          assertThat(before.has(Kind.PREVIOUS_X0)).isFalse();
          assertThat(before.label(3)).hasValue(seen.labels[3]);
          double[] output;
          try (NDArray x =
                  manager.create(floats(seen.xt), new Shape(8, 1, SIZE, SIZE)).duplicate();
              NDArray predicted =
                  network.network.predict(
                      x, NoiseLevels.of(schedule, new int[8]), Condition.none())) {
            output = Golden.values(predicted);
          }
          int[] t = timesteps(2L * step + i);
          double[] expected = new double[output.length];
          for (int k = 0; k < output.length; k++) {
            int of = t[k / PIXELS];
            double x0 = (seen.xt[k] - schedule.noise(of) * output[k]) / schedule.signal(of);
            expected[k] = Math.max(-1, Math.min(1, x0));
            clipped += x0 != expected[k] ? 1 : 0;
          }
          Golden.assertClose("estimate", seen.estimate, expected, 1e-5);
        }
      }
      assertThat(network.first).hasSize(estimates);
      assertThat(estimates).isBetween(4, 20);
      assertThat(clipped).isPositive();
    }
  }

  /** EDM's network sees x_t scaled, when it makes its estimate as when it is trained. */
  @Test
  void selfConditioning_underEdm_estimateOfWhatTheNetworkSees() {
    double sigmaData = 0.5;
    try (Noting network = new Noting(EnumSet.of(Kind.PREVIOUS_X0))) {
      DDPM.builder()
          .timesteps(100)
          .prediction(Prediction.edm(sigmaData))
          .denoiser(network)
          .build()
          .training()
          .batchSize(8)
          .steps(12)
          .learningRate(1e-30)
          .seed(SEED)
          .anyRange()
          .fit(data(false))
          .close();
      Schedule schedule = DDPM.builder().timesteps(100).build().schedule();
      int estimates = 0;
      for (int step = 0; step < 12; step++) {
        Seen seen = network.seen.get(step);
        if (seen.estimate == null) {
          continue;
        }
        double[] asked = network.asked.get(estimates++);
        Golden.assertClose("input", asked, seen.xt, 1e-6);
        double[] output;
        try (NDArray x = manager.create(floats(seen.xt), new Shape(8, 1, SIZE, SIZE)).duplicate();
            NDArray predicted =
                network.network.predict(
                    x, NoiseLevels.of(schedule, new int[8]), Condition.none())) {
          output = Golden.values(predicted);
        }
        int[] t = timesteps(step);
        double[] expected = new double[output.length];
        for (int k = 0; k < output.length; k++) {
          double noise = schedule.noise(t[k / PIXELS]);
          double signal = schedule.signal(t[k / PIXELS]);
          // Karras et al. 2022, table 1, for x_t = signal · x_0 + noise · ε
          double d = Math.hypot(noise, signal * sigmaData);
          double skip = signal * sigmaData * sigmaData / (d * d);
          double x0 = skip * d * seen.xt[k] + noise * sigmaData / d * output[k];
          expected[k] = Math.max(-1, Math.min(1, x0));
        }
        Golden.assertClose("estimate", seen.estimate, expected, 1e-5);
      }
      assertThat(network.asked).hasSize(estimates);
      assertThat(estimates).isBetween(2, 10);
    }
  }

  /** Nothing that a run asks beside its step is recorded, even where the thread records. */
  @Test
  void estimatesAndConditions_recordNoGradients() {
    try (Noting network = new Noting(EnumSet.of(Kind.VECTORS, Kind.PREVIOUS_X0));
        GradMode on = GradMode.on()) {
      training(network)
          .condition(
              (images, labels) -> {
                network.recorded.add(JniUtils.isGradMode());
                return Condition.vectors(images.reshape(8, PIXELS));
              })
          .fit(data(false))
          .close();
      assertThat(network.recorded).hasSizeGreaterThan(12).containsOnly(false);
      assertThat(JniUtils.isGradMode()).isTrue();
    }
  }

  private static int[] timesteps(long pass) {
    var random = CounterRandom.of(SEED, CounterRandom.Stream.TIMESTEPS).at(pass, 0);
    return IntStream.range(0, 8).map(i -> random.nextInt(100)).toArray();
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  @Test
  void fit_unconditionalNetwork_leavesLabelsAlone() {
    try (Noting network = new Noting(Set.of())) {
      training(network).fit(data(true)).close();
      assertThat(network.seen).allSatisfy(seen -> assertThat(seen.labels).isEmpty());
    }
  }

  @Test
  void fit_networkAndDataThatDoNotFit_refused() {
    try (Noting plain = new Noting(Set.of());
        Noting classes = new Noting(EnumSet.of(Kind.LABELS));
        Noting images = new Noting(EnumSet.of(Kind.LABELS, Kind.IMAGES, Kind.PREVIOUS_X0))) {
      refused(
          "the network has classes, but the data has no labels; use a dataset with labels, or call"
              + " condition((images, labels) -> ...)",
          () -> training(classes).fit(data(false)));
      refused(
          "the network is conditioned on labels and images, which the labels of the data alone do"
              + " not tell; call condition((images, labels) -> ...)",
          () -> training(images).fit(data(true)));
      refused(
          "the run has a condition, but the network takes no condition; build it for one, as by"
              + " UNet.builder().classes(n), or leave condition(...) out",
          () -> training(plain).condition((x, labels) -> Condition.none()).fit(data(true)));
      refused(
          "conditionDropout was 0.1, but the network takes no condition; build it for one, as by"
              + " UNet.builder().classes(n), or leave conditionDropout(...) out",
          () -> training(plain).conditionDropout(0.1).fit(data(true)));
      refused(
          "the condition of a batch of 8 images must be of as many images, by labels, but was"
              + " Condition.none(); use dropped(...) or Condition.ABSENT for images without a"
              + " condition",
          () -> training(classes).condition((x, labels) -> Condition.none()).fit(data(true)));
      refused(
          "the condition of a batch of 8 images must be of as many images, by labels, but was"
              + " Condition of 2 images by labels [1, 2]; use dropped(...) or Condition.ABSENT for"
              + " images without a condition",
          () -> training(classes).condition((x, labels) -> Condition.labels(1, 2)).fit(data(true)));
      refused(
          "training makes the previous x̂_0 itself, but the condition of a batch was Condition of 8"
              + " images by labels [1, 1, 1, 1, 1, 1, 1, 1] and images (1, 2, 2) and previous x̂_0 (1,"
              + " 2, 2); leave it out",
          () ->
              training(images)
                  .condition(
                      (x, labels) ->
                          Condition.labels(1, 1, 1, 1, 1, 1, 1, 1)
                              .and(Condition.images(x))
                              .and(Condition.previousX0(x)))
                  .fit(data(true)));
      refused(
          "conditionDropout must be in [0, 1], but was -0.1",
          () -> training(classes).conditionDropout(-0.1));
      refused(
          "conditionDropout must be in [0, 1], but was NaN",
          () -> training(classes).conditionDropout(Double.NaN));
    }
  }

  @Test
  void fit_learnedVarianceOfANetworkWithoutIt_refused() {
    try (Noting network = new Noting(Set.of())) {
      refused(
          "variance LEARNED_RANGE is the network's to say, but the network predicts none; build it"
              + " with UNet.builder().learnedVariance(), let your own say so by"
              + " predictsVariance(), or build DDPM with Variance.FIXED_LARGE",
          () -> DDPM.builder().variance(Variance.LEARNED_RANGE).denoiser(network).build());
    }
  }

  @Test
  void fit_labelsThatAreNoClasses_refused() {
    try (Noting classes = new Noting(EnumSet.of(Kind.LABELS))) {
      NDArray images = manager.zeros(new Shape(16, 1, SIZE, SIZE));
      refused(
          "labels must have the shape (N) or (N, 1), one class per image, but there are 8 images"
              + " and labels of the shape (8, 3); call condition((images, labels) -> ...) to make"
              + " conditions of them",
          () -> training(classes).fit(labelled(images, manager.ones(new Shape(16, 3)))));
      refused(
          "labels must be whole numbers, the classes, but that of image 7 of the dataset was 0.5;"
              + " call condition((images, labels) -> ...) to make conditions of them",
          () -> training(classes).fit(labelled(images, manager.full(new Shape(16), 0.5f))));
      training(classes).steps(1).fit(labelled(images, manager.ones(new Shape(16, 1)))).close();
      assertThat(classes.seen.get(0).labels).containsOnly(1);
    }
  }

  private static ArrayDataset labelled(NDArray images, NDArray labels) {
    return new ArrayDataset.Builder()
        .setData(images)
        .optLabels(labels)
        .setSampling(1, false)
        .build();
  }

  private static void refused(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }
}
