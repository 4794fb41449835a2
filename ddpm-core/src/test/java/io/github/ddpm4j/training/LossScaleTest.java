package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.translate.TranslateException;
import ai.djl.util.Progress;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.LogRows;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Training in float16 against PyTorch's GradScaler, whose numbers make_scaler.py wrote. */
class LossScaleTest {

  private static final Shape IMAGE = new Shape(1, 2, 2);
  private static final float[] PIXELS = {1, 0.5f, -0.25f, 0.125f};

  @TempDir private Path temporary;

  /** scale · x + shift in float16, pixel by pixel. */
  private static final class HalfDenoiser implements ScriptedDenoiser {
    private final DataType type;
    private final NDManager manager = NDManager.newBaseManager();
    private final Map<String, NDArray> weights = new LinkedHashMap<>();

    HalfDenoiser(DataType type, float[] scale, float[] shift) {
      this.type = type;
      weights.put("scale", Upload.floats(manager, scale, new Shape(1).addAll(IMAGE)));
      weights.put("shift", Upload.floats(manager, shift, new Shape(1).addAll(IMAGE)));
      weights.values().forEach(weight -> weight.setRequiresGradient(true));
    }

    @Override
    public <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions) {
      return ops.leave(ops.add(ops.multiply(ops.enter(x), weights.get(0)), weights.get(1)));
    }

    @Override
    public DataType computesIn() {
      return type;
    }

    @Override
    public double[] levelFeatures(NoiseLevels levels) {
      return new double[levels.size()];
    }

    @Override
    public Map<String, NDArray> weights() {
      return weights;
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(IMAGE);
    }

    @Override
    public HalfDenoiser copy() {
      return new HalfDenoiser(type, values("scale"), values("shift"));
    }

    float[] values(String name) {
      return Objects.requireNonNull(weights.get(name)).toFloatArray();
    }

    @Override
    public String type() {
      return "half";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }

