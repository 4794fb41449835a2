package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Checkpoints.Change;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.training.Guard;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.unet.UNet.Execution;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A run that is broken off and resumed ends in the same bits as one that is not. */
class ResumeTest {

  private static final int SIDE = 4;
  private static final int RECORDS = 10;
  private static final int STEPS = 11;

  /** A mean that one of the images exceeds. */
  private static final double HIGH = 0.15;

  private static final int EVERY = 3;

  /** Those of the last run. */
  private static List<Validation.Result> validations = List.of();

  @TempDir private Path temporary;

  enum Mode {
    PLAIN,
    ACCUMULATED,
    CONDITIONAL,
    SELF_CONDITIONED,
    IMPORTANCE_SAMPLED,
    EDM,
    EAGER,
    RECOMPUTED,
    GUARDED,
    VALIDATED,
    CONSISTENT,
    CONSISTENT_GUIDED;

    UNetBuilder network() {
      UNetBuilder builder =
          UNet.builder()
              .image(1, SIDE, SIDE)
              .baseChannels(4)
              .groups(2)
              .channelMultipliers(1)
              .residualBlocks(1)
              .attentionAtLevels()
              .dropout(0.1)
              .seed(1);
      return switch (this) {
        case CONDITIONAL, CONSISTENT_GUIDED -> builder.classes(2);
        case SELF_CONDITIONED -> builder.selfConditioning();
        case EAGER -> builder.execution(Execution.EAGER);
        default -> builder;
      };
    }

    DDPM ddpm(UNet network) {
      // It ends in noise, as tuning asks.
      DDPM.Builder builder = DDPM.builder().schedule(Schedules.cosine(6)).denoiser(network);
      return this == EDM ? builder.prediction(Prediction.edm(0.5)).build() : builder.build();
    }

    Training begin(UNet network) {
      ConsistencyTuning tuning = ConsistencyTuning.usual().stages(3);
      return switch (this) {
        case CONSISTENT -> ddpm(network).consistencyTuning(tuning);
        case CONSISTENT_GUIDED -> ddpm(network).consistencyTuning(tuning.guidance(3));
        default -> ddpm(network).training();
      };
    }

    boolean validates() {
      return this == VALIDATED || this == CONSISTENT || this == CONSISTENT_GUIDED;
    }

    Training set(Training training) {
      training.batchSize(4).steps(STEPS).seed(7).ema(0.9).warmup(3);
      return switch (this) {
        case ACCUMULATED -> training.accumulation(3);
        case CONDITIONAL, CONSISTENT_GUIDED -> training.conditionDropout(0.3);
        case IMPORTANCE_SAMPLED ->
            training.timestepSampler(TimestepSampler.lossSecondMoment(1, 0.1));
        case EDM -> training.timestepSampler(TimestepSampler.logNormal(-1.2, 1.2));
        case GUARDED ->
            training.loss(new NotFiniteOnce()).guard(Guard.skip().mostInARow(STEPS).explosion(20));
        case RECOMPUTED -> training.recomputation(Recomputation.everywhere());
        default -> training;
      };
    }
  }

