package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException.Reason;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import io.github.ddpm4j.unet.UNet;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the service promises, over a network that a test lets through call by call. */
@Timeout(60)
class SamplingServiceTest {

  private static final int STEPS = 4;

  /** The first run of a process loads the engine, which is longer than some deadlines here. */
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

  private static float[] values(Samples samples) {
    try (samples;
        NDManager manager = NDManager.newBaseManager()) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static float[] values(ServedRequest request) {
    return values(request.result().join());
  }

  private static Throwable failure(ServedRequest request) throws InterruptedException {
    try {
      request.result().get();
      throw new AssertionError("no failure");
    } catch (ExecutionException e) {
      return e.getCause();
    }
  }

  @Test
  void submit_mixedRequests_imagesAsAlone() throws Exception {
    List<UnaryOperator<Sampling>> settings =
        List.of(
            s -> s.sampler(Samplers.ddim(5)).seed(1).condition(Condition.labels(0, 1)),
            s ->
                s.sampler(Samplers.dpmSolverPlusPlus(3))
                    .seed(2)
                    .condition(Condition.labels(2, 2))
                    .guidance(Guidance.classifierFree(3)),
            s -> s.sampler(Samplers.ddpm()).seed(3),
            s -> s.sampler(Samplers.uniPc(4)).seed(4).clip(false));
    try (UNet network =
            UNet.builder()
                .image(1, 8, 8)
                .baseChannels(8)
                .groups(4)
                .classes(3)
                .channelMultipliers(1, 2)
                .residualBlocks(1)
                .seed(1)
                .build();
        DDPM ddpm = DDPM.builder().timesteps(20).denoiser(network).build();
        SamplingService service = SamplingService.of(ddpm).mostImages(8).build()) {
      List<ServedRequest> served = new ArrayList<>();
      for (UnaryOperator<Sampling> one : settings) {
        served.add(service.submit(SamplingRequest.of(2, one)));
        served.add(service.submit(SamplingRequest.of(2, one).alone()));
      }
      for (int i = 0; i < served.size(); i++) {
        float[] alone = values(settings.get(i / 2).apply(ddpm.sampling()).generate(2));
        assertThat(values(served.get(i))).containsExactly(alone, within(i % 2 == 0 ? 1e-4f : 0));
      }
    }
  }

  /** Guidance asks twice about each image, which takes time and memory twice. */
  @Test
  void calls_ofGuidedRequests_haveNoMorePredictionsThanThereMayBe() throws Exception {
    Gate gate = Gate.closed();
    List<Integer> heard = new CopyOnWriteArrayList<>();
    ServiceListener listener =
        new ServiceListener() {
          @Override
          public void called(int requests, int images, Duration time) {
            heard.add(images);
          }
        };
    IntFunction<SamplingRequest> guided =
        count ->
            SamplingRequest.of(
                count,
                s ->
                    s.sampler(Samplers.ddim(STEPS))
                        .seed(1)
                        .condition(Condition.labels(new int[count]))
                        .guidance(Guidance.classifierFree(2)));
    try (SamplingService service = service(gate).listener(listener).build()) {
      List<ServedRequest> all = new ArrayList<>();
      all.add(service.submit(request(1, 1)));
      gate.begun.acquire();
      for (int i = 0; i < 6; i++) {
        all.add(service.submit(guided.apply(1)));
      }
      all.add(service.submit(guided.apply(8)));
      gate.open.release(1000);
      for (ServedRequest one : all) {
        values(one);
      }
    }
    assertThat(gate.calls).contains(8).allMatch(predictions -> predictions <= 8);
    assertThat(heard).isEqualTo(gate.calls);
    // An image in the first, six in the second and eight in the last.
    assertThat(gate.calls.stream().mapToInt(i -> i).sum()).isEqualTo(1 + 2 * STEPS * (6 + 8));
  }

  /** A run that says its batch size itself has that. */
  @Test
  void batches_ofGuidedRequests_areSmallerUnlessTheySaySo() throws Exception {
    IntFunction<UnaryOperator<Sampling>> guided =
        count ->
            s ->
                s.sampler(Samplers.ddim(1))
                    .seed(1)
                    .condition(Condition.labels(new int[count]))
                    .guidance(Guidance.classifierFree(2));
    Gate gate = Gate.open();
    try (SamplingService service = service(gate).build()) {
      values(service.submit(SamplingRequest.of(4, guided.apply(4))));
      values(service.submit(SamplingRequest.of(5, guided.apply(5))));
      values(service.submit(SamplingRequest.of(9, s -> guided.apply(9).apply(s).batchSize(6))));
      values(service.submit(SamplingRequest.of(9, guided.apply(9)).alone()));
    }
    assertThat(gate.calls).containsExactly(8, 8, 2, 12, 6, 18);
  }

  @Test
  void submit_shortBesideLong_joinsAndLeaves() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest slow = service.submit(request(2, 10));
      gate.begun.acquire();
      ServedRequest quick = service.submit(request(3, 2));
      gate.open.release(3);
      values(quick);
      assertThat(slow.step()).isEqualTo(3);
      assertThat(quick.step()).isEqualTo(2);
      gate.open.release(7);
      values(slow);
    }
    assertThat(gate.calls).containsExactly(2, 5, 5, 2, 2, 2, 2, 2, 2, 2);
  }

  @Test
  void submit_moreThanACallTakes_inBatches() throws Exception {
    Gate gate = Gate.open();
    try (SamplingService service = service(gate).build()) {
      float[] images = values(service.submit(request(20, 2)));
      assertThat(images)
          .containsExactly(
              values(ddpm(Gate.open()).sampling().sampler(Samplers.ddim(2)).seed(1).generate(20)),
              within(1e-5f));
    }
    assertThat(gate.calls).containsExactly(8, 8, 8, 8, 4, 4);
  }

  @Test
  void submit_badRequest_refusedAtOnce() {
    try (SamplingService service = service(Gate.open()).build()) {
      assertThatThrownBy(() -> service.submit(request(0, 2)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("count must be at least 1, but was 0");
      assertThatThrownBy(() -> service.submit(request(1, 2).model("other")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("the service has the models [default], and none of them is other");
      assertThatThrownBy(() -> service.submit(request(1, 20)))
          .isInstanceOf(IllegalArgumentException.class);
      assertThat(service.status().waiting()).isZero();
      assertThat(service.status().running()).isZero();
    }
  }

  @Test
  void submit_full_refused() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).queue(1).build()) {
      ServedRequest running = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest waiting = service.submit(request(1, 1));
      assertThatThrownBy(() -> service.submit(request(1, 1)))
          .isInstanceOf(RequestRefusedException.class)
          .hasMessage(
              "the service has 1 requests that wait, as many as may; ask again later, or set"
                  + " queue(n)")
          .extracting(e -> ((RequestRefusedException) e).reason())
          .isEqualTo(Reason.FULL);
      gate.open.release(2);
      values(running);
      values(waiting);
    }
  }

  @Test
  void submit_fullAndWaiting_waitsForRoom() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).queue(1).whenFull(WhenFull.WAIT).build()) {
      ServedRequest running = service.submit(request(8, 1));
      gate.begun.acquire();
      service.submit(request(1, 1));
      CompletableFuture<ServedRequest> blocked =
          CompletableFuture.supplyAsync(() -> submitted(service, request(1, 1)));
      Thread.sleep(50);
      assertThat(blocked).isNotDone();
      gate.open.release(3);
      values(running);
      values(blocked.get());
    }
  }

  @Test
  void submit_fullPastTheDeadline_saysThatItWaited() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).queue(1).whenFull(WhenFull.WAIT).build()) {
      ServedRequest running = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest waiting = service.submit(request(1, 1));
      assertThatThrownBy(() -> service.submit(request(1, 1).deadline(Duration.ofMillis(20))))
          .isInstanceOf(RequestRefusedException.class)
          .hasMessage(
              "the request waited for room until its deadline of PT0.02S; allow more time, or set"
                  + " queue(n)")
          .extracting(e -> ((RequestRefusedException) e).reason())
          .isEqualTo(Reason.TOO_LATE);
      gate.open.release(2);
      values(running);
      values(waiting);
    }
  }

  @Test
  void submit_moreImagesThanMemoryHolds_refused() throws Exception {
    try (SamplingService service = service(Gate.open()).mostResidentImages(16).build()) {
      assertThatThrownBy(() -> service.submit(request(17, 1)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the request is for 17 images, and the service keeps at most 16; ask for fewer at a"
                  + " time, or set mostResidentImages(n)");
      values(service.submit(request(16, 1)));
      values(
          service.submit(SamplingRequest.of(16, s -> s.sampler(Samplers.ddim(1)).batchSize(16))));
    }
  }

  /** Its batches are those of {@code ddpm.sampling()}, since other ones may have other bits. */
  @Test
  void alone_moreThanACallTakes_batchesAsWithoutAService() throws Exception {
    Gate gate = Gate.open();
    try (SamplingService service = service(gate).build()) {
      values(service.submit(request(20, 1).alone()));
      values(service.submit(request(20, 1)));
    }
    assertThat(gate.calls).containsExactly(20, 8, 8, 4);
  }

  @Test
  void reproducing_aPicture_theSameBits() throws Exception {
    try (SamplingService service = service(Gate.open()).build()) {
      float[] all;
      Map<String, String> words;
      try (Samples drawn =
              service
                  .submit(SamplingRequest.of(11, s -> s.sampler(Samplers.ddpm()).seed(5)).alone())
                  .result()
                  .join();
          NDManager manager = NDManager.newBaseManager()) {
        all = drawn.toNDArray(manager).toFloatArray();
        words = drawn.provenance(9);
      }
      ServedRequest again = service.submit(SamplingRequest.reproducing(words));
      try (Samples one = again.result().join()) {
        assertThat(one.provenance(0)).isEqualTo(words);
        assertThat(values(one)).containsExactly(Arrays.copyOfRange(all, 36, 40));
      }
    }
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      Map<String, String> words;
      try (Samples drawn =
          ddpm(Gate.open()).sampling().sampler(Samplers.ddim(1)).seed(5).generate(3)) {
        words = drawn.provenance(1);
      }
      ServedRequest running = service.submit(request(1, STEPS));
      gate.begun.acquire();
      ServedRequest again = service.submit(SamplingRequest.reproducing(words));
      gate.open.release(100);
      values(again);
      values(running);
      assertThat(gate.calls).contains(3).doesNotContain(4); // not beside the other
    }
    assertThatThrownBy(() -> SamplingRequest.reproducing(Map.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the image does not say how it was drawn; name a PNG file of a sample of this library");
  }

  private record Late(ServedRequest request, Duration deadline) {}

  /** A request that is late within its first step. A slow machine needs more time until there. */
  private static Late late(SamplingService service, Gate gate) throws InterruptedException {
    for (Duration deadline = Duration.ofMillis(300); ; deadline = deadline.multipliedBy(2)) {
      try {
        ServedRequest request = service.submit(request(1, STEPS).deadline(deadline));
        while (!request.result().isDone()) {
          if (gate.begun.tryAcquire(10, TimeUnit.MILLISECONDS)) {
            Thread.sleep(deadline.toMillis() + 10);
            gate.open.release(1);
            return new Late(request, deadline);
          }
        }
      } catch (RequestRefusedException e) {
        assertThat(e.reason()).isEqualTo(Reason.TOO_LATE);
      }
    }
  }

  /** The images may be there between the interrupt of who waits and the cancelling. */
  @Test
  void await_interruptedWhenAllIsDone_closesTheImages() throws Exception {
    Gate gate = Gate.open();
    try (SamplingService service = service(gate).build()) {
      gate.failures.set(1);
      Served failing = (Served) service.submit(request(1, 1));
      assertThat(failure(failing)).hasMessage("the network failed on purpose");
      failing.abandon();
      Served served = (Served) service.submit(request(1, 1));
      Samples samples = served.result().get();
      assertThat(samples.size()).isEqualTo(1);
      served.abandon();
      assertThatThrownBy(samples::size)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "these samples are closed and their images are freed; copy them by"
                  + " toNDArray(manager) before closing");
    }
  }

  @Test
  void await_theImagesOrWhatFailed() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      assertThat(service.models()).containsOnlyKeys("default");
      ServedRequest late = late(service, gate).request();
      assertThatThrownBy(late::await).isInstanceOf(TimeoutException.class);

      ServedRequest good = service.submit(request(2, 1));
      gate.open.release(1);
      assertThat(values(good.await())).hasSize(8);

      gate.failures.set(1);
      ServedRequest failing = service.submit(request(1, STEPS));
      gate.open.release(1);
      assertThatThrownBy(failing::await)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("the network failed on purpose");

      ServedRequest cancelled = service.submit(request(1, STEPS));
      Thread.currentThread().interrupt();
      assertThatThrownBy(cancelled::await).isInstanceOf(InterruptedException.class);
      assertThat(cancelled.result()).isCancelled();
      gate.open.release(STEPS);
    }
  }

  @Test
  void submit_fullAndShedding_dropsWhatIsDueLast() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).queue(1).whenFull(WhenFull.SHED).build()) {
      ServedRequest running = service.submit(request(8, 1));
      gate.begun.acquire();
      ServedRequest unimportant = service.submit(request(1, 9));
      ServedRequest urgent = service.submit(request(1, 1).priority(3));
      assertThat(failure(unimportant))
          .isInstanceOf(RequestRefusedException.class)
          .hasMessage(
              "the request waited, and made room for one of its tenant that is due before it, or of"
                  + " a tenant of which fewer wait");
      assertThatThrownBy(() -> service.submit(request(1, 9)))
          .isInstanceOf(RequestRefusedException.class);
      gate.open.release(2);
      values(running);
      values(urgent);
    }
  }

  private static ServedRequest submitted(SamplingService service, SamplingRequest request) {
    try {
      return service.submit(request);
    } catch (InterruptedException e) {
      throw new CompletionException(e);
    }
  }

  @Test
  void deadline_passed_endsLate() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      Late late = late(service, gate);
      assertThat(failure(late.request()))
          .isInstanceOf(TimeoutException.class)
          .hasMessage(
              "the request was not done within " + late.deadline() + ", but at step 1 of 4");
      // 80 times what the step took, at least.
      assertThatThrownBy(() -> service.submit(request(8, 10).deadline(Duration.ofSeconds(5))))
          .isInstanceOf(RequestRefusedException.class)
          .hasMessageMatching(
              "the request would take about PT\\S+ from now, with what is ahead of it, which is"
                  + " past its deadline of PT5S; allow more time, or ask for fewer steps");
      assertThatThrownBy(() -> service.submit(request(8, 10).deadline(Duration.ofNanos(1))))
          .isInstanceOf(RequestRefusedException.class)
          .hasMessage(
              "the request's deadline of PT0.000000001S passed before it was in the queue; allow"
                  + " more time");
    }
  }

  @Test
  void cancel_byHandleOrFuture_endsOnlyThat() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest running = service.submit(request(1, STEPS));
      gate.begun.acquire();
      ServedRequest other = service.submit(request(1, STEPS));
      ServedRequest waiting = service.submit(request(1, STEPS));
      running.cancel();
      waiting.result().cancel(false);
      gate.open.release(1 + STEPS);
      assertThat(values(other)).hasSize(4);
      assertThatThrownBy(() -> running.result().get()).isInstanceOf(CancellationException.class);
      assertThat(waiting.result()).isCancelled();
      assertThat(gate.calls).containsExactly(1, 1, 1, 1, 1);
      // After its end nothing happens.
      other.cancel();
      assertThat(other.result()).isCompleted();
    }
  }

  @Test
  void failure_ofOneRequest_isItsOwn() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest first = service.submit(request(1, STEPS));
      gate.begun.acquire();
      ServedRequest bad =
          service.submit(
              SamplingRequest.of(
                  1,
                  s ->
                      s.sampler(Samplers.ddim(STEPS))
                          .listener(
                              event -> {
                                throw new IllegalStateException("a listener of its own");
                              })));
      ServedRequest good = service.submit(request(1, STEPS));
      gate.open.release(100);
      assertThat(failure(bad))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageEndingWith("a listener of its own");
      assertThat(values(first)).hasSize(4);
      assertThat(values(good)).hasSize(4);
    }
  }

  @Test
  void failure_ofTheNetwork_eachIsTriedAlone() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest first = service.submit(request(1, STEPS));
      gate.begun.acquire();
      ServedRequest second = service.submit(request(1, STEPS));
      gate.open.release(1);
      gate.begun.acquire();
      gate.failures.set(2); // the joint call, and the first of the two alone
      gate.open.release(100);
      assertThat(failure(first)).hasMessageContaining("the network failed on purpose");
      assertThat(values(second)).hasSize(4);
    }
  }

  @Test
  void shutdown_finishesWhatWasTaken_closeDoesNot() throws Exception {
    Gate gate = Gate.closed();
    SamplingService service = service(gate).build();
    ServedRequest taken = service.submit(request(1, STEPS));
    service.shutdown();
    assertThatThrownBy(() -> service.submit(request(1, STEPS)))
        .isInstanceOf(RequestRefusedException.class)
        .hasMessage("the service is shut down and takes no more requests");
    assertThat(service.awaitEnd(Duration.ofMillis(20))).isFalse();
    gate.open.release(STEPS);
    values(taken);
    assertThat(service.awaitEnd(Duration.ofSeconds(20))).isTrue();

    Gate other = Gate.closed();
    SamplingService closed = service(other).build();
    ServedRequest running = closed.submit(request(1, STEPS));
    other.begun.acquire();
    ServedRequest waiting = closed.submit(request(8, STEPS));
    CompletableFuture<Void> closing = CompletableFuture.runAsync(closed::close);
    while (closed.status().isOpen()) {
      Thread.onSpinWait(); // or the call would end before the service is told
    }
    other.open.release(1);
    closing.get();
    for (ServedRequest ended : List.of(running, waiting)) {
      assertThatThrownBy(() -> ended.result().get()).isInstanceOf(CancellationException.class);
    }
    assertThat(closed.status().isOpen()).isFalse();
    closed.close();
  }

  @Test
  void replace_whileARequestRuns_noneIsLost() throws Exception {
    Gate old = Gate.closed();
    Gate fresh = Gate.open();
    DDPM before = ddpm(old);
    try (SamplingService service = SamplingService.of(before).mostImages(8).build()) {
      ServedRequest running = service.submit(request(1, STEPS));
      old.begun.acquire();
      CompletableFuture<DDPM> unused = service.replace("default", ddpm(fresh));
      ServedRequest next = service.submit(request(2, STEPS));
      assertThat(unused).isNotDone();
      old.open.release(STEPS);
      values(running);
      values(next);
      assertThat(unused.get(20, TimeUnit.SECONDS)).isSameAs(before);
      assertThat(old.calls).containsOnly(1);
      assertThat(fresh.calls).containsOnly(2);
      assertThatThrownBy(() -> service.replace("other", before))
          .hasMessage("the service has the models [default], and none of them is other");
    }
  }

  @Test
  void progress_withPreviews_everyStepAndSomeImages() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest request = service.submit(request(2, STEPS).previews(2));
      List<Progress> heard = new ArrayList<>();
      CountDownLatch ended = new CountDownLatch(1);
      request.progress().subscribe(collecting(heard, ended));
      gate.open.release(STEPS);
      values(request);
      ended.await();
      assertThat(heard).extracting(Progress::step).containsExactly(1, 2, 3, 4);
      assertThat(heard)
          .extracting(event -> event.preview().isPresent())
          .containsExactly(false, true, false, true);
      assertThat(heard.get(3).preview().orElseThrow().values()).hasSize(8);
      assertThat(heard.get(3).preview().orElseThrow().shape().getShape())
          .containsExactly(2, 1, 2, 2);
    }
  }

  private static Flow.Subscriber<Progress> collecting(List<Progress> heard, CountDownLatch ended) {
    return new Flow.Subscriber<>() {
      @Override
      public void onSubscribe(Flow.Subscription subscription) {
        subscription.request(Long.MAX_VALUE);
      }

      @Override
      public void onNext(Progress item) {
        heard.add(item);
      }

      @Override
      public void onError(Throwable throwable) {
        ended.countDown();
      }

      @Override
      public void onComplete() {
        ended.countDown();
      }
    };
  }

  @Test
  void listener_hearsEveryEnd_andMayFail() throws Exception {
    List<Outcome> outcomes = new ArrayList<>();
    AtomicReference<Duration> time = new AtomicReference<>();
    ServiceListener listener =
        new ServiceListener() {
          @Override
          public void called(int requests, int images, Duration took) {
            time.set(took);
            throw new IllegalStateException("on purpose");
          }

          @Override
          public synchronized void ended(
              long id,
              SamplingRequest request,
              Outcome outcome,
              int images,
              Duration waited,
              Duration total) {
            outcomes.add(outcome);
            assertThat(waited).isLessThanOrEqualTo(total);
          }
        };
    try (SamplingService service = service(Gate.open()).listener(listener).build()) {
      values(service.submit(request(1, STEPS)));
      service.shutdown();
      assertThatThrownBy(() -> service.submit(request(1, STEPS)))
          .isInstanceOf(RequestRefusedException.class);
      service.awaitEnd(Duration.ofSeconds(20));
    }
    assertThat(outcomes).containsExactlyInAnyOrder(Outcome.DONE, Outcome.REFUSED);
    assertThat(time.get()).isPositive();
  }

  /** What is told of a request says which, in the order of what happens to it. */
  @Test
  void listener_ofManyRequests_canTellThemApart() throws Exception {
    Map<Long, List<String>> told = new ConcurrentHashMap<>();
    ServiceListener listener =
        new ServiceListener() {
          @Override
          public void queued(long id, SamplingRequest request) {
            Thread.onSpinWait(); // the request may end meanwhile
            tell(id, "queued");
          }

          @Override
          public void begun(long id, SamplingRequest request, Duration waited) {
            tell(id, "begun");
          }

          @Override
          public void ended(
              long id,
              SamplingRequest request,
              Outcome outcome,
              int images,
              Duration waited,
              Duration total) {
            tell(id, outcome.toString());
          }

          private void tell(long id, String what) {
            told.computeIfAbsent(id, unused -> new CopyOnWriteArrayList<>()).add(what);
          }
        };
    SamplingRequest same = request(1, 1);
    List<Long> ids = new ArrayList<>();
    try (SamplingService service = service(Gate.open()).listener(listener).build()) {
      for (int i = 0; i < 200; i++) {
        ServedRequest served = service.submit(same);
        ids.add(served.id());
        if (i % 2 == 0) {
          values(served);
        }
      }
      service.shutdown();
      assertThatThrownBy(() -> service.submit(same)).isInstanceOf(RequestRefusedException.class);
      assertThat(service.awaitEnd(Duration.ofSeconds(20))).isTrue();
    }
    assertThat(ids).doesNotHaveDuplicates();
    for (long id : ids) {
      assertThat(told.remove(id)).as("request %s", id).containsExactly("queued", "begun", "DONE");
    }
    assertThat(told.values()).containsExactly(List.of("REFUSED"));
  }

  /** However many requests one of them has. */
  @Test
  void tenants_ofUnequalLoad_getTheSame() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = SamplingService.of(ddpm(gate)).mostImages(4).build()) {
      ServedRequest first = service.submit(request(4, 1));
      gate.begun.acquire();
      List<ServedRequest> many = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        many.add(service.submit(request(1, 10).tenant("many")));
      }
      List<ServedRequest> few =
          List.of(
              service.submit(request(1, 10).tenant("few")),
              service.submit(request(1, 10).tenant("few")));
      gate.open.release(9);
      values(first);
      gate.begun.acquire(9); // eight calls are done, and one waits
      assertThat(few.stream().mapToInt(ServedRequest::step).sum()).isBetween(15, 17);
      assertThat(many.stream().mapToInt(ServedRequest::step).sum()).isBetween(15, 17);
      gate.open.release(1000);
      for (ServedRequest one : many) {
        values(one);
      }
      few.forEach(SamplingServiceTest::values);
    }
  }

  /** Under shedding, priority counts among the requests of a tenant alone. */
  @Test
  void tenants_inAFullQueueThatSheds_keepTheirShares() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).queue(4).whenFull(WhenFull.SHED).build()) {
      ServedRequest running = service.submit(request(8, 1).tenant("urgent"));
      gate.begun.acquire();
      SamplingRequest urgent = request(1, 1).tenant("urgent").priority(10);
      List<ServedRequest> taken = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        taken.add(service.submit(urgent));
      }
      SamplingRequest plain = request(1, 9).tenant("plain");
      taken.add(service.submit(plain));
      taken.add(service.submit(plain));
      for (int i : new int[] {3, 2}) {
        assertThat(failure(taken.get(i))).isInstanceOf(RequestRefusedException.class);
      }
      assertThatThrownBy(() -> service.submit(urgent)).isInstanceOf(RequestRefusedException.class);
      assertThatThrownBy(() -> service.submit(plain)).isInstanceOf(RequestRefusedException.class);
      gate.open.release(100);
      values(running);
      for (int i : new int[] {0, 1, 4, 5}) {
        values(taken.get(i));
      }
    }
  }

  @Test
  void worker_withoutRequests_usesNoTime() throws Exception {
    try (SamplingService service = service(Gate.open()).build()) {
      values(service.submit(request(1, STEPS)));
      Thread.sleep(100);
      long[] workers =
          Thread.getAllStackTraces().keySet().stream()
              .filter(thread -> thread.getName().startsWith("ddpm4j-service-"))
              .mapToLong(Thread::getId)
              .toArray();
      assertThat(workers).isNotEmpty();
      ThreadMXBean threads = ManagementFactory.getThreadMXBean();
      long before = Arrays.stream(workers).map(threads::getThreadCpuTime).sum();
      Thread.sleep(1_000);
      long used = Arrays.stream(workers).map(threads::getThreadCpuTime).sum() - before;
      assertThat(used).as("nanoseconds").isLessThan(20_000_000);
    }
  }

  /** Whoever goes on from the future of a model that was replaced does so on no worker. */
  @Test
  void replace_thenSomethingLong_holdsNobodyUp() throws Exception {
    Gate old = Gate.closed();
    ExecutorService executor = Executors.newCachedThreadPool();
    try (SamplingService service = service(old).executor(executor).build()) {
      ServedRequest running = service.submit(request(1, STEPS));
      old.begun.acquire();
      CountDownLatch done = new CountDownLatch(1);
      CompletableFuture<Void> after =
          service
              .replace("default", ddpm(Gate.open()))
              .thenAccept(
                  model -> {
                    try {
                      done.await();
                    } catch (InterruptedException e) {
                      throw new CompletionException(e);
                    }
                  });
      old.open.release(STEPS);
      values(running);
      assertThat(values(service.submit(request(1, STEPS)))).hasSize(4);
      done.countDown();
      after.get(20, TimeUnit.SECONDS);
    } finally {
      executor.shutdown();
    }
  }

  @Test
  void deadline_longerThanAnyClock_isNone() throws Exception {
    try (SamplingService service = service(Gate.open()).build()) {
      SamplingRequest request = request(1, STEPS).deadline(Duration.ofSeconds(Long.MAX_VALUE));
      assertThat(values(service.submit(request))).hasSize(4);
      service.shutdown();
      assertThat(service.awaitEnd(Duration.ofSeconds(Long.MAX_VALUE))).isTrue();
    }
  }

  @Test
  void due_ofAGiantRequest_isLate() {
    Backlog backlog = new Backlog(1, WhenFull.REFUSE, 1, 1);
    ServedModel model = new ServedModel(List.of(ddpm(Gate.open())), 1);
    backlog.took(model, 1, TimeUnit.HOURS.toNanos(1));
    SamplingRequest request = request(1, 10).priority(-10);
    try (SamplingRun run =
        ddpm(Gate.open())
            .sampling()
            .sampler(Samplers.ddim(10))
            .seed(1)
            .batchSize(1_000_000)
            .start(1_000_000)) {
      long now = System.nanoTime();
      assertThat(backlog.times(0, request, run, model, now, 4).due()).isGreaterThan(now);
    }
  }

  @Test
  void worker_interrupted_goesOn() throws Exception {
    Gate gate = Gate.closed();
    try (SamplingService service = service(gate).build()) {
      ServedRequest request = service.submit(request(1, STEPS));
      gate.begun.acquire();
      Thread.getAllStackTraces().keySet().stream()
          .filter(thread -> thread.getName().startsWith("ddpm4j-service-"))
          .forEach(Thread::interrupt);
      gate.open.release(STEPS);
      assertThat(values(request)).hasSize(4);
    }
  }

  @Test
  void build_withoutASize_measuresIt() throws Exception {
    Gate gate = Gate.open();
    try (SamplingService service = SamplingService.of(ddpm(gate)).build()) {
      assertThat(gate.calls).contains(1, 2);
      assertThat(service.status().perImageStep()).isPositive();
      assertThat(values(service.submit(request(3, STEPS)))).hasSize(12);
    }
  }

  @Test
  void build_measuredWithOfAModel_isForThatOne() throws Exception {
    List<String> used = new CopyOnWriteArrayList<>();
    UnaryOperator<Sampling> all =
        s -> {
          used.add("all");
          return s;
        };
    UnaryOperator<Sampling> second =
        s -> {
          used.add("second");
          return s;
        };
    SamplingService.Builder builder =
        SamplingService.builder()
            .measuredWith("second", second)
            .measuredWith(all)
            .model("first", ddpm(Gate.open()))
            .model("second", ddpm(Gate.open()));
    try (SamplingService service = builder.build()) {
      assertThat(used).startsWith("all").endsWith("second");
      used.clear();
      service.replace("second", ddpm(Gate.open())).join();
      assertThat(used).containsOnly("second");
      used.clear();
      service.replace("first", ddpm(Gate.open())).join();
      assertThat(used).containsOnly("all");
    }
    assertThatThrownBy(() -> builder.measuredWith("third", second).build())
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the service has the models [first, second], and none of them is third, which"
                + " measuredWith names");
  }

  @Test
  void build_cannotBeMeasured_saysWhatHelps() {
    SamplingService.Builder builder =
        SamplingService.builder()
            .model("labelled", ddpm(Gate.open()))
            .measuredWith(s -> s.prompt("a red dog"));
    assertThatThrownBy(builder::build)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageStartingWith("the images of a call cannot be measured of the model labelled: ")
        .hasMessageEndingWith(
            "; set mostImages(n), or what its network must be given by measuredWith(\"labelled\","
                + " settings)");
  }

  @Test
  void options_outOfRange_refused() {
    assertThatThrownBy(() -> SamplingService.builder().build())
        .hasMessage("a service needs a model; call model(name, ddpm)");
    assertThatThrownBy(() -> SamplingService.of(ddpm(Gate.open())).queue(0))
        .hasMessage("queue must be at least 1, but was 0");
    assertThatThrownBy(() -> SamplingService.of(ddpm(Gate.open())).mostImages(0))
        .hasMessage("mostImages must be at least 1, but was 0");
    assertThatThrownBy(
            () -> SamplingService.of(ddpm(Gate.open())).model("default", ddpm(Gate.open())))
        .hasMessage("there are two models of the name default");
    assertThatThrownBy(() -> request(1, 1).priority(11))
        .hasMessage("priority must lie in [-10, 10], but was 11");
    assertThatThrownBy(() -> request(1, 1).deadline(Duration.ZERO))
        .hasMessage("deadline must be positive, but was PT0S");
    assertThatThrownBy(() -> request(1, 1).previews(-1))
        .hasMessage("steps must not be negative, but was -1");
  }
}
