package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.FailingChange;
import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.PowerLoss;
import io.github.ddpm4j.internal.files.WatchedFiles;
import io.github.ddpm4j.internal.files.WatchedFiles.Change;
import io.github.ddpm4j.internal.files.WatchedFiles.Operation;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is left of the model of a folder when a save goes wrong. */
class ModelFolderFaultsTest {

  private static final int OLD = 0;
  private static final int NEW = 1;
  private static final int LAST = 2;

  @TempDir private Path temporary;

  private final NumberedModels models = new NumberedModels(3);

  @AfterEach
  void close() {
    models.close();
  }

  /** What there is before a save. */
  private enum Before {
    NOTHING,
    EMPTY_FOLDER,
    A_MODEL,
    FIRST_VERSION
  }

  private void save(int number, Path folder) throws IOException {
    models.get(number).save(new WatchedFiles(folder, change -> {}).path(folder));
  }

  private Path make(Before before, Path folder) throws IOException {
    switch (before) {
      case NOTHING -> {}
      case EMPTY_FOLDER -> Files.createDirectories(folder);
      case A_MODEL -> save(OLD, folder);
      case FIRST_VERSION -> {
        save(OLD, folder);
        asFirstVersion(folder);
      }
    }
    return folder;
  }

  /** The same model as the first version wrote it. */
  private static void asFirstVersion(Path folder) throws IOException {
    Path description = folder.resolve("ddpm.json");
    Path weights = folder.resolve(DescriptionFile.read(folder).weights());
    Files.move(weights, folder.resolve("weights.safetensors"));
    String text = Files.readString(description);
    String first =
        text.replaceFirst("\"version\": 2", "\"version\": 1")
            .replaceFirst("(?s)  \"savedBy\".*?},\n", "")
            .replaceFirst("(?s)  \"weights\".*?},\n", "");
    assertThat(first).doesNotContain("sha256").doesNotContain("savedBy");
    Files.writeString(description, first);
  }

  private static Map<Path, byte[]> contents(Path folder) throws IOException {
    Map<Path, byte[]> files = new LinkedHashMap<>();
    if (Files.exists(folder)) {
      try (Stream<Path> all = Files.list(folder)) {
        for (Path file : all.sorted().toList()) {
          files.put(file, Files.readAllBytes(file));
        }
      }
    }
    return files;
  }

  /** Returns the number of the model, or −1 if there is none. */
  private int load(Path folder) throws IOException {
    try {
      return models.load(folder);
    } catch (NoSuchFileException e) {
      return -1;
    }
  }

  private void assertOldOrNew(Before before, Path folder) throws IOException {
    assertThat(load(folder))
        .isIn(before == Before.NOTHING || before == Before.EMPTY_FOLDER ? -1 : OLD, NEW);
  }

  private void assertNextSaveCleans(Path folder) throws IOException {
    save(LAST, folder);
    assertThat(load(folder)).isEqualTo(LAST);
    NumberedModels.assertHoldsAModelAlone(folder);
  }

  /* --- loss of power --- */

  @ParameterizedTest
  @EnumSource(Before.class)
  void save_powerIsLostAnywhere_leavesTheOldModelOrTheNew(Before before) throws IOException {
    Path disk = temporary.resolve("disk");
    Path folder = make(before, Files.createDirectory(disk).resolve("model"));
    WatchedFiles files = new WatchedFiles(disk, change -> {});
    Map<Path, byte[]> contents = contents(folder);

    models.get(NEW).save(files.path(folder));

    List<Change> changes = files.journal();
    assertThat(changes).hasSizeGreaterThanOrEqualTo(12);
    Set<String> seen = new HashSet<>();
    for (int count = 0; count <= changes.size(); count++) {
      for (PowerLoss state : PowerLoss.after(contents, changes, count)) {
        if (seen.add(state.key())) {
          Path rebuilt = temporary.resolve("state" + seen.size());
          state.write(disk, rebuilt);
          if (count == changes.size()) {
            assertThat(load(rebuilt.resolve("model"))).isEqualTo(NEW);
          } else {
            assertOldOrNew(before, rebuilt.resolve("model"));
          }
          assertNextSaveCleans(rebuilt.resolve("model"));
        }
      }
    }
    assertThat(seen).hasSizeGreaterThan(25);
  }

