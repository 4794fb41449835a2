package io.github.ddpm4j.latent;

import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Writes folders whole or not at all: beside the target first, then renamed. A write that fails
 * leaves the old folder as it was and nothing beside it. One that is killed leaves the old folder,
 * too, but for the moment between two renames, in which the old one lies beside.
 */
final class WholeFolder {

  private WholeFolder() {}

  /** What a folder is to hold. */
  @FunctionalInterface
  interface Content {

    /**
     * Writes it.
     *
     * @param folder where to; to be made
     * @throws IOException if writing fails; nothing of it will be seen
     */
    void writeTo(Path folder) throws IOException;
  }

  /**
   * Writes a folder.
   *
   * @param folder the folder; missing ones that it lies in are made, an existing one is replaced
   *     with all that it holds, and of a link what it points to
   * @throws IllegalArgumentException if it has no name, as the root of a file system
   */
  static void write(Path folder, Content content) throws IOException {
    boolean there = Files.exists(folder);
    Path target = there ? folder.toRealPath() : folder.toAbsolutePath().normalize();
    Path parent = target.getParent();
    Path name = target.getFileName();
    if (parent == null || name == null) {
      throw new IllegalArgumentException("folder must have a name, but was " + folder);
    }
    WholeFile.makeFolder(parent, folder);
    Path beside = parent.resolve("." + name + "." + UUID.randomUUID());
    try {
      content.writeTo(beside);
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
    try {
      Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException e) {
      throw new IOException(
          target
              + " cannot be replaced; if it is mounted on its own, as in a container, name a folder"
              + " that lies in it",
          e);
    }
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

  /** With all that it holds; links are not followed. */
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
