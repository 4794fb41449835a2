package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.MalformedModelException;
import ai.djl.Model;
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
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import ai.djl.translate.NoopTranslator;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Exported networks, loaded back by DJL as any other PyTorch model.
 *
 * <p>The files of the comparisons stay in {@code target/export}, with input and output beside them,
 * for {@code src/test/python/check_export.py}, which says how to have them all.
 *
 * <p>The slow tests are of the paper's network for CIFAR-10: that the size makes no difference.
 */
class TorchScriptExportTest {

  private static final Path FILES = Path.of("target", "export");

  @TempDir private Path folder;
  private NDManager manager;

  @BeforeEach
  void setUp() {
    manager = NDManager.newBaseManager();
  }

  @AfterEach
  void tearDown() {
    manager.close();
  }

  private static UNet network() {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(8)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .attentionAtLevels(1)
        .groups(4)
        .seed(3)
        .build();
  }

  /** Initial outputs are almost 0: noise of the usual size on all weights makes them matter. */
  private static void disturb(UNet unet) {
    try (NDManager temporary = NDManager.newBaseManager();
        GradMode off = GradMode.off()) {
      unet.weights()
          .values()
          .forEach(
              weight ->
                  weight.set(
                      new NDIndex(":"),
                      noise(temporary, weight.getShape()).mul(0.03f).add(weight)));
    }
  }

  /** Numbers between −1 and 1, the same for the same shape. */
  private static NDArray noise(NDManager manager, Shape shape) {
    SplittableRandom random = new SplittableRandom(shape.hashCode());
    double[] values = random.doubles(shape.size(), -1, 1).toArray();
    return manager.create(values, shape).toType(DataType.FLOAT32, false);
  }

  private static NDArray predict(UNet unet, NDArray x, double... timesteps) {
    NoiseLevels levels = Levels.at(timesteps);
    return unet.predict(x, levels, Condition.none());
  }

  /** What the file gives, without anything of this library. */
  private static NDArray run(Path file, NDArray x, NDArray timesteps) throws Exception {
    Criteria<NDList, NDList> criteria =
        Criteria.builder()
            .setTypes(NDList.class, NDList.class)
            .optEngine("PyTorch")
            .optModelPath(file)
            .optTranslator(new NoopTranslator())
            .build();
    try (ZooModel<NDList, NDList> model = criteria.loadModel();
        Predictor<NDList, NDList> predictor = model.newPredictor()) {
      NDArray result = predictor.predict(new NDList(x, timesteps)).singletonOrThrow();
      result.attach(x.getManager());
      return result;
    }
  }

