package io.github.ddpm4j.internal.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WholeFolderTest {

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
    WholeFolder.write(parent.resolve("a/b"), file("new"));

    assertHolds(parent.resolve("a/b"), "new");
  }

  @Test
  void write_existingFolder_isReplacedAsAWhole() throws IOException {
    WholeFolder.write(folder(), file("old"));
    WholeFolder.write(folder(), file("new"));

    assertHolds(folder(), "new");
    assertHolds(parent, "folder");
  }

  /** Files.createDirectories of JDK 17 refuses links. */
  @Test
  void write_throughALink_isWritten() throws IOException {
    Path real = Files.createDirectory(parent.resolve("real"));
    Path link = Files.createSymbolicLink(parent.resolve("link"), real);

    WholeFolder.write(link.resolve("folder"), file("new"));

    assertHolds(real.resolve("folder"), "new");
  }

  @Test
  void write_contentFails_olderFolderStaysAndNothingBeside() throws IOException {
    WholeFolder.write(folder(), file("old"));
    for (Exception failure :
        new Exception[] {new IOException("disk full"), new IllegalStateException("closed")}) {
      assertThatThrownBy(
              () ->
                  WholeFolder.write(
                      folder(),
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
    assertThatThrownBy(() -> WholeFolder.write(inside, file("new")))
        .isInstanceOf(IOException.class)
        .hasMessage(
            inside + " must lie in a folder, but " + file + " is none; choose another folder");
    assertThatThrownBy(() -> WholeFolder.write(Path.of("/"), file("new")))
        .isInstanceOf(IOException.class)
        .hasMessage("/ cannot be replaced; name a folder in it");
  }
}
