package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.MemoryWatch;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * An evaluation leaves nothing behind in native memory: no array in a few batches, and, which takes
 * the slow tests 2,000 network calls each to prove, nothing of the process's memory that no manager
 * knows.
 */
class BitsPerDimMemoryTest {

  private static final int SIZE = 16;
  private static final int TIMESTEPS = 20;
  private static final int FEW_BATCHES = 4;
  private static final int MANY_BATCHES = 100;

  @Test
  void batches_onTheMainThread_leaveNoArrays() {
    evaluate(FEW_BATCHES, MemoryWatch.ofArrays());
  }

  @Test
  void batches_onAWorker_leaveNoArrays() throws Exception {
    onWorker(() -> evaluate(FEW_BATCHES, MemoryWatch.ofArrays()));
  }

  @Test
  @Tag("slow")
  void batches_onTheMainThread_doNotGrow() {
    evaluate(MANY_BATCHES, MemoryWatch.ofProcess());
  }

  @Test
  @Tag("slow")
  void batches_onAWorker_doNotGrow() throws Exception {
    onWorker(() -> evaluate(MANY_BATCHES, MemoryWatch.ofProcess()));
  }

  private static void onWorker(Runnable task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  /** One run of 20 network calls of 8 images per batch. */
  private static void evaluate(int batches, MemoryWatch memory) {
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      NDArray images = manager.ones(new Shape(8L * batches, 1, SIZE, SIZE));
      DDPM.builder()
          .timesteps(TIMESTEPS)
          .denoiser(network)
          .build()
          .bitsPerDim()
          .seed(1)
          .batchSize(8)
          .listener(
              result -> {
                if (result.images() % (8L * batches / 2) == 0) {
                  memory.look();
                }
              })
          .of(new ArrayDataset.Builder().setData(images).setSampling(8, false).build());
    }
    memory.requireFlat();
  }
}
