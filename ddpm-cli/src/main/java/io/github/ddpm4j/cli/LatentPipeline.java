package io.github.ddpm4j.cli;

import ai.djl.Device;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.hub.Hub;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.latent.TextToImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A model of latents with the parts around it, which is more than other commands draw from.
 *
 * @param path its folder, or a single file
 * @param kind what it is, for messages
 * @param text whether it reads texts
 */
record LatentPipeline(Path path, String kind, boolean text) {

  private static final String INDEX = "model_index.json";

  /** The pipeline without texts. */
  private static final String PLAIN = "LDMPipeline";

  /**
   * What a user named.
   *
   * @param single whether there are options for single files
   * @return null if it is no such model
   */
  static @Nullable LatentPipeline of(String name, boolean single) throws IOException {
    Path path = folderOf(name);
    if (Files.isRegularFile(path)) {
      return single ? new LatentPipeline(path, "a whole pipeline in one file", true) : null;
    }
    Path index = path.resolve(INDEX);
    if (!Files.isRegularFile(index)) {
      return null;
    }
    String kind = String.valueOf(JsonFile.read(index).get("_class_name"));
    return kind.contains("LDM") || kind.contains("StableDiffusion")
        ? new LatentPipeline(path, kind, !kind.equals(PLAIN))
        : null;
  }

  /** That of a model of a hub is in the cache on this machine. */
  private static Path folderOf(String name) throws IOException {
    if (LoadedModel.isOfHub(name)) {
      try {
        return Hub.ofEnvironment().snapshot(name, "main", "Pretrained.download");
      } catch (NoSuchFileException e) {
        // Which loading says, with the way to get it.
      }
    }
    return Path.of(name);
  }

  /** Refuses an option that means nothing without a text encoder. */
  void requireText(String option) {
    if (!text) {
      throw new IllegalArgumentException(
          option
              + " is for pipelines with a text encoder, and "
              + path
              + " ("
              + kind
              + ") has none; leave it out");
    }
  }

  /** How to have its network alone, in a layout that holds no more. */
  String networkAlone() {
    return Files.isRegularFile(path)
        ? "leave out --tokenizer and --configuration for its network alone"
        : "name " + path.resolve("unet") + " for its network alone";
  }

  /** Writes it as a folder of diffusers. */
  void save(Path folder, TextToImage.Options options, Device device, DataType type)
      throws IOException {
    if (text) {
      try (TextToImage model = options.device(device).load(path)) {
        Writing.whole(() -> model.save(folder, type));
      }
    } else {
      try (LatentDiffusion model = LatentDiffusion.load(path, device)) {
        Writing.whole(() -> model.save(folder, type));
      }
    }
  }
}
