package io.github.ddpm4j.pretrained;

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
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.ContextUNet;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ContextUnet of Conditional Diffusion MNIST, with an output that its own code made. */
class TeaPearceTest {

  private static final Set<String> BESIDE =
      Set.of("input", "timesteps", "labels", "mask", "output");

  /** In the module's counting, 100, 400 and 1 of 400; the mask drops the second class. */
  private static final double[] TIMESTEPS = {99, 399, 0};

  private static final Path DDP =
      Path.of("../ddpm-core/src/test/resources/torch/teapearce-ddp.pth");

  private static final String PAGE =
      """
      Network of Conditional Diffusion MNIST
      Weights from FILE, below "module.nn_model."
      26,641 parameters
      Tensors used:
        56 batch norms made factors and summands, which are not written back
        58 copied
      Tensors without a meaning for the network, left out:
      IDLE
      7 other tensors in the file, not looked at
      Different from the defaults of this library:
        schedule of 400 single values of β
        data range [0.0, 1.0]
        sampling without clipping; sampling() has it
        network type = contextUnet
        network imageChannels = 1
        network features = 8
        network classes = 10
        network timesteps = 400
      Assumed, since neither the file nor the caller says:
        images in [0.0, 1.0], as the script has them""";

  @TempDir private Path folder;

  private static Map<String, NDArray> all(NDManager manager) throws IOException {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (TensorSource source = TensorFiles.open(Peer.resource("/peers/teapearce.safetensors"))) {
      for (String name : source.tensors().keySet()) {
        all.put(name, source.read(name, manager));
      }
    }
    return all;
  }

  private static Map<String, NDArray> weights(NDManager manager) throws IOException {
    Map<String, NDArray> weights = new LinkedHashMap<>();
    try (TensorSource source = TensorFiles.open(Peer.resource("/peers/teapearce.safetensors"))) {
      for (String name : source.tensors().keySet()) {
        if (!BESIDE.contains(name) && !name.endsWith("num_batches_tracked")) {
          weights.put(name, source.readFloat32(name, manager));
        }
      }
    }
    return weights;
  }

  private Path file(NDManager manager) throws IOException {
    Path file = folder.resolve("context.safetensors");
    Safetensors.write(file, weights(manager), Map.of());
    return file;
  }