  /* --- a change that fails --- */

  @ParameterizedTest
  @EnumSource(
      value = Before.class,
      names = {"NOTHING", "A_MODEL"})
  void save_anyChangeFails_leavesTheOldModelAndNothingElse(Before before) throws IOException {
    for (boolean persistent : new boolean[] {false, true}) {
      boolean failed = true;
      int k = 0;
      for (; failed; k++) {
        Path folder = make(before, temporary.resolve(persistent + "-" + k));
        FailingChange fault = new FailingChange();
        Path watched = new WatchedFiles(folder, fault).path(folder);
        fault.failAt(k, persistent);
        IOException thrown = null;
        try {
          models.get(NEW).save(watched);
        } catch (IOException e) {
          thrown = e;
        }
        failed = fault.stopFailing();
        if (thrown == null) {
          // What failed was the cleaning up at the most.
          assertThat(load(folder)).isEqualTo(NEW);
        } else {
          assertThat(thrown).hasMessageContaining("No space left on device");
          assertOldOrNew(before, folder);
        }
        if (!failed) {
          NumberedModels.assertHoldsAModelAlone(folder);
        }
        assertNextSaveCleans(folder);
      }
      assertThat(k).isGreaterThanOrEqualTo(12);
    }
  }

  /**
   * Nothing but a claim that could not be given up, or files that could not be deleted, is left.
   */
  @Test
  void save_oneWriteFails_leavesTheFolderAsItWas() throws IOException {
    for (Before before : Before.values()) {
      for (Operation failing : List.of(Operation.WRITE, Operation.SYNC)) {
        for (int nth = 0; nth < 2; nth++) {
          Path folder = make(before, temporary.resolve(before + "-" + failing + "-" + nth));
          Map<Path, byte[]> contents = contents(folder);
          int[] left = {nth};
          IOException full = new IOException("No space left on device");
          WatchedFiles files =
              new WatchedFiles(
                  folder,
                  change -> {
                    if (change.operation() == failing
                        && change.file().toString().endsWith(".part")
                        && left[0]-- == 0) {
                      throw full;
                    }
                  });
          assertThatThrownBy(() -> models.get(NEW).save(files.path(folder)))
              .isInstanceOf(IOException.class)
              .hasMessage(folder + " could not be written: No space left on device")
              .hasCause(full);
          assertThat(contents(folder)).containsExactlyEntriesOf(contents);
          assertThat(Files.exists(folder)).isEqualTo(before != Before.NOTHING);
        }
      }
    }
  }

