package io.github.ddpm4j.internal.files;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FilterOutputStream;
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
import java.util.HexFormat;
import java.util.Objects;
import java.util.UUID;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Writes files whole or not at all: beside the target first, then renamed once the disk has them. A
 * reader sees the old file or the new one, never a part, after a loss of power too, and a write
 * that fails leaves the old one as it was and nothing beside it.
 */
public final class WholeFile {

  private static final boolean WINDOWS = File.separatorChar == '\\';

  private static final Pattern LEFTOVER =
      Pattern.compile("\\.(.+)\\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.part");

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
    write(folder, name.toString(), digest -> name.toString(), content, file);
  }

  /**
   * A file that was written.
   *
   * @param file the file
   * @param sha256 the SHA-256 of its bytes, in 64 hexadecimal digits
   */
  public record Written(Path file, String sha256) {}

  /**
   * Writes a file whose name depends on what it holds.
   *
   * @param folder the folder; made if it is missing
   * @param stem what a killed write leaves begins with, see {@link #isLeftover}
   * @param name the name for the SHA-256 of the bytes
   * @param content what it is to hold
   * @return the file; one of the same name is replaced
   * @throws IOException as in {@link #write(Path, Content)}
   */
  public static Written write(Path folder, String stem, UnaryOperator<String> name, Content content)
      throws IOException {
    return write(folder, stem, name, content, null);
  }

  /** If the disk fails, the message names what is said; null leaves that to the caller. */
  private static Written write(
      Path folder, String stem, UnaryOperator<String> name, Content content, @Nullable Path said)
      throws IOException {
    makeFolder(folder, folder);
    // Not createTempFile: its files can be read by their owner alone, and stay so when renamed.
    Path beside = folder.resolve("." + stem + "." + UUID.randomUUID() + ".part");
    Disk disk = null;
    try {
      MessageDigest digest = sha256();
      disk = new Disk(Files.newOutputStream(beside, StandardOpenOption.CREATE_NEW));
      try (OutputStream out = new BufferedOutputStream(new DigestOutputStream(disk, digest))) {
        content.writeTo(out);
      }
      force(beside, StandardOpenOption.WRITE);
      String sha256 = HexFormat.of().formatHex(digest.digest());
      Path target = folder.resolve(name.apply(sha256));
      rename(beside, target, target);
      forceFolder(folder);
      return new Written(target, sha256);
    } catch (IOException | RuntimeException | Error e) {
      try {
        Files.deleteIfExists(beside);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      IOException full = disk == null ? null : disk.failure;
      if (full != null && said != null) {
        throw new DiskException(said, full, e);
      }
      throw e;
    }
  }

  /** The disk failed while a file was written. */
  private static final class DiskException extends IOException {

    private static final long serialVersionUID = 1;

    private final IOException failure;

    DiskException(Path file, IOException failure, Throwable cause) {
      super(file + " cannot be written: " + reason(failure) + "; choose another folder", cause);
      this.failure = failure;
    }
  }

  /**
   * What was wrong, for those who name the file themselves.
   *
   * @param e what a write threw
   * @return what the disk said if it was the disk, else the same
   */
  public static IOException ofDisk(IOException e) {
    return e instanceof DiskException disk ? disk.failure : e;
  }

  /**
   * Bytes on their way to the disk. What is wrong there names no file, and writers of pictures have
   * another message in its place.
   */
  private static final class Disk extends FilterOutputStream {

    private @Nullable IOException failure;

    Disk(OutputStream out) {
      super(out);
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      try {
        out.write(bytes, from, length);
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }
  }

  /**
   * Whether a file is what a killed write left.
   *
   * @param name the name of the file
   * @param stem what the name of the file that was to be written begins with
   * @return true if nothing but a write of this class gives such names
   */
  public static boolean isLeftover(String name, Pattern stem) {
    Matcher leftover = LEFTOVER.matcher(name);
    return leftover.matches() && stem.matcher(leftover.group(1)).matches();
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
   *
   * @param folder the folder
   * @throws IOException if that fails
   */
  public static void forceFolder(Path folder) throws IOException {
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
              + reason(e)
              + "; if it is mounted on its own, as in a container, mount the folder that it lies in",
          e);
    }
  }

  /**
   * Why a file could not be read or written, without the name of a file that users do not know.
   *
   * @param e what was thrown
   * @return the reason that the system gave, else what the exception says
   */
  public static String reason(IOException e) {
    if (e instanceof FileSystemException system) {
      return system.getReason() == null ? e.getClass().getSimpleName() : system.getReason();
    }
    return String.valueOf(e.getMessage());
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
   * Makes a folder where it is missing, and those that it lies in.
   *
   * @param folder the folder
   * @param file what it is made for, to be named in messages
   * @throws IOException if it lies in something that is none, or cannot be made
   */
  public static void makeFolder(Path folder, Path file) throws IOException {
    Path there = nearest(folder, file);
    Path made = folder.toAbsolutePath();
    // Files.createDirectories of JDK 17 refuses links to folders.
    if (!there.equals(made)) {
      Files.createDirectories(folder);
    }
    while (!there.equals(made)) {
      made = Objects.requireNonNull(made.getParent());
      forceFolder(made);
    }
  }
}
