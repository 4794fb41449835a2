package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.service.RequestRefusedException;
import io.github.ddpm4j.service.SamplingRequest;
import io.github.ddpm4j.service.SamplingService;
import io.github.ddpm4j.service.ServiceListener;
import java.time.Duration;
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

  private final int images;
  private final List<Arrival> arrivals = Arrivals.poisson(1000, 1, 2);
  private final AtomicInteger next = new AtomicInteger();
  private long first;
  private long last;
  private long ticks;
  private long called;
  private long inCalls;

  /**
   * What was measured.
   *
   * @param ticks from one call to the next: the call, the samplers' steps, and what begins and ends
   *     between two calls
   * @param calls the calls alone
   */
  record Times(TickTimes ticks, TickTimes calls) {}

  private TickMeter(int images) {
    this.images = images;
  }

  /**
   * Measures ticks of 1, 2, 4, … images, and of the most.
   *
   * @param most the most images of a call
   * @param seconds how long each number of images is measured, after a quarter of it
   */
  static Times measure(DDPM ddpm, int most, double seconds) throws InterruptedException {
    Map<Double, Double> ticks = new TreeMap<>();
    Map<Double, Double> calls = new TreeMap<>();
    for (int images = 1; images < 2 * most; images *= 2) {
      new TickMeter(Math.min(images, most)).measure(ddpm, seconds, ticks, calls);
    }
    return new Times(new TickTimes(ticks), new TickTimes(calls));
  }

  private void measure(
      DDPM ddpm, double seconds, Map<Double, Double> tickTimes, Map<Double, Double> callTimes)
      throws InterruptedException {
    try (SamplingService service =
        SamplingService.of(ddpm).mostImages(images).listener(this).build()) {
      for (int i = 0; i < 2 * images; i++) {
        submit(service);
      }
      await((long) (1e9 * WARM_UP * seconds), 1);
      restart();
      await((long) (1e9 * seconds), 2);
    }
    put(tickTimes, callTimes);
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

  private synchronized void put(Map<Double, Double> tickTimes, Map<Double, Double> callTimes) {
    double mean = (double) called / (ticks - 1);
    tickTimes.put(mean, (double) (last - first) / (ticks - 1));
    callTimes.put(mean, (double) inCalls / (ticks - 1));
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
