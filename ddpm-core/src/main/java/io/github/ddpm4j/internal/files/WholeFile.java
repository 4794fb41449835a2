package io.github.ddpm4j.internal.files;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/**
 * Writes files whole or not at all: beside the target first, then renamed once the disk has them. A
 * reader sees the old file or the new one, never a part, after a loss of power too, and a write
 * that fails leaves the old one as it was and nothing beside it.
 */
public final class WholeFile {

  private WholeFile() {}

  /** What a file is to hold. */
  @FunctionalInterface
  public interface Content {

    /**
     * Writes it.
     *
     * @param out where to; need not be closed
     * @throws IOException if writing fails; nothing of it will be seen
     */
    void writeTo(OutputStream out) throws IOException;
  }

  /**
   * Writes a file.
   *
   * @param file the file; missing folders are made, an existing file is replaced, and of a link
   *     what it points to
   * @param content what it is to hold
   * @throws IOException if {@code file} is a folder, or lies in something that is none, or writing
   *     fails
   */
  public static void write(Path file, Content content) throws IOException {
    Path target = Files.exists(file) ? file.toRealPath() : file.toAbsolutePath();
    Path folder = folderOf(target, file);
    makeFolder(folder, file);
    // Not createTempFile: its files can be read by their owner alone, and stay so when renamed.
    Path beside = folder.resolve("." + target.getFileName() + "." + UUID.randomUUID() + ".part");
    try {
      try (OutputStream out =
          new BufferedOutputStream(Files.newOutputStream(beside, StandardOpenOption.CREATE_NEW))) {
        content.writeTo(out);
      }
      force(beside);
      rename(beside, target, file);
    } catch (IOException | RuntimeException | Error e) {
      try {
        Files.deleteIfExists(beside);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
  }

  /**
   * Writes a file of text.
   *
   * @param file the file, as in {@link #write}
   * @param text what it is to hold, in UTF-8
   * @throws IOException as in {@link #write}
   */
  public static void writeText(Path file, String text) throws IOException {
    write(file, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
  }

  /** Else the new name could reach the disk before what it stands for. */
  private static void force(Path file) throws IOException {
    Uninterrupted.run(
        () -> {
          try (FileChannel written = FileChannel.open(file, StandardOpenOption.WRITE)) {
            written.force(true);
            return file;
          }
        });
  }

  private static void rename(Path beside, Path target, Path file) throws IOException {
    try {
      Files.move(beside, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException e) {
      throw new IOException(
          file
              + " cannot be replaced: "
              + (e.getReason() == null ? e.getClass().getSimpleName() : e.getReason())
              + "; if it is mounted on its own, as in a container, mount the folder that it lies in",
          e);
    }
  }

  /**
   * Checks that a file can be written, as far as that can be told without writing it.
   *
   * @param file the file; nothing is made or changed
   * @throws IOException if it is a folder, lies in something that is none, or its folder may not be
   *     written by this user
   */
  public static void requirePlace(Path file) throws IOException {
    Path target = Files.exists(file) ? file.toRealPath() : file.toAbsolutePath();
    Path there = nearest(folderOf(target, file), file);
    if (!Files.isWritable(there)) {
      throw new IOException(
          file
              + " cannot be written: "
              + there
              + " may not be written by this user; choose another folder");
    }
  }

  private static Path folderOf(Path target, Path file) throws IOException {
    Path folder = target.getParent();
    if (folder == null || Files.isDirectory(target)) {
      throw new IOException(file + " is a folder; name a file in it");
    }
    return folder;
  }

  /** The nearest folder that is there, of those that a file is to lie in. */
  private static Path nearest(Path folder, Path file) throws IOException {
    Path there = folder;
    while (!Files.exists(there) && there.getParent() != null) {
      there = there.getParent();
    }
    if (!Files.isDirectory(there)) {
      throw new IOException(
          file + " must lie in a folder, but " + there + " is none; choose another folder");
    }
    return there;
  }

  static void makeFolder(Path folder, Path file) throws IOException {
    // Files.createDirectories of JDK 17 refuses links to folders.
    if (!nearest(folder, file).equals(folder)) {
      Files.createDirectories(folder);
    }
  }
}
