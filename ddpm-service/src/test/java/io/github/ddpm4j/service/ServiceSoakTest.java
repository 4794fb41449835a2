package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Many requests of all kinds: cancelled at any step, late in the queue and in the middle, bad ones,
 * ones with subscribers that sleep, heard on a small executor; first callers wait for room, then
 * the service sheds. Now and then the network throws errors, and workers are killed. Each future
 * ends, and ends once, listeners hear so, and no memory stays.
 */
class ServiceSoakTest {

  /** Requests with deadlines come together, nine of a hundred, while a call stalls. */
  private static final int LATE = 9;

  private static final Duration DEADLINE = Duration.ofMillis(40);
  private static final int STALL_MILLIS = 80;

  @Test
  void submit_aThousand_eachEndsOnce() throws Exception {
    new Soak(1_000, 1, 4).run();
  }

  @Test
  void submit_aThousandToTwoDevices_eachEndsOnce() throws Exception {
    new Soak(1_000, 2, 4).run();
  }

  @Test
  @Tag("slow")
  void submit_aHundredThousand_eachEndsOnceInFlatMemory() throws Exception {
    Soak soak = new Soak(100_000, 1, 20);
    soak.run();
    System.out.println(soak);
    assertThat(soak.lateInQueue.get()).isGreaterThan(3_000);
    assertThat(soak.grownKilobytes()).as("kB more").isLessThan(64_000);
  }

  /** A service with its load, and what became of it. */
  private static final class Soak implements ServiceListener {

    private final int count;

    /** How often the network fails, and how often a worker is killed. */
    private final int mishaps;

    private final List<Gate> gates;
    private final AtomicIntegerArray ends;
    private final Set<Long> heard = ConcurrentHashMap.newKeySet();
    private final AtomicInteger heardTwice = new AtomicInteger();
    private final Map<Outcome, Integer> outcomes =
        Collections.synchronizedMap(new EnumMap<>(Outcome.class));
    private final AtomicInteger lateInQueue = new AtomicInteger();
    private final AtomicInteger shed = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();
    private final AtomicInteger killed = new AtomicInteger();
    private final AtomicInteger kills = new AtomicInteger();
    private final SplittableRandom random = new SplittableRandom(3);
    private int bad;
    private long early;
    private long last;

    Soak(int count, int devices, int mishaps) {
      this.count = count;
      this.mishaps = mishaps;
      this.gates = Stream.generate(Gate::open).limit(devices).toList();
      this.ends = new AtomicIntegerArray(count);
    }

    @Override
    public void ended(
        long id,
        SamplingRequest request,
        Outcome outcome,
        int images,
        Duration waited,
        Duration total) {
      if (!heard.add(id)) {
        heardTwice.incrementAndGet();
      }
      outcomes.merge(outcome, 1, Integer::sum);
    }

