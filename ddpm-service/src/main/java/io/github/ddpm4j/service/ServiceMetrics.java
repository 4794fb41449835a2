package io.github.ddpm4j.service;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;

/**
 * The figures of a service as meters of Micrometer, which the application brings.
 *
 * <pre>{@code
 * ServiceMetrics metrics = new ServiceMetrics(registry);
 * SamplingService service = SamplingService.of(ddpm).listener(metrics).build();
 * metrics.watch(service);
 * }</pre>
 *
 * <ul>
 *   <li>{@code ddpm4j.sampling.queue}: gauge, the requests before their first step
 *   <li>{@code ddpm4j.sampling.running}: gauge, those after it
 *   <li>{@code ddpm4j.sampling.call}: timer of a call of the network
 *   <li>{@code ddpm4j.sampling.call.images}: summary of the images of a call
 *   <li>{@code ddpm4j.sampling.wait}: timer from the submission to the first step; tag {@code
 *       model}
 *   <li>{@code ddpm4j.sampling.request}: timer from the submission to the end; tags {@code model}
 *       and {@code outcome}: done, refused, cancelled, late or failed
 *   <li>{@code ddpm4j.sampling.images}: summary of the images of a request that is done; tag {@code
 *       model}
 * </ul>
 */
public final class ServiceMetrics implements ServiceListener {

  private static final String PREFIX = "ddpm4j.sampling.";

  private final MeterRegistry registry;
  private final Timer call;
  private final DistributionSummary callImages;

  /**
   * Registers the meters.
   *
   * @param registry the application's
   */
  public ServiceMetrics(MeterRegistry registry) {
    this.registry = Objects.requireNonNull(registry, "registry");
    this.call = registry.timer(PREFIX + "call");
    this.callImages = registry.summary(PREFIX + "call.images");
  }

  /**
   * Registers the gauges of a service, which live as long as it does.
   *
   * @param service a service that has this listener
   */
  public void watch(SamplingService service) {
    Gauge.builder(PREFIX + "queue", service, s -> s.status().waiting()).register(registry);
    Gauge.builder(PREFIX + "running", service, s -> s.status().running()).register(registry);
  }

  @Override
  public void called(int requests, int images, Duration time) {
    call.record(time);
    callImages.record(images);
  }

  @Override
  public void ended(
      SamplingRequest request, Outcome outcome, int images, Duration waited, Duration total) {
    Tags model = Tags.of("model", request.model());
    registry.timer(PREFIX + "wait", model).record(waited);
    String end = outcome.name().toLowerCase(Locale.ROOT);
    registry.timer(PREFIX + "request", model.and("outcome", end)).record(total);
    if (outcome == Outcome.DONE) {
      registry.summary(PREFIX + "images", model).record(images);
    }
  }
}
