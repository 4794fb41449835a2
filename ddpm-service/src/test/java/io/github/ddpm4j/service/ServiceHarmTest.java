package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.service.RequestRefusedException.Reason;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Nothing that a request or a listener brings along harms other requests or loses a future. */
@Timeout(60)
class ServiceHarmTest {

  private static final int STEPS = 4;
  private static final int PATIENCE = 20;

  @BeforeAll
  static void loadTheEngine() {
    ddpm(Gate.open()).sampling().sampler(Samplers.ddim(1)).seed(1).generate(1).close();
  }

  private static DDPM ddpm(Gate gate) {
    return DDPM.builder().timesteps(10).denoiser(gate).build();
  }

  private static SamplingService.Builder service(Gate gate) {
    return SamplingService.of(ddpm(gate)).mostImages(8);
  }

  private static SamplingRequest request(int count, int steps) {
    return SamplingRequest.of(count, s -> s.sampler(Samplers.ddim(steps)).seed(1));
  }

  private static int drawn(ServedRequest request) throws Exception {
    try (Samples samples = request.result().get(PATIENCE, TimeUnit.SECONDS)) {
      return samples.size();
    }
  }

  private static void assertEndsWell(ServedRequest request) throws Exception {
    assertThat(drawn(request)).isEqualTo(1);
  }

  /** An executor that takes nothing while it is told so. */
  private static final class Rejecting implements Executor {

    private final AtomicBoolean rejects = new AtomicBoolean();

    @Override
    public void execute(Runnable command) {
      if (rejects.get()) {
        throw new RejectedExecutionException("full on purpose");
      }
      ForkJoinPool.commonPool().execute(command);
    }
  }

  private static final class Silent implements Flow.Subscriber<Progress> {

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Progress item) {}

    @Override
    public void onError(Throwable throwable) {}

