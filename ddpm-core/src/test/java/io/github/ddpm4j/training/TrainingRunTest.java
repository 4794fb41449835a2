package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.StoppedRun;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Runs on a thread of their own, and what is left of a run that ends before its time. */
class TrainingRunTest {

  private static final int SIZE = 6;
  private static final int STEPS = 20;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(100).denoiser(network).build();
  private final Dataset data = data();
  private final Map<Long, Map<String, float[]>> averages = new LinkedHashMap<>();

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

  private Dataset data() {
    return new ArrayDataset.Builder()
        .setData(manager.full(new Shape(10, 1, SIZE, SIZE), 0.5f))
        .setSampling(1, false)
        .build();
  }

  private static Map<String, float[]> weights(Denoiser of) {
    Map<String, float[]> values = new LinkedHashMap<>();
    ((TinyDenoiser) of).weights().forEach((name, each) -> values.put(name, each.toFloatArray()));
    return values;
  }

  /** A run that notes its averages, and in which something happens after the fifth step. */
  private Training training(Consumer<TrainingStepListener.Event> afterFive) {
    return ddpm.training()
        .batchSize(5)
        .steps(STEPS)
        .learningRate(1e-2)
        .seed(5)
        .listener(
            event -> {
              averages.put(event.step(), weights(event.averaged()));
              if (event.step() == 5) {
                afterFive.accept(event);
              }
            });
  }

  /** The steps until the fifth, as a model with the averages that the run had then. */
  private void requireFiveSteps(Throwable failure) {
    int before = NativeResources.inAll();
    for (int i = 0; i < 2; i++) {
      try (TrainedModel soFar = TrainedModel.soFar(failure).orElseThrow()) {
        Map<String, float[]> five = Objects.requireNonNull(averages.get(5L));
        weights(soFar.ddpm().denoiser().orElseThrow())
            .forEach((name, values) -> assertThat(values).isEqualTo(five.get(name)));
        assertThat(five.get("second.bias")).isNotEqualTo(weights(network).get("second.bias"));
        assertThat(soFar.raw().denoiser()).containsSame(network);
        assertThat(soFar.losses().steps()).isEqualTo(5);
        assertThat(soFar.seed()).isEqualTo(5);
        assertThat(soFar.ddpm().provenance())
            .containsEntry("weights", "averaged")
            .containsEntry("steps", 5L)
            .containsEntry("firstLearningRate", 1e-2);
      }
    }
    assertThat(NativeResources.inAll()).isEqualTo(before);
    assertThat(ddpm.provenance()).containsEntry("weights", "last").containsEntry("steps", 5L);
  }

  /* ---------------- What a run has done until it fails ---------------- */

  @Test
  void soFar_interrupted_hasTheAverages() {
    Throwable failure =
        catchThrowable(
            () -> training(event -> Thread.currentThread().interrupt()).fit(data).close());
    assertThat(failure).isInstanceOf(CancellationException.class);
    assertThat(Thread.currentThread().isInterrupted()).isTrue();
    requireFiveSteps(failure);
    requireFiveSteps(new ExecutionException(new IllegalStateException(failure)));
  }

  @Test
  void soFar_listenerThrows_hasTheAverages() {
    IllegalStateException own = new IllegalStateException("own");
    Training training =
        training(
            event -> {
              throw own;
            });
    assertThatThrownBy(() -> training.fit(data)).isSameAs(own);
    requireFiveSteps(own);
  }

  @Test
  void soFar_listenerThrowsAtTheEnd_hasTheAverages() {
    UncheckedIOException own = new UncheckedIOException("own", new java.io.IOException());
    Training training =
        training(event -> {})
            .steps(5)
            .listener(
                new TrainingStepListener() {
                  @Override
                  public void onStep(TrainingStepListener.Event event) {}

                  @Override
                  public void onEnd(long steps) {
                    throw own;
                  }
                });
    assertThatThrownBy(() -> training.fit(data)).isSameAs(own);
    requireFiveSteps(own);
  }

