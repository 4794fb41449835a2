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
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model of latents with the parts around it, which is more than most commands draw from.
 *
 * @param name what the user calls it
 * @param path its folder, or a single file
 * @param kind what it is, for messages
 * @param text whether it reads texts
 */
record LatentPipeline(String name, Path path, String kind, boolean text) {

  private static final String INDEX = "model_index.json";

  /** The pipeline without texts. */
  private static final String PLAIN = "LDMPipeline";

  /** Those that draw from noise what a text says, of the ones that are loaded. */
  private static final Set<String> DRAWING =
      Set.of("LDMTextToImagePipeline", "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline");

  /** Those of pixels, which most commands draw from. */
  private static final Set<String> OF_PIXELS =
      Set.of("DDPMPipeline", "DDIMPipeline", "PNDMPipeline");

  /**
   * What a user named.
   *
   * @param single whether there are options for single files
   * @return null if it is no such model
   */
  static @Nullable LatentPipeline of(String name, boolean single) throws IOException {
    Path path = folderOf(name);
    if (Files.isRegularFile(path)) {
      return single ? new LatentPipeline(name, path, "a whole pipeline in one file", true) : null;
    }
    Path index = path.resolve(INDEX);
    if (!Files.isRegularFile(index)) {
      return null;
    }
    String kind = kindOf(index);
    return kind.contains("LDM") || kind.contains("StableDiffusion")
        ? new LatentPipeline(name, path, kind, !kind.equals(PLAIN))
        : null;
  }

  /**
   * What ddpm text is to draw from.
   *
   * @param name what a user named: a folder, a single file, or a name of a hub
   * @return a pipeline; others than those that are loaded are refused when they are
   * @throws NoSuchFileException if there is none
   * @throws IllegalArgumentException if it is a model that draws without a text, or no model
   */
  static LatentPipeline drawingTexts(String name) throws IOException {
    LatentPipeline pipeline = LoadedModel.isOurs(Path.of(name)) ? null : of(name, true);
    if (pipeline != null) {
      if (!pipeline.text) {
        throw new IllegalArgumentException(
            pipeline.called()
                + " draws without a text, and no command draws from it; programs do, by"
                + " LatentDiffusion");
      }
      return pipeline;
    }
    if (LoadedModel.isOfHub(name)) {
      Hub.ofEnvironment().snapshot(name, "main", "TextToImage.download");
    } else if (!Files.exists(Path.of(name)) && !LoadedModel.isInTheBox(name)) {
      throw new NoSuchFileException(name);
    }
    Path index = folderOf(name).resolve(INDEX);
    if (Files.isRegularFile(index)) {
      String kind = kindOf(index);
      if (!OF_PIXELS.contains(kind)) {
        return new LatentPipeline(name, folderOf(name), kind, true);
      }
    } else if (!LoadedModel.isSurelyModel(name) && !LoadedModel.isOfHub(name)) {
      throw new IllegalArgumentException(
          name
              + " is no pipeline: it has no model_index.json, as folders of diffusers have; name"
              + " such a folder, or a single file of Stable Diffusion");
    }
    throw new IllegalArgumentException(name + " draws without a text; ddpm sample draws from it");
  }

  /**
   * What ddpm text alone draws from.
   *
   * @param name what a user named
   * @return null if it is no such folder
   */
  static @Nullable LatentPipeline ofTexts(String name) throws IOException {
    LatentPipeline pipeline = of(name, false);
    return pipeline != null && DRAWING.contains(pipeline.kind) ? pipeline : null;
  }

  /**
   * Refuses what ddpm text alone draws from.
   *
   * @param name what a user named
   */
  static void requireNone(String name) throws IOException {
    LatentPipeline pipeline = ofTexts(name);
    if (pipeline != null) {
      throw new IllegalArgumentException(
          pipeline.called() + " draws what texts say; ddpm text draws from it");
    }
  }

  /** Whether it is guided towards the text unless told otherwise. */
  boolean isGuided() {
    return !kind.contains("LDM");
  }

  /** Its name and what it is. */
  String called() {
    return name + " (" + kind + ")";
  }

  private static String kindOf(Path index) throws IOException {
    return String.valueOf(JsonFile.read(index).get("_class_name"));
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

  /** Loads it with its text encoder. */
  TextToImage load(TextToImage.Options options) throws IOException {
    return LoadedModel.isOfHub(name) ? options.load(name) : options.load(path);
  }

  /** What tells its weights apart: the commit of a hub, or the SHA-256 of its files. */
  String weights() throws IOException {
    return LoadedModel.isOfHub(name) ? String.valueOf(path.getFileName()) : Sha256.of(path);
  }

  /** Writes it as a folder of diffusers. */
  void save(Path folder, TextToImage.Options options, Device device, DataType type)
      throws IOException {
    if (text) {
      try (TextToImage model = load(options.device(device))) {
        Writing.whole(() -> model.save(folder, type));
      }
    } else {
      try (LatentDiffusion model = LatentDiffusion.load(path, device)) {
        Writing.whole(() -> model.save(folder, type));
      }
    }
  }
}