  /** Somebody deletes the folder while it is written: whatever is said, the next save is whole. */
  @ParameterizedTest
  @EnumSource(
      value = Operation.class,
      names = {"WRITE", "SYNC", "MOVE"})
  void save_folderVanishes_failsOrIsWhole(Operation when) throws IOException {
    for (int nth = 0; nth < 2; nth++) {
      Path folder = make(Before.A_MODEL, temporary.resolve("model" + nth));
      int[] left = {nth};
      WatchedFiles files =
          new WatchedFiles(
              folder,
              change -> {
                if (change.operation() == when && left[0]-- == 0) {
                  delete(folder);
                }
              });
      assertThatThrownBy(() -> models.get(NEW).save(files.path(folder)))
          .isInstanceOf(IOException.class)
          .hasMessageStartingWith(folder + " could not be written: ");
      assertThat(load(folder)).isEqualTo(-1);
      assertNextSaveCleans(folder);
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }

  /* --- what a killed save leaves --- */

  @Test
  void save_leftoversOfOurs_areDeleted_foreignFilesAreNot() throws IOException {
    Path folder = make(Before.A_MODEL, temporary.resolve("model"));
    for (String name :
        List.of(
            ".weights." + UUID.randomUUID() + ".part",
            ".ddpm.json." + UUID.randomUUID() + ".part",
            "weights-0123456789abcdef.safetensors",
            "weights.safetensors",
            FolderClaim.LOCK)) {
      Files.writeString(folder.resolve(name), "left");
    }
    models.get(NEW).save(folder);
    NumberedModels.assertHoldsAModelAlone(folder);

    for (String name :
        List.of(
            ".weights.mine.part",
            ".samples." + UUID.randomUUID() + ".part",
            "weights-0123456789ABCDEF.safetensors",
            "weights-best.safetensors",
            "ddpm.json.bak")) {
      Path foreign = Files.writeString(folder.resolve(name), "precious");
      assertThatThrownBy(() -> models.get(LAST).save(folder))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              folder.toRealPath()
                  + ": besides an older model it holds ["
                  + name
                  + "], which would be no part of the new one; move that away or choose another"
                  + " name");
      assertThat(foreign).hasContent("precious");
      Files.delete(foreign);
      assertThat(load(folder)).isEqualTo(NEW);
    }
  }

  /** Weights alone may be anybody's. */
  @Test
  void save_weightsWithoutADescription_areRefused() throws IOException {
    Path folder = Files.createDirectory(temporary.resolve("model"));
    Path weights = Files.writeString(folder.resolve("weights.safetensors"), "precious");
    assertThatThrownBy(() -> models.get(NEW).save(folder))
        .isInstanceOf(FileAlreadyExistsException.class)
        .hasMessage(
            folder.toRealPath()
                + ": it exists and is no model folder, so it is not replaced; choose another name");
    assertThat(weights).hasContent("precious");
  }