  @Test
  void load_stateDict_sameOutput() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        Pretrained model = Pretrained.load(file(manager))) {
      requireOutput(model.ddpm().denoiser(ContextUNet.class), manager);
      assertThat(model.audit().assumed())
          .containsExactly(
              "the schedule of the script, 400 steps, of which the file has no word",
              "images in [0.0, 1.0], as the script has them");
      assertThat(model.ddpm().schedule().timesteps()).isEqualTo(400);
    }
  }

  @Test
  void load_checkpointOfDataParallel_sameOutputAndItsSchedule() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        Pretrained model = Pretrained.load(DDP)) {
      DDPM ddpm = model.ddpm();
      requireOutput(ddpm.denoiser(ContextUNet.class), manager);
      // The level that the module calls 1 has two values of beta, and is our first.
      double step = (0.02 - 1e-4) / 400;
      double first = (1 - 1e-4) * (1 - 1e-4 - step);
      assertThat(ddpm.schedule().timesteps()).isEqualTo(400);
      assertThat(ddpm.schedule().alphaBar(0)).isCloseTo(first, within(1e-15));
      assertThat(ddpm.schedule().beta(1)).isCloseTo(1e-4 + 2 * step, within(1e-15));
      assertThat(ddpm.schedule().beta(399)).isCloseTo(0.02, within(1e-15));
      try (TensorSource source = TensorFiles.open(DDP)) {
        float[] buffer = source.readFloat32("module.alphabar_t", manager).toFloatArray();
        for (int t = 0; t < 400; t++) {
          assertThat(ddpm.schedule().alphaBar(t)).isCloseTo(buffer[t + 1], within(1e-5));
        }
      }
      assertThat(ddpm.dataRange()).isEqualTo(new DataRange(0, 1));
      assertThat(ddpm.variance()).isEqualTo(Variance.FIXED_LARGE);
      String idle = String.join("\n  ", model.audit().unused());
      assertThat(model.audit().unused()).hasSize(14);
      assertThat(model.audit().toString())
          .isEqualTo(PAGE.replace("FILE", DDP.toString()).replace("IDLE", "  " + idle));
    }
  }

  private static void requireOutput(ContextUNet network, NDManager manager) throws IOException {
    Map<String, NDArray> all = all(manager);
    NDArray x = Objects.requireNonNull(all.get("input")).toType(DataType.FLOAT32, false);
    float[] expected = Objects.requireNonNull(all.get("output")).toFloatArray();
    Condition condition = Condition.labels(3, Condition.ABSENT, 0);
    for (Execution execution : Execution.values()) {
      network.runAs(execution);
      assertSame(execution.toString(), predict(network, x, condition, TIMESTEPS), expected);
      try (ContextUNet copy = network.copy()) {
        assertSame("copy", predict(copy, x, condition, TIMESTEPS), expected);
      }
    }
  }

  private static float[] predict(
      Denoiser network, NDArray x, Condition condition, double... timesteps) {
    NoiseLevels levels =
        NoiseLevels.of(Arrays.stream(timesteps).mapToObj(t -> new Level(t, 1, 1)).toList());
    try (NDArray output = network.predict(x, levels, condition)) {
      return output.toFloatArray();
    }
  }

  /** |Δ| at most 1e-5 · (1 + |expected|). */
  private static void assertSame(String what, float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      worst = Math.max(worst, difference / (1 + Math.abs(expected[i])));
    }
    System.out.printf(Locale.ROOT, "%s: largest difference %.2g of 1 + |x|%n", what, worst);
    // The divisor 1.414 is not √2, which would be off by 5e-5.
    assertThat(worst).as(what).isLessThanOrEqualTo(1e-5);
  }

  /** What is copied is the same bit by bit; what is folded does not come back. */
  @Test
  void write_asTheModule_whatIsFoldedRefused() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        Pretrained model = Pretrained.load(file(manager))) {
      Map<String, NDArray> theirs = weights(manager);
      ContextUNet network = model.ddpm().denoiser(ContextUNet.class);
      Map<String, NDArray> ours = network.weights();
      int same = 0;
      for (Map.Entry<String, NDArray> entry : ours.entrySet()) {
        String name = entry.getKey();
        NDArray original = Objects.requireNonNull(theirs.get(name), name);
        assertThat(entry.getValue().getShape()).as(name).isEqualTo(original.getShape());
        if (!name.contains(".conv1.1.") && !name.contains(".conv2.1.")) {
          assertThat(entry.getValue().toFloatArray()).as(name).isEqualTo(original.toFloatArray());
          same++;
        }
      }
      assertThat(same).isEqualTo(58);
      // The folded ones by hand.
      String norm = "down1.model.0.conv2.1.";
      float[] variance = floats(theirs, norm + "running_var");
      float[] mean = floats(theirs, norm + "running_mean");
      for (int i = 0; i < variance.length; i++) {
        double factor = floats(theirs, norm + "weight")[i] / Math.sqrt(variance[i] + 1e-5);
        assertThat(floats(ours, norm + "weight")[i]).isCloseTo((float) factor, within(0f));
        assertThat(floats(ours, norm + "bias")[i])
            .isCloseTo((float) (floats(theirs, norm + "bias")[i] - mean[i] * factor), within(0f));
      }
      NameTable table = TeaPearce.table(network.config());
      assertThatThrownBy(() -> table.write(ours, manager))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "batch norms became factors and summands when they were loaded, and their statistics"
                  + " are not written back; save the model by save(folder)");
    }
  }

  private static float[] floats(Map<String, NDArray> weights, String name) {
    return Objects.requireNonNull(weights.get(name), name).toFloatArray();
  }

  @Test
  void training_goesOn_lossFalls() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        Pretrained model = Pretrained.load(DDP);
        TrainedModel trained =
            model
                .ddpm()
                .training()
                .batchSize(8)
                .steps(24)
                .seed(5)
                .learningRate(2e-3)
                .conditionDropout(0.1)
                .fit(images(manager))) {
      double[] losses = trained.losses().toArray();
      double before = Arrays.stream(losses, 0, 6).average().orElseThrow();
      double after = Arrays.stream(losses, 18, 24).average().orElseThrow();
      assertThat(after).as("from %s", before).isLessThan(0.8 * before);
      trained.ddpm().save(folder.resolve("saved"));
      Path file = folder.resolve("own.safetensors");
      trained.ddpm().saveSafetensors(file);
      try (Pretrained again = Pretrained.load(file)) {
        assertThat(again.audit().differences()).isEqualTo(model.audit().differences());
        assertThat(again.ddpm().denoiser(ContextUNet.class).weights().get("out.3.bias"))
            .isEqualTo(trained.ddpm().denoiser(ContextUNet.class).weights().get("out.3.bias"));
      }
      try (DDPM again = DDPM.load(folder.resolve("saved"))) {
        ContextUNet own = trained.ddpm().denoiser(ContextUNet.class);
        again
            .denoiser(ContextUNet.class)
            .weights()
            .forEach((name, weight) -> assertThat(weight).isEqualTo(own.weights().get(name)));
      }
    }
  }

  private static ArrayDataset images(NDManager manager) {
    Random random = new Random(3);
    float[] values = new float[8 * 784];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(8, 1, 28, 28)))
        .optLabels(manager.create(new float[] {0, 1, 2, 3, 4, 5, 6, 7}))
        .setSampling(8, false)
        .build();
  }

  @Test
  void load_whatDoesNotGoTogether_refused() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Path file = file(manager);
      refused(
          Pretrained.options().image(3, 8, 8),
          file,
          file
              + " is a network of Conditional Diffusion MNIST for images of [1, 28, 28], but"
              + " options().image(...) was [3, 8, 8]");
      UNetConfig other = UNet.builder().image(1, 32, 32).config();
      refused(
          Pretrained.options().architecture(other),
          file,
          file
              + " is a network of Conditional Diffusion MNIST, whose weights tell its"
              + " architecture: leave out options().architecture(...)");
      // With another schedule, the network is told parts of its T.
      try (Pretrained model =
          Pretrained.options().image(1, 28, 28).schedule(Schedules.linear(500)).load(file)) {
        assertThat(model.ddpm().denoiser(ContextUNet.class).config().timesteps()).isEqualTo(500);
        assertThat(model.audit().assumed())
            .isEqualTo(List.of("images in [0.0, 1.0], as the script has them"));
      }
      Map<String, NDArray> damaged = new LinkedHashMap<>(weights(manager));
      damaged.remove("up1.model.2.conv1.1.running_mean");
      Path lacking = folder.resolve("lacking.safetensors");
      Safetensors.write(lacking, damaged, Map.of());
      refused(
          Pretrained.options(),
          lacking,
          lacking
              + " does not have the weights of this network; missing (1):"
              + " up1.model.2.conv1.1.running_mean");
    }
  }

  private static void refused(Pretrained.Options options, Path file, String message) {
    assertThatThrownBy(() -> options.load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(message);
  }
}
