package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.ProcessMemory;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

/** An evaluation leaves nothing behind in native memory. */
class BitsPerDimMemoryTest {

  private static final long ALLOWED_BYTES = 16L << 20;
  private static final int SIZE = 16;
  private static final int TIMESTEPS = 20;
  private static final int BATCHES = 100;

  @Test
  void batches_onTheMainThread_doNotGrow() {
    evaluate();
  }

  @Test
  void batches_onAWorker_doNotGrow() throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(BitsPerDimMemoryTest::evaluate).get();
    } finally {
      worker.shutdown();
    }
  }

  /** One run of 2,000 network calls of 8 images. */
  private static void evaluate() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    int systemBefore = NativeResources.ofSystem();
    List<Integer> resources = new ArrayList<>();
    List<Long> resident = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      NDArray images = manager.ones(new Shape(8L * BATCHES, 1, SIZE, SIZE));
      DDPM.builder()
          .timesteps(TIMESTEPS)
          .denoiser(network)
          .build()
          .bitsPerDim()
          .seed(1)
          .batchSize(8)
          .listener(
              result -> {
                if (result.images() % (8 * BATCHES / 2) == 0) {
                  resources.add(NativeResources.ofSystem() + network.managedArrays());
                  resident.add(ProcessMemory.residentBytes());
                }
              })
          .of(new ArrayDataset.Builder().setData(images).setSampling(8, false).build());
    }
    assertThat(resources).hasSize(2);
    assertThat(resources.get(1)).as("arrays and managers").isEqualTo(resources.get(0));
    assertThat(resident.get(1) - resident.get(0))
        .as("growth of the resident memory from 1,000 to 2,000 calls")
        .isLessThanOrEqualTo(ALLOWED_BYTES);
    assertThat(NativeResources.ofSystem()).as("after the run").isEqualTo(systemBefore);
  }
}
