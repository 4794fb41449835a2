package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Predictions that have begun end with the weights that they began with. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class UNetUsageTest {

  private static final int THREADS = 8;

  private final ExecutorService threads = Executors.newFixedThreadPool(THREADS + 1);
  private final UNet network = network();

  private static UNet network() {
    return UNet.builder()
        .image(1, 4, 4)
        .levelChannels(4, 8)
        .groups(2)
        .residualBlocks(1)
        .dropout(0)
        .seed(3)
        .build();
  }

  @AfterEach
  void close() {
    threads.shutdownNow();
    network.close();
  }

  /** A store of parameters that does something when the network first asks for one. */
  private static final class Asked extends ParameterStore {
    private final Callable<?> first;
    private boolean asked;

    Asked(Callable<?> first) {
      this.first = first;
    }

    @Override
    public NDArray getValue(Parameter parameter, Device device, boolean training) {
      if (!asked) {
        asked = true;
        try {
          first.call();
        } catch (RuntimeException e) {
          throw e;
        } catch (Exception e) {
          throw new IllegalStateException(e);
        }
      }
      return parameter.getArray();
    }
  }

  private float[] forward(Callable<?> inside) {
    try (NDManager own = NDManager.newBaseManager()) {
      NDList inputs = new NDList(own.ones(new Shape(1, 1, 4, 4)), own.ones(new Shape(1)));
      return network.forward(new Asked(inside), inputs, false).head().toFloatArray();
    }
  }

  private float[] predict() {
    try (NDManager own = NDManager.newBaseManager()) {
      NDArray x = own.ones(new Shape(1, 1, 4, 4));
      NoiseLevels levels = Levels.at(1);
      return network.predict(x, levels, Condition.none()).toFloatArray();
    }
  }

  private static byte[] saved() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (UNet other = network()) {
      fill(other, 0.25f);
      other.saveParameters(new DataOutputStream(bytes));
    }
    return bytes.toByteArray();
  }

  private static void fill(UNet network, float value) {
    try (GradMode off = GradMode.off()) {
      for (NDArray weight : network.weights().values()) {
        weight.muli(0).addi(value);
      }
    }
  }

  private Map<String, Callable<Object>> changes() throws Exception {
    byte[] saved = saved();
    Map<String, Callable<Object>> changes = new LinkedHashMap<>();
    changes.put(
        "beginTraining",
        () -> {
          Runnable release = network.beginTraining();
          fill(network, 0.25f);
          release.run();
          return true;
        });
    changes.put("runAs", () -> network.runAs(Execution.EAGER, Precision.FLOAT32));
    changes.put(
        "loadParameters",
        () -> {
          try (NDManager own = NDManager.newBaseManager()) {
            network.loadParameters(own, new DataInputStream(new ByteArrayInputStream(saved)));
          }
          return true;
        });
    changes.put(
        "close",
        () -> {
          network.close();
          return true;
        });
    return changes;
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void changes_whilePredicting_waitUntilItIsDone(Execution execution) throws Exception {
    for (Map.Entry<String, Callable<Object>> change : changes().entrySet()) {
      network.runAs(execution, Precision.FLOAT32);
      float[] alone = predict();
      CountDownLatch inside = new CountDownLatch(1);
      CountDownLatch goOn = new CountDownLatch(1);
      Future<float[]> prediction =
          threads.submit(
              () ->
                  forward(
                      () -> {
                        inside.countDown();
                        goOn.await();
                        return true;
                      }));
      inside.await();
      AtomicReference<Thread> changing = new AtomicReference<>();
      Future<Object> changed =
          threads.submit(
              () -> {
                changing.set(Thread.currentThread());
                return change.getValue().call();
              });
      awaitWaiting(changing, changed);
      assertThat(changed.isDone())
          .as("%s is done before the prediction", change.getKey())
          .isFalse();
      goOn.countDown();
      assertThat(prediction.get()).as(change.getKey()).isEqualTo(alone);
      changed.get();
    }
    assertThatThrownBy(this::predict)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the U-Net is closed and its weights are freed; build or load another one");
  }

  /** Until the thread waits for something, or is done without. */
  private static void awaitWaiting(AtomicReference<Thread> thread, Future<?> task)
      throws InterruptedException {
    while (!task.isDone()
        && (thread.get() == null || thread.get().getState() != Thread.State.WAITING)) {
      Thread.sleep(1);
    }
  }

  /** Each waits inside its prediction until all are inside theirs. */
  @Test
  void predictions_ofManyThreads_runAtOnce() throws Exception {
    float[] alone = predict();
    CyclicBarrier barrier = new CyclicBarrier(THREADS);
    List<Callable<float[]>> tasks = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      tasks.add(() -> forward(() -> barrier.await(30, TimeUnit.SECONDS)));
    }
    for (Future<float[]> result : threads.invokeAll(tasks)) {
      assertThat(result.get()).isEqualTo(alone);
    }
  }

  /** Whoever is not refused gets what one set of weights gives, never a mixture. */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void predictions_whileWeightsChange_areOfOneSetOfWeights(Execution execution) throws Exception {
    network.runAs(execution, Precision.FLOAT32);
    fill(network, 0.25f);
    float[] first = predict();
    fill(network, 0.5f);
    float[] second = predict();
    assertThat(first).isNotEqualTo(second);
    AtomicInteger compared = new AtomicInteger();
    Future<Void> writer =
        threads.submit(
            () -> {
              for (int i = 0; i < 60 || compared.get() < THREADS; i++) {
                Runnable release = network.beginTraining();
                fill(network, i % 2 == 0 ? 0.25f : 0.5f);
                release.run();
              }
              return null;
            });
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      tasks.add(
          () -> {
            while (!writer.isDone()) {
              float[] result;
              try {
                result = predict();
              } catch (IllegalStateException e) {
                assertThat(e).hasMessageStartingWith("the network is being trained on thread ");
                continue;
              }
              assertThat(result).isIn(first, second);
              compared.incrementAndGet();
            }
            return null;
          });
    }
    for (Future<Void> result : threads.invokeAll(tasks)) {
      result.get();
    }
    writer.get();
  }

  /** Waiting for itself would take for ever. */
  @Test
  void changes_insideThePredictionOfTheirThread_refused() throws Exception {
    List<Throwable> refusals = new ArrayList<>();
    for (Callable<Object> change : changes().values()) {
      forward(() -> refusals.add(catchThrowable(change::call)));
    }
    assertThat(refusals)
        .hasSize(4)
        .allSatisfy(
            refusal ->
                assertThat(refusal)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage(
                        "the network is predicting on this thread, "
                            + Thread.currentThread().getName()
                            + ", and cannot be trained, changed or closed before it is done; do so"
                            + " after the prediction returns"));
    assertThat(predict()).hasSize(16);
  }

  /** Else a file could hold weights of two moments, or the process end. */
  @Test
  void changes_whileTheWeightsAreRead_waitUntilThatIsDone() throws Exception {
    for (String name : List.of("beginTraining", "loadParameters", "close")) {
      Callable<Object> change = changes().get(name);
      AtomicReference<Thread> thread = new AtomicReference<>();
      Runnable read = network.beginReading();
      Future<?> task =
          threads.submit(
              () -> {
                thread.set(Thread.currentThread());
                return change.call();
              });
      awaitWaiting(thread, task);
      read.run();
      task.get();
    }
    assertThatThrownBy(network::beginReading)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the U-Net is closed and its weights are freed; build or load another one");
    assertThatThrownBy(
            () -> network.saveParameters(new DataOutputStream(new ByteArrayOutputStream())))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the U-Net is closed and its weights are freed; build or load another one");
  }

  /** The folder is written while the weights are held. */
  @Test
  void save_whileTheFolderIsWritten_closingWaits(@TempDir Path folder) throws Exception {
    DDPM ddpm = DDPM.builder().denoiser(network).build();
    Path saved = folder.resolve("model");
    List<String> order = new ArrayList<>();
    TrainableDenoiser watched =
        (TrainableDenoiser)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {TrainableDenoiser.class},
                (proxy, method, arguments) -> {
                  order.add(method.getName());
                  Object result = method.invoke(network, arguments);
                  return method.getName().equals("beginReading")
                      ? (Runnable)
                          () -> {
                            order.add(Files.exists(saved) ? "end, saved" : "end");
                            ((Runnable) result).run();
                          }
                      : result;
                });
    ddpm.withDenoiser(watched).save(saved);
    assertThat(order.indexOf("beginReading")).isGreaterThanOrEqualTo(0);
    assertThat(order.indexOf("weights")).isGreaterThan(order.indexOf("beginReading"));
    assertThat(order).endsWith("end, saved");
  }

  @Test
  void close_inTraining_refusedAndStaysOpen() throws Exception {
    Runnable release = network.beginTraining();
    String expected =
        "the network is being trained on thread "
            + Thread.currentThread().getName()
            + "; wait until fit() returns, or use TrainingStepListener.Event.averaged() inside a"
            + " TrainingStepListener, or a copy() made before";
    for (Throwable refusal :
        List.of(
            catchThrowable(network::close),
            threads.submit(() -> catchThrowable(network::close)).get())) {
      assertThat(refusal).isInstanceOf(IllegalStateException.class).hasMessage(expected);
    }
    assertThat(predict()).hasSize(16);
    release.run();
    network.close();
    network.close();
  }
}