  /** The square error, but NaN for images whose mean is high, and so are its gradients. */
  private static final class NotFiniteOnce implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      T mean = ops.meanPerImage(input.x0());
      T nan = ops.scale(ops.exp(ops.scale(ops.shift(mean, -HIGH), 1e6)), 0);
      return ops.multiply(perImage(ops, input.output(), input.target()), ops.shift(nan, 1));
    }

    @Override
    public String toString() {
      return "not finite once";
    }
  }

  private static ArrayDataset data(NDManager manager, Mode mode, long seed) {
    Random random = new Random(seed);
    float[] values = new float[RECORDS * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    float[] labels = new float[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
      labels[i] = i % 2;
    }
    ArrayDataset.Builder builder =
        new ArrayDataset.Builder()
            .setData(manager.create(values, new Shape(RECORDS, 1, SIDE, SIDE)))
            .setSampling(1, false);
    boolean labelled = mode == Mode.CONDITIONAL || mode == Mode.CONSISTENT_GUIDED;
    return (labelled ? builder.optLabels(manager.create(labels)) : builder).build();
  }

  /** Trains as far as it goes; what remains is in the folder. */
  private static double[] train(Mode mode, Path folder, Consumer<Training> more) {
    return train(mode, folder, 3, more);
  }

  private static double[] train(Mode mode, Path folder, long data, Consumer<Training> more) {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = mode.network().build()) {
      Training training = mode.set(mode.begin(network));
      training.checkpoints(Checkpoints.in(folder).everySteps(EVERY).keepLast(2)).resume();
      if (mode.validates()) {
        training.validation(
            Validation.of(data(manager, mode, data + 1)).images(12).every(2).keepBest());
      }
      more.accept(training);
      try (TrainedModel trained = training.fit(data(manager, mode, data))) {
        validations = trained.validations();
        return trained.losses().toArray();
      }
    }
  }

  private static List<String> names(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith("step-"))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static TrainingStepListener at(long step, Runnable task) {
    return event -> {
      if (event.step() == step) {
        task.run();
      }
    };
  }

  private static final class Broken extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static void breakOff() {
    throw new Broken();
  }

  /** The name of a checkpoint holds the digest of weights, averages, moments and history. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void brokenOffTwice_endsInTheSameBits(Mode mode) {
    Path whole = temporary.resolve("whole");
    double[] losses = train(mode, whole, training -> {});

    Path broken = temporary.resolve("broken");
    assertThatThrownBy(() -> train(mode, broken, t -> t.listener(at(5, ResumeTest::breakOff))))
        .isInstanceOf(Broken.class);
    assertThat(names(broken)).singleElement().asString().startsWith("step-0000000003.");
    // Stopped: the step that it stopped after has a checkpoint too.
    double[] first =
        train(
            mode,
            broken,
            t ->
                t.listener(
                    event -> {
                      if (event.step() == 7) {
                        event.stop();
                      }
                    }));
    assertThat(first).hasSize(7);
    assertThat(names(broken).get(1)).startsWith("step-0000000007.");
    double[] resumed = train(mode, broken, training -> {});

    assertThat(resumed).containsExactly(losses);
    assertThat(names(broken).get(1)).isEqualTo(names(whole).get(1)).startsWith("step-0000000011.");
    assertThat(validations).hasSize(mode.validates() ? 6 : 0);
    if (mode == Mode.GUARDED) {
      assertThat(Arrays.stream(losses).filter(Double::isNaN).count()).isBetween(3L, 8L);
      assertThat(losses[STEPS - 1]).isFinite();
    }
  }

  @Test
  void finished_isTheResultAtOnce() {
    Path folder = temporary.resolve("run");
    double[] losses = train(Mode.PLAIN, folder, training -> {});
    List<String> before = names(folder);
    List<Long> steps = new ArrayList<>();

    double[] again = train(Mode.PLAIN, folder, t -> t.listener(event -> steps.add(event.step())));

    assertThat(again).containsExactly(losses);
    assertThat(steps).isEmpty();
    assertThat(names(folder)).isEqualTo(before);
  }

  @Test
  void interrupted_leavesACheckpoint() {
    Path folder = temporary.resolve("run");
    assertThatThrownBy(
            () ->
                train(
                    Mode.PLAIN,
                    folder,
                    t -> t.listener(at(5, () -> Thread.currentThread().interrupt()))))
        .isInstanceOf(CancellationException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(names(folder).get(1)).startsWith("step-0000000005.");
    assertThat(train(Mode.PLAIN, folder, training -> {})).hasSize(STEPS);
  }

  @Test
  void newestDamaged_theOneBeforeIsTaken() throws IOException {
    Path folder = temporary.resolve("run");
    double[] losses = train(Mode.PLAIN, folder, training -> {});
    List<String> names = names(folder);
    Path newest = folder.resolve(names.get(1));
    byte[] bytes = Files.readAllBytes(newest);
    bytes[bytes.length / 2] ^= 1;
    Files.write(newest, bytes);

    assertThat(train(Mode.PLAIN, folder, training -> {})).containsExactly(losses);
    assertThat(names(folder))
        .containsExactly(names.get(0), names.get(1), names.get(1) + ".damaged");
  }

  @Test
  void otherSettings_areRefusedWithTheDifferences() {
    Path folder = temporary.resolve("run");
    train(Mode.PLAIN, folder, t -> t.steps(4));

    assertThatThrownBy(() -> train(Mode.PLAIN, folder, t -> t.steps(8).ema(0.5)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the checkpoint is that of another run: steps was 4 and is 8; ema was warm-up to 0.9"
                + " and is warm-up to 0.5; set it as it was, or allow the change by"
                + " resume(Change.STEPS, Change.EMA)");
    assertThatThrownBy(() -> train(Mode.PLAIN, folder, t -> t.steps(4).loss(Losses.l1()).seed(8)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the checkpoint is that of another run: seed was 7 and is 8; loss was simple and is l1;"
                + " set the run as it was, or train without resume()");
    assertThatThrownBy(() -> train(Mode.PLAIN, folder, t -> t.steps(4).learningRate(0.1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith(
            "the checkpoint is that of another run: the learning rate of step 1 was ")
        .hasMessageEndingWith(
            "; set it as it was, or allow the change by resume(Change.LEARNING_RATE)");
    assertThatThrownBy(() -> train(Mode.PLAIN, folder, 4, t -> t.steps(4)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(
            "the checkpoint is that of another run: data was 10 records, sample [0-9a-f]{16} and is"
                + " 10 records, sample [0-9a-f]{16}; set it as it was, or allow the change by"
                + " resume\\(Change.DATA\\)");
    assertThatThrownBy(() -> train(Mode.SELF_CONDITIONED, folder, t -> t.steps(4)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("denoiser of the model was ");

    double[] losses =
        train(Mode.PLAIN, folder, 4, t -> t.steps(6).learningRate(0.1).resume(Change.values()));
    assertThat(losses).hasSize(6);
  }

  /** The teacher is the network that the run is given, and not what it became. */
  @Test
  void otherTuning_isRefusedWithTheDifferences() {
    Path folder = temporary.resolve("run");
    train(Mode.CONSISTENT_GUIDED, folder, t -> t.steps(4));
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = Mode.CONSISTENT_GUIDED.network().seed(2).build()) {
      Training other =
          Mode.CONSISTENT_GUIDED
              .set(
                  Mode.CONSISTENT_GUIDED
                      .ddpm(network)
                      .consistencyTuning(ConsistencyTuning.usual().stages(2).guidance(3)))
              .steps(4)
              .checkpoints(folder)
              .resume();
      assertThatThrownBy(() -> other.fit(data(manager, Mode.CONSISTENT_GUIDED, 3)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageMatching(
              "the checkpoint is that of another run: .*consistency was q=2.0, k=8.0, b=1.0,"
                  + " stages=3, doubling=2, sigmaMax=80.0, guidance=3.0 and is q=2.0, k=8.0, b=1.0,"
                  + " stages=2, doubling=2, sigmaMax=80.0, guidance=3.0; teacher was [0-9a-f]{16}"
                  + " and is [0-9a-f]{16};.*");
    }
  }

  @Test
  void withoutResume_checkpointsOfAnotherRunAreRefused() {
    Path folder = temporary.resolve("run");
    train(Mode.PLAIN, folder, t -> t.steps(4));
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = Mode.PLAIN.network().build()) {
      Training training = Mode.PLAIN.set(Mode.PLAIN.ddpm(network).training()).checkpoints(folder);
      assertThatThrownBy(() -> training.fit(data(manager, Mode.PLAIN, 3)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the newest checkpoint of "
                  + folder
                  + " is that of step 4, and the run would begin anew; call resume() to go on from"
                  + " it, or choose another folder for checkpoints(…)");
      Training resuming = Mode.PLAIN.set(Mode.PLAIN.ddpm(network).training()).resume();
      assertThatThrownBy(() -> resuming.fit(data(manager, Mode.PLAIN, 3)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "resume() needs to know where the checkpoints are; call checkpoints(folder), or"
                  + " resumeFrom(file)");
    }
  }

  /** From a chosen checkpoint, with a seed that is not given again, into another folder. */
  @Test
  void resumeFrom_goesOnElsewhere() {
    Path folder = temporary.resolve("run");
    train(Mode.PLAIN, folder, training -> {});
    // That of step 9, or an earlier one if the disk was busy when it was due.
    String first = names(folder).get(0);
    int begin = Integer.parseInt(first.replaceAll("step-0*([0-9]+)\\..*", "$1"));
    Path older = folder.resolve(first);
    Path elsewhere = temporary.resolve("elsewhere");
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = Mode.PLAIN.network().build()) {
      Training training =
          Mode.PLAIN.ddpm(network).training().batchSize(4).steps(STEPS).ema(0.9).warmup(3);
      training.checkpoints(elsewhere).resumeFrom(older);
      try (TrainedModel trained = training.fit(data(manager, Mode.PLAIN, 3))) {
        assertThat(trained.seed()).isEqualTo(7);
      }
    }
    assertThat(names(elsewhere)).containsExactly(names(folder).get(1));

    try (NDManager manager = NDManager.newBaseManager();
        UNet network = Mode.PLAIN.network().build()) {
      Training back = Mode.PLAIN.set(Mode.PLAIN.ddpm(network).training());
      back.checkpoints(folder).resumeFrom(older);
      assertThatThrownBy(() -> back.fit(data(manager, Mode.PLAIN, 3)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the newest checkpoint of "
                  + folder
                  + " is that of step 11, and the run would begin at step "
                  + begin
                  + "; call resume() to go on from it, or choose another folder for checkpoints(…)");
    }
  }

  /** A tracker that counts how often it is asked gets to the same place. */
  @Test
  void statefulTracker_goesOn() {
    Path whole = temporary.resolve("whole");
    train(Mode.PLAIN, whole, t -> t.learningRate(halving()));
    Path broken = temporary.resolve("broken");
    assertThatThrownBy(
            () ->
                train(
                    Mode.PLAIN,
                    broken,
                    t -> t.learningRate(halving()).listener(at(8, ResumeTest::breakOff))))
        .isInstanceOf(Broken.class);
    train(Mode.PLAIN, broken, t -> t.learningRate(halving()));
    // While one is being written, another may be put off: the last one counts.
    assertThat(names(broken).get(1)).isEqualTo(names(whole).get(1)).startsWith("step-0000000011.");
  }

  private static Tracker halving() {
    float[] rate = {0.02f};
    return step -> rate[0] *= 0.5f;
  }

  private static final class Counter implements TrainingStepListener {
    private long images;

    @Override
    public void onStep(Event event) {
      images += event.levels().size();
    }

    @Override
    public String state() {
      return String.valueOf(images);
    }

    @Override
    public void restore(String state) {
      images = Long.parseLong(state);
    }
  }

  @Test
  void listeners_goOn() {
    Path folder = temporary.resolve("run");
    assertThatThrownBy(
            () ->
                train(
                    Mode.PLAIN,
                    folder,
                    t -> t.listener(new Counter()).listener(at(8, ResumeTest::breakOff))))
        .isInstanceOf(Broken.class);
    Counter counter = new Counter();
    train(Mode.PLAIN, folder, t -> t.listener(counter).listener(event -> {}));
    assertThat(counter.images).isEqualTo(4L * STEPS);

    Path other = temporary.resolve("other");
    train(Mode.PLAIN, other, t -> t.steps(4).listener(new Counter()));
    assertThatThrownBy(() -> train(Mode.PLAIN, other, t -> t.steps(4)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the run that is resumed had 1 listeners, some with a state of their own, but this one"
                + " has 0; add the same listeners in the same order");
  }

  /** The averaged model of a checkpoint can be used while the run goes on. */
  @Test
  void load_aCheckpoint_isItsAveragedModel() throws IOException {
    Path folder = temporary.resolve("run");
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = Mode.CONDITIONAL.network().build()) {
      Training training = Mode.CONDITIONAL.set(Mode.CONDITIONAL.ddpm(network).training());
      training.checkpoints(folder);
      try (TrainedModel trained = training.fit(data(manager, Mode.CONDITIONAL, 3));
          DDPM loaded = DDPM.load(folder.resolve(names(folder).get(0)))) {
        UNet own = (UNet) loaded.model().denoiser();
        UNet averaged = (UNet) trained.ddpm().model().denoiser();
        averaged
            .weights()
            .forEach(
                (name, weight) ->
                    assertThat(floats(own.weights().get(name))).isEqualTo(floats(weight)));
        assertThat(loaded.provenance()).isEqualTo(trained.ddpm().provenance());
      }
    }
  }

  private static float[] floats(NDArray array) {
    try (NDArray copy = array.duplicate()) {
      return copy.toFloatArray();
    }
  }

  /** A folder that cannot be written: the run goes on, or ends with its weights within reach. */
  @Test
  void folderThatVanishes_goesOnOrEnds() {
    for (Checkpoints.OnFailure policy : Checkpoints.OnFailure.values()) {
      Path folder = temporary.resolve(policy.toString());
      Consumer<Training> vanishing =
          t ->
              t.checkpoints(Checkpoints.in(folder).everySteps(EVERY).keepLast(2).onFailure(policy))
                  .listener(at(4, () -> replaceByFile(folder)));
      if (policy == Checkpoints.OnFailure.CONTINUE) {
        assertThat(train(Mode.PLAIN, folder, vanishing)).hasSize(STEPS);
      } else {
        assertThatThrownBy(() -> train(Mode.PLAIN, folder, vanishing))
            .isInstanceOf(UncheckedIOException.class)
            .hasMessageMatching("the checkpoint of step \\d+ was not written: .*")
            .satisfies(
                e -> {
                  try (NDManager manager = NDManager.newBaseManager()) {
                    assertThat(manager.isOpen()).isTrue();
                  }
                });
      }
    }
  }

  private static void replaceByFile(Path folder) {
    try {
      Path aside = folder.resolveSibling(folder.getFileName() + "-aside");
      // The file that is being written may have its name already, or not.
      Files.move(folder, aside);
      Files.writeString(folder, "in the way");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
