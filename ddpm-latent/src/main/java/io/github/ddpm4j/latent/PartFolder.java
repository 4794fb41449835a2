package io.github.ddpm4j.latent;

import io.github.ddpm4j.internal.hub.WeightNames;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;

/** The folder of a part of a published model: its configuration and its weights. */
record PartFolder(Path folder, String what, List<String> names) {

  static final String CONFIG = "config.json";

  /** The first of the files of weights that are looked for in that of a text encoder. */
  static final String WRITTEN = WeightNames.ofTransformers().get(0);

  /** Of transformers. */
  static PartFolder ofTransformers(Path folder) {
    return new PartFolder(folder, "a text encoder", WeightNames.ofTransformers());
  }

  /** Of diffusers. */
  static PartFolder ofDiffusers(Path folder) {
    return new PartFolder(folder, "an autoencoder", WeightNames.ofDiffusers());
  }

  ConfigFile config() throws IOException {
    Path file = folder.resolve(CONFIG);
    if (!Files.isRegularFile(file)) {
      throw new NoSuchFileException(
          folder.toString(), null, "no folder of " + what + ": it has no " + CONFIG);
    }
    return ConfigFile.read(file);
  }

  /** The first of the files of weights that is there. */
  Path weights() throws IOException {
    for (String name : names) {
      if (Files.isRegularFile(folder.resolve(name))) {
        return folder.resolve(name);
      }
    }
    throw new NoSuchFileException(
        folder.toString(), null, "it has no weights, which are one of " + String.join(", ", names));
  }
}
