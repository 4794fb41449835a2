package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The U-Net in training, sampling and model folders. */
class UNetInUseTest {

  private static final int IMAGES = 24;

  private static UNet network() {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(8)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .attentionAtLevels(1)
        .groups(4)
        .dropout(0.1)
        .seed(3)
        .build();
  }

  private static Dataset dataset(NDManager manager) {
    float[] values = new float[IMAGES * 64];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * 0.37);
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(IMAGES, 1, 8, 8)))
        .setSampling(1, false)
        .build();
  }

  private static Map<String, float[]> weights(UNet network) {
    Map<String, float[]> values = new LinkedHashMap<>();
    network.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  private static Map<String, float[]> train(UNet network, int steps) {
    try (NDManager manager = NDManager.newBaseManager();
        TrainedModel result =
            DDPM.builder()
                .denoiser(network)
                .build()
                .training()
                .batchSize(8)
                .accumulation(2)
                .steps(steps)
                .learningRate(1e-3)
                .seed(9)
                .fit(dataset(manager))) {
      assertThat(result.losses().steps()).isEqualTo(steps);
      return weights((UNet) result.ddpm().denoiser().orElseThrow());
    }
  }

  @Test
  void fit_sameSeed_givesIdenticalWeightsWithDropout() throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try (UNet first = network();
        UNet second = network();
        UNet untrained = network()) {
      Map<String, float[]> averaged = train(first, 10);
      Map<String, float[]> again = worker.submit(() -> train(second, 10)).get();
      Map<String, float[]> last = weights(first);
      weights(second)
          .forEach((name, values) -> assertThat(values).as(name).isEqualTo(last.get(name)));
      again.forEach((name, values) -> assertThat(values).as(name).isEqualTo(averaged.get(name)));
      assertThat(last.get("conv_in.weight")).isNotEqualTo(weights(untrained).get("conv_in.weight"));
    } finally {
      worker.shutdown();
    }
  }

  @Test
  void generate_batchSizesAndThreads_giveTheSamePixels() throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try (UNet network = network()) {
      train(network, 5); // away from the zero-initialised layers
      DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(network).build();
      for (Sampler sampler :
          new Sampler[] {Samplers.ddim(8), Samplers.ddpm(8), Samplers.ddim(8).eta(1)}) {
        float[] reference = draw(ddpm, sampler, 16);
        for (int batch : new int[] {1, 3, 16}) {
          assertSame(draw(ddpm, sampler, batch), reference, sampler + " batch " + batch);
          assertSame(
              worker.submit(() -> draw(ddpm, sampler, batch)).get(),
              reference,
              sampler + " batch " + batch + " on a worker");
        }
      }
    } finally {
      worker.shutdown();
    }
  }

  private static float[] draw(DDPM ddpm, Sampler sampler, int batch) {
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = ddpm.sampling().sampler(sampler).seed(42).batchSize(batch).generate(16)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertSame(float[] actual, float[] expected, String what) {
    float largest = 0;
    for (int i = 0; i < expected.length; i++) {
      largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
    }
    assertThat(largest).as("largest difference of a pixel, %s", what).isCloseTo(0, within(1e-5f));
  }

  @Test
  void saveAndLoad_areExact(@TempDir Path folder) throws IOException {
    Path model = folder.resolve("model");
    try (UNet network = network()) {
      train(network, 3);
      DDPM ddpm = DDPM.builder().timesteps(50).denoiser(network).build();
      ddpm.save(model);
      try (DDPM loaded = DDPM.load(model)) {
        Map<String, float[]> expected = weights(network);
        UNet other = (UNet) loaded.denoiser().orElseThrow();
        assertThat(other.config()).isEqualTo(network.config());
        assertThat(weights(other).keySet()).containsExactlyElementsOf(expected.keySet());
        weights(other)
            .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
        assertThat(draw(loaded, Samplers.ddim(10), 16))
            .isEqualTo(draw(ddpm, Samplers.ddim(10), 16));
        // What was loaded trains on.
        train(other, 2);
        assertThat(weights(other).get("conv_in.weight"))
            .isNotEqualTo(expected.get("conv_in.weight"));
      }
      try (Stream<Path> left = Files.list(folder)) {
        assertThat(left).containsExactly(model);
      }
    }
  }

  @Test
  void load_closed_closesTheNetwork(@TempDir Path folder) throws IOException {
    Path model = folder.resolve("model");
    try (UNet network = network()) {
      DDPM.builder().denoiser(network).build().save(model);
    }
    DDPM loaded = DDPM.load(model);
    Denoiser network = loaded.denoiser().orElseThrow();
    loaded.close();
    assertThatThrownBy(() -> loaded.sampling().generate(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the U-Net is closed and its weights are freed; build or load another one");
    assertThat(network.imageShape()).contains(new Shape(1, 8, 8));
  }

  /** The trained network of a result may be used while the one in training goes on. */
  @Test
  void fit_samplingInAListener_drawsFromTheAverage() {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network()) {
      DDPM ddpm = DDPM.builder().timesteps(50).denoiser(network).build();
      int[] drawn = {0};
      try (TrainedModel result =
          ddpm.training()
              .batchSize(8)
              .steps(4)
              .seed(1)
              .listener(
                  event -> {
                    try (Samples samples =
                        ddpm.withDenoiser(event.averaged())
                            .sampling()
                            .sampler(Samplers.ddim(5))
                            .seed(1)
                            .generate(2)) {
                      NDArray images = samples.toNDArray(manager);
                      drawn[0] += (int) images.getShape().get(0);
                    }
                  })
              .fit(dataset(manager))) {
        assertThat(result.losses().steps()).isEqualTo(4);
      }
      assertThat(drawn[0]).isEqualTo(8);
    }
  }

  /** A scope of the user's frees what operations make, and nothing that has an owner. */
  @Test
  void scopeOfTheUser_aroundRuns_resultsSurvive(@TempDir Path folder) throws IOException {
    Path model = folder.resolve("model");
    try (NDManager manager = NDManager.newBaseManager();
        UNet outside = network()) {
      Map<String, float[]> averaged = train(outside, 2);
      Map<String, float[]> trained = weights(outside);
      DDPM ddpm = DDPM.builder().denoiser(outside).build();
      float[] drawn = draw(ddpm, Samplers.ddim(5), 3);
      NDArray x = manager.ones(new Shape(2, 1, 8, 8));
      NoiseLevels levels = NoiseLevels.of(ddpm.schedule(), 1, 2);
      float[] predicted = outside.predict(x, levels, Condition.none()).toFloatArray();
      Dataset dataset = dataset(manager);

      UNet network;
      TrainedModel result;
      DDPM loaded;
      UNet copy;
      Samples samples;
      NDArray temporary;
      NDArray taken;
      try (NDScope scope = new NDScope()) {
        network = network();
        result =
            DDPM.builder()
                .denoiser(network)
                .build()
                .training()
                .batchSize(8)
                .accumulation(2)
                .steps(2)
                .learningRate(1e-3)
                .seed(9)
                .fit(dataset);
        result.raw().save(model);
        loaded = DDPM.load(model);
        copy = network.copy();
        samples = loaded.sampling().sampler(Samplers.ddim(5)).seed(42).batchSize(3).generate(16);
        temporary = network.predict(x, levels, Condition.none());
        taken = network.predict(x, levels, Condition.none());
        NDScope.unregister(taken);
      }
      try (network;
          result;
          loaded;
          copy;
          samples) {
        UNet average = (UNet) result.ddpm().denoiser().orElseThrow();
        UNet read = (UNet) loaded.denoiser().orElseThrow();
        assertThat(weights(average)).usingRecursiveComparison().isEqualTo(averaged);
        for (UNet one : List.of(network, read, copy)) {
          assertThat(weights(one)).usingRecursiveComparison().isEqualTo(trained);
          assertThat(one.predict(x, levels, Condition.none()).toFloatArray()).isEqualTo(predicted);
        }
        assertThat(samples.toNDArray(manager).toFloatArray()).isEqualTo(drawn);
        // As what DJL's own operations make.
        assertThatThrownBy(temporary::toFloatArray).isInstanceOf(IllegalStateException.class);
        assertThat(taken.toFloatArray()).isEqualTo(predicted);
      }
    }
  }
}