  @Test
  void soFar_trackerThrows_hasTheAverages() {
    Training training =
        training(event -> {})
            .learningRate(
                (ai.djl.training.tracker.Tracker)
                    done -> {
                      if (done == 5) {
                        throw new IllegalStateException("no rate");
                      }
                      return 1e-2f;
                    });
    Throwable failure = catchThrowable(() -> training.fit(data));
    assertThat(failure).hasMessage("no rate");
    requireFiveSteps(failure);
  }

  @Test
  void soFar_nonFiniteLoss_hasTheAverages() {
    Training training =
        training(
            event -> {
              NDArray bias = Objects.requireNonNull(network.weights().get("second.bias"));
              bias.set(new float[] {Float.POSITIVE_INFINITY});
            });
    Throwable failure = catchThrowable(() -> training.fit(data));
    assertThat(failure).isInstanceOf(DivergenceException.class);
    // The averages follow weights, which were broken by hand here, until the log is read.
    try (TrainedModel soFar = TrainedModel.soFar(failure).orElseThrow()) {
      assertThat(soFar.losses().steps()).isEqualTo(5);
    }
  }

  @Test
  void soFar_noStepWasDone_isEmpty() {
    Thread.currentThread().interrupt();
    Throwable failure = catchThrowable(() -> training(event -> {}).fit(data));
    assertThat(failure)
        .isInstanceOf(CancellationException.class)
        .hasMessage(
            "training was interrupted after step 0 of 20; the network holds the weights of that"
                + " step");
    assertThat(TrainedModel.soFar(failure)).isEmpty();
    assertThat(TrainedModel.soFar(new IllegalStateException("another"))).isEmpty();
  }

  /* ---------------- On a thread of its own ---------------- */

  @Test
  void start_givesWhatFitGives() throws Exception {
    try (TrainedModel fitted = training(event -> {}).fit(data)) {
      double[] losses = fitted.losses().toArray();
      Map<String, float[]> expected = weights(fitted.ddpm().denoiser().orElseThrow());
      try (TinyDenoiser again = new TinyDenoiser(SIZE, 0.1, 1);
          Training.Run run =
              ddpm.withDenoiser(again)
                  .training()
                  .batchSize(5)
                  .steps(STEPS)
                  .learningRate(1e-2)
                  .seed(5)
                  .start(data);
          TrainedModel result = run.result()) {
        assertThat(result.losses().toArray()).isEqualTo(losses);
        weights(result.ddpm().denoiser().orElseThrow())
            .forEach((name, values) -> assertThat(values).isEqualTo(expected.get(name)));
        assertThat(run.get()).isSameAs(result);
        assertThat(run.result()).isSameAs(result);
        assertThat(run.isDone()).isTrue();
        assertThat(run.isCancelled()).isFalse();
        assertThat(run.step()).isEqualTo(STEPS);
        assertThat(run.steps()).isEqualTo(STEPS);
        assertThat(run.cancel(true)).isFalse();
        assertThat(run).hasToString("Run[step 20 of 20, done]");
      }
    }
  }

  /** Halts the run after its fifth step until the test lets it go on. */
  private static final class Gate {
    private final CountDownLatch reached = new CountDownLatch(1);
    private final CountDownLatch opened = new CountDownLatch(1);

