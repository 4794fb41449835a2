package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.ProcessMemory;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.stream.IntStream;
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

  @Test
  void mixedRuns_onAWorker_doNotGrow() throws Exception {
    onWorker(SamplingMemoryTest::sampleInSharedCalls);
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
      Consumer<SamplingEvent> watch =
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

  /**
   * 2,000 network calls that runs of different plans share: two that are guided towards classes,
   * one of them between levels, one that fills in, one left before its end, and a plain one.
   */
  private static void sampleInSharedCalls() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    List<Integer> resources = new ArrayList<>();
    List<Long> resident = new ArrayList<>();
    int calls = 0;
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      Denoiser labelled =
          (x, levels, condition) ->
              network
                  .predict(x, levels, condition)
                  .add(PerImage.column(x, shifts(condition, levels.size())));
      DDPM ddpm = DDPM.builder().denoiser(labelled).build();
      NDArray known = manager.zeros(new Shape(2, 1, SIZE, SIZE));
      NDArray mask = manager.ones(new Shape(1, 1, SIZE, SIZE));
      mask.set(new NDIndex(":, :, :, 8:"), 0);
      while (calls < 2000) {
        try (SamplingRun plain = run(ddpm, Samplers.ddpm(4)).start(3);
            SamplingRun guided =
                run(ddpm, Samplers.dpmSolverPlusPlus(7).order(3))
                    .condition(Condition.labels(0, 1))
                    .guidance(Guidance.classifierFree(3).rescale(0.7))
                    .dynamicThresholding(0.9, 2)
                    .start(2);
            SamplingRun between =
                run(ddpm, Samplers.uniPc(6).order(3))
                    .condition(Condition.labels(2))
                    .guidance(Guidance.classifierFree(2).interval(0.1, 10))
                    .start(2);
            SamplingRun filling =
                run(ddpm, Samplers.resampling(Samplers.ddpm(4), 2, 2))
                    .startInpainting(known, mask);
            SamplingRun left = run(ddpm, Samplers.heun(20)).start(2)) {
          List<SamplingRun> going = List.of(plain, guided, between, filling, left);
          for (int step = 0; step < 8; step++) {
            SamplingRun.advance(going.stream().filter(SamplingRun::hasNext).toList());
            calls++;
          }
          for (SamplingRun run : List.of(plain, guided, between, filling)) {
            run.finish().close();
          }
        }
        if (calls % 1000 == 0) {
          resources.add(
              NativeResources.of(manager) + NativeResources.ofSystem() + network.managedArrays());
          resident.add(ProcessMemory.residentBytes());
        }
      }
    }
    requireFlat(resources, resident);
  }

  private static Sampling run(DDPM ddpm, Sampler sampler) {
    return ddpm.sampling().sampler(sampler).shape(1, SIZE, SIZE).seed(1);
  }

  private static double[] shifts(Condition condition, int images) {
    return IntStream.range(0, images)
        .mapToDouble(i -> condition.isNone() ? 0 : 0.1 * condition.label(i).orElse(-1))
        .toArray();
  }

  private static void requireFlat(List<Integer> resources, List<Long> resident) {
    assertThat(resources).hasSize(2);
    assertThat(resources.get(1)).as("arrays and managers").isEqualTo(resources.get(0));
    assertThat(resident.get(1) - resident.get(0))
        .as("growth of the resident memory from 1,000 to 2,000")
        .isLessThanOrEqualTo(ALLOWED_BYTES);
  }
}
