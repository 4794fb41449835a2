package io.github.ddpm4j.internal.files;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.UUID;
import java.util.function.Function;

/**
 * Writes files whole or not at all: beside the target first, then renamed once the disk has them. A
 * reader sees the old file or the new one, never a part, after a loss of power too, and a write
 * that fails leaves the old one as it was and nothing beside it.
 */
public final class WholeFile {

  private static final boolean WINDOWS = File.separatorChar == '\\';

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
    Path name = target.getFileName();
    write(folder, name.toString(), digest -> name.toString(), content);
  }

  /**
   * Writes a file whose name depends on what it holds.
   *
   * @param folder the folder; made if it is missing
   * @param stem what a killed write leaves begins with, after a dot
   * @param name the name of the SHA-256 of the bytes
   * @param content what it is to hold
   * @return the file; one of the same name is replaced
   * @throws IOException as in {@link #write(Path, Content)}
   */
  public static Path write(
      Path folder, String stem, Function<MessageDigest, String> name, Content content)
      throws IOException {
    makeFolder(folder, folder);
    // Not createTempFile: its files can be read by their owner alone, and stay so when renamed.
    Path beside = folder.resolve("." + stem + "." + UUID.randomUUID() + ".part");
    try {
      MessageDigest digest = sha256();
      try (OutputStream out =
          new BufferedOutputStream(
              new DigestOutputStream(
                  Files.newOutputStream(beside, StandardOpenOption.CREATE_NEW), digest))) {
        content.writeTo(out);
      }
      force(beside, StandardOpenOption.WRITE);
      Path target = folder.resolve(name.apply(digest));
      rename(beside, target, target);
      forceFolder(folder);
      return target;
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
   * A fresh SHA-256.
   *
   * @return the digest of no bytes
   */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
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
  private static void force(Path file, StandardOpenOption option) throws IOException {
    Uninterrupted.run(
        () -> {
          try (FileChannel written = FileChannel.open(file, option)) {
            written.force(true);
            return file;
          }
        });
  }

  /**
   * Brings the names in a folder to the disk, where the system can: Windows cannot open folders.
   */
  static void forceFolder(Path folder) throws IOException {
    if (WINDOWS) {
      return;
    }
    force(folder, StandardOpenOption.READ);
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
    Path there = folder.toAbsolutePath();
    while (!Files.exists(there) && there.getParent() != null) {
      there = there.getParent();
    }
    if (!Files.isDirectory(there)) {
      throw new IOException(
          file + " must lie in a folder, but " + there + " is none; choose another folder");
    }
    return there;
  }

  /**
   * Makes a folder where it is missing.
   *
   * @param folder the folder
   * @param file what it is made for, to be named in messages
   * @throws IOException if it lies in something that is none, or cannot be made
   */
  public static void makeFolder(Path folder, Path file) throws IOException {
    // Files.createDirectories of JDK 17 refuses links to folders.
    if (!nearest(folder, file).equals(folder.toAbsolutePath())) {
      Files.createDirectories(folder);
    }
  }
}
