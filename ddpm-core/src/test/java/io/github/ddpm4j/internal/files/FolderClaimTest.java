package io.github.ddpm4j.internal.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FolderClaimTest {

  private static final Duration SHORT = Duration.ofMillis(30);

  @TempDir private Path folder;

  private Path lock() {
    return folder.resolve(".ddpm4j.lock");
  }

  @AfterEach
  void rest() {
    Thread.interrupted();
  }

  @Test
  void of_aClaimedFolder_isEmptyUntilItIsGivenBack() throws IOException {
    try (FolderClaim claim = FolderClaim.of(folder).orElseThrow()) {
      assertThat(lock()).exists();
      assertThat(FolderClaim.of(folder)).isEmpty();
      assertThat(FolderClaim.of(folder.resolve("../" + folder.getFileName()))).isEmpty();
    }
    assertThat(lock()).doesNotExist();
    FolderClaim.of(folder).orElseThrow().close();
    assertThat(folder).isEmptyDirectory();
  }

  /** What another process would see. */
  @Test
  void of_aLockOfOthers_isEmpty() throws IOException {
    try (FileChannel other =
            FileChannel.open(lock(), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock held = other.lock()) {
      assertThat(held.isValid()).isTrue();
      assertThat(FolderClaim.of(folder)).isEmpty();
    }
    FolderClaim.of(folder).orElseThrow().close();
    assertThat(lock()).doesNotExist();
  }

  /** A killed process has left the file, but not the lock. */
  @Test
  void of_aLeftFile_isClaimed() throws IOException {
    Files.createFile(lock());
    FolderClaim.of(folder).orElseThrow().close();
    assertThat(lock()).doesNotExist();
  }

  /** Another one gives the lock back, and with it the file, between the opening and the locking. */
  @Test
  void of_aFileThatIsReplacedMeanwhile_isEmpty() throws IOException {
    Files.createFile(lock());
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == WatchedFiles.Operation.LOCK) {
                // A link keeps the number of the first file from being given again.
                Files.createLink(folder.resolve("kept"), lock());
                Files.delete(lock());
                Files.createFile(lock());
              }
            });
    assertThat(FolderClaim.of(files.path(folder))).isEmpty();
    assertThat(lock()).exists();
  }

  /** As some network file systems: claims hold in this process alone. */
  @Test
  void of_aFolderWithoutLocks_isClaimed() throws IOException {
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == WatchedFiles.Operation.LOCK) {
                throw new IOException("No locks available");
              }
            });
    Path watched = files.path(folder);
    try (FolderClaim claim = FolderClaim.of(watched).orElseThrow()) {
      assertThat(FolderClaim.of(watched)).isEmpty();
    }
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void await_aClaimedFolder_isRefusedAfterAWhile() throws IOException {
    try (FolderClaim claim = FolderClaim.of(folder).orElseThrow()) {
      assertThatThrownBy(() -> FolderClaim.await(folder, SHORT))
          .isInstanceOf(IOException.class)
          .hasMessage(
              folder
                  + ": another thread or process has been writing to it for more than 0.03 s; wait"
                  + " until that has ended, or choose another folder");
    }
  }

  @Test
  void await_onAnInterruptedThread_waitsAndStaysInterrupted() throws Exception {
    FolderClaim claim = FolderClaim.of(folder).orElseThrow();
    Thread other =
        new Thread(
            () -> {
              try {
                Thread.sleep(SHORT.toMillis());
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              claim.close();
            });
    Thread.currentThread().interrupt();
    other.start();
    FolderClaim.await(folder, Duration.ofMinutes(1)).close();
    assertThat(Thread.interrupted()).isTrue();
    other.join();
    assertThat(folder).isEmptyDirectory();
  }
}
