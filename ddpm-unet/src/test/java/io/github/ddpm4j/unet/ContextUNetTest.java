package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser.Pass;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.unet.UNet.Execution;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What it predicts is compared with the Python module's numbers in {@code TeaPearceTest}. */
class ContextUNetTest {

  private static final ContextUNet.Config SMALL = new ContextUNet.Config(1, 8, 3, 20);

  @TempDir private Path folder;

  private final Random random = new Random(7);

  /** Counted by the module's own code. */
  @ParameterizedTest
  @CsvSource({"1, 128, 10, 6585601", "1, 256, 10, 26311169", "1, 8, 10, 26641"})
  void parameterCount_itsSizes_asTheModule(int channels, int features, int classes, long count) {
    assertThat(new ContextUNet.Config(channels, features, classes, 400).parameterCount())
        .isEqualTo(count);
  }

  @Test
  void predict_compiledAndEager_sameNumbers() {
    try (NDManager manager = NDManager.newBaseManager();
        ContextUNet network = SMALL.build(3);
        ContextUNet copy = network.copy()) {
      perturb(network);
      perturb(copy);
      NDArray x = gaussian(manager, new Shape(3, 1, 28, 28), 1);
      Condition labels = Condition.labels(2, Condition.ABSENT, 0);
      float[] compiled = network.predict(x, Levels.at(0, 3, 19), labels).toFloatArray();
      float[] eager =
          copy.runAs(Execution.EAGER).predict(x, Levels.at(0, 3, 19), labels).toFloatArray();
      float[] training =
          network.predictForTraining(x, Levels.at(0, 3, 19), labels, new Pass(1, 0)).toFloatArray();
      for (int i = 0; i < compiled.length; i++) {
        assertThat(eager[i]).isCloseTo(compiled[i], within(1e-4f * (1 + Math.abs(compiled[i]))));
        assertThat(training[i]).isCloseTo(compiled[i], within(1e-4f * (1 + Math.abs(compiled[i]))));
      }
      // Nothing of it depends on the other images, as batch norms in training would.
      float[] alone =
          network.predict(x.get(new NDIndex("1:2")), Levels.at(3), Condition.none()).toFloatArray();
      for (int i = 0; i < alone.length; i++) {
        assertThat(alone[i]).isCloseTo(compiled[784 + i], within(1e-4f));
      }
    }
  }

  /** Past a stem of zeros the image gets only where its channels are those of the stem. */
  @Test
  void predict_stemOfZeros_imagePastItWhereWidthsAreEqual() {
    for (int channels : new int[] {8, 1}) {
      try (NDManager manager = NDManager.newBaseManager();
          ContextUNet network = new ContextUNet.Config(channels, 8, 3, 20).build(3)) {
        try (GradMode off = GradMode.off()) {
          Objects.requireNonNull(off);
          network
              .weights()
              .forEach(
                  (name, weight) -> {
                    if (name.startsWith("init_conv")) {
                      weight.set(new float[(int) weight.size()]);
                    }
                  });
        }
        Shape shape = new Shape(1, channels, 28, 28);
        float[] one =
            network
                .predict(gaussian(manager, shape, 1), Levels.at(1), Condition.none())
                .toFloatArray();
        float[] two =
            network
                .predict(gaussian(manager, shape, 1), Levels.at(1), Condition.none())
                .toFloatArray();
        assertThat(Arrays.equals(one, two)).isEqualTo(channels == 1);
      }
    }
  }

  /** So that nothing is 0 or 1 by its start. */
  private static void perturb(ContextUNet network) {
    Random values = new Random(11);
    try (GradMode off = GradMode.off()) {
      Objects.requireNonNull(off);
      network
          .weights()
          .values()
          .forEach(
              weight -> {
                float[] all = weight.toFloatArray();
                for (int i = 0; i < all.length; i++) {
                  all[i] += 0.2f * (values.nextFloat() - 0.5f);
                }
                weight.set(all);
              });
    }
  }

  @Test
  void gradient_everyWeightAndInput_asCentralDifferences() {
    ContextNetwork network = new ContextNetwork(SMALL);
    try (NDManager manager = NDManager.newBaseManager()) {
      Map<String, NDArray> values = new LinkedHashMap<>();
      network
          .parameters()
          .forEach(spec -> values.put(spec.name(), gaussian(manager, spec.shape(), 0.5)));
      values.put("x", gaussian(manager, new Shape(1, 1, 28, 28), 1));
      values.put("levels", gaussian(manager, new Shape(1, 1), 1));
      values.put("classes", gaussian(manager, new Shape(1, 3), 1));
      NDArray target = gaussian(manager, new Shape(1, 1, 28, 28), 1);
      values.replaceAll((name, value) -> value.toType(DataType.FLOAT64, true));
      NDArray wide = target.toType(DataType.FLOAT64, true);
      new GradientCheck(manager, values, 1e-6, (of, pass) -> loss(network, of, wide, pass))
          .requireCloseByLayer(1e-5);
    }
  }

