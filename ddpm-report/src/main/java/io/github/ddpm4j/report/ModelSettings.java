package io.github.ddpm4j.report;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.util.LinkedHashMap;
import java.util.Map;

/** What there is to say of a model apart from its training. */
final class ModelSettings {

  private ModelSettings() {}

  /** Settings by name; the caller may add more. */
  static Map<String, Object> of(DDPM model) {
    Map<String, Object> settings = new LinkedHashMap<>();
    model.schedule().describe().forEach((name, value) -> settings.put("schedule: " + name, value));
    settings.put("prediction", model.prediction());
    settings.put("variance", model.variance());
    if (model.denoiser().orElse(null) instanceof TrainableDenoiser network) {
      network.describe().forEach((name, value) -> settings.put("network: " + name, value));
    }
    return settings;
  }
}
