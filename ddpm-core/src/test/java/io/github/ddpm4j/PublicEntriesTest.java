package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every public entry that uses a network or arrays: in many threads, and without gradients. */
class PublicEntriesTest {

  private static final int SIDE = 4;
  private static final int THREADS = 8;
  private static final String TRAINING = "eager training";
  private static final Shape BATCH = new Shape(3, 1, SIDE, SIDE);

  @TempDir private Path folder;

  /** Something public that ends in numbers, of a model that threads share. */
  @FunctionalInterface
  private interface Entry {
    double[] of(DDPM ddpm, NDManager manager) throws Exception;
  }

  /** On the thread that loads it the engine records nothing. */
  @BeforeAll
  static void engine() {
    NDManager.newBaseManager().close();
  }

  private static Sampling sampling(DDPM ddpm) {
    Sampler sampler = Samplers.ddim(4).eta(1);
    return ddpm.sampling().sampler(sampler).seed(1).batchSize(2).shape(1, SIDE, SIDE);
  }

  private static double[] pixels(Samples samples, NDManager manager) {
    try (samples) {
      return Golden.values(samples.toNDArray(manager));
    }
  }

  private static NDArray images(NDManager manager) {
    return manager.arange(48f).div(48).sub(0.5).reshape(BATCH);
  }

  private static NDArray towardsMiddle(NDArray x) {
    return x.square().sum(new int[] {1, 2, 3}).neg();
  }

  private Map<String, Entry> entries() {
    Map<String, Entry> entries = new LinkedHashMap<>();
    entries.put("generate", (d, m) -> pixels(sampling(d).generate(3), m));
    entries.put("generateSharing", (d, m) -> pixels(sampling(d).generateSharing(30, 3), m));
    entries.put("denoise", (d, m) -> pixels(sampling(d).denoise(images(m), 20), m));
    entries.put("imageToImage", (d, m) -> pixels(sampling(d).imageToImage(images(m), 0.5), m));
    entries.put(
        "inpaint",
        (d, m) -> pixels(sampling(d).inpaint(images(m), m.ones(new Shape(1, 1, SIDE, SIDE))), m));
    entries.put(
        "interpolate",
        (d, m) ->
            pixels(sampling(d).interpolate(images(m).get(0), images(m).get(1), 20, 0.3, 0.6), m));
    entries.put(
        "interpolateLatents",
        (d, m) ->
            pixels(
                sampling(d).interpolateLatents(images(m).get(0), images(m).get(1), 0.3, 0.6), m));
    entries.put("encode", (d, m) -> pixels(sampling(d).encode(images(m), 5), m));
    entries.put("decode", (d, m) -> pixels(sampling(d).decode(images(m)), m));
    entries.put("step", (d, m) -> Golden.values(sampling(d).step(1, images(m)).x()));
    entries.put(
        "guidance by gradients",
        (d, m) ->
            pixels(
                sampling(d)
                    .guidance(Guidance.classifier((x, levels) -> towardsMiddle(x), 0.1))
                    .generate(3),
                m));
    entries.put(
        "runs together, saved and restored",
        (d, m) -> {
          Path file = Files.createTempFile(folder, "run", ".safetensors");
          try (SamplingRun one = sampling(d).start(3);
              SamplingRun other = sampling(d).start(2);
              SamplingRun again = sampling(d).start(3)) {
            SamplingRun.advance(List.of(one, other));
            one.save(file);
            return pixels(again.restore(file).finish(), m);
          }
        });
    entries.put(
        "bitsPerDim",
        (d, m) -> new double[] {d.bitsPerDim().timesteps(5).seed(1).of(images(m)).total().value()});
    entries.put(
        "forwardProcess",
        (d, m) ->
            Golden.values(
                d.forwardProcess()
                    .sample(
                        images(m),
                        new int[] {1, 20, 40},
                        NoiseSource.seeded(2).array(m, 0, 0, BATCH, DataType.FLOAT32))));
    entries.put(
        "samplerPlanner",
        (d, m) ->
            d
                .samplerPlanner()
                .setUp(sampling -> sampling.shape(1, SIDE, SIDE))
                .candidates(List.of(Samplers.ddim(3)))
                .images(2)
                .seed(1)
                .plan(5)
                .rows()
                .stream()
                .mapToDouble(row -> row.error())
                .toArray());
    entries.put(
        "judge",
        (d, m) -> {
          NDArray real =
              NoiseSource.seeded(3).array(m, 0, 0, new Shape(8, 1, 4, 4), DataType.FLOAT32);
          Judge judge = Judge.of(real.get("0:4"), real.get("4:"), 0, 1, 0, 1);
          return new double[] {judge.judge(real.get("2:6")).hashCode()};
        });
    entries.put(
        "figures",
        (d, m) -> {
          double[][] one = Features.pixels().of(images(m));
          double[][] other = Features.pixels().of(images(m).mul(0.5));
          return new double[] {
            FrechetDistance.between(FeatureStatistics.of(one), FeatureStatistics.of(other)),
            KernelDistance.between(one, other),
            PrecisionRecall.of(one, other, 1, Bootstrap.none()).hashCode()
          };
        });
    entries.put(
        "pictures",
        (d, m) -> {
          Path file = Files.createTempFile(folder, "grid", ".png");
          Pictures.of(images(m)).enlarge(4).save(file);
          return Golden.values(Pictures.read(m, file).toType(DataType.FLOAT32, false));
        });
    return entries;
  }

