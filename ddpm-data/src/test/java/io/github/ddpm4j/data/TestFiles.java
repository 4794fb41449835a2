package io.github.ddpm4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The files beside make_files.py. */
final class TestFiles {

  static final int HEIGHT = 4;
  static final int WIDTH = 6;

  private TestFiles() {}

  static Path copy(String name, Path target) {
    try (InputStream in = TestFiles.class.getResourceAsStream(name)) {
      Files.createDirectories(target.getParent());
      Files.copy(in, target);
      return target;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The level that make_files.py wrote. */
  static int level(int y, int x, int channel) {
    return (40 * x + 13 * y + 60 * channel) % 256;
  }

  static float value(int level) {
    return (float) (2 * (level / 255.0) - 1);
  }
}
