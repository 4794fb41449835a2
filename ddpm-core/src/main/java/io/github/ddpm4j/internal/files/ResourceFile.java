package io.github.ddpm4j.internal.files;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** A copy of what lies in a jar as a file, for readers that need one; deleted when closed. */
public final class ResourceFile implements AutoCloseable {

  private final Path path;

  private ResourceFile(Path path) {
    this.path = path;
  }

  /**
   * Copies a resource.
   *
   * @param in its bytes; closed here
   * @param prefix how the name of the file begins; it ends in {@code .safetensors}
   * @return the copy; the caller closes it
   * @throws IOException if there is no room for it; nothing is left then
   */
  public static ResourceFile of(InputStream in, String prefix) throws IOException {
    try (in) {
      Path path = Files.createTempFile(prefix, ".safetensors");
      boolean done = false;
      try {
        Files.copy(in, path, StandardCopyOption.REPLACE_EXISTING);
        done = true;
      } finally {
        if (!done) {
          Files.delete(path);
        }
      }
      return new ResourceFile(path);
    }
  }

  /**
   * Where it is.
   *
   * @return a file that is there until this is closed
   */
  public Path path() {
    return path;
  }

  /** Deletes the file. */
  @Override
  public void close() throws IOException {
    Files.delete(path);
  }
}
