package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.training.TrainingListener;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The U-Net leaves nothing behind in native memory, in training and in sampling. */
class UNetMemoryTest {

  private static final long ALLOWED_KB = 16 << 10;
  private static final int SIDE = 8;
  private static final int HALF = 1000;
  private static final int STEPS = 2 * HALF;
  private static final int NETWORKS = 200;

  @Test
  void training_onTheMainThread_doesNotGrow() {
    train(Execution.COMPILED, Precision.FLOAT32, 1);
  }

  @Test
  void sampling_onTheMainThread_doesNotGrow() {
    sample(Execution.COMPILED, Precision.BFLOAT16);
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void sampling_onAWorker_doesNotGrow(Execution execution) throws Exception {
    onWorker(() -> sample(execution, Precision.FLOAT32));
  }

  @ParameterizedTest
  @Tag("slow")
  @CsvSource({
    "COMPILED, FLOAT32, 3",
    "COMPILED, BFLOAT16, 1",
    "COMPILED, BFLOAT16, 3",
    "EAGER, FLOAT32, 3"
  })
  void training_onTheMainThread_doesNotGrow(
      Execution execution, Precision precision, int accumulation) {
    train(execution, precision, accumulation);
  }

  @ParameterizedTest
  @Tag("slow")
  @CsvSource({
    "COMPILED, FLOAT32, 1",
    "COMPILED, FLOAT32, 3",
    "COMPILED, BFLOAT16, 1",
    "COMPILED, BFLOAT16, 3",
    "EAGER, FLOAT32, 1"
  })
  void training_onAWorker_doesNotGrow(Execution execution, Precision precision, int accumulation)
      throws Exception {
    onWorker(() -> train(execution, precision, accumulation));
  }

  @ParameterizedTest
  @Tag("slow")
  @EnumSource(Execution.class)
  void sampling_onTheMainThread_doesNotGrow(Execution execution) {
    sample(execution, Precision.FLOAT32);
  }

  @Test
  @Tag("slow")
  void samplingInBfloat16_onAWorker_doesNotGrow() throws Exception {
    onWorker(() -> sample(Execution.COMPILED, Precision.BFLOAT16));
  }

  /**
   * Each is compiled, run and closed, and some are trained: no code, no array and no file of it
   * stays.
   */
  @Test
  void networks_openedUsedAndClosed_leaveNothing() {
    assumeTrue(NativeMemory.isKnown(), "this system does not tell the resident memory");
    List<Long> resident = new ArrayList<>();
    int resources = NativeMemory.resources();
    Set<String> folders = temporaryFolders();
    try (NDManager manager = NDManager.newBaseManager()) {
      ArrayDataset data = data(manager);
      for (int i = 1; i <= NETWORKS; i++) {
        Precision precision = i % 8 < 4 ? Precision.FLOAT32 : Precision.BFLOAT16;
        try (UNet network = network(Execution.COMPILED, precision)) {
          DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();
          if (i % 4 == 0) {
            ddpm.training().batchSize(4).accumulation(1 + i % 3).steps(1).seed(1).fit(data).close();
          }
          try (Samples samples = ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).generate(1)) {
            assertThat(samples.size()).isOne();
          }
        }
        if (i % (NETWORKS / 2) == 0) {
          resident.add(NativeMemory.residentKb());
        }
      }
    }
    assertFlat(resident, "from network 100 to 200");
    assertThat(NativeMemory.resources()).as("arrays, managers, programs").isEqualTo(resources);
    assertThat(temporaryFolders()).as("folders for temporary files").isEqualTo(folders);
  }

  /** Those that DJL makes for models. */
  private static Set<String> temporaryFolders() {
    String[] names =
        new File(System.getProperty("java.io.tmpdir"))
            .list((folder, name) -> name.startsWith("pt-model"));
    return new TreeSet<>(Arrays.asList(names));
  }

  private static void onWorker(Runnable task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  private static UNet network(Execution execution, Precision precision) {
    return UNet.builder()
        .image(1, SIDE, SIDE)
        .baseChannels(8)
        .channelMultipliers(1)
        .residualBlocks(1)
        .attentionAtLevels(0)
        .groups(4)
        .dropout(0.1)
        .seed(1)
        .execution(execution)
        .precision(precision)
        .build();
  }

  private static ArrayDataset data(NDManager manager) {
    return new ArrayDataset.Builder()
        .setData(manager.zeros(new Shape(8, 1, SIDE, SIDE)).sub(0.5))
        .setSampling(1, false)
        .build();
  }

  private static void train(Execution execution, Precision precision, int accumulation) {
    assumeTrue(NativeMemory.isKnown(), "this system does not tell the resident memory");
    // What is made once for the whole process is there after the first step.
    train(execution, precision, accumulation, 1, event -> {});
    List<Long> resident = new ArrayList<>();
    List<Integer> resources = new ArrayList<>();
    int before = NativeMemory.resources();
    train(
        execution,
        precision,
        accumulation,
        STEPS,
        event -> {
          if (event.step() % HALF == 0) {
            resources.add(NativeMemory.resources());
            resident.add(NativeMemory.residentKb());
          }
        });
    assertFlat(resources, resident, before);
  }

  private static void train(
      Execution execution,
      Precision precision,
      int accumulation,
      int steps,
      TrainingListener listener) {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(execution, precision);
        TrainingResult result =
            DDPM.builder()
                .denoiser(network)
                .build()
                .training()
                .batchSize(4)
                .accumulation(accumulation)
                .steps(steps)
                .seed(1)
                .listener(listener)
                .fit(data(manager))) {
      assertThat(result.losses().steps()).isEqualTo(steps);
    }
  }

  private static void sample(Execution execution, Precision precision) {
    assumeTrue(NativeMemory.isKnown(), "this system does not tell the resident memory");
    List<Long> resident = new ArrayList<>();
    List<Integer> resources = new ArrayList<>();
    int before = NativeMemory.resources();
    try (UNet network = network(execution, precision);
        Samples samples =
            DDPM.builder()
                .timesteps(STEPS)
                .denoiser(network)
                .build()
                .sampling()
                .seed(1)
                .listener(
                    event -> {
                      if (event.step() % HALF == HALF - 2) {
                        resources.add(NativeMemory.resources());
                        resident.add(NativeMemory.residentKb());
                      }
                    })
                .generate(4)) {
      assertThat(samples.size()).isEqualTo(4);
    }
    assertFlat(resources, resident, before);
  }

  private static void assertFlat(List<Integer> resources, List<Long> resident, int before) {
    assertFlat(resident, "from step 1,000 to 2,000");
    assertThat(resources.get(1)).as("arrays at step 2,000").isEqualTo(resources.get(0));
    assertThat(NativeMemory.resources()).as("arrays after the run").isEqualTo(before);
  }

  private static void assertFlat(List<Long> resident, String when) {
    assertThat(resident).hasSize(2);
    assertThat(resident.get(1) - resident.get(0))
        .as("growth in kB %s", when)
        .isLessThanOrEqualTo(ALLOWED_KB);
  }
}
