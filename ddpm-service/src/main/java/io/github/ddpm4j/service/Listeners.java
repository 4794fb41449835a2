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

  void queued(Served served) {
    tell(listener -> listener.queued(served.id(), served.request()));
    served.traceQueued();
  }

  /** Of requests that take a step, those for which it is the first. */
  void begun(List<Served> step) {
    for (Served served : step) {
      if (served.tellsBegun()) {
        Duration waited = waited(served, System.nanoTime());
        served.trace(() -> tell(listener -> listener.begun(served.id(), served.request(), waited)));
      }
    }
  }

  private static Duration waited(Served served, long now) {
    return Duration.ofNanos(served.begun(now) - served.times().submitted());
  }

  void called(int requests, int images, long nanos) {
    tell(listener -> listener.called(requests, images, Duration.ofNanos(nanos)));
  }

  /** A request that was never taken. */
  void refused(long id, SamplingRequest request, int images, long submitted) {
    Duration waited = Duration.ofNanos(System.nanoTime() - submitted);
    tell(listener -> listener.ended(id, request, Outcome.REFUSED, images, waited, waited));
  }

  void ended(Served served, Outcome outcome) {
    long now = System.nanoTime();
    Duration waited = waited(served, now);
    Duration total = Duration.ofNanos(now - served.times().submitted());
    int images = served.run().images();
    served.trace(
        () ->
            tell(
                listener ->
                    listener.ended(served.id(), served.request(), outcome, images, waited, total)));
  }

  private void tell(Consumer<ServiceListener> event) {
    for (ServiceListener listener : all) {
      Careful.attempt("a listener", () -> event.accept(listener));
    }
  }
}
