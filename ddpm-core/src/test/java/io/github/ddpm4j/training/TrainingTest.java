package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.tracker.Tracker;
import ai.djl.translate.Batchifier;
import ai.djl.util.Progress;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrainingTest {

  private static final int SIZE = 6;
  private static final int IMAGES = 20;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(100).denoiser(network).build();
  private final Dataset stripes = dataset(0.5f);

  @BeforeEach
  void clearInterrupt() {
    Thread.interrupted();
  }

  @AfterEach
  void close() {
    Thread.interrupted();
    network.close();
    manager.close();
  }

  /** Stripes of the given contrast with a little noise. */
  private Dataset dataset(float contrast) {
    Random random = new Random(3);
    float[] values = new float[IMAGES * SIZE * SIZE];
    for (int i = 0; i < values.length; i++) {
      values[i] = (i % 2 == 0 ? contrast : -contrast) + 0.1f * random.nextFloat();
    }
    return dataset(values, new Shape(IMAGES, 1, SIZE, SIZE));
  }

  private Dataset dataset(float[] values, Shape shape) {
    return new ArrayDataset.Builder()
        .setData(manager.create(values, shape))
        .setSampling(1, false)
        .build();
  }

  private Training training() {
    return ddpm.training().batchSize(10).steps(20).learningRate(1e-2).seed(5);
  }

  private static Map<String, float[]> weights(TinyDenoiser network) {
    Map<String, float[]> values = new LinkedHashMap<>();
    network.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  @Test
  void fit_lowersTheLoss() {
    try (TrainedModel result = training().steps(300).fit(stripes)) {
      double before = Arrays.stream(result.losses().toArray(), 0, 20).average().orElseThrow();
      assertThat(result.losses().mean(20)).isLessThan(0.7 * before);
      assertThat(result.losses().steps()).isEqualTo(300);
      assertThat(result.losses().loss(300)).isEqualTo(result.losses().toArray()[299]);
      assertThat(result.seed()).isEqualTo(5);
      assertThat(result.raw().denoiser()).containsSame(network);
      assertThat(result.ddpm().denoiser()).isPresent().get().isNotSameAs(network);
      assertThat(result.ddpm().provenance())
          .containsEntry("weights", "averaged")
          .containsEntry("seed", 5L)
          .containsEntry("steps", 300L);
      assertThat(result.raw().provenance()).containsEntry("weights", "last");
    }
  }

  @Test
  void fit_sameSeed_givesIdenticalWeights() {
    Map<String, float[]> first;
    Map<String, float[]> firstAveraged;
    try (TrainedModel result = training().accumulation(2).fit(stripes)) {
      first = weights(network);
      firstAveraged = weights((TinyDenoiser) result.ddpm().denoiser().orElseThrow());
    }
    for (long seed : new long[] {5, 6}) {
      try (TinyDenoiser again = new TinyDenoiser(SIZE, 0.1, 1);
          TrainedModel result =
              ddpm.withDenoiser(again)
                  .training()
                  .batchSize(10)
                  .steps(20)
                  .learningRate(1e-2)
                  .accumulation(2)
                  .seed(seed)
                  .fit(stripes)) {
        boolean same = seed == 5;
        weights(again)
            .forEach(
                (name, values) ->
                    assertThat(Arrays.equals(values, first.get(name))).as(name).isEqualTo(same));
        weights((TinyDenoiser) result.ddpm().denoiser().orElseThrow())
            .forEach(
                (name, values) ->
                    assertThat(Arrays.equals(values, firstAveraged.get(name)))
                        .as(name)
                        .isEqualTo(same));
      }
    }
  }

  /** Such a loss would broadcast against the weights of the images, and train something else. */
  @Test
  void loss_thatIsNotPerImage_isRefused() {
    assertThatThrownBy(() -> training().loss(new PerPixel()).fit(stripes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            String.format(
                    Locale.ROOT,
                    "loss squares must give one number per image, shape (N), but gave (2, 1, %d, %d) for 2",
                    SIZE,
                    SIZE)
                + " images; end it with ops.meanPerImage(…)");
    try (NDArray output = manager.ones(new Shape(3, 1, SIZE, SIZE))) {
      assertThatThrownBy(() -> new PerPixel().evaluate(output, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              String.format(
                      Locale.ROOT,
                      "loss squares must give one number per image, shape (N), but gave (3, 1, %1$d, %1$d)",
                      SIZE)
                  + String.format(
                      Locale.ROOT,
                      " for outputs of shape (3, 1, %1$d, %1$d); end it with ops.meanPerImage(…)",
                      SIZE));
    }
  }

  private static final class PerPixel implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.square(ops.subtract(output, target));
    }

    @Override
    public String toString() {
      return "squares";
    }
  }

  /** ā follows the definition, in double, from the weights that each step left. */
  @Test
  void fit_averagesTheWeights() {
    double[] average = weight();
    double[] expected = average.clone();
    TrainingStepListener follow =
        event -> {
          double[] now = weight();
          double decay = Math.min(0.9, (1.0 + event.step()) / (10.0 + event.step()));
          for (int i = 0; i < now.length; i++) {
            expected[i] = decay * expected[i] + (1 - decay) * now[i];
          }
        };
    try (TrainedModel result = training().ema(0.9).listener(follow).fit(stripes)) {
      TinyDenoiser averaged = (TinyDenoiser) result.ddpm().denoiser().orElseThrow();
      float[] actual = weights(averaged).get("first.weight");
      for (int i = 0; i < expected.length; i++) {
        assertThat((double) actual[i]).isCloseTo(expected[i], within(1e-6));
      }
    }
  }

  private double[] weight() {
    float[] values = weights(network).get("first.weight");
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }

  @Test
  void fit_noAveraging_keepsTheLastWeights() {
    try (TrainedModel result = training().ema(0).fit(stripes)) {
      float[] averaged =
          weights((TinyDenoiser) result.ddpm().denoiser().orElseThrow()).get("first.weight");
      float[] last = weights(network).get("first.weight");
      for (int i = 0; i < last.length; i++) {
        assertThat(averaged[i]).isCloseTo(last[i], within(1e-6f));
      }
    }
  }

  @Test
  void listener_seesEveryStep() {
    List<TrainingStepListener.Event> events = new ArrayList<>();
    List<Long> ends = new ArrayList<>();
    TrainingStepListener listener =
        new TrainingStepListener() {
          @Override
          public void onStep(TrainingStepListener.Event event) {
            events.add(event);
          }

          @Override
          public void onEnd(long steps) {
            ends.add(steps);
          }
        };
    try (TrainedModel result =
        training()
            .warmup(10)
            .learningRate((Tracker) done -> done < 15 ? 1e-2f : 5e-3f)
            .listener(listener)
            .fit(stripes)) {
      assertThat(ends).containsExactly(20L);
      assertThat(events).hasSize(20);
      for (int s = 1; s <= 20; s++) {
        TrainingStepListener.Event event = events.get(s - 1);
        assertThat(event.step()).isEqualTo(s);
        assertThat(event.steps()).isEqualTo(20);
        assertThat(event.loss()).isEqualTo(result.losses().loss(s));
        assertThat(event.gradientNorm()).isPositive();
      }
      assertThat(events.get(0).learningRate()).isCloseTo(1e-3, within(1e-9));
      assertThat(events.get(4).learningRate()).isCloseTo(5e-3, within(1e-9));
      assertThat(events.get(9).learningRate()).isCloseTo(1e-2, within(1e-9));
      assertThat(events.get(19).learningRate()).isCloseTo(5e-3, within(1e-9));
      Map<String, Object> settings = new LinkedHashMap<>(result.ddpm().provenance());
      assertThat(settings.remove("weights")).isEqualTo("averaged");
      assertThat(events.get(19).provenance()).isEqualTo(settings).containsEntry("steps", 20L);
      assertThatThrownBy(() -> events.get(19).provenance().clear())
          .isInstanceOf(UnsupportedOperationException.class);
    }
  }

  /** Throws at the end, and notes that it was told. */
  private static TrainingStepListener endingWith(Throwable thrown, List<Long> ends) {
    return new TrainingStepListener() {
      @Override
      public void onStep(TrainingStepListener.Event event) {}

      @Override
      public void onEnd(long steps) {
        ends.add(steps);
        if (thrown instanceof Error error) {
          throw error;
        }
        throw (RuntimeException) thrown;
      }
    };
  }

  @Test
  void onEnd_listenersThrow_allAreToldAndTheFirstFailureIsKept() {
    List<Long> ends = new ArrayList<>();
    List<Throwable> failures =
        List.of(
            new IllegalStateException("first"), new Error("second"), new RuntimeException("third"));
    Training training = training().steps(2);
    failures.forEach(failure -> training.listener(endingWith(failure, ends)));

    assertThatThrownBy(() -> training.fit(stripes)).isSameAs(failures.get(0));

    assertThat(failures.get(0).getSuppressed()).containsExactly(failures.get(1), failures.get(2));
    assertThat(ends).containsExactly(2L, 2L, 2L);
  }

  @Test
  void onEnd_listenerThrowsAfterAFailedRun_failureOfTheRunIsKept() {
    List<Long> ends = new ArrayList<>();
    IllegalStateException ofStep = new IllegalStateException("of the step");
    Error ofEnd = new Error("of the end");
    Training training =
        training()
            .listener(
                event -> {
                  throw ofStep;
                })
            // The same exception again cannot be suppressed in itself.
            .listener(endingWith(ofStep, ends))
            .listener(endingWith(ofEnd, ends))
            .listener(endingWith(new IllegalArgumentException("last"), ends));

    assertThatThrownBy(() -> training.fit(stripes)).isSameAs(ofStep);

    assertThat(ofStep.getSuppressed()).hasSize(2).contains(ofEnd);
    assertThat(ends).containsExactly(1L, 1L, 1L);
  }

  /** All are told of the failure before they are told of the end, whatever the others throw. */
  @Test
  void onFailure_listenersThrow_allAreToldOnceBeforeTheEnd() {
    List<Object> told = new ArrayList<>();
    IllegalStateException ofStep = new IllegalStateException("of the step");
    Error ofFailure = new Error("of the failure");
    TrainingStepListener watcher =
        new TrainingStepListener() {
          @Override
          public void onStep(TrainingStepListener.Event event) {
            if (event.step() == 2) {
              throw ofStep;
            }
          }

          @Override
          public void onFailure(Throwable failure) {
            told.add(failure);
            throw ofFailure;
          }

          @Override
          public void onEnd(long steps) {
            told.add(steps);
          }
        };

    assertThatThrownBy(() -> training().listener(watcher).listener(watcher).fit(stripes))
        .isSameAs(ofStep)
        .hasSuppressedException(ofFailure);
    assertThat(told).containsExactly(ofStep, ofStep, 2L, 2L);

    told.clear();
    training().steps(1).listener(watcher).fit(stripes).close();
    assertThat(told).as("of a run that ends well").containsExactly(1L);
  }

  @Test
  void stop_endsEarlyAndKeepsTheResult() {
    TrainingStepListener stopper =
        event -> {
          if (event.step() == 7) {
            event.stop();
          }
        };
    try (TrainedModel result = training().listener(stopper).fit(stripes)) {
      assertThat(result.losses().steps()).isEqualTo(7);
      assertThat(result.ddpm().provenance()).containsEntry("steps", 7L);
    }
  }

  /** The norm in the event is that of the whole gradient, and clipping bounds the step by it. */
  @Test
  void gradientClip_scalesTheWholeGradient() {
    // One plain step of Adam without memory moves every weight by η g / (|g| + ε): with ε large
    // against g that is η g / ε, so the step shows the clipped gradient.
    AdamOptimizer linear =
        new AdamOptimizer(0, 0, 1e6, 0, AdamOptimizer.EpsilonPlacement.AFTER_CORRECTION);
    double[] before = allWeights();
    List<Double> norms = new ArrayList<>();
    try (TrainedModel result =
        training()
            .steps(1)
            .optimizer(linear)
            .learningRate(1e6)
            .gradientClip(1e-3)
            .listener(event -> norms.add(event.gradientNorm()))
            .fit(stripes)) {
      assertThat(result.losses().steps()).isEqualTo(1);
    }
    double[] after = allWeights();
    double moved = 0;
    for (int i = 0; i < before.length; i++) {
      moved += (after[i] - before[i]) * (after[i] - before[i]);
    }
    assertThat(norms.get(0)).isGreaterThan(1e-2);
    assertThat(Math.sqrt(moved)).isCloseTo(1e-3, within(1e-5));
  }

  private double[] allWeights() {
    return weights(network).values().stream()
        .flatMapToDouble(values -> IntStream.range(0, values.length).mapToDouble(i -> values[i]))
        .toArray();
  }

  /** Two half batches accumulated have the loss of what they hold together. */
  @Test
  void accumulation_averagesItsBatches() {
    try (TinyDenoiser plain = new TinyDenoiser(SIZE, 0, 1);
        TrainedModel result =
            ddpm.withDenoiser(plain)
                .training()
                .batchSize(10)
                .accumulation(2)
                .steps(1)
                .seed(5)
                .fit(stripes);
        TinyDenoiser other = new TinyDenoiser(SIZE, 0, 1);
        TrainedModel single =
            ddpm.withDenoiser(other)
                .training()
                .batchSize(10)
                .steps(2)
                .learningRate(1e-30)
                .seed(5)
                .fit(stripes)) {
      assertThat(result.losses().loss(1))
          .isCloseTo((single.losses().loss(1) + single.losses().loss(2)) / 2, within(1e-6));
    }
  }

  @Test
  void fit_datasetWithItsOwnBatches_readsItAgain() {
    Dataset streaming =
        new Dataset() {
          @Override
          public Iterable<Batch> getData(NDManager owner)
              throws java.io.IOException, ai.djl.translate.TranslateException {
            return new ArrayDataset.Builder()
                .setData(owner.ones(new Shape(6, 1, SIZE, SIZE)))
                .setSampling(3, false)
                .build()
                .getData(owner);
          }

          @Override
          public void prepare(@Nullable Progress progress) {}
        };
    try (TrainedModel result = training().fit(streaming)) {
      assertThat(result.losses().steps()).isEqualTo(20);
    }
  }

  @Test
  void fit_twoRunsAtOnce_bothTrain() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (TinyDenoiser first = new TinyDenoiser(SIZE, 0.1, 1);
        TinyDenoiser second = new TinyDenoiser(SIZE, 0.1, 1)) {
      List<Future<double[]>> runs =
          List.of(threads.submit(() -> losses(first)), threads.submit(() -> losses(second)));
      assertThat(runs.get(0).get()).isEqualTo(runs.get(1).get());
    } finally {
      threads.shutdown();
    }
  }

  private double[] losses(TinyDenoiser denoiser) {
    try (NDManager own = NDManager.newBaseManager()) {
      Dataset data =
          new ArrayDataset.Builder()
              .setData(own.ones(new Shape(IMAGES, 1, SIZE, SIZE)))
              .setSampling(1, false)
              .build();
      try (TrainedModel result =
          ddpm.withDenoiser(denoiser).training().batchSize(10).steps(50).seed(5).fit(data)) {
        return result.losses().toArray();
      }
    }
  }

  /* --- what can go wrong --- */

  @Test
  void fit_interrupted_keepsTheLastWholeStep() {
    Map<Long, Map<String, float[]>> history = new LinkedHashMap<>();
    TrainingStepListener interrupter =
        event -> {
          history.put(event.step(), weights(network));
          if (event.step() == 3) {
            Thread.currentThread().interrupt();
          }
        };
    assertThatThrownBy(() -> training().listener(interrupter).fit(stripes))
        .isInstanceOf(CancellationException.class)
        .hasMessage(
            "training was interrupted after step 3 of 20; the network holds the weights of that"
                + " step, and TrainedModel.soFar(exception) the averaged ones");
    assertThat(Thread.interrupted()).isTrue();
    Map<String, float[]> last = history.get(3L);
    assertThat(last).isNotNull();
    weights(network).forEach((name, values) -> assertThat(values).isEqualTo(last.get(name)));
  }

  @Test
  void fit_nonFiniteLoss_namesStepTimestepsAndLastLoss() {
    List<Double> losses = new ArrayList<>();
    List<Double> rates = new ArrayList<>();
    TrainingStepListener breaker =
        event -> {
          losses.add(event.loss());
          rates.add(event.learningRate());
          if (event.step() == 2) {
            NDArray bias = network.weights().get("second.bias");
            if (bias != null) {
              bias.set(new float[] {Float.NaN});
            }
          }
        };
    DivergenceException failure =
        catchThrowableOfType(
            DivergenceException.class, () -> training().listener(breaker).fit(stripes));
    assertThat(failure.step()).isEqualTo(3);
    assertThat(Arrays.stream(failure.timesteps()).boxed())
        .hasSize(10)
        .allMatch(t -> t >= 0 && t < 100);
    assertThat(failure.lastGoodLoss()).isEqualTo(losses.get(1));
    assertThat(failure)
        .hasMessage(
            "the loss of step 3 is NaN at timesteps "
                + Arrays.toString(failure.timesteps())
                + "; the last good loss was "
                + losses.get(1)
                + "; the weights are those after step 2; the learning rate was "
                + rates.get(1)
                + ", the loss NaN, the gradient norm NaN; the weight second.bias is not finite; lower"
                + " the learning rate, lengthen the warm-up, clip the gradient norm, or skip such"
                + " steps by guard(Guard.skip())");
  }

  /** The loss is finite, its gradient is not: nothing may reach the weights. */
  @Test
  void fit_nonFiniteGradient_leavesTheWeights() {
    Loss exploding =
        new Loss() {
          @Override
          public <T> T perImage(Ops<T> ops, T output, T target) {
            // 1e35 (output − target): finite as a loss, but its squared gradients are not.
            T tiny = ops.scale(ops.subtract(output, target), 1e-25);
            return ops.meanPerImage(ops.scale(ops.scale(tiny, 1e30), 1e30));
          }
        };
    Map<String, float[]> before = weights(network);
    assertThatThrownBy(() -> training().loss(exploding).fit(stripes))
        .isInstanceOf(DivergenceException.class)
        .hasMessageMatching(
            "the (loss|gradient norm) of step 1 is .* at timesteps \\[.*\\]; the last good loss was"
                + " NaN; the weights are those after step 0; the learning rate was .*, the loss .*,"
                + " the gradient norm .*; images [\\d, …]+ of the dataset have values from .* to .*;"
                + " all outputs of the network, operation by operation in float32, are finite; lower"
                + " the learning rate, lengthen the warm-up, clip the gradient norm, or skip such"
                + " steps by guard\\(Guard.skip\\(\\)\\)");
    weights(network).forEach((name, values) -> assertThat(values).isEqualTo(before.get(name)));
  }

  /** A run that fails between two accumulated batches leaves no gradient to the next run. */
  @Test
  void fit_afterAFailedRun_startsWithoutItsGradients() {
    float[] values = new float[IMAGES * SIZE * SIZE];
    values[0] = 7;
    Dataset broken = dataset(values, new Shape(IMAGES, 1, SIZE, SIZE));
    int failed = 0;
    for (long seed = 0; seed < 6; seed++) {
      // Depending on the order the broken image comes in the first batch or in a later one.
      try {
        training().batchSize(5).accumulation(4).steps(1).seed(seed).fit(broken).close();
      } catch (IllegalArgumentException e) {
        failed++;
      }
    }
    assertThat(failed).isEqualTo(6);
    List<Double> norms = new ArrayList<>();
    training().steps(1).listener(event -> norms.add(event.gradientNorm())).fit(stripes).close();
    try (TinyDenoiser fresh = new TinyDenoiser(SIZE, 0.1, 1)) {
      ddpm.withDenoiser(fresh)
          .training()
          .batchSize(10)
          .steps(1)
          .seed(5)
          .listener(event -> norms.add(event.gradientNorm()))
          .fit(stripes)
          .close();
    }
    assertThat(norms.get(0)).isEqualTo(norms.get(1));
  }

  @Test
  void fit_trackerGivesNaN_isRefused() {
    assertThatThrownBy(() -> training().learningRate((Tracker) done -> Float.NaN).fit(stripes))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the learning rate must be finite and at least 0, but the tracker gave NaN for step 1");
  }

  @Test
  void device_otherThanThatOfTheWeights_isRefused() {
    Training training = training();
    assertThat(training.requireDevice(Device.cpu())).isSameAs(training);
    assertThatThrownBy(() -> training.requireDevice(Device.gpu(3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training was to run on gpu(3), but the weight first.weight is on cpu(); build or load"
                + " the network there, as by UNet.builder().device(...) or DDPM.load(folder,"
                + " device)");
  }

  @Test
  void setters_refuseNull() {
    Training training = ddpm.training();
    assertThatThrownBy(() -> training.loss(null)).hasMessage("loss");
    assertThatThrownBy(() -> training.weighting(null)).hasMessage("weighting");
    assertThatThrownBy(() -> training.timestepSampler(null)).hasMessage("timestepSampler");
    assertThatThrownBy(() -> training.optimizer(null)).hasMessage("optimizer");
    assertThatThrownBy(() -> training.ema((Ema) null)).hasMessage("ema");
    assertThatThrownBy(() -> training.learningRate((Tracker) null)).hasMessage("learningRate");
    assertThatThrownBy(() -> training.listener(null)).hasMessage("listener");
  }

  @Test
  void noiseSettings_negative_areRefused() {
    assertThatThrownBy(() -> ddpm.training().offsetNoise(-0.1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("offsetNoise must be finite and at least 0, but was -0.1");
    assertThatThrownBy(() -> ddpm.training().inputPerturbation(Double.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("inputPerturbation must be finite and at least 0, but was NaN");
  }

  @Test
  void fit_otherObjective_isPartOfWhatIsKnownOfTheModel() {
    try (TrainedModel result =
        training()
            .steps(1)
            .loss(Losses.huber(0.5))
            .weighting(Weighting.minSnr(5))
            .timestepSampler(TimestepSampler.lossSecondMoment())
            .offsetNoise(0.1)
            .inputPerturbation(0.2)
            .fit(stripes)) {
      assertThat(result.ddpm().provenance())
          .containsEntry("loss", "huber(0.5)")
          .containsEntry("weighting", "minSnr(5.0)")
          .containsEntry("timestepSampler", "lossSecondMoment(10, 0.001)")
          .containsEntry("offsetNoise", 0.1)
          .containsEntry("inputPerturbation", 0.2);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, -1, 1e39})
  void fit_weightsThatAreNoWeights_areRefused(double weight) {
    assertThatThrownBy(
            () -> training().weighting((prediction, schedule, level) -> weight).fit(stripes))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageMatching(
            "the weighting .* must give factors that are at least 0 and finite in float32, but gave "
                + weight
                + " at timestep .*");
  }

  @Test
  void fit_stepsNotSet_isRefused() {
    assertThatThrownBy(() -> ddpm.training().fit(stripes))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the number of training steps is not set; call steps(n) or epochs(n) before fit()");
  }

  @Test
  void fit_batchLargerThanTheData_isRefused() {
    assertThatThrownBy(() -> training().batchSize(21).fit(stripes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "batchSize must be at most the size of the dataset, 20, but was 21; use batchSize(20)"
                + " or less");
  }

  @Test
  void fit_emptyDataset_isRefused() {
    Dataset empty =
        new Dataset() {
          @Override
          public Iterable<Batch> getData(NDManager owner) {
            return List.of();
          }

          @Override
          public void prepare(@Nullable Progress progress) {}
        };
    assertThatThrownBy(() -> training().fit(empty))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the dataset gave no batch; training needs at least one image");
    Dataset none = dataset(new float[0], new Shape(0, 1, SIZE, SIZE));
    assertThatThrownBy(() -> training().fit(none))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the dataset is empty; training needs at least one image");
  }

  @Test
  void fit_emptyBatch_isRefused() {
    assertThatThrownBy(
            () -> training().fit(batches(new Shape(3, 1, SIZE, SIZE), new Shape(0, 1, SIZE, SIZE))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (batch 2 of the dataset) must hold at least one image, but had shape"
                + " (0, 1, 6, 6)");
  }

  @Test
  void fit_batchWithoutData_isRefused() {
    assertThatThrownBy(() -> training().fit(batches(new Shape(3, 1, SIZE, SIZE), null)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the images must be the first array of the data of a batch, but batch 2 of the dataset"
                + " has no data; put the images into the data, not into the labels");
  }

  /** Batches of zeros of these shapes; null for a batch without arrays. */
  private static Dataset batches(@Nullable Shape... shapes) {
    return new Dataset() {
      @Override
      public Iterable<Batch> getData(NDManager owner) {
        List<Batch> batches = new ArrayList<>();
        for (Shape shape : shapes) {
          NDList data = shape == null ? new NDList() : new NDList(owner.zeros(shape));
          int size = shape == null ? 0 : (int) shape.get(0);
          batches.add(
              new Batch(
                  owner.newSubManager(),
                  data,
                  new NDList(),
                  size,
                  Batchifier.STACK,
                  Batchifier.STACK,
                  0,
                  shapes.length));
        }
        return batches;
      }

      @Override
      public void prepare(@Nullable Progress progress) {}
    };
  }

  @Test
  void fit_weightsOfAnotherEngine_isRefused() {
    DDPM other = DDPM.builder().timesteps(100).denoiser(new OtherEngine.Network()).build();
    assertThatThrownBy(() -> other.training().steps(1).fit(stripes))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "training needs the engine PyTorch, but the weight only.weight is of the engine Other;"
                + " take that engine off the class path, or set the system property"
                + " ai.djl.default_engine=PyTorch, and build the network anew");
  }

  @Test
  void fit_dataOfAnotherShape_isRefused() {
    Dataset wide = dataset(new float[IMAGES * 72], new Shape(IMAGES, 1, 6, 12));
    assertThatThrownBy(() -> training().fit(wide))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (images 4, 0, 11, 14, 9, 8, 17, 6, 13, 7 of the dataset) must have shape"
                + " (N, C, H, W) with (C, H, W) = (1, 6, 6), but had (10, 1, 6, 12)");
  }

  @Test
  void fit_dataOfAnotherType_isRefused() {
    Dataset bytes =
        new ArrayDataset.Builder()
            .setData(
                manager.zeros(
                    new Shape(IMAGES, 1, SIZE, SIZE), ai.djl.ndarray.types.DataType.UINT8))
            .setSampling(1, false)
            .build();
    assertThatThrownBy(() -> training().fit(bytes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (images 4, 0, 11, 14, 9, 8, 17, 6, 13, 7 of the dataset) must be float32,"
                + " but was uint8; convert it and scale it to [-1.0, 1.0]");
  }

  @Test
  void fit_dataWithNaN_isRefused() {
    float[] values = new float[IMAGES * SIZE * SIZE];
    values[0] = Float.NaN;
    Dataset broken = dataset(values, new Shape(IMAGES, 1, SIZE, SIZE));
    assertThatThrownBy(() -> training().batchSize(20).fit(broken))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (image 0 of the dataset) must be finite, but holds NaN or infinity; look"
                + " for broken images");
  }

  @Test
  void fit_dataOutOfRange_isRefused() {
    float[] values = new float[IMAGES * SIZE * SIZE];
    Arrays.fill(values, 255);
    values[0] = 0;
    Dataset bytes = dataset(values, new Shape(IMAGES, 1, SIZE, SIZE));
    assertThatThrownBy(() -> training().batchSize(20).fit(bytes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (images 4, 0, 11, 14, 9, 8, 17, 6, 13, 7, 16, 1, 10, 19, 3, 2, … of the"
                + " dataset) must lie in the data range [-1.0, 1.0], but holds values from"
                + " 0.0 to 255.0, which looks like 0..255; map them by images.div(127.5).sub(1), or set"
                + " dataRange(min, max) when building DDPM");
  }

  /** Images of 0 to 1, but for one value of the image of an index. */
  private Dataset unit(int images, int other, float value) {
    float[] values = new float[images * SIZE * SIZE];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (i % 10) / 9;
    }
    values[other * SIZE * SIZE] = value;
    return dataset(values, new Shape(images, 1, SIZE, SIZE));
  }

  @Test
  void fit_dataOf0To1_isRefusedBeforeTheFirstStep() {
    Map<String, float[]> before = weights(network);
    String message =
        "training data must fill the data range [-1.0, 1.0], but the first images hold values from"
            + " 0.0 to 1.0, which looks like 0..1; map them by images.mul(2).sub(1), set"
            + " dataRange(0, 1) when building DDPM, or call anyRange() on the training if they are"
            + " meant";
    for (int batchSize : new int[] {1, 2, 20}) {
      assertThatThrownBy(() -> training().batchSize(batchSize).fit(unit(IMAGES, 0, 0)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(message);
    }
    assertThatThrownBy(() -> training().batchSize(1).fit(unit(3, 0, 0))).hasMessage(message);
    assertThat(weights(network)).usingRecursiveComparison().isEqualTo(before);
    training().steps(1).anyRange().fit(unit(IMAGES, 0, 0)).close();
    DDPM of0To1 = DDPM.builder().timesteps(100).dataRange(0, 1).denoiser(network).build();
    of0To1.training().steps(1).batchSize(4).fit(unit(IMAGES, 0, 0)).close();
  }

  /** A dataset that is no random access dataset, and gives its images one by one. */
  private Dataset oneByOne(float... darkest) {
    return new Dataset() {
      @Override
      public Iterable<Batch> getData(NDManager owner)
          throws java.io.IOException, ai.djl.translate.TranslateException {
        float[] values = new float[darkest.length * SIZE * SIZE];
        for (int i = 0; i < values.length; i++) {
          values[i] = i % 2 == 0 ? darkest[i / SIZE / SIZE] : 1;
        }
        return new ArrayDataset.Builder()
            .setData(owner.create(values, new Shape(darkest.length, 1, SIZE, SIZE)))
            .setSampling(1, false)
            .build()
            .getData(owner);
      }

      @Override
      public void prepare(@Nullable Progress progress) {}
    };
  }

  @Test
  void fit_streamOf0To1_isRefusedOnceSixteenImagesTell() {
    List<Long> steps = new ArrayList<>();
    Training training = training().batchSize(1).listener(event -> steps.add(event.step()));
    assertThatThrownBy(() -> training.fit(oneByOne(0, 0.25f, 0.5f)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith(
            "training data must fill the data range [-1.0, 1.0], but the first images hold values"
                + " from 0.0 to 1.0, which looks like 0..1");
    assertThat(steps).hasSize(15);
    // The first picture is bright by right.
    training().batchSize(1).steps(20).fit(oneByOne(0, 0, 0, -0.5f)).close();
  }

  @Test
  void fit_oneBrightPicture_isTakenAmongOthers() {
    for (int dark = 0; dark < 3; dark++) {
      training().batchSize(1).steps(1).fit(unit(3, dark, -0.5f)).close();
    }
  }

  @Test
  void loss_picturesOf0To255_areRefused() {
    NDArray bytes = manager.arange(2 * SIZE * SIZE).toType(DataType.FLOAT32, false);
    assertThatThrownBy(
            () ->
                ddpm.loss(
                    Losses.simple(),
                    bytes.reshape(2, 1, SIZE, SIZE),
                    Condition.none(),
                    new TrainableDenoiser.Pass(1, 0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "x0 must lie in the data range [-1.0, 1.0] or near it, but hold values from 0.0 to 71.0,"
                + " which looks like 0..255; map them by images.div(127.5).sub(1), or set"
                + " dataRange(min, max) when building DDPM");
  }

  @Test
  void setters_refuseWhatIsOutOfRange() {
    Training training = ddpm.training();
    assertThatThrownBy(() -> training.batchSize(0))
        .hasMessage("batchSize must be at least 1, but was 0");
    assertThatThrownBy(() -> training.steps(-1)).hasMessage("steps must be at least 1, but was -1");
    assertThatThrownBy(() -> training.accumulation(0))
        .hasMessage("accumulation must be at least 1, but was 0");
    assertThatThrownBy(() -> training.learningRate(0))
        .hasMessage("learningRate must be positive and finite, but was 0.0");
    assertThatThrownBy(() -> training.warmup(-1))
        .hasMessage("warmup must be at least 0 steps, but was -1");
    assertThatThrownBy(() -> training.gradientClip(0))
        .hasMessage("gradientClip must be positive (infinity for none), but was 0.0");
    assertThatThrownBy(() -> training.ema(1))
        .hasMessage("EMA decay must lie in [0, 1), but was 1.0");
  }

  @Test
  void epochs_areAsManyStepsAsSeeTheData() {
    try (TrainedModel result = training().epochs(3).fit(stripes)) {
      assertThat(result.losses().steps()).isEqualTo(6);
      assertThat(result.ddpm().provenance()).containsEntry("steps", 6L);
    }
    try (TrainedModel result = training().batchSize(7).accumulation(2).epochs(2).fit(stripes)) {
      assertThat(result.losses().steps()).isEqualTo(3);
    }
    try (TrainedModel result = training().epochs(3).steps(1).fit(stripes)) {
      assertThat(result.losses().steps()).isEqualTo(1);
    }
    assertThatThrownBy(() -> training().epochs(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("epochs must be at least 1, but was 0");
    Dataset stream = batches(new Shape(3, 1, SIZE, SIZE));
    assertThatThrownBy(() -> training().epochs(2).fit(stream))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "epochs(2) needs a dataset that tells its size, a RandomAccessDataset, but it is a "
                + stream.getClass().getName()
                + "; call steps(n)");
  }

  /** Settings are those of the moment when fit began. */
  @Test
  void fit_runThatIsChangedByAListener_goesOnAsItBegan() {
    Training run = training().steps(4);
    run.listener(
        event -> {
          run.steps(9).accumulation(2).batchSize(3).learningRate(7);
          assertThat(event.steps()).isEqualTo(4);
          assertThat(event.learningRate()).isEqualTo((float) 1e-2);
        });
    try (TrainedModel result = run.fit(stripes)) {
      assertThat(result.losses().steps()).isEqualTo(4);
      assertThat(result.ddpm().provenance())
          .containsEntry("accumulation", 1L)
          .containsEntry("batchSize", 10L);
    }
  }

  @Test
  void detach_handsTheAverageOver() {
    DDPM averaged;
    TinyDenoiser kept;
    try (TrainedModel result = training().steps(1).fit(stripes)) {
      kept = result.ddpm().denoiser(TinyDenoiser.class);
      result.ddpm().close();
      result.raw().close();
      assertThat(kept.isClosed()).isFalse();
      assertThat(network.isClosed()).isFalse();
      averaged = result.detach();
      assertThatThrownBy(result::detach)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the averaged model was handed over before, or freed by close(); detach() it once,"
                  + " before close()");
    }
    assertThat(kept.isClosed()).isFalse();
    assertThat(averaged.provenance()).containsEntry("weights", "averaged");
    averaged.close();
    assertThat(kept.isClosed()).isTrue();
    TrainedModel closed = training().steps(1).fit(stripes);
    closed.close();
    closed.close();
    assertThatThrownBy(closed::detach).isInstanceOf(IllegalStateException.class);
  }

  /** A loop of one's own: the gradient of loss(…) is that of a step of a run. */
  @Test
  void loss_ofABatch_isThatOfAStep() {
    double[] losses = new double[1];
    double[] norms = new double[1];
    try (NDManager own = NDManager.newBaseManager()) {
      float[] values = new float[10 * SIZE * SIZE];
      Arrays.fill(values, 0.25f);
      NDArray x0 = own.create(values, new Shape(10, 1, SIZE, SIZE));
      Dataset same = new ArrayDataset.Builder().setData(x0).setSampling(1, false).build();
      NDArray loss;
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        loss = ddpm.loss(Losses.simple(), x0, Condition.none(), new TrainableDenoiser.Pass(5, 0));
        collector.backward(loss);
      }
      double squares = 0;
      for (NDArray weight : network.weights().values()) {
        NDArray gradient = weight.getGradient();
        squares += gradient.square().sum().getFloat();
        try (NDArray zeros = gradient.zerosLike()) {
          gradient.set(new NDIndex("..."), zeros);
        }
      }
      try (TrainedModel result =
          training()
              .steps(1)
              .listener(
                  event -> {
                    losses[0] = event.loss();
                    norms[0] = event.gradientNorm();
                  })
              .fit(same)) {
        assertThat((double) loss.getFloat()).isEqualTo(losses[0]);
        assertThat(Math.sqrt(squares)).isCloseTo(norms[0], within(1e-5 * norms[0]));
      }
      NDArray noise = own.randomNormal(x0.getShape());
      NDArray given =
          ddpm.loss(
              Losses.l1(),
              x0,
              NoiseLevels.of(ddpm.schedule(), 3, 3, 3, 3, 3, 3, 3, 3, 3, 3),
              noise,
              Condition.none(),
              new TrainableDenoiser.Pass(5, 0));
      assertThat(given.getShape()).isEqualTo(new Shape());
      assertThatThrownBy(
              () ->
                  ddpm.loss(
                      Losses.simple(),
                      x0,
                      NoiseLevels.of(ddpm.schedule(), 3),
                      noise,
                      Condition.none(),
                      new TrainableDenoiser.Pass(5, 0)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("levels must have one entry per image of x0, that is 10, but had 1");
    }
  }

  /** What a run refuses, a loop of one's own is refused too. */
  @Test
  void loss_ofImagesThatDoNotFit_isRefused() {
    try (NDManager own = NDManager.newBaseManager()) {
      NDArray wide = own.zeros(new Shape(2, 1, SIZE, SIZE), DataType.FLOAT64);
      assertThatThrownBy(
              () ->
                  ddpm.loss(
                      Losses.simple(), wide, Condition.none(), new TrainableDenoiser.Pass(5, 0)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "x0 must be float32, but was float64; convert it and scale it to [-1.0, 1.0]");
      NDArray flat = own.zeros(new Shape(1, SIZE, SIZE));
      assertThatThrownBy(
              () ->
                  ddpm.loss(
                      Losses.simple(), flat, Condition.none(), new TrainableDenoiser.Pass(5, 0)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              String.format(
                  Locale.ROOT,
                  "x0 must have shape (N, C, H, W) with (C, H, W) = %s, but had %s",
                  network.imageShape().orElseThrow(),
                  flat.getShape()));
    }
  }
}
