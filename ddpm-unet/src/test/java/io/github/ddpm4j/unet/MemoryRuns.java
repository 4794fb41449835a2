package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.File;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntConsumer;

/** Runs of a tiny network, for those who watch what they leave in memory. */
final class MemoryRuns {

  private static final int SIDE = 8;
  private static final int BATCH = 4;
  private static final Duration WAIT = Duration.ofMinutes(1);

  private MemoryRuns() {}

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
        .setData(manager.zeros(new Shape(2 * BATCH, 1, SIDE, SIDE)).sub(0.5))
        .setSampling(1, false)
        .build();
  }

  static void train(
      Execution execution,
      Precision precision,
      int accumulation,
      int steps,
      TrainingStepListener listener) {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(execution, precision);
        TrainedModel result =
            DDPM.builder()
                .denoiser(network)
                .build()
                .training()
                .batchSize(BATCH)
                .accumulation(accumulation)
                .steps(steps)
                .seed(1)
                .listener(listener)
                .fit(data(manager))) {
      assertThat(result.losses().steps()).isEqualTo(steps);
    }
  }

  /**
   * Draws with as many steps.
   *
   * @param listener is given the number of the step, from 1
   */
  static void sample(Execution execution, Precision precision, int steps, IntConsumer listener) {
    int[] done = {0};
    try (UNet network = network(execution, precision);
        Samples samples =
            DDPM.builder()
                .timesteps(steps)
                .denoiser(network)
                .build()
                .sampling()
                .seed(1)
                .listener(event -> listener.accept(++done[0]))
                .generate(BATCH)) {
      assertThat(samples.size()).isEqualTo(BATCH);
    }
    assertThat(done[0]).isEqualTo(steps);
  }

  /**
   * Compiles networks one after the other, runs and closes each, and trains every fourth.
   *
   * @param listener is given the number of the network, from 1
   */
  static void openUseAndClose(int networks, IntConsumer listener) {
    try (NDManager manager = NDManager.newBaseManager()) {
      ArrayDataset data = data(manager);
      for (int i = 1; i <= networks; i++) {
        Precision precision = i % 8 < 4 ? Precision.FLOAT32 : Precision.BFLOAT16;
        try (UNet network = network(Execution.COMPILED, precision)) {
          DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();
          if (i % 4 == 0) {
            ddpm.training()
                .batchSize(BATCH)
                .accumulation(1 + i % 3)
                .steps(1)
                .seed(1)
                .fit(data)
                .close();
          }
          try (Samples samples = ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).generate(1)) {
            assertThat(samples.size()).isOne();
          }
        }
        listener.accept(i);
      }
    }
  }

  /** The folders that DJL makes for models; the build runs tests with a temporary folder apart. */
  static Set<String> temporaryFolders() {
    String[] names =
        new File(System.getProperty("java.io.tmpdir"))
            .list((folder, name) -> name.startsWith("pt-model"));
    return new TreeSet<>(Arrays.asList(names));
  }

  /** Those that stay beside the known ones; other virtual machines of the build come and go. */
  static Set<String> temporaryFoldersBeside(Set<String> known) throws InterruptedException {
    Set<String> left = temporaryFolders();
    left.removeAll(known);
    for (long end = System.nanoTime() + WAIT.toNanos();
        !left.isEmpty() && System.nanoTime() < end;
        Thread.sleep(100)) {
      left.retainAll(temporaryFolders());
    }
    return left;
  }

  /** Runs a task here, or to its end on a thread of its own. */
  static void on(boolean worker, Runnable task) throws Exception {
    if (!worker) {
      task.run();
      return;
    }
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      thread.submit(task).get();
    } finally {
      thread.shutdown();
    }
  }
}
