package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class UNetTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /* ---------------- Building ---------------- */

  @Test
  void build_presets_holdAsManyWeightsAsThePaper() {
    try (UNet cifar10 = UNet.cifar10().buildBlank()) {
      assertThat(count(cifar10)).isEqualTo(35_746_307);
      assertThat(cifar10).hasToString("UNet[image (3, 32, 32), 35,746,307 parameters, on cpu()]");
    }
    try (UNet image256 = UNet.image256().buildBlank()) {
      assertThat(count(image256)).isEqualTo(113_673_219);
    }
  }

  @Test
  void build_sameSeed_sameWeightsBitByBit() {
    try (UNet a = small().seed(7).build();
        UNet b = small().seed(7).build();
        UNet c = small().seed(8).build()) {
      assertThat(a.seed()).hasValue(7);
      a.weights()
          .forEach(
              (name, weight) ->
                  assertThat(floats(b, name)).as(name).containsExactly(weight.toFloatArray()));
      assertThat(floats(c, "conv_in.weight")).isNotEqualTo(floats(a, "conv_in.weight"));
    }
  }

  @Test
  void build_noSeed_drawnAtRandomAndTold() {
    try (UNet a = small().build();
        UNet b = small().build();
        UNet again = small().seed(a.seed().orElseThrow()).build()) {
      assertThat(a.seed()).isNotEqualTo(b.seed());
      assertThat(floats(again, "conv_in.weight")).containsExactly(floats(a, "conv_in.weight"));
    }
  }

  @Test
  void build_firstWeights_varianceScaling() {
    try (UNet unet = UNet.builder().image(3, 8, 8).levelChannels(32, 64).seed(1).build()) {
      // uniform in ±√(6 / (fan in + fan out)), whose variance is 2 / (fan in + fan out)
      assertUniform(unet, "down_blocks.1.resnets.1.conv1.weight", 6.0 / (2 * 9 * 64));
      assertUniform(unet, "down_blocks.1.resnets.0.conv_shortcut.weight", 6.0 / (32 + 64));
      assertUniform(unet, "time_embedding.linear_1.weight", 6.0 / (32 + 128));
      assertUniform(unet, "mid_block.attentions.0.to_q.weight", 6.0 / 128);
      // and as good as zero at the end of each branch
      assertUniform(unet, "down_blocks.0.resnets.0.conv2.weight", 6e-10 / (2 * 9 * 32));
      assertUniform(unet, "mid_block.attentions.0.to_out.0.weight", 6e-10 / 128);
      assertUniform(unet, "conv_out.weight", 6e-10 / (9 * 35));
      unet.weights()
          .forEach(
              (name, weight) -> {
                if (name.endsWith("bias")) {
                  assertThat(weight.toFloatArray()).as(name).containsOnly(0);
                } else if (name.contains("norm")) {
                  assertThat(weight.toFloatArray()).as(name).containsOnly(1);
                }
              });
    }
  }

  private static void assertUniform(UNet unet, String name, double limitSquared) {
    float[] values = floats(unet, name);
    double limit = Math.sqrt(limitSquared);
    double largest = 0;
    double squares = 0;
    double sum = 0;
    for (float value : values) {
      largest = Math.max(largest, Math.abs(value));
      squares += (double) value * value;
      sum += value;
    }
    assertThat(largest / limit).as(name).isBetween(0.98, 1 + 1e-6);
    assertThat(squares / values.length / (limitSquared / 3)).as(name).isBetween(0.85, 1.15);
    assertThat(Math.abs(sum / values.length) / limit).as(name).isLessThan(0.1);
  }

  @Test
  @SuppressWarnings("try")
  void build_insideForeignNDScope_weightsOutliveIt() {
    UNet unet;
    UNet copy;
    try (NDScope scope = new NDScope()) {
      unet = small().build();
      copy = unet.copy();
    }
    try (unet;
        copy) {
      assertThat(predict(unet, 1).isReleased()).isFalse();
      assertThat(predict(copy, 1).isReleased()).isFalse();
    }
  }

  @Test
  void newNetwork_prediction_asGoodAsZero() {
    try (UNet unet = small().build()) {
      assertThat(predict(unet, 2).abs().max().getFloat()).isLessThan(1e-3f);
    }
  }

  /* ---------------- Weights ---------------- */

  @Test
  void weights_live_writingChangesTheNetwork() {
    try (UNet unet = small().seed(1).build()) {
      Map<String, NDArray> weights = unet.weights();
      assertThat(weights.keySet()).startsWith("conv_in.weight", "conv_in.bias");
      assertThat(weights.keySet()).endsWith("conv_out.weight", "conv_out.bias");
      assertThat(weights.keySet()).containsExactlyElementsOf(unet.getParameters().keys());
      assertThat(weights.values()).allMatch(NDArray::hasGradient);
      assertThatThrownBy(weights::clear).isInstanceOf(UnsupportedOperationException.class);
      try (GradMode off = GradMode.off()) {
        Objects.requireNonNull(off);
        weight(unet, "conv_out.bias").addi(3);
      }
      assertThat(predict(unet, 1).mean().getFloat()).isBetween(2.9f, 3.1f);
    }
  }

  @Test
  void copy_changed_originalUnchanged() {
    try (UNet unet = busy()) {
      float[] before = predict(unet, 2).toFloatArray();
      try (UNet copy = unet.copy()) {
        assertThat(predict(copy, 2).toFloatArray()).containsExactly(before);
        assertThat(copy.config()).isEqualTo(unet.config());
        assertThat(copy.seed()).isEqualTo(unet.seed());
        assertThat(copy.weights().values()).allMatch(NDArray::hasGradient);
        try (GradMode off = GradMode.off()) {
          Objects.requireNonNull(off);
          weight(copy, "conv_out.bias").addi(1);
        }
      }
      assertThat(predict(unet, 2).toFloatArray()).containsExactly(before);
    }
  }

  /** Through the block, by a parameter, and by the array itself. */
  @Test
  void copy_frozen_staysFrozen() {
    try (UNet unet = busy()) {
      unet.freezeParameters(true, parameter -> parameter.getName().startsWith("down_blocks"));
      weight(unet, "conv_in.bias").setRequiresGradient(false);
      try (UNet copy = unet.copy()) {
        copy.weights()
            .forEach(
                (name, weight) ->
                    assertThat(weight.hasGradient())
                        .as(name)
                        .isEqualTo(
                            !name.startsWith("down_blocks") && !name.equals("conv_in.bias")));
        copy.getDirectParameters()
            .forEach(
                entry ->
                    assertThat(entry.getValue().requiresGradient())
                        .as(entry.getKey())
                        .isEqualTo(!entry.getKey().startsWith("down_blocks")));
      }
    }
  }

  /** DJL writes arrays to a file by name, and names stand for arguments of programs, too. */
  @ParameterizedTest
  @EnumSource(UNet.Execution.class)
  void weights_used_keepTheirNames(UNet.Execution execution) throws IOException {
    try (UNet unet = busy().runAs(execution, UNet.Precision.FLOAT32)) {
      predict(unet, 1).close();
      unet.predictForTraining(
              images(1), levels(1), Condition.none(), new TrainableDenoiser.Pass(1, 0))
          .close();
      unet.weights().forEach((name, weight) -> assertThat(weight.getName()).isEqualTo(name));
      ByteArrayOutputStream npz = new ByteArrayOutputStream();
      new NDList(unet.weights().values()).encode(npz, NDList.Encoding.NPZ);
      NDList read = NDList.decode(manager, new ByteArrayInputStream(npz.toByteArray()));
      assertThat(read).hasSameSizeAs(unet.weights().values());
      read.forEach(array -> assertThat(array).isEqualTo(weight(unet, array.getName())));
    }
  }

  @Test
  void seed_notDrawn_none() {
    try (UNet blank = small().seed(5).buildBlank();
        UNet copy = blank.copy()) {
      assertThat(blank.seed()).isEmpty();
      assertThat(copy.seed()).isEmpty();
      blank.initialize(manager, DataType.FLOAT32, new Shape(1, 2, 8, 4), new Shape(1));
      assertThat(blank.seed()).isEmpty();
      blank.clear();
      blank.initialize(manager, DataType.FLOAT32, new Shape(1, 2, 8, 4), new Shape(1));
      assertThat(blank.seed()).hasValue(5);
    }
  }

  @Test
  void provider_foundAndFed_rebuildsTheNetwork() {
    DenoiserProvider provider =
        ServiceLoader.load(DenoiserProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(candidate -> candidate.type().equals("unet"))
            .findFirst()
            .orElseThrow();
    try (UNet unet = busy();
        TrainableDenoiser rebuilt = provider.create(unet.describe(), Device.cpu())) {
      assertThat(unet.type()).isEqualTo("unet");
      assertThat(rebuilt.describe()).isEqualTo(unet.describe());
      assertThat(rebuilt.imageShape()).contains(new Shape(2, 8, 4));
      assertThat(rebuilt.device()).contains(Device.cpu());
      try (GradMode off = GradMode.off()) {
        Objects.requireNonNull(off);
        rebuilt
            .weights()
            .forEach((name, weight) -> weight.set(new NDIndex(":"), weight(unet, name)));
      }
      NDArray x = images(2);
      assertThat(rebuilt.predict(x, levels(2), Condition.none()))
          .isEqualTo(unet.predict(x, levels(2), Condition.none()));
    }
  }

  /* ---------------- Prediction ---------------- */

  @Test
  void predict_anyBatchSize_samePictures() {
    try (UNet unet = busy()) {
      float[] all = predict(unet, 16).toFloatArray();
      for (int size : new int[] {1, 3}) {
        double largest = 0;
        for (int start = 0; start + size <= 16; start += size) {
          NDArray x = images(16).get(start + ":" + (start + size));
          double[] t = new double[size];
          for (int i = 0; i < size; i++) {
            t[i] = timestep(start + i);
          }
          float[] part = unet.predict(x, Levels.at(t), Condition.none()).toFloatArray();
          for (int i = 0; i < part.length; i++) {
            largest = Math.max(largest, Math.abs(part[i] - all[start * 64 + i]));
          }
        }
        System.out.printf(
            Locale.ROOT, "batch %d against 16: largest difference %.2g%n", size, largest);
        assertThat(largest).isLessThan(1e-5);
      }
    }
  }

  @Test
  void predict_timesteps_eachImageHasItsOwn() {
    try (UNet unet = busy()) {
      NDArray x = images(1).concat(images(1), 0);
      NDArray y = unet.predict(x, Levels.at(10, 10.5), Condition.none());
      assertThat(y.get(0).sub(y.get(1)).abs().max().getFloat()).isGreaterThan(1e-4f);
    }
  }

  @Test
  void predict_workerThread_sameResultAndNoGraph() {
    try (UNet unet = busy()) {
      float[] here = predict(unet, 3).toFloatArray();
      boolean[] mode = new boolean[2];
      float[] there =
          CompletableFuture.supplyAsync(
                  () -> {
                    mode[0] = JniUtils.isGradMode();
                    NDArray y = predict(unet, 3);
                    mode[1] = JniUtils.isGradMode();
                    assertThat(y.hasGradient()).isFalse();
                    return y.toFloatArray();
                  },
                  task -> new Thread(task).start())
              .join();
      assertThat(there).containsExactly(here);
      assertThat(mode[0]).as("gradients are on on other threads").isTrue();
      assertThat(mode[1]).isTrue();
    }
  }

  @Test
  void predict_fourThreadsAtOnce_allRight() throws Exception {
    try (UNet unet = busy()) {
      float[] expected = predict(unet, 2).toFloatArray();
      ExecutorService pool = Executors.newFixedThreadPool(4);
      try {
        List<Future<float[]>> results = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
          results.add(
              pool.submit(
                  () -> {
                    try (NDManager own = NDManager.newBaseManager()) {
                      return unet.predict(images(own, 2), levels(2), Condition.none())
                          .toFloatArray();
                    }
                  }));
        }
        for (Future<float[]> result : results) {
          assertThat(result.get()).containsExactly(expected);
        }
      } finally {
        pool.shutdownNow();
      }
    }
  }

  @Test
  void predict_manyCalls_noArrayMore() {
    try (UNet unet = busy()) {
      NDArray x = images(2);
      NDManager weights = weight(unet, "conv_in.bias").getManager();
      Supplier<List<Integer>> counts =
          () ->
              List.of(
                  manager.getManagedArrays().size(),
                  weights.getManagedArrays().size(),
                  Objects.requireNonNull(weights.getParentManager()).getManagedArrays().size());
      Runnable calls =
          () -> {
            for (int i = 0; i < 15; i++) {
              unet.predict(x, levels(2), Condition.none()).close();
            }
          };
      calls.run();
      List<Integer> before = counts.get();
      calls.run();
      CompletableFuture.runAsync(calls, task -> new Thread(task).start()).join();
      assertThat(counts.get()).isEqualTo(before);
    }
  }

  @Test
  void predict_input_neitherChangedNorClosed() {
    try (UNet unet = busy()) {
      NDArray x = images(2);
      float[] before = x.toFloatArray();
      NDArray y = unet.predict(x, levels(2), Condition.none());
      assertThat(x.toFloatArray()).containsExactly(before);
      assertThat(y.getManager()).isSameAs(manager);
      assertThat(y.getShape()).isEqualTo(x.getShape());
      assertThat(y.getDataType()).isEqualTo(DataType.FLOAT32);
    }
  }

  @Test
  void predictForTraining_samePass_sameResultOtherPassAnother() {
    try (UNet unet = busy()) {
      float[] first = train(unet, 5, 0).toFloatArray();
      assertThat(train(unet, 5, 0).toFloatArray()).containsExactly(first);
      assertThat(train(unet, 5, 1).toFloatArray()).isNotEqualTo(first);
      assertThat(train(unet, 6, 0).toFloatArray()).isNotEqualTo(first);
      assertThat(predict(unet, 3).toFloatArray()).isNotEqualTo(first);
    }
  }

  @Test
  void predictForTraining_collector_everyWeightHasAGradient() {
    try (UNet unet = busy()) {
      int before;
      try (GradientCollector collector = Engine.getInstance().newGradientCollector();
          NDManager pass = manager.newSubManager()) {
        before = manager.getManagedArrays().size();
        NDArray y =
            unet.predictForTraining(
                images(pass, 2), levels(2), Condition.none(), new TrainableDenoiser.Pass(1, 0));
        assertThat(pass.getManagedArrays()).as("input and output alone").hasSize(2);
        collector.backward(y.square().mean());
      }
      assertThat(manager.getManagedArrays()).hasSize(before);
      unet.weights()
          .forEach(
              (name, weight) -> {
                if (!name.endsWith("to_k.bias")) {
                  try (NDArray gradient = weight.getGradient()) {
                    assertThat(gradient.abs().max().getFloat()).as(name).isPositive();
                  }
                }
              });
    }
  }

  /* ---------------- Misuse ---------------- */

  @Test
  void closed_anyCall_refused() {
    UNet unet = small().build();
    unet.close();
    unet.close();
    String message = "the U-Net is closed and its weights are freed; build or load another one";
    for (Runnable call :
        List.<Runnable>of(
            () -> predict(unet, 1),
            () -> train(unet, 1, 1),
            unet::weights,
            unet::copy,
            () ->
                unet.initialize(manager, DataType.FLOAT32, new Shape(1, 2, 8, 4), new Shape(1)))) {
      assertThatThrownBy(call::run).isInstanceOf(IllegalStateException.class).hasMessage(message);
    }
    assertThat(unet.describe()).isEqualTo(small().config().describe());
  }

  @Test
  void predict_badInput_refused() {
    try (UNet unet = small().build()) {
      refused(
          "images must have the shape (N, 2, 8, 4), but have (1, 2, 4, 8)",
          () -> unet.predict(manager.ones(new Shape(1, 2, 4, 8)), levels(1), Condition.none()));
      refused(
          "images must have the shape (N, 2, 8, 4), but have (2, 8, 4)",
          () -> unet.predict(manager.ones(new Shape(2, 8, 4)), levels(1), Condition.none()));
      refused(
          "images must be float32, but are float64; convert them by toType",
          () ->
              unet.predict(
                  manager.ones(new Shape(1, 2, 8, 4), DataType.FLOAT64),
                  levels(1),
                  Condition.none()));
      refused(
          "there must be one noise level per image, but there are 2 images and 3 levels",
          () -> unet.predict(images(2), levels(3), Condition.none()));
      refused(
          "the U-Net cannot be conditioned on labels, but was given a Condition of 2 images by labels"
              + " [3, 3]; build it with classes(n), or leave them out",
          () -> unet.predict(images(2), levels(2), Condition.labels(3, 3)));
      refused(
          "images must be on the device of the network, gpu(0), but are on cpu(); move them by"
              + " toDevice",
          () -> BlockInputs.requireDevice(Device.cpu(), Device.gpu()));
    }
  }

  private static void refused(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  /* ---------------- Helpers ---------------- */

  private static UNetBuilder small() {
    return UNet.builder()
        .image(2, 8, 4)
        .levelChannels(8, 12)
        .groups(4)
        .attentionAt(4)
        .residualBlocks(1)
        .heads(2);
  }

  /** A network none of whose weights is zero. */
  private static UNet busy() {
    UNet unet = small().seed(3).build();
    int[] index = {0};
    try (NDManager temporary = NDManager.newBaseManager();
        GradMode off = GradMode.off()) {
      Objects.requireNonNull(off);
      unet.weights()
          .values()
          .forEach(weight -> weight.addi(gaussian(temporary, weight.getShape(), index[0]++, 0.1)));
    }
    return unet;
  }

  private static NDArray gaussian(NDManager owner, Shape shape, int index, double sd) {
    double[] values = new double[(int) shape.size()];
    CounterRandom.of(99, CounterRandom.Stream.SAMPLING).normal(index, 0, values);
    for (int i = 0; i < values.length; i++) {
      values[i] *= sd;
    }
    try (NDArray doubles = owner.create(values, shape)) {
      return doubles.toType(DataType.FLOAT32, true);
    }
  }

  private static long count(UNet unet) {
    return unet.weights().values().stream().mapToLong(NDArray::size).sum();
  }

  private static NDArray weight(UNet unet, String name) {
    return Objects.requireNonNull(unet.weights().get(name), name);
  }

  private static float[] floats(UNet unet, String name) {
    return weight(unet, name).toFloatArray();
  }

  private NDArray images(int n) {
    return images(manager, n);
  }

  private static NDArray images(NDManager owner, int n) {
    return gaussian(owner, new Shape(n, 2, 8, 4), 1000, 1);
  }

  private static double timestep(int image) {
    return 61.5 * image;
  }

  private static NoiseLevels levels(int n) {
    double[] t = new double[n];
    for (int i = 0; i < n; i++) {
      t[i] = timestep(i);
    }
    return Levels.at(t);
  }

  private NDArray predict(UNet unet, int n) {
    return unet.predict(images(n), levels(n), Condition.none());
  }

  private NDArray train(UNet unet, long seed, long pass) {
    return unet.predictForTraining(
        images(3), levels(3), Condition.none(), new TrainableDenoiser.Pass(seed, pass));
  }
}
