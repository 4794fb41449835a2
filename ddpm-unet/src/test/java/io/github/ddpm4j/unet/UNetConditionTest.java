package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.training.ParameterStore;
import ai.djl.translate.NoopTranslator;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.UNet.Execution;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The network with conditions: what it makes of them, refuses, saves and exports. */
class UNetConditionTest {

  private static final int CLASSES = 3;

  /** Rounding alone differs. */
  private static final float TOLERANCE = 1e-5f;

  @TempDir private Path folder;
  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder plain() {
    return UNet.builder()
        .image(1, 4, 8)
        .levelChannels(8, 12)
        .groups(4)
        .attentionAtLevels(1)
        .residualBlocks(1)
        .seed(1);
  }

  private static UNetBuilder conditional() {
    return plain().classes(CLASSES).vectorCondition(5).imageCondition(2).selfConditioning();
  }

  /** A network all of whose weights matter. */
  private UNet disturbed(UNetBuilder builder) {
    UNet unet = builder.build();
    try (GradMode off = GradMode.off()) {
      unet.weights()
          .values()
          .forEach(w -> w.set(new NDIndex("..."), noise(w.getShape(), 0.2).add(w)));
    }
    return unet;
  }

  private NDArray noise(Shape shape, double scale) {
    SplittableRandom random = new SplittableRandom(shape.hashCode());
    double[] values = random.doubles(shape.size(), -scale, scale).toArray();
    return manager.create(values, shape).toType(DataType.FLOAT32, false).duplicate();
  }

  private NDArray x(int n) {
    return noise(new Shape(n, 1, 4, 8), 1);
  }

  private Condition every(int n) {
    int[] labels = new int[n];
    for (int i = 0; i < n; i++) {
      labels[i] = i % CLASSES;
    }
    return Condition.labels(labels)
        .and(Condition.vectors(noise(new Shape(n, 5), 1)))
        .and(Condition.images(noise(new Shape(n, 2, 4, 8), 1)))
        .and(Condition.previousX0(noise(new Shape(n, 1, 4, 8), 0.5)));
  }

  private static NoiseLevels levels(int n) {
    double[] t = new double[n];
    for (int i = 0; i < n; i++) {
      t[i] = 40 + 100 * i;
    }
    return Levels.at(t);
  }