    long grownKilobytes() {
      return last - early;
    }

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%d requests, %d bad, outcomes %s, %d late before their first step, %d shed, %d of killed"
              + " workers; memory %+d kB",
          count,
          bad,
          outcomes,
          lateInQueue.get(),
          shed.get(),
          killed.get(),
          grownKilobytes());
    }

    void run() throws Exception {
      ExecutorService executor = Executors.newFixedThreadPool(2);
      try (UNet labels =
          UNet.builder()
              .image(1, 8, 8)
              .baseChannels(8)
              .groups(4)
              .classes(3)
              .channelMultipliers(1, 2)
              .residualBlocks(1)
              .seed(1)
              .build()) {
        serve(executor, labels, WhenFull.WAIT, 0, count * 7 / 10);
        serve(executor, labels, WhenFull.SHED, count * 7 / 10, count);
      } finally {
        executor.shutdown();
        assertThat(executor.awaitTermination(5, TimeUnit.MINUTES)).isTrue();
      }
      for (int i = 0; i < count; i++) {
        assertThat(ends.get(i)).as("request %s", i).isEqualTo(1);
      }
      last = resident();
      assertThat(heardTwice.get()).isZero();
      assertThat(outcomes.values().stream().mapToInt(n -> n).sum()).isEqualTo(count - bad);
      assertThat(outcomes).containsOnlyKeys(Outcome.values());
      assertThat(lateInQueue.get()).isPositive();
      assertThat(shed.get()).isPositive();
      assertThat(kills.get()).isZero();
      if (gates.size() == 1) {
        assertThat(killed.get()).isPositive();
      }
      assertThat(failed.get()).isPositive();
    }

    private void serve(
        ExecutorService executor, UNet labels, WhenFull whenFull, int from, int until)
        throws Exception {
      List<DDPM> copies =
          gates.stream().map(gate -> DDPM.builder().timesteps(20).denoiser(gate).build()).toList();
      DDPM labelled = DDPM.builder().timesteps(20).denoiser(labels).build();
      int first = heard.size();
      try (SamplingService service =
          SamplingService.builder()
              .model(SamplingService.DEFAULT_MODEL, copies)
              .model("labels", labelled)
              .mostImages(16)
              .queue(whenFull == WhenFull.SHED ? 20 : 100)
              .whenFull(whenFull)
              .executor(executor)
              .listener(this)
              .beforeCalls(this::perhapsDie)
              .build()) {
        for (int i = from; i < until; i++) {
          mishap(service, i);
          request(service, i);
        }
        service.shutdown();
        assertThat(service.awaitEnd(Duration.ofMinutes(5))).isTrue();
        assertThat(service.status().running() + service.status().waiting()).isZero();
      }
      assertThat(heard.size()).isGreaterThan(first);
      heard.clear(); // the next service counts from the beginning
    }

    private void perhapsDie() {
      if (kills.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
        throw new AssertionError("a worker dies on purpose");
      }
    }

    /** Waits until little is ahead, and then until a call is going on for long. */
    private void stall(SamplingService service) throws InterruptedException {
      while (service.status().waiting() + service.status().running() > 20) {
        Thread.sleep(1);
      }
      gates.forEach(gate -> gate.stall.set(STALL_MILLIS));
      while (service.status().running() > 0
          && gates.stream().anyMatch(gate -> gate.stall.get() > 0)) {
        Thread.onSpinWait();
      }
    }

    private void mishap(SamplingService service, int i) throws Exception {
      int every = count / mishaps;
      if (i % every == every / 2) {
        gates.forEach(gate -> gate.errors.set(25)); // of a call, and of each of it alone
      }
      if (i % every == every / 4) {
        kills.incrementAndGet();
      }
      if (i % 100 == 50) {
        stall(service);
      }
      if (i == count / 5) {
        early = resident();
      }
    }

    private void request(SamplingService service, int i) throws InterruptedException {
      int steps = 1 + random.nextInt(8);
      int kind = random.nextInt(100);
      boolean hurries = i % 100 >= 50 && i % 100 < 50 + LATE;
      SamplingRequest request =
          SamplingRequest.of(1 + random.nextInt(3), s -> s.sampler(Samplers.ddim(steps)).seed(i))
              .tenant("tenant " + random.nextInt(5))
              .priority(random.nextInt(3));
      if (kind >= 96 && !hurries) {
        submitBad(service, i, kind - 96);
        return;
      }
      ServedRequest served;
      try {
        served = service.submit(hurries ? request.deadline(DEADLINE) : request);
      } catch (RequestRefusedException e) {
        ends.incrementAndGet(i);
        return;
      }
      CompletableFuture<Void> end = served.result().handle((samples, e) -> ended(i, samples, e));
      assertThat(end).isNotNull();
      if (hurries) {
        return;
      }
      if (kind < 5) {
        served.cancel();
      } else if (kind < 30) {
        served.progress().subscribe(new Subscriber(served, random.nextInt(steps + 1), 0));
      } else if (kind < 35) {
        served.progress().subscribe(new Subscriber(served, Integer.MAX_VALUE, 2));
      }
    }

    private Void ended(int i, Samples samples, Throwable failure) {
      ends.incrementAndGet(i);
      if (samples != null) {
        samples.close();
      }
      if (failure instanceof TimeoutException && failure.getMessage().contains("at step 0")) {
        lateInQueue.incrementAndGet();
      }
      if (failure instanceof AssertionError && failure.getMessage().contains("a worker dies")) {
        killed.incrementAndGet();
      }
      if (failure instanceof AssertionError && failure.getMessage().contains("an error on")) {
        failed.incrementAndGet();
      }
      if (failure instanceof RequestRefusedException) {
        shed.incrementAndGet();
      }
      return null;
    }

    private void submitBad(SamplingService service, int i, int kind) throws InterruptedException {
      List<UnaryOperator<Sampling>> mistakes =
          List.of(
              s -> s.condition(Condition.labels(7)),
              s -> s.condition(Condition.labels(0, 1)),
              s -> s.shape(3, 8, 8),
              s -> s.sampler(Samplers.ddim(50)));
      try {
        service.submit(SamplingRequest.of(1, mistakes.get(kind)).model("labels"));
      } catch (IllegalArgumentException | IllegalStateException e) {
        ends.incrementAndGet(i);
        bad++;
        return;
      }
      throw new AssertionError("a bad request was taken: " + kind);
    }
  }

  /** Cancels at a step, or is slow. */
  private static final class Subscriber implements Flow.Subscriber<Progress> {

    private final ServedRequest request;
    private final int step;
    private final long millis;

    Subscriber(ServedRequest request, int step, long millis) {
      this.request = request;
      this.step = step;
      this.millis = millis;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Progress item) {
      if (millis > 0) {
        try {
          Thread.sleep(millis);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
      if (item.step() >= step) {
        request.cancel();
      }
    }

    @Override
    public void onError(Throwable throwable) {}

    @Override
    public void onComplete() {}
  }

  private static long resident() throws IOException {
    System.gc();
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .sum();
  }
}
