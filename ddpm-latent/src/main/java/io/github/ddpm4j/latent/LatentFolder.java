package io.github.ddpm4j.latent;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model of latents and its autoencoder as a folder of diffusers: beside the target first,
 * then renamed.
 */
final class LatentFolder {

  private static final Set<String> OWN =
      Set.of(Pipeline.INDEX, "unet", "scheduler", Pipeline.Type.LDM.autoencoder);

  private LatentFolder() {}

  static void write(Path folder, DDPM ddpm, Autoencoder autoencoder) throws IOException {
    Path target = folder.toAbsolutePath().normalize();
    Path parent = target.getParent();
    Path name = target.getFileName();
    if (parent == null || name == null) {
      throw new IllegalArgumentException("folder must have a name, but was " + folder);
    }
    requirePlace(folder);
    WholeFile.makeFolder(parent, folder);
    Path beside = parent.resolve("." + name + "." + UUID.randomUUID());
    try {
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
      replace(target, beside);
      WholeFile.forceFolder(parent);
    } finally {
      delete(beside);
    }
  }

  /** No folder takes the place of another one in one go, so the old one goes aside first. */
  private static void replace(Path target, Path by) throws IOException {
    if (!Files.exists(target)) {
      Files.move(by, target, StandardCopyOption.ATOMIC_MOVE);
      return;
    }
    Path old = by.resolveSibling(by.getFileName() + ".old");
    Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
    boolean done = false;
    try {
      Files.move(by, target, StandardCopyOption.ATOMIC_MOVE);
      done = true;
    } finally {
      if (!done) {
        Files.move(old, target, StandardCopyOption.ATOMIC_MOVE);
      }
    }
    delete(old);
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

  /** What a write that failed has left. */
  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> paths = Files.walk(folder)) {
      all = paths.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : all) {
      Files.delete(path);
    }
  }
}
