package io.github.ddpm4j.internal.files;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
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
    Path folder = target.getParent();
    if (folder == null || Files.isDirectory(target)) {
      throw new IOException(file + " is a folder; name a file in it");
    }
    makeFolder(folder, file);
    // Not createTempFile: its files can be read by their owner alone, and stay so when renamed.
    Path beside = folder.resolve("." + target.getFileName() + "." + UUID.randomUUID() + ".part");
    try {
      try (OutputStream out =
          new BufferedOutputStream(Files.newOutputStream(beside, StandardOpenOption.CREATE_NEW))) {
        content.writeTo(out);
      }
      force(beside);
      Files.move(beside, target, StandardCopyOption.ATOMIC_MOVE);
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

  static void makeFolder(Path folder, Path file) throws IOException {
    Path there = folder;
    while (!Files.exists(there) && there.getParent() != null) {
      there = there.getParent();
    }
    if (!Files.isDirectory(there)) {
      throw new IOException(
          file + " must lie in a folder, but " + there + " is none; choose another folder");
    }
    // Files.createDirectories of JDK 17 refuses links to folders.
    if (!there.equals(folder)) {
      Files.createDirectories(folder);
    }
  }
}
