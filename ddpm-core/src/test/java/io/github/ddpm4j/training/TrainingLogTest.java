package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.LogRows;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.random.CounterRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What Java learns of steps that it does not wait for: losses and norms lie in a log of some rows
 * until the log is full or somebody asks, and a step that failed is noticed as late.
 */
class TrainingLogTest {

  private static final int STEPS = 20;
  private static final int BATCH = 3;
  private static final int IMAGES = 6;
  private static final Shape IMAGE = new Shape(2, 3, 4);

  /** The step whose loss is infinite, in the middle of the log of 7 rows. */
  private static final int BROKEN = 10;

  private static final Map<Case, double[]> UNDISTURBED = new HashMap<>();

  private final NDManager manager = NDManager.newBaseManager();
  private final Dataset data = dataset();

  /** How the network runs, and after how many steps the log is read. */
  record Case(boolean compiled, int accumulation, int rows) {}

  static Stream<Case> cases() {
    return Stream.of(1, 7, 50)
        .flatMap(
            rows ->
                Stream.of(
                    new Case(true, 1, rows), new Case(true, 3, rows), new Case(false, 2, rows)));
  }

  @BeforeEach
  @AfterEach
  void clearInterrupt() {
    Thread.interrupted();
  }

  @AfterEach
  void close() {
    manager.close();
  }

