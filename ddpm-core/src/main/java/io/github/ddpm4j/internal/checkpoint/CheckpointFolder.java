package io.github.ddpm4j.internal.checkpoint;

import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.LongPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The checkpoints of a run in their folder: one file each, whose name holds its step and the digest
 * of its bytes. A file has its name once the disk has its bytes, and an older one goes only after
 * the disk has the new name, so that there is a whole one at every instant.
 */
public final class CheckpointFolder {

  private static final Logger logger = LoggerFactory.getLogger(CheckpointFolder.class);

  private static final int DIGEST_DIGITS = 16;
  private static final int READ_BYTES = 1 << 16;

  private static final Pattern NAME =
      Pattern.compile("step-(\\d{10,19})\\.([0-9a-f]{" + DIGEST_DIGITS + "})\\.safetensors");

  private static final Pattern STEM = Pattern.compile("step-\\d{10,19}");

  private static final String DAMAGED = ".damaged";

  private final Path folder;

  /**
   * The checkpoints of a folder.
   *
   * @param folder the folder, which need not be there
   */
  public CheckpointFolder(Path folder) {
    this.folder = folder;
  }

  /**
   * A checkpoint.
   *
   * @param file its file
   * @param step the number of steps that were done
   * @param digest the first digits of the SHA-256 of its bytes
   */
  public record Entry(Path file, long step, String digest) {

    /**
     * The entry that a file stands for.
     *
     * @param file the file
     * @return empty if its name is not that of a checkpoint
     */
    public static Optional<Entry> of(Path file) {
      Matcher name = NAME.matcher(String.valueOf(file.getFileName()));
      return name.matches()
          ? Optional.of(new Entry(file, Long.parseLong(name.group(1)), name.group(2)))
          : Optional.empty();
    }

    /**
     * Compares the bytes with the digest.
     *
     * @throws IOException if they differ, or reading fails
     */
    public void requireWhole() throws IOException {
      MessageDigest sha256 = WholeFile.sha256();
      byte[] piece = new byte[READ_BYTES];
      try (InputStream in = Files.newInputStream(file)) {
        for (int length = in.read(piece); length >= 0; length = in.read(piece)) {
          sha256.update(piece, 0, length);
        }
      }
      String found = digits(HexFormat.of().formatHex(sha256.digest()));
      if (!found.equals(digest)) {
        throw new DamagedException(
            file + " is damaged: the SHA-256 of its bytes begins with " + found + ", not as named");
      }
    }
  }

  /** The bytes are not those that were written. */
  private static final class DamagedException extends IOException {
    private static final long serialVersionUID = 1;

    DamagedException(String message) {
      super(message);
    }
  }

  private static String digits(String sha256) {
    return sha256.substring(0, DIGEST_DIGITS);
  }

  /**
   * The checkpoints, the newest first.
   *
   * @return empty if the folder is missing or has none
   * @throws IOException if the folder cannot be read
   */
  public List<Entry> entries() throws IOException {
    List<Entry> entries = new ArrayList<>();
    for (Path file : files()) {
      Entry.of(file).ifPresent(entries::add);
    }
    entries.sort(
        Comparator.comparingLong(Entry::step)
            .reversed()
            .thenComparing(entry -> entry.file.toString()));
    return entries;
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (NotDirectoryException e) {
      throw new IOException(folder + " is no folder; name one for the checkpoints", e);
    }
  }

  /**
   * The newest checkpoint that is whole. Damaged ones that are newer are logged, and get names that
   * end in {@value #DAMAGED}, so that they are not taken for the newest again.
   *
   * @return empty if there is none
   * @throws IOException if the folder cannot be read
   */
  public Optional<Entry> newestWhole() throws IOException {
    for (Entry entry : entries()) {
      try {
        entry.requireWhole();
        return Optional.of(entry);
      } catch (DamagedException e) {
        logger.warn("the checkpoint of step {} is passed over: {}", entry.step, e.getMessage());
        setAside(entry);
      }
    }
    return Optional.empty();
  }

  private static void setAside(Entry entry) {
    try {
      Files.move(
          entry.file,
          entry.file.resolveSibling(entry.file.getFileName() + DAMAGED),
          StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      logger.warn("{} could not be renamed", entry.file, e);
    }
  }

  /**
   * Writes a checkpoint, then deletes those that need not be kept.
   *
   * @param step the number of steps that are done
   * @param content what the file is to hold
   * @param keepLast how many of the newest are kept, this one among them
   * @param forGood whether a step's checkpoint is kept however old it is
   * @return the checkpoint
   * @throws IOException if writing fails; what was there before is still there
   */
  public Entry write(long step, WholeFile.Content content, int keepLast, LongPredicate forGood)
      throws IOException {
    String number = String.format(Locale.ROOT, "step-%010d", step);
    Path file =
        WholeFile.write(
                folder, number, sha256 -> number + "." + digits(sha256) + ".safetensors", content)
            .file();
    int kept = 0;
    for (Entry entry : entries()) {
      boolean replaced = entry.step == step && !entry.file.equals(file);
      if (replaced || (kept >= keepLast && !forGood.test(entry.step))) {
        delete(entry.file);
      } else {
        kept++;
      }
    }
    return Entry.of(file).orElseThrow();
  }

  /**
   * Deletes the checkpoints of later steps.
   *
   * @param step the last step whose checkpoint stays
   * @throws IOException if the folder cannot be read, or a file not be deleted
   */
  public void deleteAfter(long step) throws IOException {
    for (Entry entry : entries()) {
      if (entry.step > step) {
        Files.deleteIfExists(entry.file);
      }
    }
  }

  /** The new one is there; an old one more does no harm. */
  private static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      logger.warn("the old checkpoint {} could not be deleted: {}", file, e.getMessage());
    }
  }

  /**
   * Deletes what killed saves left.
   *
   * @throws IOException if the folder cannot be read, or a file not be deleted
   */
  private void clean() throws IOException {
    for (Path file : files()) {
      if (WholeFile.isLeftover(String.valueOf(file.getFileName()), STEM)) {
        Files.deleteIfExists(file);
      }
    }
  }

  /**
   * Makes the folder if it is missing, claims it for one run, and deletes what killed saves left.
   *
   * @return the claim
   * @throws IOException if it cannot be made or read
   * @throws IllegalStateException if another run has claimed it
   */
  public FolderClaim claim() throws IOException {
    WholeFile.makeFolder(folder, folder);
    FolderClaim claim =
        FolderClaim.of(folder)
            .orElseThrow(
                () ->
                    new IllegalStateException(
                        "the checkpoints of "
                            + folder
                            + " belong to another run that is going on; choose another folder, or"
                            + " end that run"));
    boolean done = false;
    try {
      clean();
      done = true;
      return claim;
    } finally {
      if (!done) {
        claim.close();
      }
    }
  }
}