    @Override
    public void close() {
      manager.close();
    }
  }

  /**
   * Linear in the output, so that gradients depend on the images alone; infinite from a level on.
   */
  private record Steep(double infinity) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.multiply(output, target));
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      T steep = ops.scale(ops.multiply(input.output(), input.x0()), 16);
      T excess = ops.exp(ops.scale(ops.shift(input.x0(), -infinity), 1000));
      T none = ops.scale(input.x0(), 0);
      return ops.meanPerImage(ops.add(steep, ops.whereAbove(input.x0(), infinity, excess, none)));
    }

    @Override
    public String toString() {
      return "steep";
    }
  }

  /** Batches of one image each, in their order. */
  private static Dataset ordered(double[] levels) {
    float[] values = new float[levels.length * PIXELS.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) levels[i / PIXELS.length] * PIXELS[i % PIXELS.length];
    }
    return new Dataset() {
      @Override
      public Iterable<Batch> getData(NDManager owner) throws IOException, TranslateException {
        return new ArrayDataset.Builder()
            .setData(owner.create(values, new Shape(levels.length).addAll(IMAGE)))
            .setSampling(1, false)
            .build()
            .getData(owner);
      }

      @Override
      public void prepare(@Nullable Progress progress) {}
    };
  }

  private static HalfDenoiser network(DataType type) {
    return new HalfDenoiser(
        type, new float[] {0.5f, 0.6f, 0.7f, 0.8f}, new float[] {0.1f, 0.2f, 0.3f, 0.4f});
  }

  /** There is hardly any noise: float16 rounds it away, and a step is a function of its images. */
  private static Training training(HalfDenoiser network, int accumulation, int steps) {
    return DDPM.builder()
        .schedule(Schedules.constant(1, 1e-12))
        .prediction(Prediction.X0)
        .dataRange(-4, 4)
        .denoiser(network)
        .build()
        .training()
        .loss(new Steep(2))
        .anyRange()
        .accumulation(accumulation)
        .steps(steps)
        .learningRate(0.01)
        .optimizer(AdamOptimizer.adamW(0.01))
        .ema(Ema.constant(0.7))
        .seed(5);
  }

  private static JsonObject golden(String run) throws IOException {
    try (InputStream in =
            Objects.requireNonNull(
                LossScaleTest.class.getResourceAsStream("/golden/scaler/scaler.json"));
        InputStreamReader reader = new InputStreamReader(in, StandardCharsets.UTF_8)) {
      return JsonParser.parseReader(reader).getAsJsonObject().getAsJsonObject(run);
    }
  }

  private static double[] doubles(JsonObject object, String name) {
    JsonArray array = object.getAsJsonArray(name);
    return IntStream.range(0, array.size()).mapToDouble(i -> array.get(i).getAsDouble()).toArray();
  }

  /** The scale, the growth and the number of overflows in the newest checkpoint. */
  private static float[] state(Path folder) throws IOException {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      float[] judged =
          Objects.requireNonNull(
                  CheckpointFile.read(new CheckpointFolder(folder).entries().get(0).file(), manager)
                      .tensors()
                      .get("judged"))
              .toFloatArray();
      return new float[] {judged[0], judged[4], judged[5], judged[6]};
    }
  }

  /**
   * Scales are the same at every step, and weights agree to what 2,000 updates of 0.01 round away,
   * whether losses are read at once or late. (PyTorch clips to 1 / (norm + 1e-6) of the gradient.)
   */
  @ParameterizedTest
  @CsvSource({"plain, 1, 1, 50", "accumulated, 2, Infinity, 1"})
  void run_isThatOfGradScaler(String run, int accumulation, double clip, int rows)
      throws IOException {
    JsonObject expected = golden(run);
    double[] levels = doubles(expected, "levels");
    double[] scales = doubles(expected, "scales");
    List<TrainingStepListener.Event> events = new ArrayList<>();
    Map<String, double[]> weights = new TreeMap<>();
    try (HalfDenoiser network = network(DataType.FLOAT16)) {
      Training training = LogRows.of(training(network, accumulation, scales.length), rows);
      training
          .gradientClip(clip)
          .checkpoints(temporary)
          .listener(events::add)
          .listener(
              event -> {
                String step = String.valueOf(event.step());
                if (expected.getAsJsonObject("weights").has(step)) {
                  weights.put(
                      step,
                      DoubleStream.concat(
                              floats(network.values("scale")), floats(network.values("shift")))
                          .toArray());
                }
              });
      try (TrainedModel trained = training.fit(ordered(levels))) {
        assertThat(events.stream().mapToDouble(TrainingStepListener.Event::lossScale))
            .containsExactly(Arrays.stream(scales).boxed().toArray(Double[]::new));
        for (int step = 1; step < scales.length; step++) {
          assertThat(trained.losses().isSkipped(step))
              .as("step %d", step)
              .isEqualTo(scales[step] < scales[step - 1]);
        }
        int updates = expected.get("updates").getAsInt();
        assertThat(trained.losses().skipped()).hasSize(scales.length - updates);
        assertThat(state(temporary))
            .containsExactly(
                updates,
                expected.get("scale").getAsFloat(),
                expected.get("growth").getAsFloat(),
                scales.length - updates);
      }
    }
    assertThat(weights.keySet()).isEqualTo(expected.getAsJsonObject("weights").keySet());
    weights.forEach(
        (step, values) ->
            assertThat(values)
                .as("weights after step %s", step)
                .containsExactly(doubles(expected.getAsJsonObject("weights"), step), within(1e-5)));
  }

  /** What a run leaves: weights, averages and moments, and the name of its checkpoint. */
  private record Left(Map<String, float[]> arrays, String name, LossHistory history) {}

  private Left train(String folder, int accumulation, double[] levels, Consumer<Training> more)
      throws IOException {
    Path own = temporary.resolve(folder);
    LossHistory history;
    try (HalfDenoiser network = network(DataType.FLOAT16)) {
      Training training = training(network, accumulation, levels.length / accumulation);
      training.checkpoints(Checkpoints.in(own).everySteps(3));
      more.accept(training);
      try (TrainedModel trained = training.fit(ordered(levels))) {
        history = trained.losses();
      }
    }
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      CheckpointFolder.Entry entry = new CheckpointFolder(own).entries().get(0);
      Map<String, float[]> arrays = new TreeMap<>();
      CheckpointFile.read(entry.file(), manager)
          .tensors()
          .forEach(
              (name, array) -> {
                if (!name.startsWith("history/") && !name.equals("judged")) {
                  arrays.put(name, array.toFloatArray());
                }
              });
      return new Left(arrays, entry.file().getFileName().toString(), history);
    }
  }

  /** Weights, moments and averages are those of a run that never met what overflowed. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void overflowed_isAsIfItHadNotBeen(int accumulation) throws IOException {
    double[] some = {1, 0.125, -1, -0.125, 0.125, accumulation == 1 ? 1 : 0.125, 0.125};
    // Each of two batches has half of the gradient.
    int[] skipped = accumulation == 1 ? new int[] {1, 3, 6} : new int[] {1, 3};
    double[] others =
        IntStream.range(0, some.length)
            .filter(i -> Arrays.stream(skipped).noneMatch(step -> step == i + 1))
            .mapToDouble(i -> some[i])
            .toArray();
    Left with = train("with", accumulation, repeated(some, accumulation), training -> {});
    Left without = train("without", accumulation, repeated(others, accumulation), training -> {});
    assertThat(with.history.skipped()).isEqualTo(skipped);
    assertThat(without.history.skipped()).isEmpty();
    assertThat(with.arrays).hasSize(8);
    with.arrays.forEach(
        (name, values) -> assertThat(without.arrays.get(name)).as(name).isEqualTo(values));
  }

  private static double[] repeated(double[] levels, int times) {
    return Arrays.stream(levels)
        .flatMap(level -> DoubleStream.generate(() -> level).limit(times))
        .toArray();
  }

  /** Scale, growth and overflows go on, and so do the steps that were skipped. */
  @Test
  void resumed_endsInTheSameBits() throws IOException {
    double[] levels = {1, 0.125, -1, -0.125, 0.125, 1, 0.125, 0.25};
    Left whole = train("whole", 1, levels, training -> {});
    assertThatThrownBy(
            () ->
                train(
                    "broken",
                    1,
                    levels,
                    t ->
                        t.listener(
                            event -> {
                              if (event.step() == 5) {
                                throw new IllegalStateException("broken off");
                              }
                            })))
        .hasMessage("broken off");
    Left resumed = train("broken", 1, levels, Training::resume);
    assertThat(resumed.name).isEqualTo(whole.name).startsWith("step-0000000008.");
    assertThat(resumed.history.skipped()).isEqualTo(whole.history.skipped());
  }

  /** From float32, whose checkpoints have no scale, the run goes on at the first one. */
  @Test
  void resumedFromFloat32_beginsToScale() throws IOException {
    double[] levels = {1, 0.125, -1, -0.125};
    try (HalfDenoiser network = network(DataType.FLOAT32)) {
      training(network, 1, 2).checkpoints(temporary.resolve("run")).fit(ordered(levels)).close();
    }
    assertThatThrownBy(() -> train("run", 1, levels, Training::resume))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the checkpoint is that of another run: steps was 2 and is 4; execution was compiled"
                + " float32 and is compiled float16; set it as it was, or allow the change by"
                + " resume(Change.STEPS, Change.EXECUTION)");
    Left left = train("run", 1, levels, t -> t.resume(Checkpoints.Change.values()));
    assertThat(left.history.skipped()).containsExactly(3);
    assertThat(state(temporary.resolve("run"))).containsExactly(3, 32768, 1, 1);
  }

  /** No scale mends a loss that is infinite itself. */
  @Test
  void lossThatIsNotFinite_isTheGuards() {
    double[] levels = {1, 3, 0.125};
    DivergenceException failure =
        catchThrowableOfType(
            DivergenceException.class, () -> train("stopped", 1, levels, training -> {}));
    assertThat(failure).isNotNull();
    assertThat(failure.step()).isEqualTo(2);
    assertThat(failure).hasMessageStartingWith("the loss of step 2 is Infinity at timesteps [0]");
  }

  /** With a guard, bad steps in a row are counted across those that overflowed between them. */
  @Test
  void guarded_countsBadStepsAlone() throws IOException {
    Consumer<Training> three = training -> training.guard(Guard.skip().mostInARow(3));
    Left left = train("two", 1, new double[] {3, 1, 3, 0.125, 3, 3, 0.125}, three);
    assertThat(left.history.skipped()).containsExactly(1, 2, 3, 5, 6);
    assertThatThrownBy(() -> train("three", 1, new double[] {3, 1, 3, 3, 0.125}, three))
        .isInstanceOf(DivergenceException.class)
        .hasMessageStartingWith("3 steps in a row were bad: the loss of step 4 is Infinity");
  }

  /** Down to 1 it is the scale's to mend; then the gradient is bad. */
  @Test
  void gradientBeyondFloat16_atScale1_isTheGuards() {
    double[] levels = new double[20];
    Arrays.fill(levels, 1.5);
    DivergenceException failure =
        catchThrowableOfType(
            DivergenceException.class,
            () -> train("stopped", 1, levels, t -> t.loss(new Steeper())));
    assertThat(failure).isNotNull();
    assertThat(failure.step()).isEqualTo(17);
    assertThat(failure)
        .hasMessageStartingWith("the gradient norm of step 17 is Infinity at timesteps [0]");
  }

  private record Steeper() implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.scale(ops.multiply(output, target), 1e6));
    }

    @Override
    public String toString() {
      return "steeper";
    }
  }

  private static DoubleStream floats(float[] values) {
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]);
  }
}