  private static double[] train(DDPM ddpm, NDManager manager) {
    try (TinyDenoiser network = new TinyDenoiser(SIDE, 0.1, 1);
        TrainedModel trained =
            ddpm.withDenoiser(network)
                .training()
                .batchSize(3)
                .steps(3)
                .seed(1)
                .fit(
                    new ArrayDataset.Builder()
                        .setData(images(manager))
                        .setSampling(3, false)
                        .build())) {
      return ((TinyDenoiser) trained.ddpm().denoiser().orElseThrow())
          .weights().values().stream()
              .flatMapToDouble(weight -> Arrays.stream(Golden.values(weight)))
              .toArray();
    }
  }

  /** Each thread does all of it, in another order, and gets what one alone does. */
  @Test
  void entries_fromEightThreads_giveWhatOneAloneGets() throws Exception {
    Map<String, Entry> entries = entries();
    entries.put(TRAINING, PublicEntriesTest::train);
    List<String> names = List.copyOf(entries.keySet());
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try (TinyDenoiser network = new TinyDenoiser(SIDE, 0, 1)) {
      DDPM ddpm = DDPM.builder().timesteps(50).denoiser(network).build();
      Map<String, double[]> alone = new LinkedHashMap<>();
      for (String name : names) {
        try (NDManager manager = NDManager.newBaseManager()) {
          alone.put(name, entries.get(name).of(ddpm, manager));
        }
      }
      List<Callable<Integer>> tasks = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        int first = thread * names.size() / THREADS;
        boolean trains = thread < 2; // which takes long
        tasks.add(
            () -> {
              for (int i = 0; i < names.size(); i++) {
                String name = names.get((first + i) % names.size());
                if (name.equals(TRAINING) && !trains) {
                  continue;
                }
                try (NDManager manager = NDManager.newBaseManager()) {
                  assertThat(entries.get(name).of(ddpm, manager))
                      .as(name)
                      .isEqualTo(alone.get(name));
                }
              }
              return names.size();
            });
      }
      int resources = NativeResources.inAll();
      for (Future<Integer> done : threads.invokeAll(tasks)) {
        assertThat(done.get()).isEqualTo(names.size());
      }
      assertThat(NativeResources.inAll()).as("arrays and managers").isEqualTo(resources);
    } finally {
      threads.shutdown();
    }
  }

  /** libtorch records on every new thread what comes of weights, and keeps all of it for that. */
  @Test
  void entries_askTheNetworkWithoutRecording() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    List<String> recorded = new ArrayList<>();
    String[] now = new String[1];
    Denoiser watched =
        (x, levels, condition) -> {
          asked.incrementAndGet();
          if (JniUtils.isGradMode()) {
            recorded.add(now[0]);
          }
          return x.mul(0.1);
        };
    DDPM ddpm = DDPM.builder().timesteps(50).denoiser(watched).build();
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      worker
          .submit(
              () -> {
                for (Map.Entry<String, Entry> entry : entries().entrySet()) {
                  now[0] = entry.getKey();
                  try (NDManager manager = NDManager.newBaseManager()) {
                    entry.getValue().of(ddpm, manager);
                  }
                  assertThat(JniUtils.isGradMode()).as("recording after %s", now[0]).isTrue();
                }
                return 0;
              })
          .get();
    } finally {
      worker.shutdown();
    }
    assertThat(asked).hasPositiveValue();
    assertThat(recorded).isEmpty();
  }
}
