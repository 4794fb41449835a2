package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.service.SamplingService;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is served as the program serves it. */
@Timeout(60)
class PageServiceTest {

  private static final String PIPELINES = "../ddpm-latent/src/test/resources/pipelines/";

  @Test
  void of_ofPipelines_startsAndDraws() throws Exception {
    Map<String, LatentModel> latent = new LinkedHashMap<>();
    try (SamplingService service =
        PageService.of(
            new Properties(), latent, PIPELINES + "sd1", PIPELINES + "ldm_unconditional")) {
      List<String> names = new ArrayList<>(Models.names());
      names.addAll(List.of("sd1", "ldm_unconditional"));
      assertThat(service.models().keySet()).containsExactlyElementsOf(names);
      Drawings drawings = new Drawings(service, latent, Drawings.MOST_BYTES);
      for (String name : names) {
        String prompt = name.equals("sd1") ? "a red dog" : "";
        Drawing drawing =
            drawings.begin(new DrawRequest(name, prompt, "ddim", 2, 1, 1, 1, null), "me");
        Drawing.Event last = drawing.event(0, Duration.ofSeconds(30)).orElseThrow();
        while (!last.isLast()) {
          last = drawing.event(last.number() + 1, Duration.ofSeconds(30)).orElseThrow();
        }
        assertThat(last.name()).as("%s: %s", name, last.data()).isEqualTo("done");
      }
    } finally {
      latent.values().forEach(LatentModel::close);
    }
  }

  @Test
  void add_aModelThatKnowsNoPictureWithoutAClass_isMeasuredWithOne() {
    SamplingService.Builder models = SamplingService.builder();
    PageService.add(models, "letters", TestModels.classesAlone());
    try (SamplingService service = models.build()) {
      assertThat(service.status().perImageStep()).isPositive();
    }
  }
}
