package io.github.ddpm4j.internal.io;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Opens files of tensors of every kind that is read. */
public final class TensorFiles {

  private TensorFiles() {}

  /**
   * Opens a file: safetensors, or the index of several, {@code *.safetensors.index.json}. No value
   * is read yet.
   *
   * @param file the file
   * @return what it holds; closed by the caller
   * @throws NoSuchFileException if there is none
   * @throws IOException if reading fails, or it is no such file, naming what is wrong
   */
  public static TensorSource open(Path file) throws IOException {
    if (String.valueOf(file.getFileName()).endsWith(ShardedSafetensors.SUFFIX)) {
      return ShardedSafetensors.open(file);
    }
    return SafetensorsReader.open(file);
  }
}