  private static float largest(float[] a, float[] b) {
    assertThat(a).hasSameSizeAs(b);
    float largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  private float[] predict(UNet unet, int n, Condition condition) {
    return unet.predict(x(n), levels(n), condition).toFloatArray();
  }

  /* ---------------- What conditions do ---------------- */

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_conditions_eachImageByItsOwn(Execution execution) {
    try (UNet unet = disturbed(conditional().execution(execution))) {
      Condition condition = every(3);
      float[] together = predict(unet, 3, condition);
      int pixels = together.length / 3;
      for (int i = 0; i < 3; i++) {
        try (NDArray x = x(3);
            NDArray one = x.get(new NDIndex("{}:{}", (long) i, i + 1L))) {
          NoiseLevels level = Levels.at(40 + 100 * i);
          float[] alone = unet.predict(one, level, condition.select(i)).toFloatArray();
          float[] part = Arrays.copyOfRange(together, i * pixels, (i + 1) * pixels);
          assertThat(largest(alone, part)).as("image %s", i).isLessThan(TOLERANCE);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_oneKindLess_anotherPrediction(Execution execution) {
    try (UNet unet = disturbed(conditional().execution(execution))) {
      float[] whole = predict(unet, 2, every(2));
      for (Kind kind : unet.conditionKinds()) {
        Condition without = without(every(2), kind);
        assertThat(without.has(kind)).isFalse();
        assertThat(largest(predict(unet, 2, without), whole)).as("%s", kind).isGreaterThan(1e-3f);
      }
    }
  }

  private Condition without(Condition condition, Kind left) {
    Condition rest = Condition.none();
    for (Kind kind : Kind.values()) {
      if (kind != left && condition.has(kind)) {
        rest =
            rest.and(
                switch (kind) {
                  case LABELS -> Condition.labels(0, 1);
                  case VECTORS -> Condition.vectors(condition.array(kind, manager));
                  case IMAGES -> Condition.images(condition.array(kind, manager));
                  case CONTEXTS -> Condition.contexts(condition.array(kind, manager));
                  case PREVIOUS_X0 -> Condition.previousX0(condition.array(kind, manager));
                });
      }
    }
    return rest;
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_absent_nullClassAndZeros(Execution execution) {
    try (UNet unet = disturbed(conditional().execution(execution))) {
      float[] none = predict(unet, 2, Condition.none());
      Condition zeros =
          Condition.labels(Condition.ABSENT, Condition.ABSENT)
              .and(Condition.vectors(manager.zeros(new Shape(2, 5))))
              .and(Condition.images(manager.zeros(new Shape(2, 2, 4, 8))))
              .and(Condition.previousX0(manager.zeros(new Shape(2, 1, 4, 8))));
      assertThat(predict(unet, 2, zeros)).isEqualTo(none);
      assertThat(predict(unet, 2, without(every(2), Kind.PREVIOUS_X0).dropped())).isEqualTo(none);

      assertThat(largest(predict(unet, 2, Condition.labels(1, 1)), none)).isGreaterThan(1e-3f);
      NDArray table = unet.weights().get("class_embedding.weight");
      assertThat(table).isNotNull();
      assertThat(table.getShape()).isEqualTo(new Shape(CLASSES + 1, 32));
      try (GradMode off = GradMode.off()) {
        table.set(new NDIndex("{}", (long) CLASSES), table.get(1));
      }
      assertThat(predict(unet, 2, Condition.none()))
          .as("the last row is that of no class")
          .isEqualTo(predict(unet, 2, Condition.labels(1, 1)));
    }
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_learnedVariance_twiceTheChannels(Execution execution) {
    try (UNet unet = disturbed(plain().learnedVariance().execution(execution))) {
      assertThat(unet.predictsVariance()).isTrue();
      assertThat(unet.predict(x(2), levels(2), Condition.none()).getShape())
          .isEqualTo(new Shape(2, 2, 4, 8));
      assertThat(unet.getOutputShapes(new Shape[] {new Shape(2, 1, 4, 8), new Shape(2)}))
          .containsExactly(new Shape(2, 2, 4, 8));
    }
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_conditions_leaveThePredictionAlone(Execution execution) {
    try (UNet unet = disturbed(conditional().execution(execution));
        NDManager arrays = manager.newSubManager();
        NDManager own = manager.newSubManager()) {
      Condition condition = Condition.vectors(arrays.ones(new Shape(2, 5)));
      condition = condition.and(Condition.images(arrays.ones(new Shape(2, 2, 4, 8))));
      Condition mixed = condition.concat(Condition.labels(1)).select(2, 0);
      NDArray x = own.ones(new Shape(2, 1, 4, 8));
      unet.predict(x, levels(2), mixed).close();
      int before = own.getManagedArrays().size();
      int borrowed = arrays.getManagedArrays().size();
      for (int i = 0; i < 3; i++) {
        unet.predict(x, levels(2), mixed).close();
        unet.predict(x, levels(2), condition.dropped()).close();
      }
      assertThat(own.getManagedArrays()).hasSize(before);
      assertThat(arrays.getManagedArrays()).hasSize(borrowed);
    }
  }

  @Test
  void copyAndModelFolder_conditional_samePredictions() throws Exception {
    try (UNet unet = disturbed(conditional().learnedVariance())) {
      float[] expected = predict(unet, 2, every(2));
      try (UNet copy = unet.copy()) {
        assertThat(predict(copy, 2, every(2))).isEqualTo(expected);
      }
      DDPM.builder().denoiser(unet).build().save(folder.resolve("model"));
      try (DDPM loaded = DDPM.load(folder.resolve("model"))) {
        UNet other = (UNet) loaded.denoiser().orElseThrow();
        assertThat(other.config()).isEqualTo(unet.config());
        assertThat(other.conditionKinds())
            .containsExactlyElementsOf(unet.conditionKinds())
            .hasSize(4);
        assertThat(predict(other, 2, every(2))).isEqualTo(expected);
      }
    }
  }

  @Test
  void forward_asBlock_inputsInTheOrderOfTheKinds() {
    try (UNet unet = disturbed(conditional())) {
      Condition condition = every(2);
      NDList inputs =
          new NDList(
              x(2), manager.create(new float[] {40, 140}), manager.create(new int[] {0, -1}));
      for (Kind kind : new Kind[] {Kind.VECTORS, Kind.IMAGES, Kind.PREVIOUS_X0}) {
        inputs.add(condition.array(kind, manager));
      }
      Condition same = without(condition, Kind.LABELS).and(Condition.labels(0, Condition.ABSENT));
      assertThat(
              unet.forward(new ParameterStore(manager, false), inputs, false).head().toFloatArray())
          .isEqualTo(predict(unet, 2, same));
      refused(
          "the U-Net takes 6 inputs, images, timesteps, condition: labels, condition: vectors,"
              + " condition: images and condition: previous x̂_0, but got 2",
          () -> unet.forward(new ParameterStore(manager, false), inputs.subNDList(0, 2), false));
    }
  }

  @Test
  void exportTorchScript_conditional_conditionsAreInputs() throws Exception {
    try (UNet unet = disturbed(conditional())) {
      Path file = folder.resolve("unet.pt");
      unet.exportTorchScript(file);
      Condition condition = every(2);
      NDList inputs =
          new NDList(
              x(2),
              manager.create(new float[] {40, 140}),
              manager.create(new long[] {0, CLASSES}),
              condition.array(Kind.VECTORS, manager),
              condition.array(Kind.IMAGES, manager),
              condition.array(Kind.PREVIOUS_X0, manager));
      Criteria<NDList, NDList> criteria =
          Criteria.builder()
              .setTypes(NDList.class, NDList.class)
              .optEngine("PyTorch")
              .optModelPath(file)
              .optTranslator(new NoopTranslator())
              .build();
      Condition same = without(condition, Kind.LABELS).and(Condition.labels(0, Condition.ABSENT));
      try (ZooModel<NDList, NDList> model = criteria.loadModel();
          Predictor<NDList, NDList> predictor = model.newPredictor()) {
        assertThat(largest(predictor.predict(inputs).head().toFloatArray(), predict(unet, 2, same)))
            .isLessThan(TOLERANCE);
      }
    }
  }

  /* ---------------- What is refused ---------------- */

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_badCondition_refused(Execution execution) {
    try (UNet unet = conditional().execution(execution).build();
        UNet plain = plain().execution(execution).build()) {
      refusedBy(
          unet,
          "labels must be between 0 and 2, because the U-Net has 3 classes, but that of image 1 was"
              + " 3; use Condition.ABSENT for an image without a class",
          Condition.labels(2, 3));
      refusedBy(
          unet,
          "there must be one condition per image, but there are 2 images and conditions for 3",
          Condition.labels(0, 1, 2));
      refusedBy(
          unet,
          "the condition's vectors must have the shape (2, 5), as the U-Net was built for, but have"
              + " (2, 4)",
          Condition.vectors(manager.ones(new Shape(2, 4))));
      refusedBy(
          unet,
          "the condition's images must have the shape (2, 2, 4, 8), as the U-Net was built for, but"
              + " have (2, 2, 8, 4)",
          Condition.images(manager.ones(new Shape(2, 2, 8, 4))));
      refusedBy(
          plain,
          "the U-Net cannot be conditioned on labels, but was given a Condition of 2 images by"
              + " labels [0, -]; build it with classes(n), or leave them out",
          Condition.labels(0, Condition.ABSENT));
      refusedBy(
          plain,
          "the U-Net cannot be conditioned on previous x̂_0, but was given a Condition of 2 images by"
              + " previous x̂_0 (1, 4, 8); build it with selfConditioning(), or leave them out",
          Condition.previousX0(x(2)));
    }
  }

  private void refusedBy(UNet unet, String message, Condition condition) {
    refused(message, () -> unet.predict(x(2), levels(2), condition));
    refused(
        message,
        () ->
            unet.predictForTraining(x(2), levels(2), condition, new TrainableDenoiser.Pass(1, 0)));
  }

  private static void refused(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @Test
  void builder_badNumbers_refused() {
    refused("classes must be at least 1, but was 0", () -> plain().classes(0));
    refused("vector condition must be at least 1, but was -1", () -> plain().vectorCondition(-1));
    refused("image condition must be at least 1, but was 0", () -> plain().imageCondition(0));
  }
}