  private static float largest(NDArray values) {
    float largest = 0;
    for (float value : values.toFloatArray()) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  private static void assertSame(NDArray actual, NDArray expected) {
    assertThat(actual.getShape()).isEqualTo(expected.getShape());
    assertThat(actual.getDataType()).isEqualTo(DataType.FLOAT32);
    assertThat(largest(expected)).as("size of the output").isBetween(0.05f, 100f);
    try (NDArray difference = actual.sub(expected)) {
      assertThat(largest(difference)).as("largest difference").isLessThanOrEqualTo(1e-5f);
    }
  }

  /** Exports, compares, and leaves files for Python. */
  private void compare(String name, UNet unet, NDArray x, double... timesteps) throws Exception {
    Path file = FILES.resolve(name + "-" + unet.precision() + ".pt");

    unet.exportTorchScript(file);

    NDArray times = manager.create(timesteps).toType(DataType.FLOAT32, true);
    NDArray expected = predict(unet, x, timesteps);
    Safetensors.write(
        FILES.resolve(name + "-" + unet.precision() + ".safetensors"),
        Map.of("x", x, "timesteps", times, "prediction", expected),
        Map.of());
    assertSame(run(file, x, times), expected);
  }

  @ParameterizedTest
  @CsvSource({
    "paper, FLOAT32",
    "gray, FLOAT32",
    "heads, FLOAT32",
    "allsides, FLOAT32",
    "odd, FLOAT32",
    "single, FLOAT32",
    "paper, BFLOAT16",
    "gray, BFLOAT16",
    "heads, BFLOAT16",
    "odd, BFLOAT16",
    "paper, FLOAT16"
  })
  void exportTorchScript_loadedByDjl_sameOutput(String name, Precision precision) throws Exception {
    Fixture fixture = Fixture.read(name);
    try (UNet unet = fixture.builder().precision(precision).build()) {
      fixture.fill(unet);
      compare(name, unet, fixture.input(manager), fixture.timesteps());
    }
  }

  /** Fourier features, whose phases bfloat16 would lose, and what else other layouts have. */
  @ParameterizedTest
  @CsvSource({"lucidrains_fourier, FLOAT32", "lucidrains_fourier, BFLOAT16", "labml, FLOAT32"})
  void exportTorchScript_otherLayouts_sameOutput(String name, Precision precision)
      throws Exception {
    try (UNet unet = PeerNetworks.builder(name).precision(precision).build()) {
      disturb(unet);
      compare(name, unet, noise(manager, new Shape(2, 3, 8, 8)), 3, 40.25);
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16"})
  @Tag("slow")
  void exportTorchScript_cifar10_sameOutput(Precision precision) throws Exception {
    try (UNet unet = UNet.cifar10().precision(precision).seed(1).build()) {
      disturb(unet);
      compare("cifar10", unet, noise(manager, new Shape(2, 3, 32, 32)), 20, 987.5);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void exportTorchScript_signalsAndVolumes_sameOutput(Precision precision) throws Exception {
    UNetConfig small;
    try (UNet network = network()) {
      small = network.config();
    }
    for (UNetBuilder builder :
        List.of(
            small.toBuilder().signal(1, 16).seed(3),
            small.toBuilder().volume(1, 2, 4, 4).seed(3))) {
      try (UNet unet = builder.precision(precision).build()) {
        disturb(unet);
        Shape shape = new Shape(2).addAll(unet.config().imageShape());
        compare("axes" + shape.dimension(), unet, noise(manager, shape), 3, 801);
      }
    }
  }

  @Test
  void exportTorchScript_eager_sameOutput() throws Exception {
    try (UNet unet = network()) {
      disturb(unet);
      unet.runAs(Execution.EAGER, Precision.FLOAT32);
      Path file = folder.resolve("unet.pt");

      unet.exportTorchScript(file);

      NDArray x = noise(manager, new Shape(1, 1, 8, 8));
      assertSame(run(file, x, manager.create(new float[] {7})), predict(unet, x, 7));
    }
  }

  @Test
  void exportTorchScript_integerTimesteps_areTaken() throws Exception {
    try (UNet unet = network()) {
      disturb(unet);
      Path file = folder.resolve("unet.pt");

      unet.exportTorchScript(file);

      NDArray x = noise(manager, new Shape(2, 1, 8, 8));
      NDArray expected = predict(unet, x, 3, 999);
      assertSame(run(file, x, manager.create(new int[] {3, 999})), expected);
      assertSame(run(file, x, manager.create(new long[] {3, 999})), expected);
      assertSame(run(file, x, manager.create(new double[] {3, 999})), expected);
    }
  }

  /** The optimizer of libtorch rewrites a program after its first calls. */
  @Test
  void exportTorchScript_modelLoad_sameOutputEveryTime()
      throws IOException, MalformedModelException {
    try (UNet unet = network();
        Model model = Model.newInstance("unet", manager.getDevice(), "PyTorch")) {
      disturb(unet);
      unet.exportTorchScript(folder.resolve("unet.pt"));

      model.load(folder);

      ParameterStore store = new ParameterStore(manager, false);
      for (int n = 1; n <= 3; n++) {
        NDArray x = noise(manager, new Shape(n, 1, 8, 8));
        NDArray times = manager.arange(n).mul(100).toType(DataType.FLOAT32, false);
        double[] timesteps = times.toType(DataType.FLOAT64, true).toDoubleArray();
        NDArray actual = model.getBlock().forward(store, new NDList(x, times), false).head();
        assertSame(actual, predict(unet, x, timesteps));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void exportTorchScript_whateverTheGradMode_sameFile(boolean recording) throws Exception {
    try (UNet unet = network()) {
      Path here = folder.resolve("here.pt");
      Path there = folder.resolve("there.pt");
      unet.exportTorchScript(here);
      onAnotherThread(
          () -> {
            try (GradMode mode = recording ? GradMode.on() : GradMode.off()) {
              unet.exportTorchScript(there);
            }
            return null;
          });

      assertThat(there).hasSameBinaryContentAs(here);
    }
  }

  private static void onAnotherThread(Callable<?> task) throws Exception {
    ExecutorService executor = Executors.newSingleThreadExecutor();
    try {
      executor.submit(task).get();
    } finally {
      executor.shutdown();
    }
  }

  @Test
  void exportTorchScript_entriesAndNames() throws IOException {
    try (UNet unet = network()) {
      Path file = folder.resolve("unet.pt");

      unet.exportTorchScript(file);

      try (ZipFile zip = new ZipFile(file.toFile())) {
        TreeSet<String> names = new TreeSet<>();
        zip.stream().map(ZipEntry::getName).forEach(names::add);
        TreeSet<String> expected = new TreeSet<>();
        for (int i = 0; i < unet.weights().size(); i++) {
          expected.add("ddpm4j/data/" + i);
        }
        assertThat(names).containsAll(expected);
        names.removeAll(expected);
        assertThat(names)
            .containsExactly(
                "ddpm4j/code/__torch__.py",
                "ddpm4j/constants.pkl",
                "ddpm4j/data.pkl",
                "ddpm4j/version");
        assertThat(
                new String(
                    zip.getInputStream(zip.getEntry("ddpm4j/code/__torch__.py")).readAllBytes(),
                    StandardCharsets.UTF_8))
            .contains("  def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:\n")
            .contains("getattr(getattr(self.down_blocks, \"0\").resnets, \"0\").conv1.weight");
      }
    }
  }

  @Test
  void exportTorchScript_existingFile_isReplaced() throws IOException {
    try (UNet unet = network()) {
      Path first = folder.resolve("first.pt");
      Path file = Files.writeString(folder.resolve("unet.pt"), "old");
      unet.exportTorchScript(first);

      unet.exportTorchScript(file);

      assertThat(file).hasSameBinaryContentAs(first);
      try (Stream<Path> files = Files.list(folder)) {
        assertThat(files).containsExactlyInAnyOrder(first, file);
      }
    }
  }

  @Test
  void exportTorchScript_toAFolder_isRefusedAndLeavesNothing() throws IOException {
    try (UNet unet = network()) {
      assertThatThrownBy(() -> unet.exportTorchScript(folder))
          .isInstanceOf(IOException.class)
          .hasMessage(folder + " is a folder; name a file in it");
      assertThat(folder).isEmptyDirectory();
    }
  }

  @Test
  void exportTorchScript_insideAFile_isRefusedAndLeavesNothing() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    try (UNet unet = network()) {
      assertThatThrownBy(() -> unet.exportTorchScript(file.resolve("unet.pt")))
          .isInstanceOf(IOException.class)
          .hasMessage(
              file.resolve("unet.pt")
                  + " must lie in a folder, but "
                  + file
                  + " is none; choose another folder");
      assertThat(file).hasContent("old");
    }
  }

  @Test
  void exportTorchScript_closed_isRefusedAndLeavesNothing() {
    UNet unet = network();
    unet.close();

    assertThatThrownBy(() -> unet.exportTorchScript(folder.resolve("unet.pt")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the U-Net is closed and its weights are freed; build or load another one");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void exportTorchScript_beingTrainedElsewhere_isRefused() throws Exception {
    try (UNet unet = network()) {
      Runnable end = unet.beginTraining();
      onAnotherThread(
          () ->
              assertThatThrownBy(() -> unet.exportTorchScript(folder.resolve("unet.pt")))
                  .isInstanceOf(IllegalStateException.class)
                  .hasMessage(
                      "the network is being trained on thread main; wait until fit() returns, or"
                          + " use TrainingStepListener.Event.averaged() inside a TrainingStepListener, or a copy()"
                          + " made before"));
      assertThat(folder).isEmptyDirectory();

      unet.exportTorchScript(folder.resolve("mine.pt"));
      end.run();
      assertThat(folder.resolve("mine.pt")).exists();
    }
  }

  @Test
  void exportTorchScript_afterTraining_averagedAndRaw() throws Exception {
    NDArray images = noise(manager, new Shape(16, 1, 8, 8));
    Dataset dataset = new ArrayDataset.Builder().setData(images).setSampling(1, false).build();
    try (UNet unet = network()) {
      disturb(unet);
      try (TrainedModel result =
          DDPM.builder()
              .denoiser(unet)
              .build()
              .training()
              .batchSize(8)
              .steps(20)
              .learningRate(1e-3)
              .ema(0.9)
              .seed(9)
              .fit(dataset)) {
        UNet averaged = (UNet) result.ddpm().denoiser().orElseThrow();
        UNet raw = (UNet) result.raw().denoiser().orElseThrow();
        averaged.exportTorchScript(folder.resolve("averaged.pt"));
        raw.exportTorchScript(folder.resolve("raw.pt"));

        NDArray x = noise(manager, new Shape(1, 1, 8, 8));
        NDArray time = manager.create(new float[] {100});
        NDArray ofAverage = run(folder.resolve("averaged.pt"), x, time);
        NDArray ofRaw = run(folder.resolve("raw.pt"), x, time);
        assertSame(ofAverage, predict(averaged, x, 100));
        assertSame(ofRaw, predict(unet, x, 100));
        assertThat(largest(ofAverage.sub(ofRaw))).isGreaterThan(1e-3f);
      }
    }
  }

  @Test
  void exportTorchScript_brokenWeights_refused(@TempDir Path folder) {
    Path file = folder.resolve("unet.pt");
    try (UNet unet =
        UNet.builder().image(1, 4, 4).baseChannels(4).channelMultipliers(1).groups(2).build()) {
      Map.Entry<String, NDArray> first = unet.weights().entrySet().iterator().next();
      try (GradMode off = GradMode.off()) {
        first.getValue().set(new NDIndex("0"), Float.NaN);
      }
      assertThatThrownBy(() -> unet.exportTorchScript(file))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "weights must be finite to be saved, but "
                  + first.getKey()
                  + " holds NaN or infinity, with which every prediction is NaN; go back to weights"
                  + " from before, or keep them by DDPM.saveUnchecked(folder) for a look");
    }
    assertThat(file).doesNotExist();
  }
}
