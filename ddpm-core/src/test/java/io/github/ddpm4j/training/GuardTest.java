package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.translate.TranslateException;
import ai.djl.util.Progress;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.LogRows;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Bad steps are skipped as if they had not been, and end the run when there are too many. */
class GuardTest {

  private static final Shape IMAGE = new Shape(1, 2, 2);
  private static final int STEPS = 12;

  /** Steps of a run that are bad, the first and two in a row among them. */
  private static final int[] BAD = {1, 4, 5, 9};

  @TempDir private Path temporary;

  /** What an image of 1 throughout does to its batch. */
  enum Mark {
    /** A loss of NaN over gradients that are finite. */
    LOSS,
    /** A gradient of NaN. */
    GRADIENT,
    /** A hundred times the loss, and its gradient. */
    EXPLOSION
  }

  /** The square error, which a mark spoils. */
  private record Marked(Mark mark) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      T error = ops.square(ops.subtract(input.output(), input.target()));
      // e^(500 (x − 0.5)) is infinite at 1, and times 0 it is NaN there, and 0 elsewhere.
      T nan = ops.scale(ops.exp(ops.scale(ops.shift(input.x0(), -0.5), 500)), 0);
      return ops.meanPerImage(
          switch (mark) {
            case LOSS -> ops.add(error, nan);
            case GRADIENT -> ops.multiply(error, ops.shift(nan, 1));
            case EXPLOSION -> ops.whereAbove(input.x0(), 0.9, ops.scale(error, 100), error);
          });
    }

    @Override
    public String toString() {
      return "marked " + mark;
    }
  }

  /** How the network runs, how many batches a step has, and how late the log is read. */
  record Form(boolean compiled, int accumulation, int rows) {}

  static Stream<Form> forms() {
    return Stream.of(
        new Form(true, 1, 1), new Form(true, 2, 1), new Form(false, 2, 1), new Form(true, 1, 7));
  }

  /** What a run leaves. */
  private record Left(Map<String, float[]> arrays, LossHistory history, List<Boolean> skipped) {}

  /** The levels of images; in a bad step, the last one is 1, which is marked. */
  private static List<Float> images(int steps, int accumulation, int... bad) {
    List<Float> images = new ArrayList<>();
    for (int i = 0; i < steps * accumulation; i++) {
      int step = i / accumulation + 1;
      boolean last = i % accumulation == accumulation - 1;
      boolean marked = last && Arrays.stream(bad).anyMatch(b -> b == step);
      images.add(marked ? 1 : 0.4f * (float) Math.sin(1 + i));
    }
    return images;
  }

  /** The images without those of some steps. */
  private static List<Float> without(List<Float> images, int accumulation, int... steps) {
    return IntStream.range(0, images.size())
        .filter(i -> Arrays.stream(steps).noneMatch(step -> step == i / accumulation + 1))
        .mapToObj(images::get)
        .toList();
  }

  /** Batches of one image each, in their order. */
  private static Dataset ordered(List<Float> images) {
    int pixels = (int) IMAGE.size();
    float[] values = new float[images.size() * pixels];
    for (int i = 0; i < values.length; i++) {
      float level = images.get(i / pixels);
      values[i] = level == 1 ? 1 : level * (1 - 0.2f * (i % pixels));
    }
    return new Dataset() {
      @Override
      public Iterable<Batch> getData(NDManager owner) throws IOException, TranslateException {
        return new ArrayDataset.Builder()
            .setData(owner.create(values, new Shape(images.size()).addAll(IMAGE)))
            .setSampling(1, false)
            .build()
            .getData(owner);
      }

      @Override
      public void prepare(@Nullable Progress progress) {}
    };
  }

  private static AffineDenoiser network(Form form) {
    float[] scale = {0.5f, 0.6f, 0.7f, 0.8f};
    float[] shift = {0.1f, 0.2f, 0.3f, 0.4f};
    return new AffineDenoiser(form.compiled, IMAGE, scale, shift, 0.1f);
  }

  /** There is hardly any noise, so that a step is a function of its images. */
  private static Training training(AffineDenoiser network, Form form, Mark mark, int steps) {
    Training training =
        DDPM.builder()
            .schedule(Schedules.constant(1, 1e-12))
            .prediction(Prediction.X0)
            .denoiser(network)
            .build()
            .training()
            .loss(new Marked(mark))
            .accumulation(form.accumulation)
            .steps(steps)
            .learningRate(0.05)
            .optimizer(AdamOptimizer.adamW(0.01))
            .ema(Ema.constant(0.7))
            .anyRange()
            .seed(5);
    return LogRows.of(training, form.rows);
  }

  private Left train(
      Form form, Mark mark, List<Float> images, Path folder, Consumer<Training> more) {
    List<TrainingStepListener.Event> events = new ArrayList<>();
    try (AffineDenoiser network = network(form)) {
      Training training = training(network, form, mark, images.size() / form.accumulation);
      training.checkpoints(Checkpoints.in(folder).everySteps(100)).listener(events::add);
      more.accept(training);
      try (TrainedModel trained = training.fit(ordered(images))) {
        return new Left(
            arrays(folder),
            trained.losses(),
            events.stream().map(TrainingStepListener.Event::isSkipped).toList());
      }
    }
  }

  /** Weights, averages and moments, as the newest checkpoint has them. */
  private static Map<String, float[]> arrays(Path folder) {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Map<String, float[]> arrays = new TreeMap<>();
      CheckpointFile.read(new CheckpointFolder(folder).entries().get(0).file(), manager)
          .tensors()
          .forEach(
              (name, array) -> {
                if (!name.startsWith("history/") && !name.equals("judged")) {
                  arrays.put(name, array.toFloatArray());
                }
              });
      return arrays;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Weights, averages and moments are those of a run that never met the bad steps. */
  @ParameterizedTest
  @MethodSource("forms")
  void skipped_areAsIfTheyHadNotBeen(Form form) {
    for (Mark mark : List.of(Mark.LOSS, Mark.GRADIENT)) {
      Path folder = temporary.resolve(mark.toString());
      List<Float> images = images(STEPS, form.accumulation, BAD);
      Left guarded =
          train(form, mark, images, folder.resolve("guarded"), t -> t.guard(Guard.skip()));
      assertThat(guarded.history.skipped()).isEqualTo(BAD);
      assertThat(guarded.skipped)
          .containsExactlyElementsOf(
              IntStream.rangeClosed(1, STEPS).mapToObj(guarded.history::isSkipped).toList());
      assertThat(guarded.history.loss(4)).isNaN();
      assertThat(guarded.history.mean(STEPS)).isFinite();

      Left never =
          train(
              form,
              mark,
              without(images, form.accumulation, BAD),
              folder.resolve("never"),
              training -> {});
      assertThat(never.history.steps()).isEqualTo(STEPS - BAD.length);
      assertThat(never.arrays).hasSize(12);
      never.arrays.forEach(
          (name, values) ->
              assertThat(Objects.requireNonNull(guarded.arrays.get(name)))
                  .as(name)
                  .containsExactly(values, within(2e-5f)));
    }
  }

  /** TensorFlow's ε depends on the number of the update, too: it must not count skipped steps. */
  @ParameterizedTest
  @MethodSource("forms")
  void epsilonBeforeCorrection_countsUpdates(Form form) {
    Consumer<Training> large =
        training ->
            training.optimizer(
                new AdamOptimizer(
                    0.9, 0.999, 0.02, 0, AdamOptimizer.EpsilonPlacement.BEFORE_CORRECTION));
    List<Float> images = images(STEPS, form.accumulation, BAD);
    Left guarded =
        train(
            form,
            Mark.LOSS,
            images,
            temporary.resolve("guarded"),
            large.andThen(t -> t.guard(Guard.skip())));
    assertThat(guarded.history.skipped()).isEqualTo(BAD);
    Left never =
        train(
            form,
            Mark.LOSS,
            without(images, form.accumulation, BAD),
            temporary.resolve("never"),
            large);
    never.arrays.forEach(
        (name, values) ->
            assertThat(Objects.requireNonNull(guarded.arrays.get(name)))
                .as(name)
                .containsExactly(values, within(2e-5f)));
  }

  /** A run whose steps were all skipped has no mean loss, and can be saved all the same. */
  @Test
  void allSkipped_canBeSaved() throws IOException {
    Form form = new Form(true, 1, 1);
    Path folder = temporary.resolve("model");
    try (AffineDenoiser network = network(form);
        TrainedModel trained =
            training(network, form, Mark.LOSS, 3)
                .guard(Guard.skip())
                .fit(ordered(images(3, 1, 1, 2, 3)))) {
      assertThat(trained.losses().mean(100)).isNaN();
      trained.ddpm().save(folder);
      assertThat(trained.ddpm().provenance())
          .containsEntry("skippedSteps", 3L)
          .doesNotContainKey("meanLossOfLast100Steps");
    }
    assertThat(folder.resolve("ddpm.json")).exists();
  }

  /** A guard that finds nothing changes no bit. */
  @ParameterizedTest
  @MethodSource("forms")
  void nothingBad_isTheSameRun(Form form) {
    List<Float> images = images(STEPS, form.accumulation);
    Left plain = train(form, Mark.LOSS, images, temporary.resolve("plain"), training -> {});
    Left guarded =
        train(
            form,
            Mark.LOSS,
            images,
            temporary.resolve("guarded"),
            t -> t.guard(Guard.skip().explosion(50)));
    assertThat(guarded.history.toArray()).isEqualTo(plain.history.toArray());
    assertThat(guarded.history.skipped()).isEmpty();
    plain.arrays.forEach(
        (name, values) -> assertThat(guarded.arrays.get(name)).as(name).isEqualTo(values));
  }

  /** By the formula of what is usual, in double, from the losses and norms that were logged. */
  @ParameterizedTest
  @MethodSource("forms")
  void explosion_isThatOverWhatIsUsual(Form form) {
    int[] marked = {3, 19, 26, 31, 32, 150, 160};
    int steps = 170;
    List<Double> norms = new ArrayList<>();
    List<TrainingStepListener.Event> events = new ArrayList<>();
    Left left =
        train(
            form,
            Mark.EXPLOSION,
            images(steps, form.accumulation, marked),
            temporary.resolve("run"),
            t -> t.learningRate(1e-5).guard(Guard.skip().explosion(8)).listener(events::add));
    events.forEach(event -> norms.add(event.gradientNorm()));
    List<Integer> expected = new ArrayList<>();
    double usualLoss = 0;
    double usualNorm = 0;
    int updates = 0;
    for (int step = 1; step <= steps; step++) {
      double loss = left.history.loss(step);
      double norm = norms.get(step - 1);
      if (updates >= 20 && (loss > 8 * usualLoss || norm > 8 * usualNorm)) {
        expected.add(step);
      } else {
        updates++;
        usualLoss += (loss - usualLoss) / Math.min(updates, 100);
        usualNorm += (norm - usualNorm) / Math.min(updates, 100);
      }
    }
    assertThat(expected).contains(26, 31, 32, 150, 160).doesNotContain(3, 19);
    assertThat(left.history.skipped())
        .containsExactly(expected.stream().mapToInt(i -> i).toArray());
  }

  /** The third in a row ends the run, however late it is seen, with the weights of step 6. */
  @ParameterizedTest
  @MethodSource("forms")
  void tooManyInARow_endTheRun(Form form) {
    List<Float> images = images(STEPS, form.accumulation, 2, 3, 7, 8, 9);
    Left before =
        train(
            form,
            Mark.GRADIENT,
            without(images, form.accumulation, 7, 8, 9, 10, 11, 12),
            temporary.resolve("before"),
            t -> t.guard(Guard.skip()));
    try (AffineDenoiser network = network(form)) {
      DivergenceException failure =
          catchThrowableOfType(
              DivergenceException.class,
              () ->
                  training(network, form, Mark.GRADIENT, STEPS)
                      .guard(Guard.skip().mostInARow(3))
                      .fit(ordered(images)));
      assertThat(failure).isNotNull();
      assertThat(failure.step()).isEqualTo(9);
      assertThat(failure.lastGoodLoss()).isEqualTo(before.history.loss(6));
      assertThat(failure)
          .hasMessage(
              "3 steps in a row were bad: the loss of step 9 is NaN at timesteps "
                  + (form.accumulation == 1 ? "[0]" : "[0, 0]")
                  + "; the last good loss was "
                  + before.history.loss(6)
                  + "; the weights are those after step 6; the learning rate was "
                  + (double) 0.05f
                  + ", the loss NaN, the gradient norm NaN; lower the learning rate, lengthen the"
                  + " warm-up, or clip the gradient norm");
      before.arrays.forEach(
          (name, values) -> {
            if (name.startsWith("weights/")) {
              assertThat(network.values(name.substring(8))).as(name).isEqualTo(values);
            }
          });
      try (TrainedModel soFar = TrainedModel.soFar(failure).orElseThrow()) {
        assertThat(soFar.losses().skipped()).containsExactly(2, 3, 7, 8);
        assertThat(((AffineDenoiser) soFar.ddpm().model().denoiser()).values("scale"))
            .isEqualTo(before.arrays.get("averages/scale"));
      }
    }
  }

  @Test
  void explosion_thatEndsTheRun_isNamed() {
    Form form = new Form(true, 1, 1);
    try (AffineDenoiser network = network(form)) {
      assertThatThrownBy(
              () ->
                  training(network, form, Mark.EXPLOSION, 30)
                      .learningRate(1e-5)
                      .guard(Guard.stop().explosion(8))
                      .fit(ordered(images(30, 1, 25))))
          .isInstanceOf(DivergenceException.class)
          .hasMessageMatching(
              "the gradient norm of step 25 is 34\\.\\d+, more than 8.0 times the usual 0\\.28\\d+, at"
                  + " timesteps \\[0\\]; the last good loss was [^;]+; the weights are those after step 24;"
                  + " the learning rate was [^;]+, the loss [^;]+, the gradient norm [^;]+; lower"
                  + " the learning rate, lengthen the warm-up, clip the gradient norm, or skip such"
                  + " steps by guard\\(Guard.skip\\(\\)\\)");
    }
  }

  /** A run without a guard that is resumed under one, and the other way round. */
  @Test
  void guard_isAChangeThatIsAllowedByName() {
    Form form = new Form(true, 1, 1);
    List<Float> images = images(STEPS, 1, 8);
    Path folder = temporary.resolve("run");
    train(form, Mark.LOSS, images, folder, t -> t.steps(6));
    assertThatThrownBy(
            () ->
                train(
                    form, Mark.LOSS, images, folder, t -> t.steps(6).guard(Guard.skip()).resume()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the checkpoint is that of another run: guard was stop and is skip at most 10 in a row;"
                + " set it as it was, or allow the change by resume(Change.GUARD)");
    Left guarded =
        train(
            form,
            Mark.LOSS,
            images,
            folder,
            t ->
                t.steps(10)
                    .guard(Guard.skip())
                    .resume(Checkpoints.Change.GUARD, Checkpoints.Change.STEPS));
    Left unguarded =
        train(
            form,
            Mark.LOSS,
            images,
            folder,
            t ->
                t.steps(STEPS)
                    .guard(Guard.stop())
                    .resume(Checkpoints.Change.GUARD, Checkpoints.Change.STEPS));
    Left whole =
        train(form, Mark.LOSS, images, temporary.resolve("whole"), t -> t.guard(Guard.skip()));
    assertThat(guarded.history.skipped()).containsExactly(8);
    assertThat(unguarded.history.skipped()).containsExactly(8);
    assertThat(unguarded.history.toArray()).isEqualTo(whole.history.toArray());
    whole.arrays.forEach(
        (name, values) -> assertThat(unguarded.arrays.get(name)).as(name).isEqualTo(values));
  }

  @Test
  void settings_areChecked() {
    assertThat(Guard.stop()).hasToString("stop");
    assertThat(Guard.stop().explosion(3)).hasToString("stop, explosion at 3.0 times");
    assertThat(Guard.skip().mostInARow(5).explosion(10))
        .hasToString("skip at most 5 in a row, explosion at 10.0 times")
        .isEqualTo(new Guard(5, 10));
    assertThatThrownBy(() -> Guard.skip().mostInARow(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("mostInARow must be at least 1, but was 0");
    for (double wrong : new double[] {1, Double.NaN, -5, 1 + 1e-9}) {
      assertThatThrownBy(() -> Guard.skip().explosion(wrong))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("explosion must be more than 1 (infinity for none), but was " + wrong);
    }
  }
}