  private Dataset dataset() {
    Random random = new Random(1);
    float[] values = new float[IMAGES * (int) IMAGE.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(IMAGES).addAll(IMAGE)))
        .setSampling(1, false)
        .build();
  }

  private static AffineDenoiser network(Case c) {
    float[] values = new float[(int) IMAGE.size()];
    Arrays.fill(values, 0.2f);
    return new AffineDenoiser(c.compiled, IMAGE, values, values, 0.3f);
  }

  private static Training training(AffineDenoiser network, Case c) {
    Training training =
        DDPM.builder()
            .denoiser(network)
            .build()
            .training()
            .batchSize(BATCH)
            .accumulation(c.accumulation)
            .steps(STEPS)
            .learningRate(1e-2)
            .seed(3);
    return LogRows.of(training, c.rows);
  }

  /** One weight gets so large after the step before that the loss is infinite from then on. */
  private static Training breaking(AffineDenoiser network, Case c) {
    return training(network, c)
        .listener(
            event -> {
              if (event.step() == BROKEN - 1) {
                Objects.requireNonNull(network.weights().get("slope")).set(new float[] {1e30f});
              }
            });
  }

  /** Those of a run that nothing disturbs, which is made once for each case. */
  private double[] losses(Case c) {
    return UNDISTURBED.computeIfAbsent(
        c,
        own -> {
          try (AffineDenoiser network = network(own);
              TrainedModel result = training(network, own).fit(data)) {
            return result.losses().toArray();
          }
        });
  }

  private static float[] weights(AffineDenoiser network) {
    float[] all = new float[0];
    for (String name : network.weights().keySet()) {
      float[] values = network.values(name);
      int length = all.length;
      all = Arrays.copyOf(all, length + values.length);
      System.arraycopy(values, 0, all, length, values.length);
    }
    return all;
  }

  /** Notes what becomes of the weights, and does something after one step. */
  private static final class Watcher implements TrainingStepListener {
    private final AffineDenoiser network;
    private final int at;
    private final Consumer<TrainingStepListener.Event> action;
    private final List<float[]> weights = new ArrayList<>();
    private long end = -1;

    Watcher(AffineDenoiser network, int at, Consumer<TrainingStepListener.Event> action) {
      this.network = network;
      this.at = at;
      this.action = action;
    }

    Watcher(AffineDenoiser network) {
      this(network, 0, event -> {});
    }

    @Override
    public void onStep(TrainingStepListener.Event event) {
      weights.add(weights(network));
      if (event.step() == at) {
        action.accept(event);
      }
    }

    @Override
    public void onEnd(long steps) {
      end = steps;
    }

    float[] after(int step) {
      return weights.get(step - 1);
    }
  }

  /* ---------------- Steps that succeed ---------------- */

  /** Whenever they are asked for, in the step or after the run. */
  @ParameterizedTest
  @MethodSource("cases")
  void imageLosses_haveTheMeanThatTheStepHas(Case c) {
    List<TrainingStepListener.Event> events = new ArrayList<>();
    List<double[]> atOnce = new ArrayList<>();
    try (AffineDenoiser network = network(c);
        TrainedModel result =
            training(network, c)
                .listener(events::add)
                .listener(
                    event -> {
                      if (event.step() % 3 == 0) {
                        atOnce.add(event.imageLosses());
                      }
                    })
                .fit(data)) {
      for (TrainingStepListener.Event event : events) {
        double[] each = event.imageLosses();
        double mean = Arrays.stream(each).average().orElseThrow();

        assertThat(each).hasSize(BATCH * c.accumulation);
        assertThat(mean).isCloseTo(event.loss(), within(1e-5 * mean));
        assertThat(event.levels().size()).isEqualTo(each.length);
        assertThat(event.emaDecay()).isEqualTo((1.0 + event.step()) / (10.0 + event.step()));
      }
      assertThat(atOnce).hasSize(6);
      for (int i = 0; i < atOnce.size(); i++) {
        assertThat(events.get(3 * i + 2).imageLosses()).isEqualTo(atOnce.get(i));
      }
      assertThat(result.losses().steps()).isEqualTo(STEPS);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void log_anyNumberOfRows_sameLossesAndNormsWheneverAsked(Case c) {
    List<Double> losses = new ArrayList<>();
    List<Double> norms = new ArrayList<>();
    double[] unasked;
    try (AffineDenoiser network = network(c);
        TrainedModel result =
            training(network, new Case(c.compiled, c.accumulation, 1))
                .listener(
                    event -> {
                      assertThat(event.isLossKnown()).isTrue();
                      losses.add(event.loss());
                      norms.add(event.gradientNorm());
                    })
                .fit(data)) {
      unasked = result.losses().toArray();
      assertThat(losses).doesNotHaveDuplicates();
      assertThat(norms).doesNotHaveDuplicates();
      assertThat(unasked).containsExactly(array(losses));
    }
    List<TrainingStepListener.Event> events = new ArrayList<>();
    try (AffineDenoiser network = network(c);
        TrainedModel result = training(network, c).listener(events::add).fit(data)) {
      assertThat(result.losses().toArray()).containsExactly(array(losses));
      for (TrainingStepListener.Event event : events) {
        int step = (int) event.step();
        assertThat(event.isLossKnown()).as("step %d", step).isEqualTo(step % c.rows == 0);
        assertThat(event.gradientNorm()).isEqualTo(norms.get(step - 1));
        assertThat(event.loss()).isEqualTo(losses.get(step - 1));
      }
    }
    // Asking now and then, for the norm first, and for steps of which others are read by then.
    try (AffineDenoiser network = network(c);
        TrainedModel result =
            training(network, c)
                .listener(
                    event -> {
                      int step = (int) event.step();
                      events.set(step - 1, event);
                      if (step % 3 == 0) {
                        assertThat(event.gradientNorm()).isEqualTo(norms.get(step - 1));
                        assertThat(events.get(step - 2).loss()).isEqualTo(losses.get(step - 2));
                      }
                    })
                .fit(data)) {
      assertThat(result.losses().toArray()).containsExactly(array(losses));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void log_stopped_holdsTheStepsThatWereDone(Case c) {
    double[] expected = Arrays.copyOf(losses(c), 12);
    try (AffineDenoiser network = network(c)) {
      Watcher watcher = new Watcher(network, 12, TrainingStepListener.Event::stop);
      try (TrainedModel result = training(network, c).listener(watcher).fit(data)) {
        assertThat(result.losses().toArray()).containsExactly(expected);
        assertThat(watcher.end).isEqualTo(12);
        assertThat(weights(network)).containsExactly(watcher.after(12));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void log_interrupted_weightsOfTheStepThatWasDone(Case c) {
    try (AffineDenoiser network = network(c)) {
      Watcher watcher = new Watcher(network, 12, event -> Thread.currentThread().interrupt());
      assertThatThrownBy(() -> training(network, c).listener(watcher).fit(data))
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              "training was interrupted after step 12 of 20; the network holds the weights of that"
                  + " step, and TrainedModel.soFar(exception) the averaged ones");
      assertThat(Thread.interrupted()).isTrue();
      assertThat(watcher.end).isEqualTo(12);
      assertThat(weights(network)).containsExactly(watcher.after(12));
    }
  }

  /** A run that ended leaves the losses to whoever kept its events. */
  @ParameterizedTest
  @MethodSource("cases")
  void log_endedByAListener_lossesAndNormsAreThereAfterwards(Case c) {
    double[] expected = losses(c);
    try (AffineDenoiser network = network(c)) {
      List<TrainingStepListener.Event> events = new ArrayList<>();
      Training training =
          training(network, c)
              .listener(events::add)
              .listener(
                  event -> {
                    if (event.step() == 12) {
                      throw new IllegalStateException("enough");
                    }
                  });
      assertThatThrownBy(() -> training.fit(data)).hasMessage("enough");
      assertThat(events).hasSize(12);
      for (TrainingStepListener.Event event : events) {
        assertThat(event.loss()).isEqualTo(expected[(int) event.step() - 1]);
        assertThat(event.gradientNorm()).isPositive();
      }
    }
  }

  /* ---------------- A step that fails ---------------- */

  /** The listener's exception ends the run; that a step had failed before is not lost. */
  @ParameterizedTest
  @MethodSource("cases")
  void brokenStep_listenerThrowsBeforeItIsNoticed_isSuppressedAndTellsWhoeverAsks(Case c) {
    try (AffineDenoiser network = network(c)) {
      List<TrainingStepListener.Event> events = new ArrayList<>();
      Training training =
          breaking(network, c)
              .listener(events::add)
              .listener(
                  event -> {
                    if (event.step() == 12) {
                      throw new IllegalStateException("enough");
                    }
                  });
      Throwable failure = catchThrowable(() -> training.fit(data));
      if (c.rows == 1) {
        assertThat(failure).isInstanceOf(DivergenceException.class);
        assertThat(events).hasSize(BROKEN - 1);
        assertThat(failure.getSuppressed()).isEmpty();
      } else {
        assertThat(failure).hasMessage("enough");
        assertThat(failure.getSuppressed())
            .singleElement()
            .isInstanceOf(DivergenceException.class)
            .isSameAs(catchThrowable(() -> events.get(11).loss()))
            .isSameAs(catchThrowable(() -> events.get(BROKEN - 1).gradientNorm()));
      }
      assertThat(events.get(BROKEN - 2).loss()).isFinite();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void brokenStep_nobodyAsks_noticedWhenTheLogIsReadAndNothingUpdatedSince(Case c) {
    try (AffineDenoiser network = network(c)) {
      Watcher watcher = new Watcher(network);
      checkFailure(c, network, watcher, breaking(network, c).listener(watcher));

      int noticed = Math.min(STEPS, (BROKEN + c.rows - 1) / c.rows * c.rows);
      // The step that fills the log fails before listeners hear of it.
      int heard = noticed % c.rows == 0 ? noticed - 1 : noticed;
      assertThat(watcher.weights).hasSize(heard);
      for (int step = BROKEN; step <= heard; step++) {
        assertThat(watcher.after(step)).containsExactly(watcher.after(BROKEN - 1));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void brokenStep_listenerAsksLater_noticedThere(Case c) {
    try (AffineDenoiser network = network(c)) {
      Watcher watcher = new Watcher(network, 12, TrainingStepListener.Event::gradientNorm);
      checkFailure(c, network, watcher, breaking(network, c).listener(watcher));
      assertThat(watcher.weights).hasSize(c.rows == 1 ? 9 : 12);
    }
  }

  /** However that turns out, the run must not go on with a network that no longer learns. */
  @ParameterizedTest
  @MethodSource("cases")
  void brokenStep_listenerSwallowsIt_endsTheRunAllTheSame(Case c) {
    for (int at : new int[] {12, STEPS}) {
      try (AffineDenoiser network = network(c)) {
        Watcher watcher =
            new Watcher(
                network,
                at,
                event -> {
                  try {
                    event.loss();
                  } catch (DivergenceException e) {
                    event.stop();
                  }
                });
        checkFailure(c, network, watcher, breaking(network, c).listener(watcher));
        assertThat(watcher.weights.size()).isLessThanOrEqualTo(at);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void brokenStep_stoppedBeforeItIsNoticed_noResult(Case c) {
    try (AffineDenoiser network = network(c)) {
      Watcher watcher = new Watcher(network, 12, TrainingStepListener.Event::stop);
      checkFailure(c, network, watcher, breaking(network, c).listener(watcher));
    }
  }

  /** The weights are not those of the step after which the run was interrupted. */
  @ParameterizedTest
  @MethodSource("cases")
  void brokenStep_interruptedBeforeItIsNoticed_saysThatItFailed(Case c) {
    try (AffineDenoiser network = network(c)) {
      Watcher watcher = new Watcher(network, 12, event -> Thread.currentThread().interrupt());
      checkFailure(c, network, watcher, breaking(network, c).listener(watcher));
      assertThat(Thread.interrupted()).isEqualTo(c.rows != 1);
    }
  }

  private void checkFailure(Case c, AffineDenoiser network, Watcher watcher, Training training) {
    double before = losses(c)[BROKEN - 2];

    DivergenceException failure =
        catchThrowableOfType(DivergenceException.class, () -> training.fit(data));

    assertThat(failure).isNotNull();
    assertThat(failure.step()).isEqualTo(BROKEN);
    assertThat(failure.timesteps()).hasSize(BATCH * c.accumulation);
    assertThat(failure.timesteps()).containsExactly(timesteps(c));
    assertThat(failure.lastGoodLoss()).isEqualTo(before);
    assertThat(failure)
        .hasMessageMatching(
            Pattern.quote(
                    "the loss of step 10 is Infinity at timesteps "
                        + Arrays.toString(failure.timesteps())
                        + "; the last good loss was "
                        + before
                        + "; the weights are those after step 9; the learning rate was "
                        + (double) 1e-2f
                        + ", the loss Infinity, the gradient norm ")
                + "[^;]+; (images [0-5, ]+ of the dataset( and )?)+ have values from -[^;]+ to [^;]+;"
                + " all outputs of the network, operation by operation in float32, are finite; lower"
                + " the learning rate, lengthen the warm-up, clip the gradient norm, or skip such"
                + " steps by guard\\(Guard.skip\\(\\)\\)");
    assertThat(watcher.end).as("steps that onEnd is told").isEqualTo(BROKEN - 1);
    assertThat(weights(network)).containsExactly(watcher.after(BROKEN - 1));
    for (float weight : weights(network)) {
      assertThat(weight).isFinite();
    }
  }

  /** Those of the passes of the step that fails, as they are drawn. */
  private static int[] timesteps(Case c) {
    int[] timesteps = new int[BATCH * c.accumulation];
    for (int i = 0; i < c.accumulation; i++) {
      var random =
          CounterRandom.of(3, CounterRandom.Stream.TIMESTEPS)
              .at((BROKEN - 1L) * c.accumulation + i, 0);
      for (int n = 0; n < BATCH; n++) {
        timesteps[i * BATCH + n] = random.nextInt(1000);
      }
    }
    return timesteps;
  }

  private static double[] array(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }
}