    void pass() {
      reached.countDown();
      try {
        opened.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Test
  void stop_fromAnotherThread_givesTheStepsThatWereDone() throws Exception {
    Gate gate = new Gate();
    AtomicReference<Thread> thread = new AtomicReference<>();
    try (Training.Run run =
        training(
                event -> {
                  thread.set(Thread.currentThread());
                  gate.pass();
                })
            .start(data)) {
      gate.reached.await();
      assertThat(run.step()).isEqualTo(5);
      assertThat(run.isDone()).isFalse();
      assertThatThrownBy(() -> run.get(1, TimeUnit.MILLISECONDS))
          .isInstanceOf(TimeoutException.class);
      assertThat(thread.get()).isNotSameAs(Thread.currentThread());
      assertThat(thread.get().isDaemon()).isFalse();
      assertThat(thread.get().getName()).startsWith("ddpm4j-training-");
      run.stop();
      gate.opened.countDown();
      try (TrainedModel result = run.result()) {
        assertThat(result.losses().steps()).isEqualTo(5);
      }
    }
  }

  /** A run that is stopped at once has done a step all the same. */
  @Test
  void stop_beforeTheFirstStep_givesOneStep() {
    try (TrainedModel result = StoppedRun.of(training(event -> {}), data)) {
      assertThat(result.losses().steps()).isEqualTo(1);
    }
  }

  @Test
  void cancel_fromAnotherThread_endsAfterTheStep() throws Exception {
    Gate gate = new Gate();
    try (Training.Run run = training(event -> gate.pass()).start(data)) {
      gate.reached.await();
      assertThat(run.cancel(true)).isTrue();
      gate.opened.countDown();
      Throwable failure = catchThrowable(run::result);
      assertThat(failure)
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              "training was cancelled after step 5 of 20; the network holds the weights of that"
                  + " step, and TrainedModel.soFar(exception) the averaged ones");
      assertThat(run.isCancelled()).isTrue();
      requireFiveSteps(failure);
    }
  }

  /** A run that nobody asks for its result leaves nothing behind, ended or not. */
  @Test
  void close_freesWhatNobodyAskedFor() throws Exception {
    training(event -> {}).steps(1).fit(data).close();
    int before = NativeResources.inAll();
    Training.Run ended = training(event -> {}).start(data);
    while (!ended.isDone()) {
      TimeUnit.MILLISECONDS.sleep(1);
    }
    assertThat(NativeResources.inAll()).isGreaterThan(before);
    ended.close();
    ended.close();
    assertThat(NativeResources.inAll()).isEqualTo(before);
    training(event -> {}).steps(Integer.MAX_VALUE).start(data).close();
    assertThat(NativeResources.inAll()).isEqualTo(before);
  }

  @Test
  void close_ofAResultThatWasAskedFor_leavesIt() throws Exception {
    TrainedModel result;
    try (Training.Run run = training(event -> {}).start(data)) {
      result = run.result();
    }
    TinyDenoiser averaged = result.ddpm().denoiser(TinyDenoiser.class);
    assertThat(averaged.isClosed()).isFalse();
    result.close();
    assertThat(averaged.isClosed()).isTrue();
  }

  @Test
  void close_onTheRunsOwnThread_isRefused() throws Exception {
    AtomicReference<Training.Run> own = new AtomicReference<>();
    Gate gate = new Gate();
    try (Training.Run run =
        training(
                event -> {
                  gate.pass();
                  own.get().close();
                })
            .start(data)) {
      own.set(run);
      gate.opened.countDown();
      assertThatThrownBy(run::result)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "close() waits for the thread of the run, but was called on it; call stop() or"
                  + " cancel(false) there");
    }
  }

  /** What can be known before the first step fails where the run is started. */
  @Test
  void start_ofWhatCannotTrain_isRefusedThere() {
    assertThatThrownBy(() -> ddpm.training().start(data))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the number of training steps is not set; call steps(n) or epochs(n) before fit()");
    assertThatThrownBy(() -> training(event -> {}).batchSize(11).start(data))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "batchSize must be at most the size of the dataset, 10, but was 11; use batchSize(10)"
                + " or less");
  }

  @Test
  void result_waitingIsInterrupted_theRunGoesOn() throws Exception {
    Gate gate = new Gate();
    try (Training.Run run = training(event -> gate.pass()).start(data)) {
      gate.reached.await();
      Thread.currentThread().interrupt();
      assertThatThrownBy(run::result).isInstanceOf(InterruptedException.class);
      gate.opened.countDown();
      run.result().close();
      assertThat(run.step()).isEqualTo(STEPS);
    }
  }

  @Test
  void get_ofARunThatFailed_wrapsItsFailure() throws Exception {
    IllegalStateException own = new IllegalStateException("own");
    try (Training.Run run =
        training(
                event -> {
                  throw own;
                })
            .start(data)) {
      assertThatThrownBy(run::get).isInstanceOf(ExecutionException.class).hasCause(own);
      assertThatThrownBy(run::result).isSameAs(own);
    }
  }
}
