package io.github.ddpm4j.internal.checkpoint;

import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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

  /** What a killed save leaves. */
  private static final Pattern LEFTOVER = Pattern.compile("\\.step-\\d{10,19}\\..*\\.part");

  private static final String LOCK = ".lock";
  private static final String DAMAGED = ".damaged";

  /** The folders that runs of this process write to. */
  private static final Set<Path> claimed = ConcurrentHashMap.newKeySet();

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
      String found = digits(sha256);
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

  private static String digits(MessageDigest sha256) {
    return HexFormat.of().formatHex(sha256.digest()).substring(0, DIGEST_DIGITS);
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
            folder, number, sha256 -> number + "." + digits(sha256) + ".safetensors", content);
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
      if (LEFTOVER.matcher(String.valueOf(file.getFileName())).matches()) {
        Files.deleteIfExists(file);
      }
    }
  }

  /** The right to write into the folder; given back on close, and when the process ends. */
  public interface Claim extends AutoCloseable {
    @Override
    void close() throws IOException;
  }

  /**
   * Makes the folder if it is missing, claims it for one run, and deletes what killed saves left.
   *
   * @return the claim
   * @throws IOException if it cannot be made or read
   * @throws IllegalStateException if another run has claimed it
   */
  public Claim claim() throws IOException {
    WholeFile.makeFolder(folder, folder);
    Path own = folder.toRealPath();
    // Closing a second channel of the file would give up the lock of the first.
    if (!claimed.add(own)) {
      throw taken();
    }
    boolean done = false;
    FileChannel channel = null;
    try {
      Path file = folder.resolve(LOCK);
      channel =
          Uninterrupted.run(
              () -> FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE));
      lock(channel);
      clean();
      done = true;
      FileChannel locked = channel;
      return () -> {
        claimed.remove(own);
        locked.close();
      };
    } finally {
      if (!done) {
        claimed.remove(own);
        if (channel != null) {
          channel.close();
        }
      }
    }
  }

  private void lock(FileChannel channel) throws IOException {
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    } catch (UnsupportedOperationException e) {
      return; // a file system without locks
    }
    if (lock == null) {
      throw taken();
    }
  }

  private IllegalStateException taken() {
    return new IllegalStateException(
        "the checkpoints of "
            + folder
            + " belong to another run that is going on; choose another folder, or end that run");
  }
}
