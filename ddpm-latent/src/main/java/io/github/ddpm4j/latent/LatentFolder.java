package io.github.ddpm4j.latent;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Writes a model of latents and its autoencoder as a folder of diffusers, whole or not at all. */
final class LatentFolder {

  private static final Set<String> OWN =
      Set.of(Pipeline.INDEX, "unet", "scheduler", Pipeline.Type.LDM.autoencoder);

  private LatentFolder() {}

  static void write(Path folder, DDPM ddpm, Autoencoder autoencoder) throws IOException {
    requirePlace(folder);
    WholeFolder.write(
        folder,
        beside -> {
          Pretrained.saveDiffusers(ddpm, beside);
          Pipeline.Type type = Pipeline.Type.LDM;
          autoencoder.save(beside.resolve(type.autoencoder));
          Path index = beside.resolve(Pipeline.INDEX);
          Map<String, @Nullable Object> words = new LinkedHashMap<>(JsonFile.read(index));
          words.put("_class_name", type.name);
          words.put(
              type.autoencoder,
              List.of("diffusers", autoencoder.isQuantized() ? "VQModel" : "AutoencoderKL"));
          WholeFile.writeText(index, JsonFile.text(words));
        });
  }

  /** Nothing but such a folder is written over. */
  private static void requirePlace(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    if (!Files.isDirectory(folder)) {
      throw new FileAlreadyExistsException(folder.toString(), null, "it is no folder");
    }
    try (Stream<Path> entries = Files.list(folder)) {
      Set<String> names =
          entries
              .map(entry -> String.valueOf(entry.getFileName()))
              .collect(Collectors.toCollection(TreeSet::new));
      boolean another =
          !names.isEmpty()
              && !(names.contains(Pipeline.INDEX)
                  && Pipeline.Type.LDM.name.equals(
                      JsonFile.read(folder.resolve(Pipeline.INDEX)).get("_class_name")));
      names.removeAll(another ? Set.of() : OWN);
      if (!names.isEmpty()) {
        throw new FileAlreadyExistsException(
            folder.toString(),
            null,
            "it holds "
                + names.iterator().next()
                + ", which is no part of a model that was saved there; choose another folder");
      }
    }
  }
}