    @Override
    public void onComplete() {}
  }

  @Test
  void submit_tooLateWhenFullAndShedding_losesNobody() throws Exception {
    Gate gate = Gate.closed();
    CompletableFuture<DDPM> unused;
    try (SamplingService service = service(gate).queue(1).whenFull(WhenFull.SHED).build()) {
      ServedRequest running = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest waiting = service.submit(request(1, 9));
      assertThatThrownBy(() -> service.submit(request(1, 1).deadline(Duration.ofNanos(1))))
          .isInstanceOfSatisfying(
              RequestRefusedException.class,
              refused -> assertThat(refused.reason()).isEqualTo(Reason.TOO_LATE));
      assertThat(waiting.result()).isNotDone();
      unused = service.replace("default", ddpm(Gate.open()));
      gate.open.release(100);
      assertThat(drawn(running)).isEqualTo(8);
      assertEndsWell(waiting);
      assertThat(unused.get(PATIENCE, TimeUnit.SECONDS)).isNotNull();
    }
  }

  /** It rejects progress, the images, and the end of the progress, one after the other. */
  @Test
  void executor_thatRejects_endsNoWorker() throws Exception {
    Gate gate = Gate.closed();
    Rejecting executor = new Rejecting();
    try (SamplingService service = service(gate).executor(executor).build()) {
      ServedRequest heard = service.submit(request(1, STEPS));
      heard.progress().subscribe(new Silent());
      gate.begun.acquire();
      ServedRequest cancelled = service.submit(request(1, STEPS));
      cancelled.progress().subscribe(new Silent());
      ServedRequest other = service.submit(request(1, STEPS));
      CompletableFuture<DDPM> unused = service.replace("default", ddpm(gate));
      executor.rejects.set(true);
      cancelled.cancel();
      gate.open.release(100);
      assertEndsWell(heard);
      assertEndsWell(other);
      assertThat(cancelled.result()).isCompletedExceptionally();
      assertThat(unused.get(PATIENCE, TimeUnit.SECONDS)).isNotNull();
      assertThat(service.status().isOpen()).isTrue();
      executor.rejects.set(false);
      assertEndsWell(service.submit(request(1, STEPS)));
    }
  }

  /** One that runs what it is given and throws then has run it: the images stay open. */
  @Test
  void executor_thatThrowsAfterwards_leavesTheImages() throws Exception {
    Executor late =
        command -> {
          command.run();
          throw new RejectedExecutionException("too late");
        };
    try (SamplingService service = service(Gate.open()).executor(late).build()) {
      assertEndsWell(service.submit(request(1, STEPS)));
    }
  }

  @Test
  void preview_thatFails_harmsNoOther() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest first = service.submit(request(1, STEPS));
      gate.begun.acquire();
      ServedRequest bad =
          service.submit(
              SamplingRequest.of(
                      1,
                      s ->
                          s.sampler(Samplers.ddim(1))
                              .seed(1)
                              .listener(event -> event.predictedX0().close()))
                  .previews(1));
      ServedRequest good = service.submit(request(1, STEPS));
      gate.open.release(100);
      assertEndsWell(first);
      assertEndsWell(good);
      assertThat(bad.result().handle((samples, failure) -> 1).get(PATIENCE, TimeUnit.SECONDS))
          .isOne();
      assertEndsWell(service.submit(request(1, STEPS)));
    }
  }

  @Test
  void listener_thatThrowsErrors_isLogged() throws Exception {
    ServiceListener bad =
        new ServiceListener() {
          @Override
          public void queued(long id, SamplingRequest request) {
            throw new AssertionError("queued, on purpose");
          }

          @Override
          public void begun(long id, SamplingRequest request, Duration waited) {
            throw new AssertionError("begun, on purpose");
          }

          @Override
          public void called(int requests, int images, Duration time) {
            throw new AssertionError("called, on purpose");
          }

          @Override
          public void ended(
              long id,
              SamplingRequest request,
              Outcome outcome,
              int images,
              Duration waited,
              Duration total) {
            throw new AssertionError("ended, on purpose");
          }
        };
    Gate gate = Gate.closed();
    try (SamplingService service =
        service(gate).queue(2).whenFull(WhenFull.SHED).listener(bad).build()) {
      ServedRequest running = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest shed = service.submit(request(1, 9));
      ServedRequest second = service.submit(request(1, 1));
      ServedRequest third = service.submit(request(1, 1));
      assertThat(
              shed.result().handle((samples, failure) -> failure).get(PATIENCE, TimeUnit.SECONDS))
          .isInstanceOf(RequestRefusedException.class);
      CompletableFuture<Void> closing = CompletableFuture.runAsync(service::close);
      while (service.status().isOpen()) {
        Thread.onSpinWait();
      }
      gate.open.release(100);
      closing.get(PATIENCE, TimeUnit.SECONDS);
      assertThat(drawn(running)).isEqualTo(8);
      for (ServedRequest closed : List.of(second, third)) {
        assertThat(closed.result().handle((samples, e) -> 1).get(PATIENCE, TimeUnit.SECONDS))
            .isOne();
        assertThat(closed.result()).isCompletedExceptionally();
      }
    }
  }

  /** What a slow first call foretells fades, so that requests are tried again. */
  @Test
  void deadline_afterASlowCall_isMetAgain() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest slow = service.submit(request(1, 1));
      gate.begun.acquire();
      Thread.sleep(1_000);
      gate.open.release(1000);
      assertEndsWell(slow);
      SamplingRequest again = request(1, 10).deadline(Duration.ofSeconds(5));
      assertThatThrownBy(() -> service.submit(again)).isInstanceOf(RequestRefusedException.class);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
      ServedRequest taken = null;
      while (taken == null) {
        try {
          taken = service.submit(again);
        } catch (RequestRefusedException e) {
          assertThat(System.nanoTime()).as("refused for ever").isLessThan(end);
          Thread.sleep(10);
        }
      }
      assertEndsWell(taken);
      assertEndsWell(service.submit(again));
    }
  }

  private static final class BadClose implements Sampling.Decoding {

    @Override
    public NDArray decode(NDArray latents) {
      return latents.duplicate();
    }

    @Override
    public DataRange range() {
      return DataRange.DEFAULT;
    }

    @Override
    public Map<String, String> words(int image) {
      return Map.of();
    }

    @Override
    public void close() {
      throw new IllegalStateException("the decoding does not close, on purpose");
    }
  }

  @Test
  void decoding_thatDoesNotClose_losesNobody() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      SamplingRequest bad =
          SamplingRequest.of(
              1, s -> s.sampler(Samplers.ddim(STEPS)).seed(1).decoding(new BadClose()));
      ServedRequest first = service.submit(bad);
      gate.begun.acquire();
      ServedRequest cancelled = service.submit(bad);
      ServedRequest good = service.submit(request(1, STEPS));
      CompletableFuture<DDPM> unused = service.replace("default", ddpm(gate));
      cancelled.cancel();
      gate.open.release(100);
      assertEndsWell(good);
      assertThat(first.result().handle((samples, e) -> 1).get(PATIENCE, TimeUnit.SECONDS)).isOne();
      assertThat(cancelled.result().handle((s, e) -> 1).get(PATIENCE, TimeUnit.SECONDS)).isOne();
      assertThat(cancelled.result()).isCompletedExceptionally();
      assertThat(unused.get(PATIENCE, TimeUnit.SECONDS)).isNotNull();
    }
  }

  /** Of another type, or another network: in calls of its own, and the others in theirs. */
  @Test
  void request_thatFitsBesideNone_leavesTheOthersTogether() throws Exception {
    Gate gate = Gate.closed();
    Gate elsewhere = Gate.open();
    DDPM other = ddpm(elsewhere);
    AtomicInteger calls = new AtomicInteger();
    AtomicInteger steps = new AtomicInteger();
    ServiceListener counting =
        new ServiceListener() {
          @Override
          public void called(int requests, int images, Duration time) {
            calls.incrementAndGet();
            steps.addAndGet(requests);
          }
        };
    try (SamplingService service = service(gate).listener(counting).build()) {
      ServedRequest first = service.submit(request(1, STEPS));
      gate.begun.acquire();
      ServedRequest exact =
          service.submit(
              SamplingRequest.of(
                  1, s -> s.sampler(Samplers.ddim(STEPS)).seed(1).dataType(DataType.FLOAT64)));
      ServedRequest stray =
          service.submit(
              SamplingRequest.starting(
                  s -> other.sampling().sampler(Samplers.ddim(STEPS)).seed(1).start(1)));
      ServedRequest second = service.submit(request(1, STEPS));
      gate.open.release(100);
      for (ServedRequest request : List.of(first, exact, stray, second)) {
        assertEndsWell(request);
      }
    }
    assertThat(gate.calls).containsOnly(1, 2);
    assertThat(gate.calls.stream().filter(images -> images == 2)).hasSize(STEPS - 1);
    assertThat(elsewhere.calls).containsExactly(1, 1, 1, 1);
    assertThat(steps.get()).isEqualTo(4 * STEPS);
    assertThat(calls.get()).isEqualTo(gate.calls.size() + elsewhere.calls.size());
  }

  /** When each request of a call is tried alone, these are calls as others. */
  @Test
  void called_afterAFailure_hearsOfEachAlone() throws Exception {
    Gate gate = Gate.closed();
    AtomicInteger calls = new AtomicInteger();
    ServiceListener counting =
        new ServiceListener() {
          @Override
          public void called(int requests, int images, Duration time) {
            calls.incrementAndGet();
          }
        };
    try (SamplingService service = service(gate).listener(counting).build()) {
      ServedRequest first = service.submit(request(1, 3));
      gate.begun.acquire();
      ServedRequest second = service.submit(request(1, 2));
      gate.open.release(1);
      gate.begun.acquire();
      gate.failures.set(1);
      gate.open.release(100);
      assertEndsWell(first);
      assertEndsWell(second);
    }
    assertThat(gate.calls).containsExactly(1, 2, 1, 1, 2);
    assertThat(calls.get()).isEqualTo(4);
  }

  /** The pictures of a call are looked at one by one. */
  @Test
  void images_notFinite_endOnlyTheirRequest() throws Exception {
    Gate gate = Gate.closed();
    Denoiser poisoned =
        new Denoiser() {
          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            NDArray noise = gate.predict(x, levels, condition);
            if (levels.size() == 2) {
              noise.set(new NDIndex("1"), Float.NaN);
            }
            return noise;
          }

          @Override
          public Optional<Shape> imageShape() {
            return gate.imageShape();
          }
        };
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(poisoned).build();
    try (SamplingService service = SamplingService.of(ddpm).mostImages(8).build()) {
      ServedRequest before = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest good = service.submit(request(1, STEPS));
      ServedRequest bad = service.submit(request(1, STEPS));
      gate.open.release(100);
      assertThat(drawn(before)).isEqualTo(8);
      assertEndsWell(good);
      assertThatThrownBy(() -> bad.result().get(PATIENCE, TimeUnit.SECONDS))
          .hasMessageContaining("not finite after the last step");
    }
  }

  private static final class Unspeakable extends RuntimeException {

    private static final long serialVersionUID = 1;

    @Override
    public String getMessage() {
      throw new IllegalStateException("not even its message");
    }
  }

  /** Then, too, each is tried alone. */
  @Test
  void failure_thatCannotBeTold_harmsNoOther() throws Exception {
    Gate gate = Gate.closed();
    AtomicInteger failures = new AtomicInteger(1);
    Denoiser failing =
        new Denoiser() {
          @Override
          public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
            if (levels.size() == 2 && failures.getAndDecrement() > 0) {
              throw new Unspeakable();
            }
            return gate.predict(x, levels, condition);
          }

          @Override
          public Optional<Shape> imageShape() {
            return gate.imageShape();
          }
        };
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(failing).build();
    try (SamplingService service = SamplingService.of(ddpm).mostImages(8).build()) {
      ServedRequest before = service.submit(request(8, 1));
      gate.begun.acquire();
      List<ServedRequest> both =
          List.of(service.submit(request(1, STEPS)), service.submit(request(1, STEPS)));
      gate.open.release(100);
      assertThat(drawn(before)).isEqualTo(8);
      assertEndsWell(both.get(0));
      assertEndsWell(both.get(1));
      assertThat(failures.get()).isNegative();
    }
  }

  /** The arrays of others were lent to the same step. */
  @Test
  void listener_thatClosesItsRun_harmsNoOther() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest before = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest bad =
          service.submit(
              SamplingRequest.of(
                  1,
                  s ->
                      s.sampler(Samplers.ddim(STEPS))
                          .listener(event -> event.x().getManager().close())));
      ServedRequest good = service.submit(request(1, STEPS));
      gate.open.release(100);
      assertThat(drawn(before)).isEqualTo(8);
      assertThatThrownBy(() -> bad.result().get(PATIENCE, TimeUnit.SECONDS))
          .isInstanceOf(ExecutionException.class);
      assertEndsWell(good);
    }
  }

  /** Images that are there too late are no images. */
  @Test
  void deadline_passedInTheLastCall_endsLate() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest late = service.submit(request(1, 1).deadline(Duration.ofMillis(200)));
      gate.begun.acquire();
      Thread.sleep(210);
      gate.open.release();
      assertThatThrownBy(late::await)
          .isInstanceOf(TimeoutException.class)
          .hasMessage("the request was not done within PT0.2S, but at step 1 of 1");
    }
  }

  /** A worker that waited for room would wait for itself. */
  @Test
  void submit_onTheWorkerWhenFull_isRefused() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service =
        service(gate).queue(1).whenFull(WhenFull.WAIT).executor(Runnable::run).build()) {
      ServedRequest first = service.submit(request(8, 1));
      gate.begun.acquire();
      CompletableFuture<ServedRequest> more =
          first
              .result()
              .thenApply(
                  samples -> {
                    samples.close();
                    try {
                      service.submit(request(1, 1));
                      return service.submit(request(1, 1));
                    } catch (InterruptedException e) {
                      throw new IllegalStateException(e);
                    }
                  });
      gate.open.release(100);
      assertThatThrownBy(() -> more.get(PATIENCE, TimeUnit.SECONDS))
          .cause()
          .isInstanceOf(RequestRefusedException.class);
      assertEndsWell(service.submit(request(1, 1)));
    }
  }

  /** Each would wait for the other. */
  @Test
  void close_onBothWorkers_endsBoth() throws Exception {
    Gate one = Gate.closed();
    Gate other = Gate.closed();
    CompletableFuture<SamplingService> started = new CompletableFuture<>();
    CyclicBarrier both = new CyclicBarrier(2);
    ServiceListener closing =
        new ServiceListener() {
          @Override
          public void called(int requests, int images, Duration time) {
            try {
              both.await(PATIENCE, TimeUnit.SECONDS);
            } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
              throw new IllegalStateException(e);
            }
            started.join().close();
          }
        };
    SamplingService service =
        SamplingService.builder()
            .model("default", List.of(ddpm(one), ddpm(other)))
            .mostImages(1)
            .listener(closing)
            .build();
    started.complete(service);
    ServedRequest first = service.submit(request(1, STEPS));
    ServedRequest second = service.submit(request(1, STEPS));
    one.begun.acquire();
    other.begun.acquire();
    one.open.release(100);
    other.open.release(100);
    assertThat(service.awaitEnd(Duration.ofSeconds(PATIENCE))).isTrue();
    for (ServedRequest closed : List.of(first, second)) {
      assertThatThrownBy(() -> closed.result().get(PATIENCE, TimeUnit.SECONDS))
          .isInstanceOf(CancellationException.class);
    }
  }
}
