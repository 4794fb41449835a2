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
 * ServiceMetrics metrics = new ServiceMetrics(registry, "pictures");
 * SamplingService service = SamplingService.of(ddpm).listener(metrics).build();
 * metrics.watch(service);
 * }</pre>
 *
 * <ul>
 *   <li>{@code ddpm4j.sampling.queue}: gauge, the requests before their first step
 *   <li>{@code ddpm4j.sampling.running}: gauge, those after it
 *   <li>{@code ddpm4j.sampling.call}: timer of a call of the network
 *   <li>{@code ddpm4j.sampling.call.images}: summary of the images of a call, those that are guided
 *       counted as often as guidance asks about them
 *   <li>{@code ddpm4j.sampling.wait}: timer from the submission to the first step, of those that
 *       take one; tag {@code model}
 *   <li>{@code ddpm4j.sampling.request}: timer from the submission to the end; tags {@code model}
 *       and {@code outcome}: done, refused, cancelled, late or failed
 *   <li>{@code ddpm4j.sampling.images}: summary of the images of a request that is done; tag {@code
 *       model}
 * </ul>
 *
 * <p>All have the tag {@code service}, by which several services share a registry.
 */
public final class ServiceMetrics implements ServiceListener {

  private static final String PREFIX = "ddpm4j.sampling.";

  private final MeterRegistry registry;
  private final Tags service;
  private final Timer call;
  private final DistributionSummary callImages;

  /**
   * Registers the meters of the only service of a registry, named {@value
   * SamplingService#DEFAULT_MODEL}.
   *
   * @param registry the application's
   */
  public ServiceMetrics(MeterRegistry registry) {
    this(registry, SamplingService.DEFAULT_MODEL);
  }

  /**
   * Registers the meters.
   *
   * @param registry the application's
   * @param service what tells the meters of this service from those of others: their tag {@code
   *     service}
   */
  public ServiceMetrics(MeterRegistry registry, String service) {
    this.registry = Objects.requireNonNull(registry, "registry");
    this.service = Tags.of("service", Objects.requireNonNull(service, "service"));
    this.call = registry.timer(PREFIX + "call", this.service);
    this.callImages = registry.summary(PREFIX + "call.images", this.service);
  }

  /**
   * Registers the gauges of a service, which live as long as it does.
   *
   * @param watched a service that has this listener
   */
  public void watch(SamplingService watched) {
    Gauge.builder(PREFIX + "queue", watched, s -> s.status().waiting())
        .tags(service)
        .register(registry);
    Gauge.builder(PREFIX + "running", watched, s -> s.status().running())
        .tags(service)
        .register(registry);
  }

  private Tags of(SamplingRequest request) {
    return service.and("model", request.model());
  }

  @Override
  public void begun(long id, SamplingRequest request, Duration waited) {
    registry.timer(PREFIX + "wait", of(request)).record(waited);
  }

  @Override
  public void called(int requests, int images, Duration time) {
    call.record(time);
    callImages.record(images);
  }

  @Override
  public void ended(
      long id,
      SamplingRequest request,
      Outcome outcome,
      int images,
      Duration waited,
      Duration total) {
    Tags model = of(request);
    String end = outcome.name().toLowerCase(Locale.ROOT);
    registry.timer(PREFIX + "request", model.and("outcome", end)).record(total);
    if (outcome == Outcome.DONE) {
      registry.summary(PREFIX + "images", model).record(images);
    }
  }
}
