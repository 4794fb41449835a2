package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.ProcessMemory;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

/** Sampling leaves nothing behind in native memory. */
class SamplingMemoryTest {

  private static final long ALLOWED_BYTES = 16L << 20;
  private static final int SIZE = 16;

  @Test
  void steps_onTheMainThread_doNotGrow() {
    sampleTwoThousandSteps();
  }

  @Test
  void steps_onAWorker_doNotGrow() throws Exception {
    onWorker(SamplingMemoryTest::sampleTwoThousandSteps);
  }

  @Test
  void calls_onTheMainThread_doNotGrow() {
    sampleTwoThousandTimes();
  }

  @Test
  void calls_onAWorker_doNotGrow() throws Exception {
    onWorker(SamplingMemoryTest::sampleTwoThousandTimes);
  }

  private static void onWorker(Runnable task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  /** One run of 2,000 steps of 16 images. */
  private static void sampleTwoThousandSteps() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    int systemBefore = NativeResources.ofSystem();
    List<Integer> resources = new ArrayList<>();
    List<Long> resident = new ArrayList<>();
    try (TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      SamplingListener watch =
          event -> {
            if ((event.step() + 1) % 1000 == 0) {
              NDManager step = event.x().getManager();
              resources.add(
                  NativeResources.of(step.getParentManager())
                      + NativeResources.of(step.getParentManager().getParentManager())
                      + network.managedArrays());
              resident.add(ProcessMemory.residentBytes());
            }
          };
      try (Samples samples =
          DDPM.builder()
              .timesteps(2000)
              .denoiser(network)
              .build()
              .sampling()
              .seed(1)
              .listener(watch)
              .generate(16)) {
        assertThat(samples.size()).isEqualTo(16);
      }
    }
    requireFlat(resources, resident);
    assertThat(NativeResources.ofSystem()).as("after the run").isEqualTo(systemBefore);
  }

  /** 2,000 runs of two steps. */
  private static void sampleTwoThousandTimes() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    List<Integer> resources = new ArrayList<>();
    List<Long> resident = new ArrayList<>();
    try (TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      for (int call = 1; call <= 2000; call++) {
        try (Samples samples =
            ddpm.sampling().sampler(Samplers.ddim(2).eta(1)).seed(call).batchSize(3).generate(4)) {
          assertThat(samples.size()).isEqualTo(4);
        }
        if (call % 1000 == 0) {
          resources.add(NativeResources.ofSystem() + network.managedArrays());
          resident.add(ProcessMemory.residentBytes());
        }
      }
    }
    requireFlat(resources, resident);
  }

  private static void requireFlat(List<Integer> resources, List<Long> resident) {
    assertThat(resources).hasSize(2);
    assertThat(resources.get(1)).as("arrays and managers").isEqualTo(resources.get(0));
    assertThat(resident.get(1) - resident.get(0))
        .as("growth of the resident memory from 1,000 to 2,000")
        .isLessThanOrEqualTo(ALLOWED_BYTES);
  }
}