  private static NDArray loss(
      ContextNetwork network, Map<String, NDArray> values, NDArray target, NDManager pass) {
    EagerOps ops = EagerOps.inference();
    List<NDArray> weights = new ArrayList<>();
    network.parameters().forEach(spec -> weights.add(values.get(spec.name())));
    NDArray x = Objects.requireNonNull(values.get("x"));
    NDArray view = x.reshape(x.getShape());
    view.attach(pass);
    NDArray y =
        network.forward(
            ops,
            weights,
            view,
            Objects.requireNonNull(values.get("levels")),
            List.of(Objects.requireNonNull(values.get("classes"))));
    return ops.meanPerImage(ops.square(ops.subtract(y, target))).sum();
  }

  @Test
  void fit_everyWay_sameLosses() {
    double[] compiled = losses(Execution.COMPILED, Recomputation.none());
    double[] recomputed = losses(Execution.COMPILED, Recomputation.everywhere());
    double[] eager = losses(Execution.EAGER, Recomputation.none());
    for (int i = 0; i < 3; i++) {
      assertThat(recomputed[i]).isCloseTo(compiled[i], within(1e-4 * compiled[i]));
      assertThat(eager[i]).isCloseTo(compiled[i], within(1e-3 * compiled[i]));
    }
  }

  private double[] losses(Execution execution, Recomputation recomputation) {
    try (NDManager manager = NDManager.newBaseManager();
        ContextUNet network = SMALL.build(3).runAs(execution);
        TrainedModel trained =
            DDPM.builder()
                .timesteps(20)
                .dataRange(0, 1)
                .denoiser(network)
                .build()
                .training()
                .batchSize(4)
                .steps(3)
                .seed(5)
                .learningRate(4e-3)
                .conditionDropout(0.1)
                .recomputation(recomputation)
                .fit(images(manager))) {
      return trained.losses().toArray();
    }
  }

  private static ArrayDataset images(NDManager manager) {
    Random values = new Random(3);
    float[] pixels = new float[8 * 784];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = values.nextFloat();
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(pixels, new Shape(8, 1, 28, 28)))
        .optLabels(manager.create(new float[] {0, 1, 2, 0, 1, 2, 0, 1}))
        .setSampling(4, false)
        .build();
  }

  @Test
  void save_andLoad_sameNetwork() throws IOException {
    try (ContextUNet network = SMALL.build(3)) {
      perturb(network);
      DDPM.builder().timesteps(20).denoiser(network).build().save(folder);
      try (DDPM loaded = DDPM.load(folder)) {
        ContextUNet again = loaded.denoiser(ContextUNet.class);
        assertThat(again.config()).isEqualTo(SMALL);
        assertThat(again.weights().keySet()).isEqualTo(network.weights().keySet());
        again
            .weights()
            .forEach((name, weight) -> assertThat(weight).isEqualTo(network.weights().get(name)));
      }
    }
  }

  @Test
  void config_impossible_refused() {
    assertThatThrownBy(() -> new ContextUNet.Config(1, 12, 10, 400))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("features must be a multiple of 8, but was 12");
    assertThatThrownBy(() -> new ContextUNet.Config(1, 8, 0, 400))
        .hasMessage("classes must be between 1 and 100000, but was 0");
    assertThatThrownBy(() -> new ContextUNet.Config(1, 8, 2_000_000_000, 400))
        .hasMessage("classes must be between 1 and 100000, but was 2000000000");
    assertThatThrownBy(
            () -> ContextUNet.Config.of(Map.of("imageChannels", 1, "features", 8, "sides", 3)))
        .hasMessage(
            "the ContextUNet has the unknown setting \"sides\"; known are classes, features,"
                + " imageChannels, timesteps");
  }

  @Test
  void predict_whatItCannot_refused() {
    try (NDManager manager = NDManager.newBaseManager()) {
      ContextUNet network = SMALL.build(3);
      NDArray x = manager.zeros(new Shape(1, 1, 28, 28));
      assertThatThrownBy(() -> network.predict(x, Levels.at(1), Condition.labels(3)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "labels must be between 0 and 2, because the ContextUNet has 3 classes, but that of"
                  + " image 0 was 3; use Condition.ABSENT for an image without a class");
      assertThatThrownBy(() -> network.predict(x, Levels.at(1), Condition.vectors(x)))
          .isInstanceOf(IllegalArgumentException.class);
      Condition vectors = Condition.vectors(manager.zeros(new Shape(1, 4)));
      assertThatThrownBy(() -> network.predict(x, Levels.at(1), vectors))
          .hasMessage(
              "the ContextUNet cannot be conditioned on vectors, but was given a "
                  + vectors
                  + "; leave them out");
      NDArray small = manager.zeros(new Shape(1, 1, 8, 8));
      assertThatThrownBy(() -> network.predict(small, Levels.at(1), Condition.none()))
          .hasMessage("images must have the shape (N, 1, 28, 28), but have (1, 1, 8, 8)");
      network.close();
      network.close();
      assertThatThrownBy(() -> network.predict(x, Levels.at(1), Condition.none()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the ContextUNet is closed and its weights are freed; build or load another one");
    }
  }

  private NDArray gaussian(NDManager manager, Shape shape, double sd) {
    double[] all = random.doubles(shape.size(), -1.7 * sd, 1.7 * sd).toArray();
    try (NDArray values = manager.create(all, shape)) {
      return values.toType(DataType.FLOAT32, true);
    }
  }
}
