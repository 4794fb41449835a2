package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.DivergenceException;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Who may use a network while it is being trained, and what is left when training goes wrong. */
class UNetInTrainingTest {

  private static final String IN_TRAINING =
      "the network is being trained on thread trainer; wait until fit() returns, or use"
          + " TrainingStepListener.Event.averaged() inside a TrainingStepListener, or a copy() made before";

  private final NDManager manager = NDManager.newBaseManager();
  private final ExecutorService trainer =
      Executors.newSingleThreadExecutor(task -> new Thread(task, "trainer"));
  private final ExecutorService other =
      Executors.newSingleThreadExecutor(task -> new Thread(task, "other"));
  private final UNet network =
      UNet.builder()
          .image(1, 4, 4)
          .levelChannels(4, 8)
          .groups(2)
          .residualBlocks(1)
          .dropout(0.1)
          .seed(3)
          .build();
  private final DDPM ddpm = DDPM.builder().timesteps(20).denoiser(network).build();

  @AfterEach
  void close() {
    trainer.shutdownNow();
    other.shutdownNow();
    network.close();
    manager.close();
  }

  private Dataset dataset(float value) {
    float[] values = new float[8 * 16];
    for (int i = 0; i < values.length; i++) {
      values[i] = value * (i % 3 - 1);
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(8, 1, 4, 4)))
        .setSampling(1, false)
        .build();
  }

  private Training training() {
    return ddpm.training().batchSize(4).steps(3).seed(1);
  }

  private void fit(TrainingStepListener listener) {
    training().listener(listener).fit(dataset(0.5f)).close();
  }

  private Object predict() {
    try (NDManager own = NDManager.newBaseManager()) {
      NDArray x = own.ones(new Shape(1, 1, 4, 4));
      return network.predict(x, levels(), Condition.none()).toFloatArray();
    }
  }

  private Object predictForTraining() {
    try (NDManager own = NDManager.newBaseManager()) {
      NDArray x = own.ones(new Shape(1, 1, 4, 4));
      return network
          .predictForTraining(x, levels(), Condition.none(), new TrainableDenoiser.Pass(1, 1))
          .toFloatArray();
    }
  }

  private Object forward() {
    try (NDManager own = NDManager.newBaseManager()) {
      NDList inputs = new NDList(own.ones(new Shape(1, 1, 4, 4)), own.ones(new Shape(1)));
      return network.forward(new ParameterStore(own, false), inputs, false).head().toFloatArray();
    }
  }

  private Object secondFit() {
    fit(event -> {});
    return true;
  }

  private Object runAs() {
    return network.runAs(Execution.EAGER, Precision.FLOAT32);
  }

  private static NoiseLevels levels() {
    return Levels.at(0);
  }

  /** What came of a task on a thread; its failure as it is. */
  private static <T> T on(ExecutorService thread, Callable<T> task) throws Exception {
    try {
      return thread.submit(task).get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      throw e;
    }
  }

  private void requireFree() throws Exception {
    for (ExecutorService thread : List.of(trainer, other)) {
      on(thread, this::predict);
      on(thread, this::forward);
      on(
          thread,
          () -> {
            network.beginTraining().run();
            return true;
          });
    }
  }

  private static Map<String, float[]> weights(UNet network) {
    Map<String, float[]> values = new LinkedHashMap<>();
    network.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  /* ---------------- Who may use it ---------------- */

  @ParameterizedTest
  @EnumSource(Execution.class)
  void inTraining_otherThread_refused(Execution execution) throws Exception {
    network.runAs(execution, Precision.FLOAT32);
    Map<String, Callable<Object>> calls = new LinkedHashMap<>();
    calls.put("predict", this::predict);
    calls.put("predictForTraining", this::predictForTraining);
    calls.put("forward", this::forward);
    calls.put("fit", this::secondFit);
    calls.put("runAs", this::runAs);
    calls.put("beginTraining", network::beginTraining);
    Map<String, Throwable> refusals = new LinkedHashMap<>();
    TrainingStepListener listener =
        event -> {
          if (event.step() == 2) {
            calls.forEach(
                (name, call) -> refusals.put(name, catchThrowable(() -> on(other, call))));
          }
        };

    on(
        trainer,
        () -> {
          fit(listener);
          return true;
        });

    assertThat(refusals.keySet()).isEqualTo(calls.keySet());
    assertThat(refusals)
        .allSatisfy(
            (name, refusal) ->
                assertThat(refusal)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage(IN_TRAINING));
    requireFree();
    assertThat(network.execution()).isEqualTo(execution);
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void inTraining_listenerOnItsThread_predictsButTrainsNot(Execution execution) throws Exception {
    network.runAs(execution, Precision.FLOAT32);
    List<Object> results = new ArrayList<>();
    List<Throwable> refusals = new ArrayList<>();
    on(
        trainer,
        () -> {
          fit(
              event -> {
                results.add(predict());
                results.add(forward());
                refusals.add(catchThrowable(this::secondFit));
                refusals.add(catchThrowable(this::runAs));
              });
          return true;
        });
    assertThat(results).hasSize(6).doesNotHaveDuplicates();
    assertThat(refusals)
        .hasSize(6)
        .allSatisfy(
            refusal ->
                assertThat(refusal)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage(IN_TRAINING));
    requireFree();
  }

  /** As the message says. */
  @Test
  void inTraining_averagedInsideTheListener_andACopyAnywhere_usable() throws Exception {
    List<float[]> drawn = new ArrayList<>();
    try (UNet copy = network.copy()) {
      fit(
          event -> {
            try {
              drawn.add(draw((UNet) event.averaged()));
              drawn.add(on(other, () -> draw(copy)));
            } catch (Exception e) {
              throw new IllegalStateException(e);
            }
          });
    }
    assertThat(drawn).hasSize(6);
  }

  /** The averages change under whoever looks at them, as the weights do. */
  @Test
  void inTraining_averagedOnAnotherThread_refused() {
    List<Throwable> refusals = new ArrayList<>();
    List<UNet> averaged = new ArrayList<>();
    try (TrainedModel result =
        training()
            .listener(
                event -> {
                  averaged.add((UNet) event.averaged());
                  refusals.add(
                      catchThrowable(() -> on(other, () -> draw((UNet) event.averaged()))));
                })
            .fit(dataset(0.5f))) {
      assertThat(refusals).hasSize(3);
      assertThat(refusals)
          .allSatisfy(
              refusal ->
                  assertThat(refusal)
                      .isInstanceOf(IllegalStateException.class)
                      .hasMessage(
                          IN_TRAINING.replace("trainer", Thread.currentThread().getName())));
      assertThatCode(() -> on(other, () -> draw(averaged.get(0)))).doesNotThrowAnyException();
      assertThat(result.losses().steps()).isEqualTo(3);
    }
  }

  private float[] draw(UNet usable) {
    try (NDManager own = NDManager.newBaseManager();
        var samples = ddpm.withDenoiser(usable).sampling().seed(1).generate(1)) {
      return samples.toNDArray(own).toFloatArray();
    }
  }

  @Test
  void copyAndWeights_onAnotherThread_refused() throws Exception {
    List<Throwable> refusals = new ArrayList<>();
    fit(
        event -> {
          refusals.add(catchThrowable(() -> on(other, network::copy)));
          refusals.add(catchThrowable(() -> on(other, network::weights)));
        });
    assertThat(refusals).hasSize(6);
    assertThat(refusals)
        .allSatisfy(
            refusal ->
                assertThat(refusal)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage(IN_TRAINING.replace("trainer", Thread.currentThread().getName())));
    assertThat(on(other, network::weights)).isNotEmpty();
  }

  /** Releasing twice must not end the claim of a later run. */
  @Test
  void beginTraining_releasedTwice_laterClaimStays() {
    Runnable first = network.beginTraining();
    first.run();
    Runnable second = network.beginTraining();
    first.run();
    assertThatThrownBy(network::beginTraining).isInstanceOf(IllegalStateException.class);
    second.run();
    network.beginTraining().run();
  }

  @Test
  void beginTraining_twice_refusedUntilReleased() {
    Runnable release = network.beginTraining();
    assertThatThrownBy(network::beginTraining)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(IN_TRAINING.replace("trainer", Thread.currentThread().getName()));
    release.run();
    network.beginTraining().run();
  }

  /* ---------------- When it ends ---------------- */

  @Test
  void fit_interrupted_freesTheNetwork() throws Exception {
    assertThatThrownBy(
            () ->
                on(
                    trainer,
                    () -> {
                      try {
                        fit(event -> Thread.currentThread().interrupt());
                      } finally {
                        assertThat(Thread.interrupted()).isTrue();
                      }
                      return true;
                    }))
        .isInstanceOf(CancellationException.class)
        .hasMessage(
            "training was interrupted after step 1 of 3; the network holds the weights of that"
                + " step, and TrainedModel.soFar(exception) the averaged ones");
    requireFree();
  }

  @Test
  void fit_failed_freesTheNetwork() throws Exception {
    List<Callable<Object>> failing =
        List.of(
            () -> {
              fit(
                  event -> {
                    throw new IllegalArgumentException("of the listener");
                  });
              return true;
            },
            () -> {
              training().fit(dataset(7)).close();
              return true;
            },
            () -> {
              training().batchSize(9).fit(dataset(0)).close();
              return true;
            });
    for (Callable<Object> task : failing) {
      assertThatThrownBy(() -> on(trainer, task)).isInstanceOf(IllegalArgumentException.class);
      requireFree();
    }
  }

  /** Users open networks and results with try: closing them must not hide why a run failed. */
  @Test
  void fit_failedInsideTry_closesTheNetworkAndKeepsTheReason() {
    IllegalStateException ofListener = new IllegalStateException("of the listener");
    List<UNet> opened = new ArrayList<>();
    Throwable failure =
        catchThrowable(
            () -> {
              try (UNet own = network.copy();
                  TrainedModel result =
                      ddpm.withDenoiser(own)
                          .training()
                          .batchSize(4)
                          .steps(3)
                          .listener(
                              event -> {
                                opened.add(own);
                                opened.add((UNet) event.averaged());
                                throw ofListener;
                              })
                          .fit(dataset(0.5f))) {
                opened.clear();
              }
            });
    assertThat(failure).isSameAs(ofListener).hasNoSuppressedExceptions();
    assertThat(opened)
        .hasSize(2)
        .allSatisfy(
            closed ->
                assertThatThrownBy(closed::weights)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage(
                        "the U-Net is closed and its weights are freed; build or load another"
                            + " one"));
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void fit_lossNotFinite_keepsTheWeightsOfTheStepBefore(Precision precision) throws Exception {
    network.runAs(Execution.COMPILED, precision);
    List<Double> losses = new ArrayList<>();
    List<Map<String, float[]>> weights = new ArrayList<>();
    Throwable failure =
        catchThrowable(
            () ->
                training()
                    .learningRate((Tracker) done -> done == 1 ? 1e30f : 1e-3f)
                    .listener(
                        event -> {
                          losses.add(event.loss());
                          weights.add(weights(network));
                        })
                    .fit(dataset(0.5f)));
    assertThat(failure)
        .isInstanceOfSatisfying(DivergenceException.class, e -> assertThat(e.step()).isEqualTo(3))
        .hasMessageMatching(
            "the loss of step 3 is (NaN|Infinity) at timesteps \\[\\d+, \\d+, \\d+, \\d+\\]; the"
                + " last good loss was "
                + losses.get(1)
                + "; the weights are those after step 2; the learning rate was .*, the loss .*, the"
                + " gradient norm .*; images [\\d, …]+ of the dataset have values from .* to .*; the"
                + " first output that is not finite is that of linear in time_embedding.linear_2; lower the"
                + " learning rate, lengthen the warm-up, clip the gradient norm, or skip such steps"
                + " by guard\\(Guard.skip\\(\\)\\)");
    assertThat(weights).hasSize(2);
    weights(network)
        .forEach((name, values) -> assertThat(values).as(name).isEqualTo(weights.get(1).get(name)));
    requireFree();
  }

  /** The label of one image, named by its index in the dataset, whatever the order of the epoch. */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void fit_labelOutOfRange_namesTheImage(Execution execution) {
    try (UNet classes =
        UNet.builder()
            .image(1, 4, 4)
            .levelChannels(4)
            .groups(2)
            .residualBlocks(1)
            .classes(3)
            .execution(execution)
            .seed(3)
            .build()) {
      Dataset labelled =
          new ArrayDataset.Builder()
              .setData(manager.zeros(new Shape(8, 1, 4, 4)))
              .optLabels(manager.create(new int[] {0, 1, 2, 0, 1, 7, 0, 1}))
              .setSampling(1, false)
              .build();
      Training training = ddpm.withDenoiser(classes).training().batchSize(4).steps(2).seed(1);
      assertThatThrownBy(() -> training.fit(labelled))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageMatching(
              "image 5 of the dataset, image ([0-3]) of its batch: labels must be between 0 and 2,"
                  + " because the U-Net has 3 classes, but that of image \\1 was 7; use"
                  + " Condition.ABSENT for an image without a class");
    }
  }
}
