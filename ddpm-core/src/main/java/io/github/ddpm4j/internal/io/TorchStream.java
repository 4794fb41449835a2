package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.pickle.PickleInput;
import io.github.ddpm4j.internal.pickle.PickledStorage;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Torch's container before 1.6: five pickles (a magic number, a version, facts about the system,
 * the checkpoint, the keys of the storages), then for each key how many values there are, and
 * these.
 */
final class TorchStream implements TorchStorages {

  private static final BigInteger MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);
  private static final Long VERSION = 1001L;
  private static final int COUNT_BYTES = Long.BYTES;

  private final FileBytes bytes;
  private final Map<String, Long> places = new HashMap<>();

  private TorchStream(FileBytes bytes) {
    this.bytes = bytes;
  }

  /**
   * Opens a container.
   *
   * @param file the file
   * @return its tensors
   * @throws IOException if reading fails, or it is no checkpoint of tensors alone, naming the file
   *     and what is wrong
   */
  static TensorSource open(Path file) throws IOException {
    TorchStream opened = new TorchStream(FileBytes.open(file));
    boolean done = false;
    try {
      TensorSource source = TorchFile.of(file, opened.bytes.size(), opened, opened.unpickle());
      done = true;
      return source;
    } finally {
      if (!done) {
        opened.close();
      }
    }
  }

  private @Nullable Object unpickle() throws IOException {
    Path file = bytes.file();
    long size = bytes.size();
    PickleInput input = new PickleInput(new BufferedInputStream(bytes.stream(0, size)), size);
    Map<String, PickledStorage> storages = new LinkedHashMap<>();
    if (!MAGIC.equals(TorchPickles.read(file, input, storages))) {
      throw new IOException(
          file
              + " is a pickle, but not of torch.save; save the weights in Python:"
              + " torch.save(model.state_dict(), path)");
    }
    Object version = TorchPickles.read(file, input, storages);
    if (!VERSION.equals(version)) {
      throw new IOException(
          file + " must have the version " + VERSION + ", but has " + Quote.of(version));
    }
    if (!(TorchPickles.read(file, input, storages) instanceof Map<?, ?> facts)
        || !Boolean.TRUE.equals(facts.get("little_endian"))) {
      throw new IOException(
          file + " must be of a little-endian system; save it on another machine");
    }
    Object value = TorchPickles.read(file, input, storages);
    Object keys = TorchPickles.read(file, input, new HashMap<>());
    place(file, keys, storages, input.position(), size);
    return value;
  }

  private void place(
      Path file, @Nullable Object keys, Map<String, PickledStorage> storages, long start, long size)
      throws IOException {
    if (!(keys instanceof List<?> list)) {
      throw new IOException(file + " has no list of storages");
    }
    long position = start;
    for (Object key : list) {
      PickledStorage storage = key instanceof String text ? storages.get(text) : null;
      if (storage == null || places.containsKey(storage.key())) {
        throw new IOException(
            file + " lists the storage " + Quote.of(key) + ", of which it says nothing, or twice");
      }
      long length = TorchStorages.bytes(file, storage);
      if (position > size - COUNT_BYTES || length > size - COUNT_BYTES - position) {
        throw new IOException(
            file
                + " should hold "
                + length
                + " bytes from "
                + position
                + " on, but has "
                + size
                + " in all; it is cut off");
      }
      ByteBuffer count = ByteBuffer.allocate(COUNT_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      bytes.read(position, count);
      if (count.getLong(0) != storage.count()) {
        throw new IOException(
            file
                + " says of the storage "
                + Quote.of(key)
                + " that it has "
                + storage.count()
                + " values, and "
                + count.getLong(0));
      }
      places.put(storage.key(), position + COUNT_BYTES);
      position += COUNT_BYTES + length;
    }
    if (position != size) {
      throw new IOException(
          file + " should have " + position + " bytes, but has " + size + "; it is damaged");
    }
    for (String key : storages.keySet()) {
      if (!places.containsKey(key)) {
        throw new IOException(file + " lacks the storage " + Quote.of(key));
      }
    }
  }

  @Override
  public void read(PickledStorage storage, long first, ByteBuffer target) throws IOException {
    Long place = places.get(storage.key());
    if (place == null) {
      throw new IOException(bytes.file() + " lacks the storage " + Quote.of(storage.key()));
    }
    bytes.read(place + first, target);
  }

  @Override
  public void close() throws IOException {
    bytes.close();
  }
}
