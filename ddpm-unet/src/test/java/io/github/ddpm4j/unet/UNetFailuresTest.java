package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser.Pass;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNet.Execution;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a network refuses, or what fails around it, leaves no array, manager or program open,
 * compiled and eager.
 */
class UNetFailuresTest {

  /** One that fails, as it must. */
  private interface Failing {
    void run() throws Exception;
  }

  /** What a test throws on purpose. */
  private static final class OnPurpose extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  @TempDir private Path folder;
  private final NDManager manager = NDManager.newBaseManager();
  private final Map<String, Failing> cases = new LinkedHashMap<>();
  private final NDArray x = manager.ones(new Shape(2, 1, 4, 4));
  private final NDArray narrow = manager.ones(new Shape(2, 1, 4, 2));
  private final NDArray doubles = manager.ones(new Shape(2, 1, 4, 4), DataType.FLOAT64);
  private final NDArray nan = manager.full(new Shape(4, 1, 4, 4), Float.NaN);
  private final NDArray images = manager.ones(new Shape(4, 1, 4, 4)).muli(0.5);
  private final NDArray vectors = manager.ones(new Shape(2, 3));
  private final NDArray longer = manager.ones(new Shape(2, 4));
  private final NDArray closed = manager.ones(new Shape(2, 1, 4, 4));

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder builder(Execution execution) {
    return UNet.builder()
        .image(1, 4, 4)
        .levelChannels(4)
        .groups(2)
        .residualBlocks(1)
        .attentionAtLevels()
        .classes(2)
        .vectorCondition(3)
        .imageCondition(1)
        .seed(1)
        .execution(execution);
  }

  @TestFactory
  List<DynamicTest> failures_leaveNothing() throws Exception {
    Condition gone = Condition.vectors(vectors).and(Condition.images(closed));
    closed.close();
    for (Execution execution : Execution.values()) {
      predictions(execution, gone);
      runs(execution);
      files(execution);
    }
    return cases.entrySet().stream()
        .map(
            entry -> DynamicTest.dynamicTest(entry.getKey(), () -> leavesNothing(entry.getValue())))
        .toList();
  }

  private static void leavesNothing(Failing failing) {
    // What is made once for the whole process is there after the first time.
    Throwable first = catchThrowable(failing::run);
    assertThat(first).isNotNull();
    int before = NativeMemory.resources();
    assertThat(catchThrowable(failing::run)).hasSameClassAs(first);
    assertThat(NativeMemory.resources() - before)
        .as("arrays, managers and programs left by %s", first)
        .isZero();
  }

  /** A use of a network of its own, open for others of the case. */
  private interface Use {
    void of(UNet unet) throws Exception;
  }

  private void add(String name, Execution execution, Use use) {
    cases.put(
        name + ", " + execution,
        () -> {
          try (UNet unet = builder(execution).build()) {
            use.of(unet);
          }
        });
  }

  /* ---------------- Predictions ---------------- */

  private void predictions(Execution execution, Condition gone) {
    Condition none = Condition.none();
    // One network of the whole test, so that what it leaves is not closed with it.
    UNet unet = builder(execution).build();
    Map<String, Failing> calls = new LinkedHashMap<>();
    for (boolean training : new boolean[] {false, true}) {
      String how = training ? "predictForTraining" : "predict";
      calls.put(
          how + ", wrong shape", () -> predict(unet, training, narrow, Levels.at(1, 2), none));
      calls.put(
          how + ", wrong type", () -> predict(unet, training, doubles, Levels.at(1, 2), none));
      calls.put(how + ", levels of others", () -> predict(unet, training, x, Levels.at(1), none));
      calls.put(
          how + ", label out of range",
          () -> predict(unet, training, x, Levels.at(1, 2), Condition.labels(1, 2)));
      calls.put(
          how + ", vectors of a wrong length",
          () -> predict(unet, training, x, Levels.at(1, 2), Condition.vectors(longer)));
      calls.put(
          how + ", condition of others",
          () -> predict(unet, training, x, Levels.at(1, 2), Condition.labels(1)));
      calls.put(
          how + ", kind that it does not take",
          () -> predict(unet, training, x, Levels.at(1, 2), Condition.previousX0(x)));
      calls.put(
          how + ", condition that is closed",
          () -> predict(unet, training, x, Levels.at(1, 2), gone));
    }
    Pass pass = new Pass(1, 0);
    DDPM ddpm = DDPM.builder().denoiser(unet).build();
    NoiseLevels levels = NoiseLevels.of(ddpm.schedule(), 1, 2);
    calls.put("loss, closed condition", () -> ddpm.loss(Losses.simple(), x, gone, pass));
    calls.put("loss, label", () -> ddpm.loss(Losses.simple(), x, Condition.labels(5, 0), pass));
    calls.put(
        "loss, own that throws",
        () -> ddpm.loss(throwing(), x, levels, x, Condition.labels(1, 0), pass));
    calls.put("ask, closed condition", () -> ddpm.model().ask(x, levels, gone));
    NDArray one = manager.ones(new Shape(1));
    NDArray two = manager.ones(new Shape(2));
    calls.put(
        "block, too few inputs",
        () -> unet.forward(new ParameterStore(manager, false), new NDList(x, two), false));
    calls.put(
        "block, timesteps of others",
        () ->
            unet.forward(
                new ParameterStore(manager, false), new NDList(x, one, two, vectors, x), false));
    calls.put(
        "block, labels of a wrong shape",
        () ->
            unet.forward(
                new ParameterStore(manager, false),
                new NDList(x, two, vectors, vectors, x),
                false));
    calls.put(
        "block, vectors of a wrong shape",
        () ->
            unet.forward(
                new ParameterStore(manager, true), new NDList(x, two, two, longer, x), true));
    calls.put(
        "loadParameters, no file of them",
        () ->
            unet.loadParameters(
                manager, new DataInputStream(new ByteArrayInputStream(new byte[] {1, 2}))));
    calls.forEach((name, call) -> cases.put(name + ", " + execution, call));
    UNet shut = builder(execution).build();
    shut.close();
    cases.put(
        "predict, closed, " + execution, () -> predict(shut, false, x, Levels.at(1, 2), none));
    cases.put("copy, closed, " + execution, shut::copy);
    opened.add(unet);
  }

