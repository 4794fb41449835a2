package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The U-Net leaves nothing behind in native memory, in training and in sampling. */
class UNetMemoryTest {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final long ALLOWED_KB = 16 << 10;
  private static final int SIDE = 8;
  private static final int HALF = 1000;
  private static final int STEPS = 2 * HALF;

  @Test
  void training_onTheMainThread_doesNotGrow() {
    train();
  }

  @Test
  void sampling_onAWorker_doesNotGrow() throws Exception {
    onWorker(UNetMemoryTest::sample);
  }

  @Test
  @Tag("slow")
  void training_onAWorker_doesNotGrow() throws Exception {
    onWorker(UNetMemoryTest::train);
  }

  @Test
  @Tag("slow")
  void sampling_onTheMainThread_doesNotGrow() {
    sample();
  }

  private static void onWorker(Runnable task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  private static UNet network() {
    assumeTrue(Files.isReadable(STATUS), "this system does not tell the resident memory");
    return UNet.builder()
        .image(1, SIDE, SIDE)
        .baseChannels(8)
        .channelMultipliers(1)
        .residualBlocks(1)
        .attentionAtLevels(0)
        .groups(4)
        .dropout(0.1)
        .seed(1)
        .build();
  }

  private static void train() {
    List<Long> resident = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network()) {
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.zeros(new Shape(8, 1, SIDE, SIDE)))
              .setSampling(1, false)
              .build();
      try (TrainingResult result =
          DDPM.builder()
              .denoiser(network)
              .build()
              .training()
              .batchSize(4)
              .steps(STEPS)
              .seed(1)
              .listener(
                  event -> {
                    if (event.step() % HALF == 0) {
                      resident.add(residentKb());
                    }
                  })
              .fit(data)) {
        assertThat(result.losses().steps()).isEqualTo(STEPS);
      }
    }
    assertFlat(resident);
  }

  private static void sample() {
    List<Long> resident = new ArrayList<>();
    try (UNet network = network();
        Samples samples =
            DDPM.builder()
                .timesteps(STEPS)
                .denoiser(network)
                .build()
                .sampling()
                .seed(1)
                .listener(
                    event -> {
                      if ((event.step() + 1) % HALF == 0) {
                        resident.add(residentKb());
                      }
                    })
                .generate(4)) {
      assertThat(samples.size()).isEqualTo(4);
    }
    assertFlat(resident);
  }

  private static void assertFlat(List<Long> resident) {
    assertThat(resident.get(1) - resident.get(0))
        .as("growth in kB from step 1,000 to 2,000")
        .isLessThanOrEqualTo(ALLOWED_KB);
  }

  private static long residentKb() {
    try {
      return Files.readAllLines(STATUS).stream()
          .filter(line -> line.startsWith("VmRSS:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
