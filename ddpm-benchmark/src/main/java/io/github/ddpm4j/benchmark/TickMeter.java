package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException;
import io.github.ddpm4j.service.SamplingRequest;
import io.github.ddpm4j.service.SamplingService;
import io.github.ddpm4j.service.ServiceListener;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Measures how long a service takes from one call of the network to the next, when twice as many
 * requests as a call takes are always there: each that ends is followed by another. So the time has
 * all in it that a service does, in the proportion in which it does it under load.
 *
 * <p>A call has fewer images on average than it may have where a guided request, which has two,
 * does not fit, and more where one image is the most. What it had is what counts.
 */
final class TickMeter implements ServiceListener {

  private static final double WARM_UP = 0.25;

  /** Each is measured so many times in turn, so that what else the machine does befalls all. */
  private static final int ROUNDS = 8;

  /** Of a round at least, so that in each some of the requests of few steps begin and end. */
  private static final int LEAST_TICKS = Arrivals.FEW + 1;

  private final int images;
  private final List<Arrival> arrivals = Arrivals.poisson(1000, 1, 2);
  private final AtomicInteger next = new AtomicInteger();

  /** Of this round. */
  private long first;

  private long last;
  private long ticks;
  private long called;
  private long inCalls;

  /** Of all rounds before. */
  private long elapsed;

  private long allTicks;
  private long allCalled;
  private long allInCalls;

  /**
   * What was measured.
   *
   * @param ticks from one call to the next: the call, the samplers' steps, and what begins and ends
   *     between two calls
   * @param calls the calls alone
   * @param capacity the image-steps a second of a fixed batch of the most images
   */
  record Times(TickTimes ticks, TickTimes calls, double capacity) {}

  private TickMeter(int images) {
    this.images = images;
  }

  /**
   * Measures ticks of 1, 2, 4, … images, and of the most, and beside them a fixed batch.
   *
   * @param most the most images of a call
   * @param seconds how long each number of images is measured, without warming up
   */
  static Times measure(DDPM ddpm, int most, double seconds) throws InterruptedException {
    List<TickMeter> meters = new ArrayList<>();
    for (int images = 1; images < 2 * most; images *= 2) {
      meters.add(new TickMeter(Math.min(images, most)));
    }
    double steps = 0;
    double nanos = 0;
    for (int round = 0; round < ROUNDS; round++) {
      try (SamplingRun run =
          ddpm.sampling()
              .sampler(Samplers.ddim(ddpm.schedule().timesteps()))
              .seed(1)
              .batchSize(most)
              .start(most)) {
        run.next();
        long begun = System.nanoTime();
        do {
          run.next();
          steps += most;
        } while (run.hasNext() && System.nanoTime() - begun < 1e9 * seconds / ROUNDS);
        nanos += System.nanoTime() - begun;
      }
      for (TickMeter meter : meters) {
        meter.measure(ddpm, seconds / ROUNDS);
      }
    }
    Map<Double, Double> ticks = new TreeMap<>();
    Map<Double, Double> calls = new TreeMap<>();
    meters.forEach(meter -> meter.put(ticks, calls));
    return new Times(new TickTimes(ticks), new TickTimes(calls), 1e9 * steps / nanos);
  }

  private void measure(DDPM ddpm, double seconds) throws InterruptedException {
    try (SamplingService service =
        SamplingService.of(ddpm).mostImages(images).listener(this).build()) {
      for (int i = 0; i < 2 * images; i++) {
        submit(service);
      }
      await((long) (1e9 * WARM_UP * seconds), 1);
      restart();
      await((long) (1e9 * seconds), LEAST_TICKS);
    }
    add();
  }

  private void submit(SamplingService service) {
    Arrival arrival = arrivals.get(next.getAndIncrement() % arrivals.size());
    try {
      var unused =
          service
              .submit(SamplingRequest.of(1, arrival::set))
              .result()
              .thenAccept(Samples::close)
              .thenRun(() -> submit(service));
    } catch (RequestRefusedException e) {
      // The service is closed: it is over.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits as long, and until as many ticks are done. */
  private synchronized void await(long nanos, long least) throws InterruptedException {
    long end = System.nanoTime() + nanos;
    while (ticks < least || System.nanoTime() < end) {
      TimeUnit.NANOSECONDS.timedWait(this, Math.max(1_000_000, end - System.nanoTime()));
    }
  }

  private synchronized void restart() {
    ticks = 0;
    called = 0;
    inCalls = 0;
  }

  private synchronized void add() {
    elapsed += last - first;
    allTicks += ticks - 1;
    allCalled += called;
    allInCalls += inCalls;
    restart();
  }

  private synchronized void put(Map<Double, Double> tickTimes, Map<Double, Double> callTimes) {
    double mean = (double) allCalled / allTicks;
    tickTimes.put(mean, (double) elapsed / allTicks);
    callTimes.put(mean, (double) allInCalls / allTicks);
  }

  @Override
  public synchronized void called(int requests, int images, Duration duration) {
    last = System.nanoTime();
    if (ticks == 0) {
      first = last;
    } else {
      called += images;
      inCalls += duration.toNanos();
    }
    ticks++;
    notifyAll();
  }
}
