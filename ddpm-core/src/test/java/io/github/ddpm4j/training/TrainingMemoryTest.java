package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.MemoryWatch;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.PostHocEma;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.model.TinyDenoiser;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Training steps leave nothing behind in native memory: no array in a few steps, and, which takes
 * the slow tests 2,000 steps each to prove, nothing of the process's memory that no manager knows.
 */
class TrainingMemoryTest {

  private static final int SIZE = 16;
  private static final int FEW = 100;
  private static final int MANY = 2000;
  private static final int SETTLED_MILLIS = 500;

  @TempDir private Path folder;

  /** The program of dropout masks stays for good once it is there. */
  @BeforeAll
  static void drawAMask() {
    try (NDManager manager = NDManager.newBaseManager()) {
      EagerOps.training(0, 0).dropout(manager.ones(new Shape(1)), 0.5, 0);
    }
  }

  @Test
  void fit_onTheMainThread_leavesNoArrays() {
    train(FEW, MemoryWatch.ofArrays());
  }

  /** A snapshot is written beside the steps, from arrays that are gone once it is. */
  @Test
  void fit_withSnapshots_leavesNoArrays() {
    PostHocEma averages = PostHocEma.in(folder.resolve("averages")).everySteps(FEW / 4 - 1);
    train(
        FEW,
        MemoryWatch.ofArrays(),
        training -> training.postHocEma(averages).listener(TrainingMemoryTest::settle));
  }

  /** Waits before a look until nothing has been freed for a while. */
  private static void settle(TrainingStepListener.Event event) {
    if (event.step() % (FEW / 2) == 0) {
      int least = NativeResources.inAll();
      long since = System.nanoTime();
      while (System.nanoTime() - since < TimeUnit.MILLISECONDS.toNanos(SETTLED_MILLIS)) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
        int now = NativeResources.inAll();
        if (now < least) {
          least = now;
          since = System.nanoTime();
        }
      }
    }
  }

  @Test
  void fit_onAWorker_leavesNoArrays() throws Exception {
    onWorker(() -> train(FEW, MemoryWatch.ofArrays()));
  }

  @Test
  @Tag("slow")
  void fit_onTheMainThread_doesNotGrow() {
    train(MANY, MemoryWatch.ofProcess());
  }

  @Test
  @Tag("slow")
  void fit_onAWorker_doesNotGrow() throws Exception {
    onWorker(() -> train(MANY, MemoryWatch.ofProcess()));
  }

  private static void onWorker(Runnable task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  private static void train(int steps, MemoryWatch memory) {
    train(steps, memory, training -> {});
  }

  private static void train(int steps, MemoryWatch memory, Consumer<Training> more) {
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1)) {
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.ones(new Shape(16, 1, SIZE, SIZE)))
              .setSampling(1, false)
              .build();
      int before = network.managedArrays();
      TrainingStepListener watch =
          event -> {
            if (event.step() % (steps / 2) == 0) {
              memory.look();
            }
          };
      Training training = DDPM.builder().denoiser(network).build().training();
      training.batchSize(16).steps(steps).seed(1);
      more.accept(training);
      training.listener(watch);
      try (TrainedModel result = training.fit(data)) {
        assertThat(result.losses().steps()).isEqualTo(steps);
      }
      assertThat(network.managedArrays()).as("after the run").isEqualTo(before);
    }
    memory.requireFlat();
  }
}
