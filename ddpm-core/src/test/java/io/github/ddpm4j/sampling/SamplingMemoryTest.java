package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.MemoryWatch;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Sampling leaves nothing behind in native memory: no array in a few steps, and, which takes the
 * slow tests 2,000 steps or runs each to prove, nothing of the process's memory that no manager
 * knows.
 */
class SamplingMemoryTest {

  private static final int SIZE = 16;
  private static final int FEW = 80;
  private static final int MANY = 2000;

  @Test
  void steps_onTheMainThread_leaveNoArrays() {
    sampleSteps(FEW, MemoryWatch.ofArrays());
  }

  @Test
  void steps_onAWorker_leaveNoArrays() throws Exception {
    onWorker(() -> sampleSteps(FEW, MemoryWatch.ofArrays()));
  }

  @Test
  void calls_onTheMainThread_leaveNoArrays() {
    sampleTimes(FEW, MemoryWatch.ofArrays());
  }

  @Test
  void calls_onAWorker_leaveNoArrays() throws Exception {
    onWorker(() -> sampleTimes(FEW, MemoryWatch.ofArrays()));
  }

  @Test
  void mixedRuns_onAWorker_leaveNoArrays() throws Exception {
    onWorker(() -> sampleInSharedCalls(FEW, MemoryWatch.ofArrays()));
  }

  @Test
  @Tag("slow")
  void steps_onTheMainThread_doNotGrow() {
    sampleSteps(MANY, MemoryWatch.ofProcess());
  }

  @Test
  @Tag("slow")
  void steps_onAWorker_doNotGrow() throws Exception {
    onWorker(() -> sampleSteps(MANY, MemoryWatch.ofProcess()));
  }

  @Test
  @Tag("slow")
  void calls_onTheMainThread_doNotGrow() {
    sampleTimes(MANY, MemoryWatch.ofProcess());
  }

  @Test
  @Tag("slow")
  void calls_onAWorker_doNotGrow() throws Exception {
    onWorker(() -> sampleTimes(MANY, MemoryWatch.ofProcess()));
  }

  @Test
  @Tag("slow")
  void mixedRuns_onAWorker_doNotGrow() throws Exception {
    onWorker(() -> sampleInSharedCalls(MANY, MemoryWatch.ofProcess()));
  }

  private static void onWorker(Runnable task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  /** One run, of 16 images. */
  private static void sampleSteps(int steps, MemoryWatch memory) {
    try (TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      Consumer<SamplingRun.Event> watch =
          event -> {
            if ((event.step() + 1) % (steps / 2) == 0) {
              memory.look();
            }
          };
      try (Samples samples =
          DDPM.builder()
              .timesteps(steps)
              .denoiser(network)
              .build()
              .sampling()
              .seed(1)
              .listener(watch)
              .generate(16)) {
        assertThat(samples.size()).isEqualTo(16);
      }
    }
    memory.requireFlat();
  }

  /** Many runs, of two steps. */
  private static void sampleTimes(int runs, MemoryWatch memory) {
    try (TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      for (int call = 1; call <= runs; call++) {
        try (Samples samples =
            ddpm.sampling().sampler(Samplers.ddim(2).eta(1)).seed(call).batchSize(3).generate(4)) {
          assertThat(samples.size()).isEqualTo(4);
        }
        if (call % (runs / 2) == 0) {
          memory.look();
        }
      }
    }
    memory.requireFlat();
  }

  /**
   * Network calls that runs of different plans share: two that are guided towards classes, one of
   * them between levels, one that fills in, one left before its end, and a plain one.
   */
  private static void sampleInSharedCalls(int total, MemoryWatch memory) {
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
      while (calls < total) {
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
        if (calls % (total / 2) == 0) {
          memory.look();
        }
      }
    }
    memory.requireFlat();
  }

  private static Sampling run(DDPM ddpm, Sampler sampler) {
    return ddpm.sampling().sampler(sampler).shape(1, SIZE, SIZE).seed(1);
  }

  private static double[] shifts(Condition condition, int images) {
    return IntStream.range(0, images)
        .mapToDouble(i -> condition.isNone() ? 0 : 0.1 * condition.label(i).orElse(-1))
        .toArray();
  }
}
