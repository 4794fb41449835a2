package io.github.ddpm4j.internal.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.UUID;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes folders whole or not at all: beside the target first, then renamed. A reader sees the old
 * folder or the new one, never a part. While an older folder is replaced there is none for an
 * instant, between two renames.
 */
public final class WholeFolder {

  private static final Logger logger = LoggerFactory.getLogger(WholeFolder.class);

  private WholeFolder() {}

  /** What a folder is to hold. */
  @FunctionalInterface
  public interface Content {

    /**
     * Writes its files, by {@link WholeFile}, so that the disk has them before the folder has its
     * name.
     *
     * @param folder where to
     * @throws IOException if writing fails; nothing of it will be seen
     */
    void writeTo(Path folder) throws IOException;
  }

  /**
   * Writes a folder.
   *
   * @param folder the folder; the folders it lies in are made where they are missing, and an
   *     existing one is replaced, whatever it holds
   * @param content what it is to hold
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void write(Path folder, Content content) throws IOException {
    Path target = folder.toAbsolutePath();
    Path parent = target.getParent();
    Path name = target.getFileName();
    if (parent == null || name == null) {
      throw new IOException(folder + " cannot be replaced; name a folder in it");
    }
    WholeFile.makeFolder(parent, folder);
    String beside = "." + name + "." + UUID.randomUUID();
    // Not createTempDirectory: nobody else could read what it holds.
    Path fresh = Files.createDirectory(parent.resolve(beside + ".new"));
    try {
      content.writeTo(fresh);
      if (Files.exists(target)) {
        replace(target, fresh, parent.resolve(beside + ".old"));
      } else {
        Files.move(fresh, target);
      }
    } catch (IOException | RuntimeException | Error e) {
      try {
        delete(fresh);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
  }

  private static void replace(Path target, Path fresh, Path aside) throws IOException {
    Files.move(target, aside);
    try {
      Files.move(fresh, target);
    } catch (IOException e) {
      Files.move(aside, target); // should this fail too, the old folder is still there, aside
      throw e;
    }
    try {
      delete(aside);
    } catch (IOException e) {
      logger.warn(
          "{} is written, but the older one could not be removed from {}", target, aside, e);
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