  private final List<UNet> opened = new ArrayList<>();

  @AfterEach
  void closeNetworks() {
    opened.forEach(UNet::close);
  }

  private static void predict(
      UNet unet, boolean training, NDArray of, NoiseLevels levels, Condition condition) {
    if (training) {
      unet.predictForTraining(of, levels, condition, new Pass(1, 0));
    } else {
      unet.predict(of, levels, condition);
    }
  }

  /** At its second call, after the one that tries it out. */
  private static Loss throwing() {
    return new Loss() {
      private int calls;

      @Override
      public <T> T perImage(Ops<T> ops, T output, T target) {
        T loss = ops.meanPerImage(ops.square(ops.subtract(output, target)));
        fail(calls++ > 0);
        return loss;
      }
    };
  }

  private static void fail(boolean now) {
    if (now) {
      throw new OnPurpose();
    }
  }

  /* ---------------- Runs ---------------- */

  private void fit(String name, Execution execution, UnaryOperator<Training> setUp, NDArray data) {
    add(
        "fit, " + name,
        execution,
        unet -> {
          Training training =
              DDPM.builder().denoiser(unet).build().training().batchSize(2).steps(4).seed(1);
          setUp
              .apply(training)
              .fit(new ArrayDataset.Builder().setData(data).setSampling(2, false).build())
              .close();
        });
  }

  private void runs(Execution execution) {
    Condition two = Condition.labels(1, 1);
    fit("NaN", execution, t -> t, nan);
    fit("images of another size", execution, t -> t, narrow);
    fit("own loss that throws", execution, t -> t.loss(throwing()), images);
    fit("listener throws", execution, t -> t.listener(e -> fail(e.step() == 2)), images);
    fit(
        "accumulating, listener throws",
        execution,
        t -> t.accumulation(2).listener(e -> fail(e.step() == 1)),
        images);
    fit(
        "condition throws",
        execution,
        t ->
            t.condition(
                (batch, labels) -> {
                  throw new OnPurpose();
                }),
        images);
    fit(
        "label out of range",
        execution,
        t -> t.condition((b, l) -> Condition.labels(7, 7)),
        images);
    fit(
        "condition of a closed array",
        execution,
        t ->
            t.condition(
                (batch, labels) -> {
                  NDArray made = batch.mul(2);
                  Condition condition = two.and(Condition.images(made));
                  made.close();
                  return condition;
                }),
        images);
    fit(
        "loss not finite",
        execution,
        t -> t.learningRate(1e30).gradientClip(Double.POSITIVE_INFINITY).steps(50),
        images);
    add(
        "generate, listener throws",
        execution,
        unet -> sampling(unet).listener(e -> fail(e.step() == 1)).generate(3).close());
    add(
        "generate, label out of range",
        execution,
        unet -> sampling(unet).condition(Condition.labels(2)).generate(3).close());
    add(
        "generate, closed network",
        execution,
        unet -> {
          Sampling sampling = sampling(unet);
          unet.close();
          sampling.generate(3).close();
        });
    add(
        "bitsPerDim, listener throws",
        execution,
        unet ->
            DDPM.builder()
                .timesteps(3)
                .denoiser(unet)
                .build()
                .bitsPerDim()
                .batchSize(2)
                .listener(result -> fail(true))
                .of(images));
  }

  private static Sampling sampling(UNet unet) {
    return DDPM.builder()
        .timesteps(20)
        .denoiser(unet)
        .build()
        .sampling()
        .sampler(Samplers.ddim(3))
        .batchSize(2)
        .seed(1);
  }

  /* ---------------- Files ---------------- */

  private void files(Execution execution) throws Exception {
    Path file = folder.resolve("file");
    Files.write(file, new byte[] {1});
    add("export, into a file", execution, unet -> unet.exportTorchScript(file.resolve("unet.pt")));
    add("export, onto a folder", execution, unet -> unet.exportTorchScript(folder));
    add(
        "save, into a file",
        execution,
        unet -> DDPM.builder().denoiser(unet).build().save(file.resolve("model")));
    if (execution == Execution.COMPILED) {
      Path model = folder.resolve("model");
      try (UNet unet = builder(execution).build()) {
        DDPM.builder().denoiser(unet).build().save(model);
      }
      Path weights;
      try (Stream<Path> files = Files.list(model)) {
        weights = files.filter(one -> one.toString().endsWith(".safetensors")).findAny().get();
      }
      byte[] bytes = Files.readAllBytes(weights);
      Files.write(weights, Arrays.copyOf(bytes, bytes.length - 4));
      cases.put("load, weights cut", () -> DDPM.load(model).close());
      cases.put("load, weights cut, the network alone", () -> UNet.load(model).close());
    }
  }
}
