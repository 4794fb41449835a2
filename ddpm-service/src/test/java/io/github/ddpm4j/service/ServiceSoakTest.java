package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Many requests of all kinds: cancelled at any step, past their deadlines, bad ones, ones whose
 * listeners throw, slow subscribers, and a network that now and then throws an error. Each future
 * ends, and ends once, and no memory stays.
 */
class ServiceSoakTest {

  private static final int FAILURES = 20;

  @Test
  void submit_twoThousand_eachEndsOnce() throws Exception {
    soak(2_000, 1);
  }

  @Test
  void submit_twoThousandToTwoDevices_eachEndsOnce() throws Exception {
    soak(2_000, 2);
  }

  @Test
  @Tag("slow")
  void submit_aHundredThousand_eachEndsOnceInFlatMemory() throws Exception {
    soak(100_000, 1);
  }

  private static void soak(int count, int devices) throws Exception {
    List<Gate> gates = Stream.generate(Gate::open).limit(devices).toList();
    List<DDPM> copies =
        gates.stream().map(gate -> DDPM.builder().timesteps(20).denoiser(gate).build()).toList();
    AtomicIntegerArray ends = new AtomicIntegerArray(count);
    AtomicInteger heard = new AtomicInteger();
    Map<Outcome, Integer> outcomes = new EnumMap<>(Outcome.class);
    ServiceListener listener =
        new ServiceListener() {
          @Override
          public void ended(
              long id,
              SamplingRequest request,
              Outcome outcome,
              int images,
              Duration waited,
              Duration total) {
            heard.incrementAndGet();
            synchronized (outcomes) {
              outcomes.merge(outcome, 1, Integer::sum);
            }
          }
        };
    SplittableRandom random = new SplittableRandom(3);
    int bad = 0;
    long early = 0;
    try (SamplingService service =
        SamplingService.builder()
            .model(SamplingService.DEFAULT_MODEL, copies)
            .mostImages(16)
            .queue(100)
            .whenFull(WhenFull.WAIT)
            .executor(Runnable::run)
            .listener(listener)
            .build()) {
      for (int i = 0; i < count; i++) {
        if (i % (count / FAILURES) == count / FAILURES / 2) {
          gates.forEach(gate -> gate.errors.set(25)); // of a call, and of each of it alone
        }
        if (i == count / 5) {
          early = resident();
        }
        int number = i;
        int steps = 1 + random.nextInt(8);
        int images = 1 + random.nextInt(3);
        int kind = random.nextInt(100);
        if (kind == 99) {
          bad++;
          try {
            service.submit(SamplingRequest.of(0, s -> s));
            throw new AssertionError("a request for no image was taken");
          } catch (IllegalArgumentException e) {
            ends.incrementAndGet(number);
          }
          continue;
        }
        SamplingRequest request =
            SamplingRequest.of(images, s -> s.sampler(Samplers.ddim(steps)).seed(number))
                .tenant("tenant " + random.nextInt(5))
                .priority(random.nextInt(3));
        int cancelAt = kind < 30 ? random.nextInt(steps) : -1;
        if (kind >= 30 && kind < 35) {
          request = request.deadline(Duration.ofNanos(1 + random.nextInt(100_000)));
        }
        ServedRequest served;
        try {
          served = service.submit(request);
        } catch (RequestRefusedException e) {
          ends.incrementAndGet(number);
          continue;
        }
        CompletableFuture<Samples> end =
            served
                .result()
                .whenComplete(
                    (samples, failure) -> {
                      ends.incrementAndGet(number);
                      if (samples != null) {
                        samples.close();
                      }
                    });
        assertThat(end).isNotNull();
        if (cancelAt == 0) {
          served.cancel();
        } else if (cancelAt > 0) {
          served.progress().subscribe(new Canceller(served, cancelAt));
        }
      }
      service.shutdown();
      assertThat(service.awaitEnd(Duration.ofMinutes(5))).isTrue();
      assertThat(service.status().running() + service.status().waiting()).isZero();
    }
    for (int i = 0; i < count; i++) {
      assertThat(ends.get(i)).as("request %s", i).isEqualTo(1);
    }
    assertThat(heard.get()).isEqualTo(count - bad);
    assertThat(outcomes).containsKeys(Outcome.DONE, Outcome.CANCELLED, Outcome.FAILED);
    assertThat(outcomes.getOrDefault(Outcome.LATE, 0) + outcomes.getOrDefault(Outcome.REFUSED, 0))
        .isPositive();
    if (count > 50_000) {
      assertThat(resident() - early).as("kB more").isLessThan(100_000);
    }
    assertThat(gates).allSatisfy(gate -> assertThat(gate.errors.get()).isZero());
  }

  /** Cancels at a step, slowly. */
  private static final class Canceller implements Flow.Subscriber<Progress> {

    private final ServedRequest request;
    private final int step;

    Canceller(ServedRequest request, int step) {
      this.request = request;
      this.step = step;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Progress item) {
      if (item.step() >= step) {
        request.cancel();
      }
    }

    @Override
    public void onError(Throwable throwable) {}

    @Override
    public void onComplete() {}
  }

  private static long resident() throws Exception {
    System.gc();
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .sum();
  }
}
