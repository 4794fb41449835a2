package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import ai.djl.util.Progress;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.LogRows;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.apache.commons.rng.UniformRandomProvider;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Held-out images have a loss that compares the weights alone, and that can end a run. */
class ValidationTest {

  private static final Shape IMAGE = new Shape(1, 2, 2);
  private static final int STEPS = 24;

  @TempDir private Path temporary;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** How the network runs, and how late the log is read. */
  record Form(boolean compiled, int accumulation, int rows) {}

  static Stream<Form> forms() {
    return Stream.of(new Form(true, 1, 1), new Form(true, 2, 7), new Form(false, 2, 1));
  }

  private static final Form FORM = new Form(true, 1, 1);

  /** Images of one brightness each, which grows to a greatest one. */
  private RandomAccessDataset images(int count, double greatest) {
    float[] values = new float[count * (int) IMAGE.size()];
    for (int i = 0; i < values.length; i++) {
      int image = i / (int) IMAGE.size();
      values[i] = (float) (greatest * (image + 1) / count);
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(count).addAll(IMAGE)))
        .setSampling(1, false)
        .build();
  }

  private static AffineDenoiser network(Form form) {
    float[] scale = {0.5f, 0.5f, 0.5f, 0.5f};
    float[] shift = {0.6f, 0.6f, 0.6f, 0.6f};
    return new AffineDenoiser(form.compiled, IMAGE, scale, shift, 0.1f);
  }

  private static Training training(AffineDenoiser network, Form form) {
    Training training =
        DDPM.builder()
            .timesteps(10)
            .denoiser(network)
            .build()
            .training()
            .batchSize(2)
            .accumulation(form.accumulation)
            .steps(STEPS)
            .learningRate(0.05)
            .ema(Ema.constant(0.3))
            .anyRange()
            .seed(2);
    return LogRows.of(training, form.rows);
  }

  /** The square error of the brightness that the network says x_0 has. */
  private static Training clean(AffineDenoiser network, Form form) {
    Training training =
        DDPM.builder()
            .schedule(Schedules.constant(1, 1e-12))
            .prediction(Prediction.X0)
            .denoiser(network)
            .build()
            .training()
            .batchSize(2)
            .accumulation(form.accumulation)
            .steps(STEPS)
            .learningRate(0.05)
            .ema(Ema.constant(0.3))
            .anyRange()
            .seed(2);
    return LogRows.of(training, form.rows);
  }

  private static float[] weights(AffineDenoiser network) {
    float[] all = new float[9];
    System.arraycopy(network.values("scale"), 0, all, 0, 4);
    System.arraycopy(network.values("shift"), 0, all, 4, 4);
    System.arraycopy(network.values("slope"), 0, all, 8, 1);
    return all;
  }

  private static float[] averages(TrainedModel trained) {
    return weights((AffineDenoiser) trained.ddpm().model().denoiser());
  }

  /** In double, from the averaged weights that listeners see: records 0, 1 and 3 of 5. */
  @ParameterizedTest
  @MethodSource("forms")
  void loss_isThatOfTheAveragesOnSpreadImages(Form form) {
    List<Double> expected = new ArrayList<>();
    List<Double> seen = new ArrayList<>();
    double[] brightness = {0.9 * 1 / 5, 0.9 * 2 / 5, 0.9 * 4 / 5};
    Consumer<float[]> oracle =
        weights -> {
          double sum = 0;
          for (double x : brightness) {
            // The only timestep is 0, so that the slope has no say.
            sum += Math.pow(weights[0] * x + weights[4] - x, 2);
          }
          expected.add(sum / 3);
        };
    try (AffineDenoiser network = network(form)) {
      oracle.accept(weights(network));
      try (TrainedModel trained =
          clean(network, form)
              .validation(Validation.of(images(5, 0.9)).images(3).every(5))
              .listener(
                  event -> {
                    event.validation().ifPresent(result -> seen.add(result.loss()));
                    if (event.step() % 5 == 0) {
                      assertThat(event.validation().orElseThrow().step()).isEqualTo(event.step());
                      oracle.accept(weights((AffineDenoiser) event.averaged()));
                    } else {
                      assertThat(event.validation()).isEmpty();
                    }
                  })
              .fit(images(6, -0.8))) {
        List<Validation.Result> results = trained.validations();
        assertThat(results)
            .extracting(Validation.Result::step)
            .containsExactly(0L, 5L, 10L, 15L, 20L);
        assertThat(seen)
            .containsExactlyElementsOf(
                results.stream().skip(1).map(Validation.Result::loss).toList());
        for (int i = 0; i < results.size(); i++) {
          assertThat(results.get(i).loss()).isCloseTo(expected.get(i), within(1e-5));
        }
      }
    }
  }

  /** Weights that stay as they are have one loss, at levels that are spread evenly. */
  @Test
  void levels_areTheSameAndSpread() {
    List<Double> asked = new ArrayList<>();
    Weighting noting =
        (prediction, schedule, level) -> {
          asked.add(level.timestep());
          return 1;
        };
    try (AffineDenoiser network = network(FORM);
        TrainedModel trained =
            training(network, FORM)
                .learningRate(1e-30)
                .weighting(noting)
                .steps(4)
                .validation(Validation.of(images(5, 0.9)).images(40).every(2))
                .fit(images(6, -0.8))) {
      assertThat(trained.validations()).hasSize(3);
      assertThat(trained.validations())
          .extracting(Validation.Result::loss)
          .containsOnly(trained.validations().get(0).loss());
      assertThat(trained.validations())
          .extracting(Validation.Result::isBest)
          .containsExactly(true, false, false);
    }
    // Two validations and two steps before the second one: 40 images, 2 and 2, 40 images.
    assertThat(asked.subList(44, 84)).isEqualTo(asked.subList(0, 40)).isNotEqualTo(sorted(asked));
    List<Double> sorted = sorted(asked);
    for (int k = 0; k < 40; k++) {
      assertThat(sorted.get(k)).isCloseTo((k + 0.5) / 4 - 0.5, within(1.01));
    }
    assertThat(sorted.stream().distinct()).hasSize(10);
  }

  /** A sampler that draws levels unevenly makes up for it, as in training. */
  @Test
  void importance_counts() {
    List<List<Double>> losses = new ArrayList<>();
    for (double weight : new double[] {1, 4}) {
      TimestepSampler sampler =
          schedule -> {
            TimestepSampler.Draws uniform = TimestepSampler.uniform().begin(schedule);
            return new TimestepSampler.Draws() {
              @Override
              public NoiseLevels draw(int images, UniformRandomProvider random) {
                return uniform.draw(images, random);
              }

              @Override
              public double weight(NoiseLevels levels, int image) {
                return weight;
              }
            };
          };
      try (AffineDenoiser network = network(FORM);
          TrainedModel trained =
              training(network, FORM)
                  .timestepSampler(sampler)
                  .steps(1)
                  .validation(Validation.of(images(5, 0.9)).images(5))
                  .fit(images(6, -0.8))) {
        losses.add(List.of(trained.losses().loss(1), trained.validations().get(0).loss()));
      }
    }
    assertThat(losses.get(1).get(0)).isCloseTo(4 * losses.get(0).get(0), within(1e-5));
    assertThat(losses.get(1).get(1)).isCloseTo(4 * losses.get(0).get(1), within(1e-5));
  }

  private static List<Double> sorted(List<Double> asked) {
    return asked.subList(0, 40).stream().sorted().toList();
  }

  /** Not one bit of the training depends on a validation; other seeds give other losses. */
  @ParameterizedTest
  @MethodSource("forms")
  void training_isUndisturbed(Form form) {
    float[][] left = new float[3][];
    List<List<Double>> losses = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      try (AffineDenoiser network = network(form)) {
        Training training = training(network, form);
        if (i > 0) {
          training.validation(Validation.of(images(7, 0.9)).images(9).every(3).seed(i));
        }
        try (TrainedModel trained = training.fit(images(6, -0.8))) {
          left[i] = Arrays.copyOf(averages(trained), 18);
          System.arraycopy(weights(network), 0, left[i], 9, 9);
          losses.add(trained.validations().stream().map(Validation.Result::loss).toList());
        }
      }
    }
    assertThat(left[1]).isEqualTo(left[0]);
    assertThat(left[2]).isEqualTo(left[0]);
    assertThat(losses.get(1)).hasSize(9).doesNotContainAnyElementsOf(losses.get(2));
  }

  @Test
  void compiledAndEager_agree() {
    List<List<Validation.Result>> results = new ArrayList<>();
    for (boolean compiled : new boolean[] {true, false}) {
      Form form = new Form(compiled, 2, 1);
      try (AffineDenoiser network = network(form);
          TrainedModel trained =
              training(network, form)
                  .validation(Validation.of(images(7, 0.9)).images(9).every(4))
                  .fit(images(6, -0.8))) {
        results.add(trained.validations());
      }
    }
    for (int i = 0; i < results.get(0).size(); i++) {
      assertThat(results.get(1).get(i).loss())
          .isCloseTo(results.get(0).get(i).loss(), within(1e-6));
    }
  }

  /**
   * What is trained on is dark and what is held out is grey: the loss of the latter falls and then
   * rises. Compared with the rule, which is worked out anew.
   */
  @ParameterizedTest
  @MethodSource("forms")
  void patience_endsTheRun_andTheBestIsGivenBack(Form form) {
    double least = 0.001;
    List<float[]> averages = new ArrayList<>();
    try (AffineDenoiser network = network(form);
        TrainedModel trained =
            clean(network, form)
                .validation(
                    Validation.of(images(5, 0.3))
                        .images(5)
                        .every(1)
                        .patience(3)
                        .leastImprovement(least)
                        .keepBest())
                .listener(event -> averages.add(weights((AffineDenoiser) event.averaged())))
                .fit(images(6, -0.8))) {
      List<Validation.Result> results = trained.validations();
      double best = Double.POSITIVE_INFINITY;
      int place = 0;
      for (int i = 0; i < results.size(); i++) {
        boolean better = results.get(i).loss() < best - least;
        assertThat(results.get(i).isBest()).as("validation %d", i).isEqualTo(better);
        if (better) {
          best = results.get(i).loss();
          place = i;
        } else if (i < results.size() - 1) {
          assertThat(i - place).isLessThan(3);
        }
      }
      assertThat(results.size() - 1 - place).isEqualTo(3);
      assertThat(place).isBetween(3, STEPS - 4);
      assertThat(trained.losses().steps()).isEqualTo(results.size() - 1);
      assertThat(averages(trained)).isEqualTo(averages.get(place - 1));
      assertThat(averages(trained)).isNotEqualTo(averages.get(averages.size() - 1));
      assertThat(trained.ddpm().provenance()).containsEntry("averagedWeightsOfStep", (long) place);
    }
  }

  private List<Validation.Result> resumable(Path folder, Consumer<Training> more) {
    try (AffineDenoiser network = network(FORM)) {
      Training training =
          clean(network, FORM)
              .validation(Validation.of(images(5, 0.3)).images(5).every(2).patience(3).keepBest())
              .checkpoints(Checkpoints.in(folder).everySteps(3))
              .resume();
      more.accept(training);
      try (TrainedModel trained = training.fit(images(6, -0.8))) {
        kept = averages(trained);
        return trained.validations();
      }
    }
  }

  private float[] kept = {};

  private static String newest(Path folder) throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith("step-"))
          .max(String::compareTo)
          .orElseThrow();
    }
  }

  /** Broken off before and after the best one, it ends at the same step with the same bits. */
  @Test
  void resumed_endsAsIfItHadNotBeenBrokenOff() throws Exception {
    Path whole = temporary.resolve("whole");
    List<Validation.Result> results = resumable(whole, training -> {});
    float[] best = kept;
    Path broken = temporary.resolve("broken");
    for (int step : new int[] {4, 8, 13}) {
      assertThatThrownBy(
              () ->
                  resumable(
                      broken,
                      t ->
                          t.listener(
                              event -> {
                                if (event.step() == step) {
                                  throw new IllegalStateException("broken off");
                                }
                              })))
          .hasMessage("broken off");
    }
    assertThat(resumable(broken, training -> {})).isEqualTo(results);
    assertThat(kept).isEqualTo(best);
    assertThat(newest(broken)).isEqualTo(newest(whole)).doesNotStartWith("step-0000000024");
    // Ended is ended.
    assertThat(resumable(broken, training -> {})).isEqualTo(results);
    assertThat(kept).isEqualTo(best);
  }

  /** Images that cannot be read on a thread that is interrupted, as many files. */
  private static final class Interrupting extends RandomAccessDataset {
    private final RandomAccessDataset images;
    private final AtomicBoolean next = new AtomicBoolean();

    Interrupting(RandomAccessDataset images) {
      super(
          new ArrayDataset.Builder()
              .setData(NDManager.newBaseManager().zeros(new Shape(1)))
              .setSampling(1, false));
      this.images = images;
    }

    @Override
    public Record get(NDManager owner, long index) throws IOException {
      if (next.getAndSet(false)) {
        Thread.currentThread().interrupt();
      }
      if (Thread.currentThread().isInterrupted()) {
        throw new ClosedByInterruptException();
      }
      return images.get(owner, index);
    }

    @Override
    protected long availableSize() {
      return images.size();
    }

    @Override
    public void prepare(@Nullable Progress progress) {}
  }

  private TrainedModel interruptible(
      AffineDenoiser network, Interrupting heldOut, Path folder, boolean interrupted) {
    return clean(network, FORM)
        .steps(8)
        .validation(Validation.of(heldOut).images(5).every(2))
        .checkpoints(folder)
        .listener(event -> heldOut.next.set(interrupted && event.step() == 3))
        .resume()
        .fit(images(6, -0.8));
  }

  /** The run is then cancelled, with a checkpoint, and no validation is missing in the end. */
  @Test
  void interruptedWhileItValidates_isCancelled_andGoesOn() {
    Interrupting heldOut = new Interrupting(images(5, 0.3));
    List<Validation.Result> whole;
    try (AffineDenoiser network = network(FORM);
        TrainedModel trained = interruptible(network, heldOut, temporary.resolve("whole"), false)) {
      whole = trained.validations();
    }
    Path broken = temporary.resolve("broken");
    try (AffineDenoiser network = network(FORM)) {
      assertThatThrownBy(() -> interruptible(network, heldOut, broken, true))
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              "training was interrupted after step 4 of 8; the network holds the weights of that"
                  + " step, and TrainedModel.soFar(exception) the averaged ones");
      assertThat(Thread.interrupted()).isTrue();
    }
    try (AffineDenoiser network = network(FORM);
        TrainedModel trained = interruptible(network, heldOut, broken, false)) {
      assertThat(trained.validations()).isEqualTo(whole);
    }
  }

  @Test
  void otherValidation_isRefusedOrAllowedByName() {
    Path folder = temporary.resolve("run");
    List<Validation.Result> before = resumable(folder, t -> t.steps(4));
    Validation patient = Validation.of(images(5, 0.3)).images(5).every(2).patience(9);
    assertThatThrownBy(() -> resumable(folder, t -> t.steps(4).validation(patient)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the checkpoint is that of another run: validation was every 2 steps, patience 3, keeps"
                + " the best and is every 2 steps, patience 9; set it as it was, or allow the change"
                + " by resume(Change.VALIDATION)");
    assertThatThrownBy(
            () -> resumable(folder, t -> t.steps(4).validation(patient.keepBest().images(6))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(
            ".*; validationData was 5 records, sample [0-9a-f]{16}, 5 images, seed 0 and is 5"
                + " records, sample [0-9a-f]{16}, 6 images, seed 0; set it as it was, .*");
    Checkpoints.Change[] allowed = {Checkpoints.Change.STEPS, Checkpoints.Change.VALIDATION};
    assertThat(resumable(folder, t -> t.steps(6).validation(patient).resume(allowed)))
        .hasSize(4)
        .startsWith(before.toArray(new Validation.Result[0]));
    assertThat(resumable(folder, t -> t.steps(8).validation(patient.images(6)).resume(allowed)))
        .extracting(Validation.Result::step)
        .containsExactly(6L, 8L);
    // The best weights so far are not known: they are looked for anew.
    assertThat(
            resumable(
                folder, t -> t.steps(10).validation(patient.images(6).keepBest()).resume(allowed)))
        .extracting(Validation.Result::step)
        .containsExactly(8L, 10L);
  }

  /** Before any step, so that no time is lost. */
  @Test
  void images_areCheckedAtOnce() {
    try (AffineDenoiser network = network(FORM)) {
      List<Long> steps = new ArrayList<>();
      Training training = training(network, FORM).listener(event -> steps.add(event.step()));
      RandomAccessDataset wide =
          new ArrayDataset.Builder()
              .setData(manager.zeros(new Shape(3, 1, 2, 3)))
              .setSampling(1, false)
              .build();
      assertThatThrownBy(
              () -> training.validation(Validation.of(wide).images(2)).fit(images(6, -0.8)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("validation data (images 0, 1 of the dataset) must");
      assertThatThrownBy(
              () -> training.validation(Validation.of(images(3, 9))).fit(images(6, -0.8)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("validation data (images 0, 0 of the dataset) must");
      assertThatThrownBy(
              () -> training.validation(Validation.of(new Augmented())).fit(images(6, -0.8)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the dataset of the validation gives other images each time it is read, whose losses"
                  + " cannot be compared; take the random transforms out of it");
      assertThat(steps).isEmpty();
    }
  }

  /** An image that is another one each time. */
  private static final class Augmented extends RandomAccessDataset {
    private int reads;

    Augmented() {
      super(
          new ArrayDataset.Builder()
              .setData(NDManager.newBaseManager().zeros(new Shape(1)))
              .setSampling(1, false));
    }

    @Override
    public Record get(NDManager owner, long index) {
      reads++;
      return new Record(
          new ai.djl.ndarray.NDList(owner.full(IMAGE, 0.001f * reads)),
          new ai.djl.ndarray.NDList());
    }

    @Override
    protected long availableSize() {
      return 4;
    }

    @Override
    public void prepare(@Nullable Progress progress) {}
  }

  /** A loss that is not finite is never the best, and counts for the patience. */
  @Test
  void lossThatIsNotFinite_isNotTheBest() {
    Loss infinite =
        new Loss() {
          @Override
          public <T> T perImage(Ops<T> ops, T output, T target) {
            return ops.meanPerImage(ops.square(ops.subtract(output, target)));
          }

          @Override
          public <T> T perImage(Ops<T> ops, Input<T> input) {
            // Only held-out images are as bright.
            T marks = ops.scale(ops.exp(ops.scale(input.x0(), 500)), 0);
            return ops.meanPerImage(
                ops.add(ops.square(ops.subtract(input.output(), input.target())), marks));
          }
        };
    // Once in one go, and once more after a checkpoint that knows of no best one.
    for (int first : new int[] {0, 3}) {
      Path own = temporary.resolve("run" + first);
      if (first > 0) {
        notFinite(infinite, own, first);
      }
      List<Validation.Result> results = notFinite(infinite, own, STEPS);
      assertThat(results).extracting(Validation.Result::step).containsExactly(0L, 2L, 4L, 6L);
      assertThat(results).noneMatch(Validation.Result::isBest);
    }
  }

  private List<Validation.Result> notFinite(Loss loss, Path folder, int steps) {
    try (AffineDenoiser network = network(FORM);
        TrainedModel trained =
            training(network, FORM)
                .loss(loss)
                .steps(steps)
                .validation(Validation.of(images(3, 0.9)).every(2).patience(4).keepBest())
                .checkpoints(folder)
                .resume(Checkpoints.Change.STEPS)
                .fit(images(6, -0.8))) {
      assertThat(trained.ddpm().provenance()).doesNotContainKey("averagedWeightsOfStep");
      return trained.validations();
    }
  }

  /** However often a run validates, native memory stays as it is. */
  @Test
  void memory_isFlat() {
    int before = NativeResources.inAll();
    List<Integer> during = new ArrayList<>();
    RandomAccessDataset heldOut = images(5, 0.3);
    RandomAccessDataset data = images(6, -0.8);
    int withData = NativeResources.inAll();
    try (AffineDenoiser network = network(FORM)) {
      clean(network, FORM)
          .validation(Validation.of(heldOut).images(5).every(1).keepBest())
          .listener(event -> during.add(NativeResources.inAll()))
          .fit(data)
          .close();
    }
    assertThat(during.subList(2, during.size())).containsOnly(during.get(2));
    assertThat(NativeResources.inAll()).isEqualTo(withData).isGreaterThan(before);
  }

  @Test
  void settings_areChecked() {
    Validation validation = Validation.of(images(2, 0.5));
    assertThat(validation).hasToString("every 500 steps");
    assertThat(validation.every(7).images(3).patience(2).leastImprovement(0.5).keepBest().seed(4))
        .hasToString("every 7 steps, patience 2, least improvement 0.5, keeps the best")
        .satisfies(
            v -> {
              assertThat(v.images()).isEqualTo(3);
              assertThat(v.seed()).isEqualTo(4);
            });
    assertThatThrownBy(() -> validation.every(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("every must be at least 1, but was 0");
    assertThatThrownBy(() -> validation.images(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("images must be at least 1, but was 0");
    assertThatThrownBy(() -> validation.patience(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("patience must be at least 1, but was -1");
    assertThatThrownBy(() -> validation.leastImprovement(Double.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("leastImprovement must be finite and at least 0, but was NaN");
  }
}
