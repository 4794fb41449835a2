package io.github.ddpm4j.cli;

import io.github.ddpm4j.latent.TextToImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What single files of Stable Diffusion don't have, which makes them whole pipelines. */
final class SingleFileOptions {

  private static final String TOKENIZER = "--tokenizer";
  private static final String CONFIGURATION = "--configuration";

  @Option(
      names = TOKENIZER,
      paramLabel = "FOLDER",
      description =
          "That of a single file of Stable Diffusion, with vocab.json and merges.txt, so that all"
              + " of the file is taken.")
  private @Nullable Path tokenizer;

  @Option(
      names = CONFIGURATION,
      paramLabel = "FOLDER",
      description = "A folder of diffusers that describes such a file, whose weights are not read.")
  private @Nullable Path configuration;

  /** Whether a file is to be taken for a whole pipeline. */
  boolean given() {
    return tokenizer != null || configuration != null;
  }

  /**
   * Refuses them for a model that is no pipeline.
   *
   * @throws IllegalArgumentException if there are some
   */
  void requireNone(String model) {
    if (given()) {
      throw new IllegalArgumentException(
          (tokenizer != null ? TOKENIZER : CONFIGURATION)
              + " is for single files of Stable Diffusion, and "
              + model
              + " is none; leave it out");
    }
  }

  /** What is told, by name. */
  Map<String, String> words() {
    Map<String, String> words = new LinkedHashMap<>();
    if (tokenizer != null) {
      words.put("tokenizer", tokenizer.toString());
    }
    if (configuration != null) {
      words.put("configuration", configuration.toString());
    }
    return words;
  }

  /** Tells a model that is to be loaded. */
  void set(TextToImage.Options options, LatentPipeline pipeline) throws IOException {
    if (tokenizer != null) {
      pipeline.requireText(TOKENIZER);
      Inputs.require(List.of(tokenizer));
      options.tokenizer(tokenizer);
    }
    if (configuration != null) {
      pipeline.requireText(CONFIGURATION);
      Inputs.require(List.of(configuration));
      options.configuration(configuration);
    }
  }
}
