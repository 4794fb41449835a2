package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.pickle.PickleException;
import io.github.ddpm4j.internal.pickle.PickleInput;
import io.github.ddpm4j.internal.pickle.PickledStorage;
import io.github.ddpm4j.internal.pickle.Unpickler;
import java.io.EOFException;
import java.io.IOException;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Pickles of a file, with its name in messages. */
final class TorchPickles {

  private TorchPickles() {}

  static @Nullable Object read(Object file, PickleInput input, Map<String, PickledStorage> storages)
      throws IOException {
    try {
      return Unpickler.read(input, storages);
    } catch (PickleException | EOFException e) {
      throw new IOException(file + " " + e.getMessage(), e);
    }
  }
}
