package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.SamplingRun.State;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** One run of several that advance together fails, and the others go on as if it had not been. */
class RunsTogetherTest {

  private static final Shape IMAGE = new Shape(1, 2, 2);

  private final NDManager manager = NDManager.newBaseManager();
  private final DDPM ddpm = DDPM.builder().timesteps(50).denoiser(StandIns.modelG()).build();

  @AfterEach
  void close() {
    Thread.interrupted();
    manager.close();
  }

  private Sampling sampling(long seed) {
    return ddpm.sampling().sampler(Samplers.ddim(5).eta(1)).seed(seed).batchSize(2).shape(1, 2, 2);
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  /** How the run in the middle fails in its third step, and what is said of it. */
  private enum Failure {
    LISTENER("no client"),
    NOISE("no noise"),
    GUIDANCE("no score"),
    HOOK(null);

    private final String reason;

    Failure(String reason) {
      this.reason = reason;
    }
  }

  @SuppressWarnings("StatementSwitchToExpressionSwitch") // each case has statements of its own
  private SamplingRun failing(Failure how) {
    Sampling sampling = sampling(2);
    switch (how) {
      case LISTENER:
        return sampling.listener(event -> failAt(event.step() == 2, how)).start(3);
      case NOISE:
        NoiseSource seeded = NoiseSource.seeded(2);
        return sampling
            .noise(
                (image, draw, target) -> {
                  failAt(draw == 3, how);
                  seeded.normal(image, draw, target);
                })
            .start(3);
      case GUIDANCE:
        int[] calls = new int[1];
        return sampling
            .guidance(
                Guidance.classifier(
                    (x, levels) -> {
                      failAt(++calls[0] == 3, how);
                      return x.sum(new int[] {1, 2, 3});
                    },
                    0.1))
            .start(3);
      default:
        NDArray known = manager.zeros(new Shape(3).addAll(IMAGE));
        NDArray mask = manager.ones(new Shape(1, 1, 2, 2));
        return sampling
            .listener(
                event -> {
                  if (event.step() == 1) {
                    known.close();
                  }
                })
            .startInpainting(known, mask);
    }
  }

  private static void failAt(boolean now, Failure how) {
    if (now) {
      throw new IllegalArgumentException(how.reason);
    }
  }

  @ParameterizedTest
  @EnumSource
  void advance_oneFails_itIsNamedAndTheOthersAreAsAlone(Failure how) {
    double[] first = pixels(sampling(1).generate(3));
    double[] last = pixels(sampling(3).generate(2));
    try (SamplingRun one = sampling(1).start(3);
        SamplingRun bad = failing(how);
        SamplingRun other = sampling(3).start(2)) {
      List<SamplingRun> all = List.of(one, bad, other);
      SamplingRun.advance(all);
      SamplingRun.advance(all);
      int resources = NativeResources.inAll();
      assertThatThrownBy(() -> SamplingRun.advance(all))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageStartingWith(
              "of the 3 runs that advance together, that at index 1, SamplingRun[step 2 of 10, 3"
                  + " images, "
                  + (how == Failure.NOISE ? "" : "seed 2, ")
                  + "failed], stops all, and the others can go on without it: "
                  + (how.reason == null ? "" : how.reason));
      assertThat(NativeResources.inAll()).as("arrays and managers").isEqualTo(resources);
      assertThat(List.of(one.step(), bad.step(), other.step())).containsOnly(2);
      assertThat(List.of(one.state(), bad.state(), other.state()))
          .containsExactly(State.RUNNING, State.FAILED, State.RUNNING);
      assertThat(bad.hasNext()).isFalse();
      assertThatThrownBy(() -> SamplingRun.advance(all))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining(
              "that at index 1, "
                  + bad
                  + ", stops all, and the others can go on without it: this"
                  + " run failed before step 2 of 5 of the images from 0: ");
      while (one.hasNext() && other.hasNext()) {
        SamplingRun.advance(List.of(one, other));
      }
      assertThat(pixels(one.finish())).isEqualTo(first);
      assertThat(pixels(other.finish())).isEqualTo(last);
    }
  }

  /** Which of them is to blame nobody knows, so each may try again. */
  @Test
  void advance_theNetworkFails_allStayAndGoOn() {
    boolean[] down = new boolean[1];
    DDPM flaky =
        DDPM.builder()
            .timesteps(50)
            .denoiser(
                (x, levels, condition) -> {
                  if (down[0]) {
                    throw new IllegalStateException("out of memory");
                  }
                  return StandIns.modelG().predict(x, levels, condition);
                })
            .build();
    double[] whole = pixels(sampling(1).generate(2));
    try (SamplingRun one =
            flaky.sampling().sampler(Samplers.ddim(5).eta(1)).seed(1).shape(1, 2, 2).start(2);
        SamplingRun other =
            flaky.sampling().sampler(Samplers.ddim(5)).seed(2).shape(1, 2, 2).start(2)) {
      one.next();
      down[0] = true;
      assertThatThrownBy(() -> SamplingRun.advance(List.of(one, other)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("out of memory");
      down[0] = false;
      assertThat(one.state()).isEqualTo(State.RUNNING);
      assertThat(other.state()).isEqualTo(State.RUNNING);
      assertThat(one.step()).isEqualTo(1);
      SamplingRun.advance(List.of(one, other));
      assertThat(pixels(one.finish())).isEqualTo(whole);
    }
  }

  /** As a listener may by mistake: what the others lent to the step is theirs again. */
  @Test
  void advance_theManagerOfOneIsClosed_theOthersGoOn() {
    double[] whole = pixels(sampling(1).generate(2));
    try (SamplingRun bad = sampling(2).start(3);
        SamplingRun good = sampling(1).start(2)) {
      SamplingRun.advance(List.of(bad, good)).get(0).x().getManager().close();
      assertThatThrownBy(() -> SamplingRun.advance(List.of(bad, good)))
          .isInstanceOf(IllegalStateException.class);
      assertThat(good.state()).isEqualTo(State.RUNNING);
      assertThat(pixels(good.finish())).isEqualTo(whole);
    }
  }

  @Test
  void advance_oneIsCancelledLateDoneOrClosed_itIsNamed() throws Exception {
    String prefix = "of the 2 runs that advance together, that at index 1, SamplingRun[step ";
    String rest = "], stops all, and the others can go on without it: ";
    double[] whole = pixels(sampling(1).generate(2));
    try (SamplingRun good = sampling(1).start(2);
        SamplingRun cancelled = sampling(2).start(1);
        SamplingRun late = sampling(3).timeLimit(Duration.ofNanos(1)).start(1);
        SamplingRun done = sampling(4).start(1);
        SamplingRun closed = sampling(5).start(1)) {
      cancelled.next();
      cancelled.cancel();
      done.finish().close();
      closed.close();
      assertThatThrownBy(() -> SamplingRun.advance(List.of(good, cancelled)))
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              prefix
                  + "1 of 5, 1 image, seed 2, cancelled"
                  + rest
                  + "sampling was cancelled before step 1 of 5 of the images from 0; no image was"
                  + " kept");
      assertThatThrownBy(() -> SamplingRun.advance(List.of(good, late)))
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              prefix
                  + "0 of 5, 1 image, seed 3, cancelled"
                  + rest
                  + "sampling was stopped by its time limit of PT0.000000001S before step 0 of 5 of"
                  + " the images from 0; no image was kept");
      assertThatThrownBy(() -> SamplingRun.advance(List.of(good, done)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              prefix
                  + "5 of 5, 1 image, seed 4, finished"
                  + rest
                  + "this run is over: it was closed, or finish() has given its images; start"
                  + " another");
      assertThatThrownBy(() -> SamplingRun.advance(List.of(good, closed)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              prefix
                  + "0 of 5, 1 image, seed 5, cancelled"
                  + rest
                  + "this run is over: it was closed, or finish() has given its images; start"
                  + " another");
      assertThat(good.step()).isZero();
      assertThat(pixels(good.finish())).isEqualTo(whole);
    }
  }

  @Test
  void advance_oneHasNoStepsLeft_itIsNamed() {
    try (SamplingRun good = sampling(1).start(2);
        SamplingRun done = sampling(4).start(1)) {
      while (done.hasNext()) {
        done.next();
      }
      assertThat(done.state()).isEqualTo(State.FINISHED);
      assertThatThrownBy(() -> SamplingRun.advance(List.of(good, done)))
          .isInstanceOf(NoSuchElementException.class)
          .hasMessage(
              "of the 2 runs that advance together, that at index 1, SamplingRun[step 5 of 5, 1"
                  + " image, seed 4, finished], stops all, and the others can go on without it: all"
                  + " 5 steps of this run are done; finish() gives its images");
      done.cancel(); // comes too late
      assertThat(done.finish().size()).isEqualTo(1);
    }
  }

  @Test
  void cancel_hasNextIsFalseAndFinishThrows() {
    try (SamplingRun run = sampling(1).start(2)) {
      assertThat(run.state()).isEqualTo(State.RUNNING).hasToString("running");
      run.next();
      assertThat(run.hasNext()).isTrue();
      run.cancel();
      assertThat(run.hasNext()).isFalse();
      assertThat(run.state()).isEqualTo(State.CANCELLED);
      assertThatThrownBy(run::finish)
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              "sampling was cancelled before step 1 of 5 of the images from 0; no image was kept");
    }
  }

  /** An interrupt is the thread's, and the run goes on on another. */
  @Test
  void interrupt_leavesTheRunRunning() {
    double[] whole = pixels(sampling(1).generate(2));
    try (SamplingRun run = sampling(1).start(2)) {
      Thread.currentThread().interrupt();
      assertThatThrownBy(run::next).isInstanceOf(CancellationException.class);
      assertThat(Thread.interrupted()).isTrue();
      assertThat(run.state()).isEqualTo(State.RUNNING);
      assertThat(pixels(run.finish())).isEqualTo(whole);
    }
  }

  /** What failed can go on from a file, its own of the step before as well. */
  @Test
  void restore_afterAFailure_goesOn(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    double[] whole = pixels(sampling(1).generate(3));
    boolean[] down = {true};
    Consumer<SamplingRun.Event> listener =
        event -> {
          if (down[0] && event.step() == 3) {
            throw new IllegalStateException("no client");
          }
        };
    try (SamplingRun run = sampling(1).listener(listener).start(3)) {
      assertThatThrownBy(run::finish).hasMessage("no client");
      assertThat(run.step()).isEqualTo(3);
      run.save(file);
      down[0] = false;
      assertThat(run.restore(file).state()).isEqualTo(State.RUNNING);
      assertThat(pixels(run.finish())).isEqualTo(whole);
    }
  }

  /** A start that fails leaves nothing open, however often. */
  @Test
  void next_startFails_leavesNothingOpen() {
    NDArray latents = manager.zeros(new Shape(2).addAll(IMAGE));
    try (SamplingRun run = sampling(1).startDecoding(latents)) {
      latents.close();
      int resources = NativeResources.inAll();
      assertThatThrownBy(run::next).isInstanceOf(IllegalStateException.class);
      assertThat(NativeResources.inAll()).isEqualTo(resources);
      assertThat(run.state()).isEqualTo(State.FAILED);
    }
  }

  @Test
  void run_usedByTwoThreads_saysSo(@TempDir Path folder) throws Exception {
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    ExecutorService worker = Executors.newSingleThreadExecutor(task -> new Thread(task, "first"));
    Consumer<SamplingRun.Event> listener =
        event -> {
          inside.countDown();
          await(go);
        };
    String message =
        "this run is in use on thread first; one thread at a time uses a run, and others may only"
            + " cancel() or close() it";
    try (SamplingRun run = sampling(1).listener(listener).start(2);
        SamplingRun other = sampling(1).start(2)) {
      Future<Samples> samples = worker.submit(run::finish);
      await(inside);
      for (Runnable use :
          List.<Runnable>of(run::next, run::finish, () -> SamplingRun.advance(List.of(run)))) {
        assertThatThrownBy(use::run).isInstanceOf(IllegalStateException.class).hasMessage(message);
      }
      Path file = folder.resolve("run.safetensors");
      assertThatThrownBy(() -> run.save(file)).hasMessage(message);
      assertThatThrownBy(() -> run.restore(file)).hasMessage(message);
      assertThatThrownBy(() -> SamplingRun.advance(List.of(other, run)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "of the 2 runs that advance together, that at index 1, SamplingRun[step 0 of 5, 2"
                  + " images, seed 1, running], stops all, and the others can go on without it: "
                  + message);
      assertThat(run.step()).isZero();
      go.countDown();
      assertThat(pixels(samples.get())).isEqualTo(pixels(other.finish()));
    } finally {
      go.countDown();
      worker.shutdown();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The step that was begun ends, the thread that takes the steps is told, and all is freed. */
  @Test
  void close_whileAnotherThreadSteps_waitsForTheStep() throws Exception {
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    List<String> order = new ArrayList<>();
    ExecutorService worker = Executors.newSingleThreadExecutor();
    int resources = NativeResources.inAll();
    SamplingRun run =
        sampling(1)
            .listener(
                event -> {
                  inside.countDown();
                  await(go);
                  order.add("step " + Golden.values(event.x()).length);
                })
            .start(2);
    try {
      Future<Samples> samples = worker.submit(run::finish);
      await(inside);
      Thread closing =
          new Thread(
              () -> {
                run.close();
                order.add("closed");
              });
      closing.start();
      while (closing.getState() != Thread.State.WAITING) {
        Thread.onSpinWait();
      }
      assertThat(run.state()).isEqualTo(State.CANCELLED);
      go.countDown();
      closing.join();
      assertThatThrownBy(samples::get)
          .hasCauseInstanceOf(CancellationException.class)
          .hasMessageEndingWith(
              "sampling was cancelled before step 1 of 5 of the images from 0; no image was kept");
      assertThat(order).containsExactly("step 8", "closed");
      assertThat(NativeResources.inAll()).isEqualTo(resources);
    } finally {
      go.countDown();
      worker.shutdown();
    }
  }

  @Test
  void close_andNextInAListener_areRefusedAndSaveIsNot(@TempDir Path folder) throws IOException {
    double[] whole = pixels(sampling(1).generate(2));
    Path file = folder.resolve("run.safetensors");
    SamplingRun[] itself = new SamplingRun[1];
    String thread = Thread.currentThread().getName();
    Consumer<SamplingRun.Event> listener =
        event -> {
          assertThatThrownBy(itself[0]::close)
              .isInstanceOf(IllegalStateException.class)
              .hasMessage(
                  "this run is taking a step on this thread, "
                      + thread
                      + ", and cannot be closed before that is done; cancel() it, or close it after"
                      + " the step returns");
          assertThatThrownBy(itself[0]::next)
              .isInstanceOf(IllegalStateException.class)
              .hasMessage(
                  "this run is in use on thread "
                      + thread
                      + "; one thread at a time uses a run, and others may only cancel() or close()"
                      + " it");
          try {
            if (event.step() == 2) {
              itself[0].save(file);
            }
          } catch (IOException e) {
            throw new IllegalStateException(e);
          }
        };
    try (SamplingRun run = sampling(1).listener(listener).start(2);
        SamplingRun other = sampling(1).start(2)) {
      itself[0] = run;
      assertThat(pixels(run.finish())).isEqualTo(whole);
      assertThat(other.restore(file).step()).isEqualTo(2);
      assertThat(pixels(other.finish())).isEqualTo(whole);
    }
  }

  /** Contexts of 3 and of 5 tokens do not fit into one array. */
  @Test
  void advance_contextsOfDifferentLengths_askedApartAndAsAlone() {
    List<Long> calls = new ArrayList<>();
    ByHand.Network byHand = new ByHand.Network(EnumSet.of(Kind.CONTEXTS), false);
    Denoiser network =
        new Denoiser() {
          @Override
          public Set<Kind> conditionKinds() {
            return byHand.conditionKinds();
          }

          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            calls.add(x.getShape().get(0));
            return byHand.predict(x, levels, condition);
          }
        };
    DDPM model = DDPM.builder().timesteps(50).denoiser(network).build();
    List<Supplier<Sampling>> settings =
        List.of(
            () -> contexts(model, 1, 3, 2),
            () -> contexts(model, 2, 5, 1),
            () -> contexts(model, 3, 5, 3));
    List<double[]> alone = settings.stream().map(s -> pixels(s.get().generate(2))).toList();
    calls.clear();
    List<SamplingRun> runs = settings.stream().map(s -> s.get().start(2)).toList();
    try {
      while (runs.get(0).hasNext()) {
        SamplingRun.advance(runs);
      }
      assertThat(calls).hasSize(10).startsWith(4L, 6L);
      for (int i = 0; i < runs.size(); i++) {
        double[] together = pixels(runs.get(i).finish());
        assertThat(together).containsExactly(alone.get(i), within(1e-5));
        assertThat(together).isNotEqualTo(alone.get((i + 1) % 3));
      }
    } finally {
      runs.forEach(SamplingRun::close);
    }
  }

  private Sampling contexts(DDPM model, long seed, int tokens, double scale) {
    NDArray contexts = manager.arange(2f * tokens * 2).div(40).reshape(2, tokens, 2);
    Condition condition = Condition.contexts(contexts, contexts.neg());
    return model
        .sampling()
        .sampler(Samplers.ddim(5))
        .shape(1, 2, 2)
        .seed(seed)
        .condition(condition)
        .guidance(Guidance.classifierFree(scale));
  }
}
