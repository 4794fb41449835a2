package io.github.ddpm4j.internal.files;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes folders whole or not at all: beside the target first, then renamed. A reader sees the old
 * folder or the new one, never a part. While an older folder is replaced there is none for an
 * instant, between two renames.
 *
 * <p>A folder that cannot be renamed, as a mounted volume or one whose parent may not be written,
 * and the working directory, which would be gone for whoever works in it, keep their place: the
 * files are written into a folder inside them and then renamed one by one. The key, a file without
 * which readers take the folder for none, goes first and comes last.
 */
public final class WholeFolder {

  private static final Logger logger = LoggerFactory.getLogger(WholeFolder.class);

  /** How the names of folders begin that a write makes inside another. */
  private static final String LEFTOVER = ".ddpm4j-";

  private static final String OLD = ".old";

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
   * @param key the name of a file of the content without which readers take the folder for none
   * @param content what it is to hold; perhaps asked twice
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void write(Path folder, String key, Content content) throws IOException {
    Path target = folder.toAbsolutePath();
    Path parent = target.getParent();
    Path name = target.getFileName();
    if (parent == null || name == null) {
      throw new IOException(folder + " cannot be replaced; name a folder in it");
    }
    WholeFile.makeFolder(parent, folder);
    if (isWorkingDirectory(target) || !writeBeside(target, parent, "." + name, content)) {
      writeInside(target, key, content);
    }
  }

  private static boolean isWorkingDirectory(Path target) throws IOException {
    return Files.exists(target)
        && Files.isSameFile(target, target.getFileSystem().getPath("").toAbsolutePath());
  }

  /** Returns false if the target can neither be made nor be renamed, and is as it was. */
  private static boolean writeBeside(Path target, Path parent, String name, Content content)
      throws IOException {
    String beside = name + "." + UUID.randomUUID();
    Path fresh = parent.resolve(beside + ".new");
    try {
      // Not createTempDirectory: nobody else could read what it holds.
      Files.createDirectory(fresh);
    } catch (FileSystemException e) {
      if (Files.isDirectory(target)) {
        return false;
      }
      throw e;
    }
    boolean done = false;
    try {
      content.writeTo(fresh);
      if (Files.exists(target)) {
        done = replace(target, fresh, parent.resolve(beside + ".old"));
      } else {
        Files.move(fresh, target);
        done = true;
      }
    } catch (IOException | RuntimeException | Error e) {
      clear(fresh, e);
      throw e;
    }
    if (!done) {
      delete(fresh);
    }
    return done;
  }

  private static boolean replace(Path target, Path fresh, Path aside) throws IOException {
    try {
      Files.move(target, aside, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException e) {
      logger.debug("{} cannot be renamed, so its files are", target, e);
      return false;
    }
    try {
      Files.move(fresh, target);
    } catch (IOException e) {
      Files.move(aside, target); // should this fail too, the old folder is still there, aside
      throw e;
    }
    deleteOld(target, aside);
    return true;
  }

  private static void writeInside(Path target, String key, Content content) throws IOException {
    recover(target, key);
    String inside = LEFTOVER + UUID.randomUUID();
    Path fresh = Files.createDirectory(target.resolve(inside + ".new"));
    Path aside = target.resolve(inside + OLD);
    Deque<Path> moved = new ArrayDeque<>(); // from, to, the last first
    try {
      content.writeTo(fresh);
      List<Path> old = entries(target, key);
      old.remove(fresh);
      Files.createDirectory(aside);
      for (Path file : old) {
        move(file, aside, moved);
      }
      List<Path> files = entries(fresh, key);
      Collections.reverse(files);
      for (Path file : files) {
        move(file, target, moved);
      }
    } catch (IOException | RuntimeException | Error e) {
      if (undo(moved, e)) {
        clear(aside, e);
      }
      clear(fresh, e);
      throw e;
    }
    deleteOld(target, fresh);
    deleteOld(target, aside);
  }

  /**
   * Whether an entry of a folder that keeps its place is no part of what it holds: what a killed
   * write left, and what the file system keeps in the root of a volume.
   *
   * @param name the name of the entry
   * @return whether to leave it alone
   */
  public static boolean isForeign(String name) {
    return name.startsWith(LEFTOVER) || name.equals("lost+found");
  }

  /** Ends what a killed write began: the old files come back if the new ones are not all there. */
  private static void recover(Path target, String key) throws IOException {
    List<Path> left;
    try (Stream<Path> entries = Files.list(target)) {
      left =
          entries.filter(path -> String.valueOf(path.getFileName()).startsWith(LEFTOVER)).toList();
    }
    for (Path folder : left) {
      if (folder.toString().endsWith(OLD) && !Files.exists(target.resolve(key))) {
        List<Path> files = entries(folder, key);
        Collections.reverse(files);
        for (Path file : files) {
          Files.move(
              file,
              target.resolve(String.valueOf(file.getFileName())),
              StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
    for (Path folder : left) {
      delete(folder);
    }
  }

  /** What a folder holds, the key first. */
  private static List<Path> entries(Path folder, String key) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return new ArrayList<>(
          entries
              .filter(path -> !isForeign(String.valueOf(path.getFileName())))
              .sorted(Comparator.comparing(path -> !path.endsWith(key)))
              .toList());
    }
  }

  private static void move(Path file, Path folder, Deque<Path> moved) throws IOException {
    Path to = folder.resolve(String.valueOf(file.getFileName()));
    Files.move(file, to, StandardCopyOption.ATOMIC_MOVE);
    moved.push(file);
    moved.push(to);
  }

  /** Moves back, as far as that goes: what was there before lies in the folder in any case. */
  private static boolean undo(Deque<Path> moved, Throwable failure) {
    try {
      while (!moved.isEmpty()) {
        Path to = moved.pop();
        Files.move(to, moved.pop(), StandardCopyOption.ATOMIC_MOVE);
      }
      return true;
    } catch (IOException e) {
      failure.addSuppressed(e);
      return false;
    }
  }

  private static void clear(Path folder, Throwable failure) {
    try {
      delete(folder);
    } catch (IOException left) {
      failure.addSuppressed(left);
    }
  }

  private static void deleteOld(Path target, Path aside) {
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
