package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.ProcessMemory;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

/** Training steps leave nothing behind in native memory. */
class TrainingMemoryTest {

  private static final long ALLOWED_BYTES = 16L << 20;
  private static final int SIZE = 16;

  @Test
  void fit_onTheMainThread_doesNotGrow() {
    trainTwoThousandSteps();
  }

  @Test
  void fit_onAWorker_doesNotGrow() throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(TrainingMemoryTest::trainTwoThousandSteps).get();
    } finally {
      worker.shutdown();
    }
  }

  private static void trainTwoThousandSteps() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    List<Integer> arrays = new ArrayList<>();
    List<Long> resident = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1)) {
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.ones(new Shape(16, 1, SIZE, SIZE)))
              .setSampling(1, false)
              .build();
      // The program of dropout masks stays for good once it is there.
      EagerOps.training(0, 0).dropout(manager.ones(new Shape(1)), 0.5, 0).close();
      int before = network.managedArrays();
      int systemBefore = manager.getParentManager().getManagedArrays().size();
      TrainingStepListener watch =
          event -> {
            if (event.step() % 1000 == 0) {
              arrays.add(network.managedArrays());
              resident.add(ProcessMemory.residentBytes());
            }
          };
      try (TrainedModel result =
          DDPM.builder()
              .denoiser(network)
              .build()
              .training()
              .batchSize(16)
              .steps(2000)
              .seed(1)
              .listener(watch)
              .fit(data)) {
        assertThat(result.losses().steps()).isEqualTo(2000);
      }
      assertThat(arrays.get(1)).as("arrays of the network").isEqualTo(arrays.get(0));
      assertThat(resident.get(1) - resident.get(0))
          .as("growth of the resident memory from step 1,000 to 2,000")
          .isLessThanOrEqualTo(ALLOWED_BYTES);
      assertThat(network.managedArrays()).as("after the run").isEqualTo(before);
      assertThat(manager.getParentManager().getManagedArrays()).hasSize(systemBefore);
    }
  }
}
