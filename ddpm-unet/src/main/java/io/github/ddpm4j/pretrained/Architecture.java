package io.github.ddpm4j.pretrained;

import ai.djl.Device;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.ContextUNet;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A network before it is built.
 *
 * @param settings what it is, beside the shape of images, that is not so by default
 * @param weightShapes the shapes of its weights, by our names
 * @param predictsVariance whether it has outputs for the variance
 * @param blank builds it with weights that are about to be overwritten
 */
record Architecture(
    Map<String, Object> settings,
    Map<String, Shape> weightShapes,
    boolean predictsVariance,
    Blank blank) {

  /** Builds a network. */
  @FunctionalInterface
  interface Blank {

    /** On a device; null for the engine's default. */
    TrainableDenoiser on(@Nullable Device device);
  }

  static Architecture of(UNetConfig config) {
    return new Architecture(
        Differences.ofNetwork(config),
        config.weightShapes(),
        config.learnedVariance(),
        device ->
            device == null
                ? UNet.builder(config).buildBlank()
                : UNet.builder(config).device(device).buildBlank());
  }

  static Architecture of(ContextUNet.Config config) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("type", ContextUNet.TYPE);
    settings.putAll(config.describe());
    return new Architecture(settings, config.weightShapes(), false, config::buildBlank);
  }

  /** What a network that is there is, that is not so by default. */
  static Map<String, Object> settings(TrainableDenoiser network) {
    if (network instanceof UNet unet) {
      return Differences.ofNetwork(unet.config());
    }
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("type", network.type());
    settings.putAll(network.describe());
    return settings;
  }

  long parameterCount() {
    return weightShapes.values().stream().mapToLong(Shape::size).sum();
  }
}
