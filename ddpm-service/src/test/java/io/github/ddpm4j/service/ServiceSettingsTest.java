package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import java.util.Properties;
import org.junit.jupiter.api.Test;

/** Settings of a service by properties. */
class ServiceSettingsTest {

  private static Properties properties(String... namesAndValues) {
    Properties properties = new Properties();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      properties.setProperty(namesAndValues[i], namesAndValues[i + 1]);
    }
    return properties;
  }

  @Test
  void of_allNames_areRead() {
    ServiceSettings settings =
        ServiceSettings.of(
            properties(
                "ddpm4j.service.queue", " 7 ",
                "ddpm4j.service.when-full", "Shed",
                "ddpm4j.service.most-images", "3",
                "ddpm4j.service.most-resident-images", "9",
                "server.port", "8080"));
    assertThat(settings.queue(1)).isEqualTo(7);
    assertThat(settings.whenFull(WhenFull.WAIT)).isEqualTo(WhenFull.SHED);
    assertThat(settings.mostImages()).isEqualTo(3);
    assertThat(settings.mostResidentImages(1)).isEqualTo(9);
    ServiceSettings none = ServiceSettings.of(properties("ddpm4j.service.most-images", "measure"));
    assertThat(none.mostImages()).isNull();
    assertThat(none.queue(5)).isEqualTo(5);
    assertThat(none.whenFull(WhenFull.WAIT)).isEqualTo(WhenFull.WAIT);
  }

  @Test
  void of_whatIsNone_refused() {
    assertThatThrownBy(() -> ServiceSettings.of(properties("ddpm4j.service.queu", "7")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "there is no property ddpm4j.service.queu; those of ddpm4j.service. are [queue,"
                + " when-full, most-images, most-resident-images]");
    assertThatThrownBy(() -> ServiceSettings.of(properties("ddpm4j.service.queue", "0")))
        .hasMessage("ddpm4j.service.queue must be at least 1, but was 0");
    assertThatThrownBy(() -> ServiceSettings.of(properties("ddpm4j.service.queue", "many")))
        .hasMessage("ddpm4j.service.queue must be a whole number, but was \"many\"");
    assertThatThrownBy(() -> ServiceSettings.of(properties("ddpm4j.service.when-full", "drop")))
        .hasMessage("ddpm4j.service.when-full must be refuse, wait or shed, but was \"drop\"");
  }

  /** The service takes them, and what the builder is told goes before, whichever comes first. */
  @Test
  void properties_ofABuilder_giveWayToItsSetters() throws Exception {
    Properties properties =
        properties(
            "ddpm4j.service.most-images", "2",
            "ddpm4j.service.most-resident-images", "5");
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
    SamplingRequest large =
        SamplingRequest.of(9, s -> s.sampler(Samplers.ddim(1)).seed(1).batchSize(6));
    try (SamplingService service = SamplingService.of(ddpm).properties(properties).build()) {
      assertThatThrownBy(() -> service.submit(large))
          .hasMessageStartingWith("the request is for 9 images, and the service keeps at most 5");
    }
    try (SamplingService service =
        SamplingService.of(ddpm).mostResidentImages(9).properties(properties).build()) {
      service.submit(large).result().join().close();
      assertThat(
              service
                  .submit(SamplingRequest.of(5, s -> s.sampler(Samplers.ddim(1)).seed(1)))
                  .steps())
          .isEqualTo(3);
    }
  }
}
