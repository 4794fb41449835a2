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
 */
final class TickMeter implements ServiceListener {

  private static final double WARM_UP = 0.25;

  private final int images;
  private final List<Arrival> arrivals = Arrivals.poisson(1000, 1, 2);
  private final AtomicInteger next = new AtomicInteger();
  private long first;
  private long last;
  private long ticks;

  private TickMeter(int images) {
    this.images = images;
  }

  /**
   * Measures ticks of 1, 2, 4, … images, and of the most.
   *
   * @param most the most images of a call
   * @param seconds how long each number of images is measured, after a quarter of it
   */
  static TickTimes measure(DDPM ddpm, int most, double seconds) throws InterruptedException {
    Map<Integer, Double> nanos = new TreeMap<>();
    for (int images = 1; images < most; images *= 2) {
      nanos.put(images, new TickMeter(images).nanos(ddpm, seconds));
    }
    nanos.put(most, new TickMeter(most).nanos(ddpm, seconds));
    return new TickTimes(nanos);
  }

  private double nanos(DDPM ddpm, double seconds) throws InterruptedException {
    try (SamplingService service =
        SamplingService.of(ddpm).mostImages(images).listener(this).build()) {
      for (int i = 0; i < 2 * images; i++) {
        submit(service);
      }
      await((long) (1e9 * WARM_UP * seconds), 1);
      restart();
      await((long) (1e9 * seconds), 2);
    }
    return mean();
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
  }

  private synchronized double mean() {
    return (double) (last - first) / (ticks - 1);
  }

  @Override
  public synchronized void called(int requests, int called, Duration duration) {
    last = System.nanoTime();
    if (ticks == 0) {
      first = last;
    }
    ticks++;
    notifyAll();
  }
}
