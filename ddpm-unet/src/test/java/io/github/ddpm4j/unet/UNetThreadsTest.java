package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Many threads use compiled networks at once, and each gets what it would get alone.
 *
 * <p>The slow tests are the same over more steps: that what a rare order of the threads would spoil
 * does not come up either.
 */
class UNetThreadsTest {

  private static final int THREADS = 8;
  private static final int IMAGES = 24;
  private static final int SIDE = 8;

  /** How a training run is set up. */
  private record Run(Precision precision, int accumulation, int steps, long seed) {}

  @ParameterizedTest
  @EnumSource(
      value = Precision.class,
      names = {"FLOAT32", "BFLOAT16"})
  void eightThreadsSample_whileAnotherTrains_allAsAlone(Precision precision) throws Exception {
    assertAllAsAlone(new Run(precision, 2, 4, 5));
  }

  @ParameterizedTest
  @Tag("slow")
  @EnumSource(
      value = Precision.class,
      names = {"FLOAT32", "BFLOAT16"})
  void eightThreadsSample_whileAnotherTrainsForLong_allAsAlone(Precision precision)
      throws Exception {
    assertAllAsAlone(new Run(precision, 2, 30, 5));
  }

  /**
   * Bit for bit: each thread of Java runs the engine's kernels in the order in which one alone
   * would.
   */
  private static void assertAllAsAlone(Run run) throws Exception {
    Map<String, float[]> trainedAlone = train(run);
    try (UNet network = network(run.precision)) {
      DDPM ddpm = DDPM.builder().timesteps(100).denoiser(network).build();
      List<float[]> drawnAlone = new ArrayList<>();
      for (int seed = 0; seed < THREADS; seed++) {
        drawnAlone.add(draw(ddpm, seed));
      }
      int resources = NativeMemory.resources();
      ExecutorService threads = Executors.newFixedThreadPool(THREADS + 1);
      // Not compiled yet: the threads come to that at once too.
      try (UNet shared = network.copy()) {
        DDPM together = ddpm.withDenoiser(shared);
        AtomicInteger compared = new AtomicInteger();
        Future<Map<String, float[]>> training = threads.submit(() -> train(run));
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
          int seed = i;
          tasks.add(
              () -> {
                do {
                  assertThat(draw(together, seed))
                      .as("images of seed %d", seed)
                      .isEqualTo(drawnAlone.get(seed));
                  compared.incrementAndGet();
                } while (!training.isDone());
                return null;
              });
        }
        for (Future<Void> result : threads.invokeAll(tasks)) {
          result.get();
        }
        assertSame(training.get(), trainedAlone);
        assertThat(compared.get()).isGreaterThanOrEqualTo(THREADS);
      } finally {
        threads.shutdown();
      }
      assertThat(NativeMemory.resources()).as("arrays and managers").isEqualTo(resources);
    }
  }

  @Test
  void severalTrainings_atOnce_eachAsAlone() throws Exception {
    assertEachAsAlone(8);
  }

  @Test
  @Tag("slow")
  void severalTrainings_atOnceForLong_eachAsAlone() throws Exception {
    assertEachAsAlone(40);
  }

  private static void assertEachAsAlone(int steps) throws Exception {
    List<Run> runs =
        List.of(
            new Run(Precision.FLOAT32, 1, steps, 1),
            new Run(Precision.FLOAT32, 1, steps, 2),
            new Run(Precision.BFLOAT16, 1, steps, 3),
            new Run(Precision.FLOAT32, 3, (steps + 2) / 3, 4));
    List<Map<String, float[]>> alone = new ArrayList<>();
    for (Run run : runs) {
      alone.add(train(run));
    }
    assertThat(alone.get(0).get("conv_in.weight")).isNotEqualTo(alone.get(1).get("conv_in.weight"));
    int resources = NativeMemory.resources();
    ExecutorService threads = Executors.newFixedThreadPool(runs.size());
    try {
      List<Future<Map<String, float[]>>> together = new ArrayList<>();
      for (Run run : runs) {
        together.add(threads.submit(() -> train(run)));
      }
      for (int i = 0; i < runs.size(); i++) {
        assertSame(together.get(i).get(), alone.get(i));
      }
    } finally {
      threads.shutdown();
    }
    assertThat(NativeMemory.resources()).as("arrays and managers").isEqualTo(resources);
  }

  private static UNet network(Precision precision) {
    return UNet.builder()
        .image(1, SIDE, SIDE)
        .baseChannels(8)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .attentionAtLevels(1)
        .groups(4)
        .dropout(0.1)
        .seed(3)
        .precision(precision)
        .build();
  }

  /** The weights and their averages after a run. */
  private static Map<String, float[]> train(Run run) {
    float[] values = new float[IMAGES * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * 0.37);
    }
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(run.precision);
        TrainedModel result =
            DDPM.builder()
                .denoiser(network)
                .build()
                .training()
                .batchSize(8)
                .accumulation(run.accumulation)
                .steps(run.steps)
                .learningRate(1e-3)
                .seed(run.seed)
                .fit(
                    new ArrayDataset.Builder()
                        .setData(manager.create(values, new Shape(IMAGES, 1, SIDE, SIDE)))
                        .setSampling(1, false)
                        .build())) {
      Map<String, float[]> all = new LinkedHashMap<>();
      network.weights().forEach((name, weight) -> all.put(name, weight.toFloatArray()));
      ((UNet) result.ddpm().denoiser().orElseThrow())
          .weights()
          .forEach((name, weight) -> all.put(name + ", averaged", weight.toFloatArray()));
      return all;
    }
  }

  private static float[] draw(DDPM ddpm, long seed) {
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            ddpm.sampling().sampler(Samplers.ddim(10)).seed(seed).batchSize(3).generate(4)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertSame(Map<String, float[]> actual, Map<String, float[]> expected) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet());
    expected.forEach((name, values) -> assertThat(actual.get(name)).as(name).isEqualTo(values));
  }
}
