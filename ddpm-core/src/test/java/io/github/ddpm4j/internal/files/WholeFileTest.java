package io.github.ddpm4j.internal.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WholeFileTest {

  @TempDir private Path folder;

  private static WholeFile.Content text(String text) {
    return out -> out.write(text.getBytes(StandardCharsets.UTF_8));
  }

  private void assertHolds(Path... expected) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactlyInAnyOrder(expected);
    }
  }

  @Test
  void write_missingFolders_areMade() throws IOException {
    Path file = folder.resolve("a/b/file.txt");

    WholeFile.write(file, text("new"));

    assertThat(file).hasContent("new");
  }

  /**
   * Else a loss of power takes the folders along, with all that was brought to the disk in them.
   */
  @Test
  void write_missingFolders_areBroughtToTheDisk() throws IOException {
    WatchedFiles files = new WatchedFiles(folder, change -> {});

    WholeFile.write(files.path(folder.resolve("a/b/file.txt")), text("new"));

    assertThat(files.journal())
        .filteredOn(change -> change.operation() == WatchedFiles.Operation.SYNC)
        .extracting(WatchedFiles.Change::file)
        .contains(folder, folder.resolve("a"), folder.resolve("a/b"));
  }

  /** What a killed write leaves is told from what anybody else may have named so. */
  @Test
  void isLeftover_isTrueOfWhatAWriteLeft_only() throws IOException {
    Pattern stem = Pattern.compile("file\\.txt");
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == WatchedFiles.Operation.SYNC
                  || change.operation() == WatchedFiles.Operation.DELETE) {
                throw new IOException("killed");
              }
            });
    assertThatThrownBy(() -> WholeFile.write(files.path(folder.resolve("file.txt")), text("new")))
        .hasMessage("killed");
    try (Stream<Path> left = Files.list(folder)) {
      String name = left.findAny().orElseThrow().getFileName().toString();
      assertThat(WholeFile.isLeftover(name, stem)).isTrue();
      assertThat(WholeFile.isLeftover(name, Pattern.compile("file"))).isFalse();
      assertThat(WholeFile.isLeftover(name.substring(1), stem)).isFalse();
      assertThat(WholeFile.isLeftover(name + "2", stem)).isFalse();
    }
    assertThat(WholeFile.isLeftover(".file.txt.mine.part", stem)).isFalse();
    assertThat(WholeFile.isLeftover("file.txt", stem)).isFalse();
  }

  @Test
  void write_existingFile_isReplaced() throws IOException {
    Path file = Files.writeString(folder.resolve("file.txt"), "an older and longer text");

    WholeFile.write(file, text("new"));

    assertThat(file).hasContent("new");
    assertHolds(file);
  }

  @Test
  void write_contentFails_olderFileStaysAndNothingBeside() throws IOException {
    Path file = Files.writeString(folder.resolve("file.txt"), "old");

    assertThatThrownBy(
            () ->
                WholeFile.write(
                    file,
                    out -> {
                      out.write(new byte[100_000]);
                      throw new IOException("disk full");
                    }))
        .isInstanceOf(IOException.class)
        .hasMessage("disk full");

    assertThat(file).hasContent("old");
    assertHolds(file);
  }

  /** The reason counts, not what came of clearing up after it. */
  @Test
  void write_contentAndRemovalFail_reasonIsToldFirst() {
    Path file = folder.resolve("file.txt");

    assertThatThrownBy(
            () ->
                WholeFile.write(
                    file,
                    out -> {
                      // In place of the file beside, a folder that cannot be removed.
                      Path beside;
                      try (Stream<Path> files = Files.list(folder)) {
                        beside = files.findFirst().orElseThrow();
                      }
                      Files.delete(beside);
                      Files.createDirectories(beside.resolve("inside"));
                      throw new IOException("disk full");
                    }))
        .isInstanceOf(IOException.class)
        .hasMessage("disk full")
        .satisfies(
            failure ->
                assertThat(failure.getSuppressed())
                    .singleElement()
                    .isInstanceOf(DirectoryNotEmptyException.class));
  }

  @Test
  void write_errorOrUncheckedException_leavesNothing() throws IOException {
    Path file = folder.resolve("file.txt");
    for (Throwable thrown :
        List.of(new IllegalStateException("of the content"), new Error("bad"))) {
      assertThatThrownBy(
              () ->
                  WholeFile.write(
                      file,
                      out -> {
                        out.write(new byte[100_000]);
                        if (thrown instanceof Error error) {
                          throw error;
                        }
                        throw (IllegalStateException) thrown;
                      }))
          .isSameAs(thrown);
      assertHolds();
    }
  }

  @Test
  void write_contentClosesTheStream_isWritten() throws IOException {
    Path file = folder.resolve("file.txt");

    WholeFile.write(
        file,
        out -> {
          out.write('a');
          out.close();
        });

    assertThat(file).hasContent("a");
    assertHolds(file);
  }

  @Test
  void write_folder_isRefused() {
    assertThatThrownBy(() -> WholeFile.write(folder, text("new")))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " is a folder; name a file in it");
  }

  @Test
  void write_insideAFile_isRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("file.txt"), "old");
    Path inside = file.resolve("sub/new.txt");

    assertThatThrownBy(() -> WholeFile.write(inside, text("new")))
        .isInstanceOf(IOException.class)
        .hasMessage(
            inside + " must lie in a folder, but " + file + " is none; choose another folder");
    assertHolds(file);
  }

  @Test
  void write_throughALinkToAFolder_isWritten() throws IOException {
    Path real = Files.createDirectory(folder.resolve("real"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), real);

    WholeFile.write(link.resolve("file.txt"), text("new"));

    assertThat(real.resolve("file.txt")).hasContent("new");
  }

  @Test
  void write_link_replacesWhatItPointsTo() throws IOException {
    Path real = Files.writeString(folder.resolve("real.txt"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link.txt"), real);

    WholeFile.write(link, text("new"));

    assertThat(real).hasContent("new");
    assertThat(link).isSymbolicLink();
    assertHolds(real, link);
  }

  @Test
  void writeText_isUtf8() throws IOException {
    Path file = folder.resolve("file.txt");

    WholeFile.writeText(file, "ᾱ\n");

    assertThat(Files.readAllBytes(file)).isEqualTo("ᾱ\n".getBytes(StandardCharsets.UTF_8));
    assertHolds(file);
  }

  /** A file that is a mount point, as a container may have it, cannot be renamed over. */
  @Test
  void write_mountedFile_saysSo() throws IOException {
    Path file = Files.writeString(folder.resolve("file.txt"), "old");
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.target().equals(file)) {
                throw new FileSystemException(file.toString(), null, "Device or resource busy");
              }
            });

    assertThatThrownBy(() -> WholeFile.write(files.path(file), text("new")))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " cannot be replaced: Device or resource busy; if it is mounted on its own, as in"
                + " a container, mount the folder that it lies in");
    assertThat(file).hasContent("old");
    assertHolds(file);
  }

  @Test
  void requirePlace_whatCanBeWritten_passesAndMakesNothing() throws IOException {
    WholeFile.requirePlace(folder.resolve("a/b/file.txt"));
    WholeFile.requirePlace(folder.resolve("file.txt"));
    WholeFile.requirePlace(Path.of("file-that-is-not-there.txt"));
    assertHolds();
  }

  @Test
  void requirePlace_whatCannotBeWritten_isRefused() throws IOException {
    assertThatThrownBy(() -> WholeFile.requirePlace(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " is a folder; name a file in it");
    Path inside = Files.writeString(folder.resolve("file.txt"), "old").resolve("sub/new.txt");
    assertThatThrownBy(() -> WholeFile.requirePlace(inside))
        .isInstanceOf(IOException.class)
        .hasMessage(
            inside
                + " must lie in a folder, but "
                + folder.resolve("file.txt")
                + " is none; choose another folder");
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              throw new AccessDeniedException(change.file().toString());
            });
    Path file = folder.resolve("sub/file.txt");
    assertThatThrownBy(() -> WholeFile.requirePlace(files.path(file)))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " cannot be written: "
                + folder
                + " may not be written by this user; choose another folder");
  }
}
