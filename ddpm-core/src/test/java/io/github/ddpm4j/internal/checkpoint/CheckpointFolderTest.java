package io.github.ddpm4j.internal.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.internal.checkpoint.CheckpointFolder.Entry;
import io.github.ddpm4j.internal.files.FailingChange;
import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.PowerLoss;
import io.github.ddpm4j.internal.files.WatchedFiles;
import io.github.ddpm4j.internal.files.WatchedFiles.Change;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointFolderTest {

  private static final int PIECES = 12;

  /** So many that a loss of power between two of them leaves hundreds of states. */
  private static final int MANY_PIECES = 40;

  @TempDir private Path temporary;

  private static Entry write(CheckpointFolder folder, long step, int keepLast) throws IOException {
    return write(folder, step, keepLast, PIECES);
  }

  private static Entry write(CheckpointFolder folder, long step, int keepLast, int pieces)
      throws IOException {
    return folder.write(
        step,
        out -> {
          for (int i = 0; i < pieces; i++) {
            out.write(text(step).getBytes(StandardCharsets.UTF_8));
            out.flush();
          }
        },
        keepLast,
        old -> old % 100 == 0);
  }

  private static String text(long step) {
    return "the state after step " + step + "\n";
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static List<Long> steps(CheckpointFolder folder) throws IOException {
    return folder.entries().stream().map(Entry::step).toList();
  }

  @Test
  void write_namesTheFileByItsStepAndDigest() throws Exception {
    Entry entry = write(new CheckpointFolder(temporary.resolve("new")), 12, 2);

    assertThat(entry.file()).hasContent(text(12).repeat(PIECES));
    assertThat(names(temporary.resolve("new")))
        .containsExactly("step-0000000012." + entry.digest() + ".safetensors");
    // for i in $(seq 12); do echo the state after step 12; done | sha256sum
    assertThat(entry.digest()).isEqualTo("d6e543a83f24fde8");
    assertThat(Entry.of(entry.file())).contains(entry);
    entry.requireWhole();
  }

  @Test
  void write_keepsTheNewestAndTheHundreds() throws Exception {
    CheckpointFolder folder = new CheckpointFolder(temporary);
    for (long step : new long[] {50, 100, 150, 200, 250, 300}) {
      write(folder, step, 2);
    }
    assertThat(steps(folder)).containsExactly(300L, 250L, 200L, 100L);
  }

  @Test
  void newestWhole_damaged_isTheOneBefore() throws Exception {
    CheckpointFolder folder = new CheckpointFolder(temporary);
    Entry older = write(folder, 1, 3);
    Entry newest = write(folder, 2, 3);
    byte[] bytes = Files.readAllBytes(newest.file());
    bytes[7] ^= 1;
    Files.write(newest.file(), bytes);

    assertThat(folder.newestWhole()).contains(older);
    assertThat(newest.file()).doesNotExist();
    assertThat(Path.of(newest.file() + ".damaged")).hasBinaryContent(bytes);
    assertThat(steps(folder)).containsExactly(1L);
  }

  @Test
  void claim_isOfOneRun_andCleans() throws Exception {
    CheckpointFolder folder = new CheckpointFolder(temporary.resolve("a"));
    write(folder, 3, 1);
    Path leftover =
        temporary.resolve("a").resolve(".step-0000000004." + UUID.randomUUID() + ".part");
    Files.writeString(leftover, "half");
    Path foreign = Files.writeString(temporary.resolve("a").resolve(".notes.part"), "mine");

    FolderClaim claim = folder.claim();
    assertThat(leftover).doesNotExist();
    assertThat(foreign).hasContent("mine");
    assertThatThrownBy(folder::claim)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the checkpoints of "
                + temporary.resolve("a")
                + " belong to another run that is going on; choose another folder, or end that run");
    claim.close();
    folder.claim().close();
    assertThat(steps(folder)).containsExactly(3L);
  }

  /** A name alone lies in the working directory. */
  @Test
  void claim_aRelativeFolder_isMade() throws Exception {
    Path relative = Path.of("target-of-" + temporary.getFileName());
    try {
      new CheckpointFolder(relative).claim().close();
      assertThat(write(new CheckpointFolder(relative), 1, 1).file()).exists();
    } finally {
      for (String name : names(relative)) {
        Files.delete(relative.resolve(name));
      }
      Files.delete(relative);
    }
  }

  /** What cannot be read is not taken for damaged. */
  @Test
  void newestWhole_unreadable_isAFailure() throws Exception {
    CheckpointFolder folder = new CheckpointFolder(temporary);
    Entry newest = write(folder, 1, 1);
    Files.delete(newest.file());
    Files.createDirectory(newest.file());

    assertThatThrownBy(folder::newestWhole).isInstanceOf(IOException.class);
    assertThat(newest.file()).exists();
  }

  @Test
  void claim_aFile_isRefused() throws Exception {
    Path file = Files.writeString(temporary.resolve("file"), "x");
    assertThatThrownBy(new CheckpointFolder(file)::claim)
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file.toString());
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

  /**
   * After a loss of power at any moment of a save, the newest whole checkpoint is that of the save,
   * or the one before.
   */
  @Test
  void powerLoss_anywhere_leavesTheNewOrTheOld() throws Exception {
    int states = 0;
    for (int existing = 0; existing <= 3; existing++) {
      Path real = temporary.resolve("disk" + existing);
      CheckpointFolder direct = new CheckpointFolder(real);
      for (int step = 1; step <= existing; step++) {
        write(direct, step, 2, MANY_PIECES);
      }
      WatchedFiles files = new WatchedFiles(real, change -> {});
      Map<Path, byte[]> before = contents(real);
      write(new CheckpointFolder(files.path(real)), existing + 1L, 2, MANY_PIECES);
      List<Change> changes = files.journal();
      assertThat(changes).hasSizeGreaterThan(MANY_PIECES + 3);

      Set<String> seen = new HashSet<>();
      for (int count = 0; count <= changes.size(); count++) {
        for (PowerLoss state : PowerLoss.after(before, changes, count)) {
          if (seen.add(state.key())) {
            Path rebuilt = temporary.resolve("state" + existing + "-" + states++);
            state.write(real, rebuilt);
            requireOldOrNew(rebuilt, existing, count == changes.size());
          }
        }
      }
    }
    assertThat(states).isGreaterThan(880);
  }

  private static void requireOldOrNew(Path rebuilt, long old, boolean written) throws IOException {
    CheckpointFolder folder = new CheckpointFolder(rebuilt);
    folder.claim().close();
    Optional<Entry> newest = folder.newestWhole();
    if (written) {
      assertThat(newest.map(Entry::step)).contains(old + 1);
    } else if (old > 0) {
      assertThat(newest.map(Entry::step)).isPresent().get().isIn(old, old + 1);
    }
    if (newest.isPresent()) {
      assertThat(newest.get().file()).hasContent(text(newest.get().step()).repeat(MANY_PIECES));
    }
    assertThat(names(rebuilt)).noneMatch(name -> name.endsWith(".part"));
  }

  /** Whatever fails, the checkpoints before stay, and nothing is left once a save succeeds. */
  @Test
  void failure_ofAnyChange_leavesTheOld() throws Exception {
    for (boolean persistent : new boolean[] {false, true}) {
      boolean failed = true;
      for (int k = 0; failed; k++) {
        Path real = temporary.resolve((persistent ? "persistent" : "transient") + k);
        write(new CheckpointFolder(real), 1, 2);
        write(new CheckpointFolder(real), 2, 2);
        FailingChange fault = new FailingChange();
        CheckpointFolder folder = new CheckpointFolder(new WatchedFiles(real, fault).path(real));
        fault.failAt(k, persistent);
        IOException thrown = null;
        try {
          write(folder, 3, 2);
        } catch (IOException e) {
          thrown = e;
        }
        failed = fault.stopFailing();
        if (thrown != null) {
          assertThat(thrown).hasMessageContaining("No space left on device");
        }
        Entry newest = folder.newestWhole().orElseThrow();
        assertThat(newest.step()).isIn(2L, 3L);
        assertThat(steps(folder)).contains(2L);
        if (!failed) {
          assertThat(thrown).isNull();
          assertThat(newest.step()).isEqualTo(3);
        }
        folder.claim().close();
        write(folder, 4, 2);
        assertThat(steps(folder)).first().isEqualTo(4L);
        assertThat(steps(folder)).hasSize(2);
        assertThat(names(real)).noneMatch(name -> name.endsWith(".part"));
      }
    }
  }
}
