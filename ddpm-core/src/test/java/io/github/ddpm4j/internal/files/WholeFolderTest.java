package io.github.ddpm4j.internal.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.internal.files.WatchedFiles.Operation;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WholeFolderTest {

  private static final String KEY = "key";

  @TempDir private Path parent;

  private Path folder() {
    return parent.resolve("folder");
  }

  private static WholeFolder.Content file(String name) {
    return folder -> WholeFile.writeText(folder.resolve(name), name);
  }

  private static void assertHolds(Path folder, String... expected) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder(expected);
    }
  }

  @Test
  void write_missingFolders_areMade() throws IOException {
    WholeFolder.write(parent.resolve("a/b"), KEY, file("new"));

    assertHolds(parent.resolve("a/b"), "new");
  }

  @Test
  void write_existingFolder_isReplacedAsAWhole() throws IOException {
    WholeFolder.write(folder(), KEY, file("old"));
    WholeFolder.write(folder(), KEY, file("new"));

    assertHolds(folder(), "new");
    assertHolds(parent, "folder");
  }

  /** Files.createDirectories of JDK 17 refuses links. */
  @Test
  void write_throughALink_isWritten() throws IOException {
    Path real = Files.createDirectory(parent.resolve("real"));
    Path link = Files.createSymbolicLink(parent.resolve("link"), real);

    WholeFolder.write(link.resolve("folder"), KEY, file("new"));

    assertHolds(real.resolve("folder"), "new");
  }

  @Test
  void write_contentFails_olderFolderStaysAndNothingBeside() throws IOException {
    WholeFolder.write(folder(), KEY, file("old"));
    for (Exception failure :
        new Exception[] {new IOException("disk full"), new IllegalStateException("closed")}) {
      assertThatThrownBy(
              () ->
                  WholeFolder.write(
                      folder(),
                      KEY,
                      fresh -> {
                        WholeFile.writeText(fresh.resolve("new"), "new");
                        if (failure instanceof IOException io) {
                          throw io;
                        }
                        throw (IllegalStateException) failure;
                      }))
          .isSameAs(failure);
      assertHolds(folder(), "old");
      assertHolds(parent, "folder");
    }
  }

  @Test
  void write_insideAFileOrTheRoot_isRefused() throws IOException {
    Path file = Files.writeString(parent.resolve("file.txt"), "old");
    Path inside = file.resolve("folder");
    assertThatThrownBy(() -> WholeFolder.write(inside, KEY, file("new")))
        .isInstanceOf(IOException.class)
        .hasMessage(
            inside + " must lie in a folder, but " + file + " is none; choose another folder");
    assertThatThrownBy(() -> WholeFolder.write(Path.of("/"), KEY, file("new")))
        .isInstanceOf(IOException.class)
        .hasMessage("/ cannot be replaced; name a folder in it");
  }

  /* --- folders that keep their place --- */

  /** A key and another file, with a text of their own. */
  private static WholeFolder.Content model(String text) {
    return folder -> {
      WholeFile.writeText(folder.resolve(KEY), text);
      WholeFile.writeText(folder.resolve("a"), text);
      WholeFile.writeText(folder.resolve("z"), text);
    };
  }

  private void assertIsModel(String text) throws IOException {
    assertHolds(parent, "folder");
    assertHolds(folder(), "a", KEY, "z");
    for (String name : List.of("a", KEY, "z")) {
      assertThat(folder().resolve(name)).hasContent(text);
    }
  }

  private static FileSystemException busy(Path file) {
    return new FileSystemException(file.toString(), null, "Device or resource busy");
  }

  /** What a mounted volume does: it cannot be renamed or removed. */
  private void mounted(WatchedFiles.Change change) throws IOException {
    if (change.file().equals(folder())
        && (change.operation() == Operation.MOVE || change.operation() == Operation.DELETE)) {
      throw busy(change.file());
    }
  }

  @Test
  void write_mountedFolder_isFilledAndReplacedInItsPlace() throws IOException {
    Files.createDirectory(folder());
    WatchedFiles files = new WatchedFiles(parent, this::mounted);

    WholeFolder.write(files.path(folder()), KEY, model("old"));
    assertIsModel("old");
    WholeFolder.write(files.path(folder()), KEY, model("new"));
    assertIsModel("new");
  }

  /** As in a container of which nothing but the volume may be written. */
  @Test
  void write_parentMayNotBeWritten_isFilledAndReplacedInItsPlace() throws IOException {
    Files.createDirectory(folder());
    WatchedFiles files =
        new WatchedFiles(
            parent,
            change -> {
              if (change.target().getParent().equals(parent)) {
                throw new AccessDeniedException(change.file().toString());
              }
            });

    WholeFolder.write(files.path(folder()), KEY, model("old"));
    WholeFolder.write(files.path(folder()), KEY, model("new"));

    assertIsModel("new");
    assertThatThrownBy(() -> WholeFolder.write(files.path(parent.resolve("b")), KEY, model("new")))
        .isInstanceOf(AccessDeniedException.class);
  }

  /** A reader that finds the key finds all that belongs to it. */
  @Test
  void write_mountedFolder_keyGoesFirstAndComesLast() throws IOException {
    Files.createDirectory(folder());
    WatchedFiles files = new WatchedFiles(parent, this::mounted);
    WholeFolder.write(files.path(folder()), KEY, model("old"));
    int before = files.journal().size();

    WholeFolder.write(files.path(folder()), KEY, model("new"));

    List<String> moves =
        files.journal().stream()
            .skip(before)
            .filter(change -> change.operation() == Operation.MOVE)
            .filter(
                change ->
                    change.file().getParent().equals(folder())
                        || change.target().getParent().equals(folder()))
            .map(
                change ->
                    (change.file().getParent().equals(folder()) ? "out " : "in ")
                        + change.file().getFileName())
            .toList();
    assertThat(moves.get(0)).isEqualTo("out key");
    assertThat(moves.subList(1, 5)).containsExactlyInAnyOrder("out a", "out z", "in a", "in z");
    assertThat(moves.subList(1, 3)).containsExactlyInAnyOrder("out a", "out z");
    assertThat(moves.get(5)).isEqualTo("in key");
  }

  /** Whichever change fails, what was there is there, and nothing beside it. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void write_anyChangeFails_olderFolderStays(boolean mounted) throws IOException {
    WholeFolder.write(folder(), KEY, model("old"));
    int[] count = {0};
    boolean failed = true;
    for (int failing = 1; failed; failing++) {
      int at = failing;
      count[0] = 0;
      IOException full = new IOException("disk full");
      WatchedFiles files =
          new WatchedFiles(
              parent,
              change -> {
                if (mounted) {
                  mounted(change);
                }
                // What is cleared away afterwards is not to fail.
                if (change.operation() != Operation.DELETE && ++count[0] == at) {
                  throw full;
                }
              });
      try {
        WholeFolder.write(files.path(folder()), KEY, model("new"));
        failed = false;
      } catch (IOException e) {
        assertThat(e).isSameAs(full);
        assertIsModel("old");
      }
    }
    assertIsModel("new");
    assertThat(count[0]).isGreaterThan(10);
  }

  /** The process ends at some change: the next save puts right what it left. */
  @Test
  void write_mountedFolderAndKilled_nextSaveEndsIt() throws IOException {
    boolean killed = true;
    for (int k = 0; killed; k++) {
      Files.createDirectory(folder());
      WatchedFiles quiet = new WatchedFiles(parent, this::mounted);
      WholeFolder.write(quiet.path(folder()), KEY, model("old"));
      Files.createDirectory(folder().resolve("lost+found"));
      int[] left = {k};
      WatchedFiles files =
          new WatchedFiles(
              parent,
              change -> {
                mounted(change);
                if (left[0]-- <= 0) {
                  throw new IOException("killed");
                }
              });
      killed = false;
      try {
        WholeFolder.write(files.path(folder()), KEY, model("new"));
      } catch (IOException e) {
        killed = true;
      }

      WholeFolder.write(quiet.path(folder()), KEY, model("last"));

      assertHolds(folder(), "a", KEY, "lost+found", "z");
      for (String name : List.of("a", KEY, "z")) {
        assertThat(folder().resolve(name)).hasContent("last");
      }
      try (Stream<Path> all = Files.walk(folder())) {
        for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
    }
  }

  /** Then the older files are not cleared away. */
  @Test
  void write_mountedFolderAndMovingBackFails_olderFilesAreKept() throws IOException {
    WholeFolder.write(folder(), KEY, model("old"));
    int[] moves = {0};
    WatchedFiles files =
        new WatchedFiles(
            parent,
            change -> {
              mounted(change);
              boolean inPlace =
                  change.operation() == Operation.MOVE
                      && change.file().getFileName().toString().equals("z")
                      && change.target().getParent().equals(folder());
              if (inPlace) {
                throw new IOException("disk full " + ++moves[0]);
              }
            });

    assertThatThrownBy(() -> WholeFolder.write(files.path(folder()), KEY, model("new")))
        .isInstanceOf(IOException.class)
        .hasMessage("disk full 1")
        .satisfies(
            failure ->
                assertThat(failure.getSuppressed())
                    .singleElement()
                    .extracting(Throwable::getMessage)
                    .isEqualTo("disk full 2"));
    try (Stream<Path> all = Files.walk(folder())) {
      List<Path> old =
          all.filter(path -> path.endsWith("z") || path.endsWith(KEY) || path.endsWith("a"))
              .toList();
      assertThat(old).hasSizeGreaterThanOrEqualTo(3);
      for (String name : List.of("a", KEY, "z")) {
        assertThat(old)
            .filteredOn(path -> path.endsWith(name))
            .anySatisfy(path -> assertThat(path).hasContent("old"));
      }
    }
  }

  /** It would be gone for everybody who works in it, the caller first. */
  @Test
  void write_theWorkingDirectory_keepsItsPlace() throws IOException {
    Path here = Path.of("").toAbsolutePath();
    List<WatchedFiles.Change> changes = new ArrayList<>();
    WatchedFiles files =
        new WatchedFiles(
            here,
            change -> {
              changes.add(change);
              throw new IOException("not here");
            });

    assertThatThrownBy(() -> WholeFolder.write(files.path(here), KEY, model("new")))
        .isInstanceOf(IOException.class)
        .hasMessage("not here");

    assertThat(changes.get(0).operation()).isEqualTo(Operation.MAKE_FOLDER);
    assertThat(changes.get(0).file().getParent()).isEqualTo(here);
  }
}