  /** The description is on a volume that is not there now: it may name the weights. */
  @Test
  void save_overALinkToNowhere_deletesNothingBeforeItIsWritten() throws IOException {
    Path folder = make(Before.A_MODEL, temporary.resolve("model"));
    Path volume = temporary.resolve("volume.json");
    Files.move(folder.resolve("ddpm.json"), volume);
    Files.createSymbolicLink(folder.resolve("ddpm.json"), volume);
    assertThat(load(folder)).isEqualTo(OLD);
    Path away = Files.move(volume, temporary.resolve("away.json"));
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == Operation.SYNC) {
                throw new IOException("full");
              }
            });
    assertThatThrownBy(() -> models.get(NEW).save(files.path(folder)))
        .hasMessageEndingWith(": full");
    Files.move(away, volume);
    assertThat(load(folder)).isEqualTo(OLD);
  }

  /** The folder is new, and goes with the save that made it, but not with the one that waits. */
  @Test
  void save_waitsForOneThatFails_isWritten() throws Exception {
    Path folder = temporary.resolve("model");
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch waited = new CountDownLatch(1);
    CompletableFuture<Void> failing =
        CompletableFuture.runAsync(
            () ->
                write(
                    folder,
                    out -> {
                      begun.countDown();
                      uninterrupted(waited);
                      throw new IOException("full");
                    }));
    begun.await();
    CompletableFuture<Thread> thread = new CompletableFuture<>();
    CompletableFuture<Void> waiting =
        CompletableFuture.runAsync(
            () -> {
              thread.complete(Thread.currentThread());
              write(folder, out -> out.write(1));
            });
    while (thread.get().getState() != Thread.State.TIMED_WAITING) {
      Thread.onSpinWait();
    }
    waited.countDown();
    assertThatThrownBy(failing::get).hasRootCauseMessage("full");
    waiting.get();
    assertThat(folder.resolve("ddpm.json")).hasContent("{}");
  }

  private static void write(Path folder, WholeFile.Content weights) {
    try {
      ModelFiles.write(folder, weights, written -> "{}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void uninterrupted(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** What it names cannot be known, so nothing goes before there is a new one. */
  @Test
  void save_overABrokenDescription_isWritten() throws IOException {
    Path folder = make(Before.A_MODEL, temporary.resolve("model"));
    Files.writeString(folder.resolve("ddpm.json"), "{");
    Map<Path, byte[]> contents = contents(folder);
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == Operation.SYNC) {
                throw new IOException("full");
              }
            });
    assertThatThrownBy(() -> models.get(NEW).save(files.path(folder)))
        .hasMessageEndingWith(": full");
    assertThat(contents(folder)).containsExactlyEntriesOf(contents);
    models.get(NEW).save(folder);
    assertThat(load(folder)).isEqualTo(NEW);
    NumberedModels.assertHoldsAModelAlone(folder);
  }

  /* --- folders that keep their place --- */

  /** A volume, or a folder of which nothing but itself may be written. */
  @Test
  void save_mountedFolder_isReplacedInItsPlace() throws IOException {
    Path folder = make(Before.EMPTY_FOLDER, temporary.resolve("model"));
    Files.createDirectory(folder.resolve("lost+found"));
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              boolean itself =
                  change.file().equals(folder)
                      && change.operation() != Operation.SYNC
                      && change.operation() != Operation.READ;
              boolean beside =
                  change.target().getParent().equals(temporary) && !change.file().equals(folder);
              if (itself || beside) {
                throw new FileSystemException(folder.toString(), null, "Device or resource busy");
              }
            });
    for (int number : new int[] {OLD, NEW}) {
      models.get(number).save(files.path(folder));
      assertThat(load(folder)).isEqualTo(number);
    }
    assertThat(Files.exists(folder.resolve("lost+found"))).isTrue();
    Files.delete(folder.resolve("lost+found"));
    NumberedModels.assertHoldsAModelAlone(folder);
  }

  /* --- the same bytes --- */

  @Test
  void save_theSameModelAgain_keepsItThroughAFailure() throws IOException {
    Path folder = make(Before.A_MODEL, temporary.resolve("model"));
    Map<Path, byte[]> contents = contents(folder);
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == Operation.MOVE && change.target().endsWith("ddpm.json")) {
                throw new IOException("full");
              }
            });
    assertThatThrownBy(() -> models.get(OLD).save(files.path(folder)))
        .hasMessageEndingWith(": full");
    assertThat(load(folder)).isEqualTo(OLD);
    models.get(OLD).save(folder);
    assertThat(contents(folder)).containsExactlyEntriesOf(contents);
  }

  /* --- damage --- */

  @ParameterizedTest
  @ValueSource(ints = {9, -1})
  void load_damagedWeights_areRefused(int place) throws IOException {
    Path folder = make(Before.A_MODEL, temporary.resolve("model"));
    DescriptionFile description = DescriptionFile.read(folder);
    Path weights = folder.resolve(description.weights());
    byte[] bytes = Files.readAllBytes(weights);
    // A space of the header's end, or the last bit of a value.
    int at = place < 0 ? bytes.length - 1 : 8 + (bytes[0] & 0xff) + 256 * bytes[1] - 1;
    if (place > 0) {
      assertThat(bytes[at]).isEqualTo((byte) ' ');
      bytes[at] = '\n';
    } else {
      bytes[at] ^= 1;
    }
    Files.write(weights, bytes);
    byte[] found = WholeFile.sha256().digest(bytes);
    assertThatThrownBy(() -> DDPM.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(
            weights
                + " is damaged: the SHA-256 of its bytes is "
                + HexFormat.of().formatHex(found)
                + ", but ddpm.json says "
                + description.sha256().orElseThrow()
                + "; copy the folder anew, or set the system property ddpm4j.checkDigests to false"
                + " if the weights were changed on purpose");
    System.setProperty("ddpm4j.checkDigests", "false");
    try {
      DDPM.load(folder).close();
    } finally {
      System.clearProperty("ddpm4j.checkDigests");
    }
  }
}
