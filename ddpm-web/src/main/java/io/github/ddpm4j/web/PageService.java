package io.github.ddpm4j.web;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.latent.Drawing;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.service.SamplingService;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;

/** The service that draws for the page, with what the calls of each model are measured by. */
final class PageService {

  private static final String MOST_IMAGES = "ddpm4j.service.most-images";
  private static final String MEASURE = "measure";

  /** A batch of a pipeline, each picture twice with guidance. */
  private static final int IMAGES_BESIDE_PIPELINES = 2 * Drawing.DEFAULT_BATCH_SIZE;

  private PageService() {}

  /**
   * A service of the models in the box, and those in folders.
   *
   * @param set settings of the service
   * @param latent gets those that draw latents
   * @param folders by whose names the page calls them
   * @throws IOException if a model cannot be read
   */
  static SamplingService of(Properties set, Map<String, LatentModel> latent, String... folders)
      throws IOException {
    SamplingService.Builder models = SamplingService.builder();
    for (String name : Models.names()) {
      add(models, name, Models.load(name));
    }
    for (String named : folders) {
      Path folder = Path.of(named).toAbsolutePath().normalize();
      String name = folder.getFileName().toString();
      if (LatentModel.isIn(folder)) {
        latent.put(name, LatentModel.load(folder));
        models.model(name, latent.get(name).latent().ddpm());
      } else {
        add(models, name, DDPM.load(folder));
      }
    }
    models.properties(set);
    String most = set.getProperty(MOST_IMAGES, MEASURE).strip();
    if (!latent.isEmpty() && most.equals(MEASURE)) {
      // To measure a pipeline takes minutes, and it draws a few pictures at a time anyway.
      models.mostImages(IMAGES_BESIDE_PIPELINES);
    }
    return models.build();
  }

  /** Adds a model; one of classes may know no picture without a class, and is measured with one. */
  static void add(SamplingService.Builder models, String name, DDPM ddpm) {
    models.model(name, ddpm);
    if (!ModelList.classes(ddpm).isEmpty()) {
      models.measuredWith(name, sampling -> sampling.condition(Condition.labels(0)));
    }
  }
}
