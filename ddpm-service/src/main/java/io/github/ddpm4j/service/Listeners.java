package io.github.ddpm4j.service;

import io.github.ddpm4j.service.ServiceListener.Outcome;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;

/** Tells listeners, whose failures harm nobody. */
final class Listeners {

  private final List<ServiceListener> all;

  Listeners(List<ServiceListener> all) {
    this.all = List.copyOf(all);
  }

  void queued(SamplingRequest request) {
    tell(listener -> listener.queued(request));
  }

  void called(int requests, int images, long nanos) {
    tell(listener -> listener.called(requests, images, Duration.ofNanos(nanos)));
  }

  /** A request that was never taken. */
  void refused(SamplingRequest request, int images, long submitted) {
    Duration waited = Duration.ofNanos(System.nanoTime() - submitted);
    tell(listener -> listener.ended(request, Outcome.REFUSED, images, waited, waited));
  }

  void ended(Served served, Outcome outcome) {
    long now = System.nanoTime();
    Duration waited = Duration.ofNanos(served.begun(now) - served.times().submitted());
    Duration total = Duration.ofNanos(now - served.times().submitted());
    int images = served.run().images();
    tell(listener -> listener.ended(served.request(), outcome, images, waited, total));
  }

  private void tell(Consumer<ServiceListener> event) {
    for (ServiceListener listener : all) {
      Careful.attempt("a listener", () -> event.accept(listener));
    }
  }
}
