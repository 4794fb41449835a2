package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class ServiceMetricsTest {

  @Test
  void meters_ofSomeRequests_countThem() throws Exception {
    Gate gate = Gate.closed();
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    ServiceMetrics metrics = new ServiceMetrics(registry);
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(gate).build();
    try (SamplingService service =
        SamplingService.of(ddpm).mostImages(4).listener(metrics).build()) {
      metrics.watch(service);
      SamplingRequest request = SamplingRequest.of(4, s -> s.sampler(Samplers.ddim(3)).seed(1));
      ServedRequest first = service.submit(request);
      gate.begun.acquire();
      ServedRequest second = service.submit(request);
      ServedRequest third = service.submit(request);
      assertThat(registry.get("ddpm4j.sampling.queue").gauge().value()).isEqualTo(2);
      assertThat(registry.get("ddpm4j.sampling.running").gauge().value()).isEqualTo(1);
      third.cancel();
      gate.open.release(6);
      first.result().join().close();
      second.result().join().close();
      service.shutdown();
      service.awaitEnd(Duration.ofSeconds(20));
    }
    assertThat(registry.get("ddpm4j.sampling.call").timer().count()).isEqualTo(6);
    assertThat(registry.get("ddpm4j.sampling.call.images").summary().max()).isEqualTo(4);
    assertThat(
            registry
                .get("ddpm4j.sampling.request")
                .tags("model", "default", "outcome", "done")
                .timer()
                .count())
        .isEqualTo(2);
    assertThat(registry.get("ddpm4j.sampling.request").tag("outcome", "cancelled").timer().count())
        .isEqualTo(1);
    assertThat(registry.get("ddpm4j.sampling.wait").timer().count()).isEqualTo(2);
    assertThat(registry.get("ddpm4j.sampling.images").summary().totalAmount()).isEqualTo(8);
  }

  /** Two services in one registry, each with its own figures. */
  @Test
  void meters_ofTwoServices_keptApart() throws Exception {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    Gate gate = Gate.closed();
    ServiceMetrics busy = new ServiceMetrics(registry, "busy");
    ServiceMetrics idle = new ServiceMetrics(registry, "idle");
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(gate).build();
    try (SamplingService one = SamplingService.of(ddpm).mostImages(4).listener(busy).build();
        SamplingService other = SamplingService.of(ddpm).mostImages(4).listener(idle).build()) {
      busy.watch(one);
      idle.watch(other);
      ServedRequest request =
          one.submit(SamplingRequest.of(1, s -> s.sampler(Samplers.ddim(3)).seed(1)));
      gate.begun.acquire();
      assertThat(running(registry, "busy")).isEqualTo(1);
      assertThat(running(registry, "idle")).isZero();
      gate.open.release(3);
      request.result().join().close();
    }
    assertThat(registry.get("ddpm4j.sampling.call").tag("service", "busy").timer().count())
        .isEqualTo(3);
    assertThat(registry.get("ddpm4j.sampling.call").tag("service", "idle").timer().count())
        .isZero();
  }

  private static double running(SimpleMeterRegistry registry, String service) {
    return registry.get("ddpm4j.sampling.running").tag("service", service).gauge().value();
  }
}
