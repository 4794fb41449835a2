package io.github.ddpm4j.internal.files;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The right of one writer to a folder, among the threads of this process and other processes. Given
 * back on close, and when the process ends. While it is held the folder has a file {@value #LOCK};
 * one that a killed process left is in nobody's way.
 *
 * <p>On file systems without locks it holds among the threads of this process alone.
 */
public final class FolderClaim implements AutoCloseable {

  /** The file that is locked. */
  public static final String LOCK = ".ddpm4j.lock";

  private static final Logger logger = LoggerFactory.getLogger(FolderClaim.class);

  private static final long PAUSE_MILLIS = 5;

  /** A wait that nobody needs to be told of. */
  private static final Duration QUIET = Duration.ofSeconds(2);

  /** The folders that writers of this process hold. */
  private static final Set<Path> claimed = ConcurrentHashMap.newKeySet();

  private final Path folder;
  private final Path file;
  private final FileChannel channel;
  private final @Nullable Object key;

  private FolderClaim(Path folder, Path file, FileChannel channel, @Nullable Object key) {
    this.folder = folder;
    this.file = file;
    this.channel = channel;
    this.key = key;
  }

  /**
   * Claims a folder.
   *
   * @param folder the folder, which is there
   * @return the claim; empty if another writer has it
   * @throws IOException if it cannot be written to
   */
  public static Optional<FolderClaim> of(Path folder) throws IOException {
    Path own = folder.toRealPath();
    // Closing a second channel of the file would give up the lock of the first.
    if (!claimed.add(own)) {
      return Optional.empty();
    }
    Optional<FolderClaim> claim = Optional.empty();
    try {
      claim = Uninterrupted.run(() -> lock(own));
      return claim;
    } finally {
      if (claim.isEmpty()) {
        claimed.remove(own);
      }
    }
  }

  /**
   * Claims a folder, and waits for other writers.
   *
   * @param folder the folder, which is there
   * @param patience how long to wait at most
   * @return the claim
   * @throws IOException if it cannot be written to, or others hold it all that time
   */
  public static FolderClaim await(Path folder, Duration patience) throws IOException {
    long start = System.nanoTime();
    boolean interrupted = false;
    boolean told = false;
    try {
      while (true) {
        Optional<FolderClaim> claim = of(folder);
        if (claim.isPresent()) {
          return claim.get();
        }
        if (!told && System.nanoTime() - start > QUIET.toNanos()) {
          logger.info("{} is being written by another thread or process; waiting for it", folder);
          told = true;
        }
        if (System.nanoTime() - start > patience.toNanos()) {
          throw new FileSystemException(
              folder.toString(),
              null,
              "another thread or process has been writing to it for more than "
                  + patience.toMillis() / 1000.0
                  + " s; wait until that has ended, or choose another folder");
        }
        interrupted |= pause();
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Returns whether the thread was interrupted, and is no more. */
  private static boolean pause() {
    try {
      Thread.sleep(PAUSE_MILLIS);
      return false;
    } catch (InterruptedException e) {
      return true;
    }
  }

  private static Optional<FolderClaim> lock(Path folder) throws IOException {
    Path file = folder.resolve(LOCK);
    if (!Files.exists(file)) {
      create(file);
    }
    FileChannel channel = null;
    boolean done = false;
    try {
      Object key = key(file);
      channel = FileChannel.open(file, StandardOpenOption.WRITE);
      // The one that held the lock has deleted the file before giving it back.
      done = isLocked(channel) && Objects.equals(key, key(file));
      return done ? Optional.of(new FolderClaim(folder, file, channel, key)) : Optional.empty();
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } finally {
      if (!done && channel != null) {
        channel.close();
      }
    }
  }

  private static void create(Path file) throws IOException {
    try {
      Files.createFile(file);
    } catch (FileAlreadyExistsException e) {
      logger.trace("{} was made meanwhile", file, e);
    }
  }

  private static boolean isLocked(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    } catch (ClosedChannelException e) {
      throw e;
    } catch (UnsupportedOperationException | IOException e) {
      logger.debug("this file system has no locks", e);
      return true;
    }
  }

  /** What tells a file from another of its name; null where files have none. */
  private static @Nullable Object key(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
  }

  @Override
  public void close() {
    try (channel) {
      // Where files have no keys, nobody could tell that it is another one.
      if (key != null) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      logger.warn("{} is no longer used, but could not be deleted: {}", file, e.getMessage());
    } finally {
      claimed.remove(folder);
    }
  }
}
