package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.hub.WeightNames;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.Safetensors;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Writes an autoencoder as diffusers has them, whole or not at all. */
final class AutoencoderFolder {

  private static final String CONFIG = "config.json";

  /** The first of the files of weights that are looked for. */
  private static final String WEIGHTS = WeightNames.ofDiffusers().get(0);

  private AutoencoderFolder() {}

  static void write(
      Path folder,
      Map<String, @Nullable Object> config,
      Map<String, NDArray> weights,
      DataType type)
      throws IOException {
    requirePlace(folder);
    // Weights and the scale beside them are of one training, or both of the one before.
    WholeFolder.write(
        folder,
        beside -> {
          Safetensors.write(beside.resolve(WEIGHTS), weights, Map.of("format", "pt"), type);
          WholeFile.writeText(beside.resolve(CONFIG), JsonFile.text(config));
        });
  }

  /** Nothing but an autoencoder is written over. */
  private static void requirePlace(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    if (!Files.isDirectory(folder)) {
      throw new FileAlreadyExistsException(folder.toString(), null, "it is no folder");
    }
    try (Stream<Path> entries = Files.list(folder)) {
      Set<String> names =
          entries.map(entry -> String.valueOf(entry.getFileName())).collect(Collectors.toSet());
      boolean another =
          names.contains(CONFIG)
              && !String.valueOf(JsonFile.read(folder.resolve(CONFIG)).get("_class_name"))
                  .matches("AutoencoderKL|VQModel");
      Set<String> own = another ? Set.of(WEIGHTS) : Set.of(CONFIG, WEIGHTS);
      names.removeIf(name -> own.contains(name) && Files.isRegularFile(folder.resolve(name)));
      if (!names.isEmpty()) {
        throw new FileAlreadyExistsException(
            folder.toString(),
            null,
            "it holds "
                + names.stream().sorted().findFirst().orElse("")
                + " of something else than"
                + " an autoencoder; choose another folder");
      }
    }
  }
}
