package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.pickle.PickleInput;
import io.github.ddpm4j.internal.pickle.PickledStorage;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * Torch's container since 1.6, a zip file that compresses nothing: a folder with {@code data.pkl}
 * and the raw values of each storage in {@code data/KEY}.
 */
final class TorchZip implements TorchStorages {

  private static final String PICKLE = "data.pkl";

  /** More entries than the parts of any model; those of a zip file are held in memory. */
  private static final int MOST_ENTRIES = 1_000_000;

  private static final int PIECE_BYTES = 1 << 16;

  private final Path file;
  private final ZipFile zip;
  private final Map<String, ZipEntry> entries = new HashMap<>();
  private String root = "";

  private TorchZip(Path file, ZipFile zip) {
    this.file = file;
    this.zip = zip;
  }

  /**
   * Opens a container, or an archive of NumPy, which is a zip file, too.
   *
   * @param file the file
   * @param fileBytes its size
   * @return its tensors
   * @throws IOException if reading fails, or it is no checkpoint of tensors alone, naming the file
   *     and what is wrong
   */
  static TensorSource open(Path file, long fileBytes) throws IOException {
    TorchZip opened = new TorchZip(file, zip(file));
    boolean done = false;
    try {
      List<ZipEntry> all = opened.entriesOf();
      TensorSource source;
      if (NpzTensors.areArrays(all)) {
        source = NpzTensors.open(file, opened.zip, all);
      } else {
        opened.list(all);
        source = TorchFile.of(file, fileBytes, opened, opened.unpickle());
      }
      done = true;
      return source;
    } catch (IOException e) {
      throw named(file, e);
    } finally {
      if (!done) {
        opened.close();
      }
    }
  }

  private static ZipFile zip(Path file) throws IOException {
    try {
      return new ZipFile(file.toFile());
    } catch (UnsupportedOperationException e) {
      throw new IOException(file + " must be on a disk to be read; copy it there", e);
    } catch (IOException e) {
      throw new IOException(
          file + " is no whole zip file, or is cut off: " + Quote.message(e.getMessage()), e);
    }
  }

  private void list(List<ZipEntry> all) throws IOException {
    String pickle = null;
    for (ZipEntry entry : all) {
      String name = entry.getName();
      if (entries.put(name, entry) != null) {
        throw new IOException(file + " has the entry " + Quote.of(name) + " twice");
      }
      if (name.endsWith("/" + PICKLE) && name.indexOf('/') == name.lastIndexOf('/')) {
        if (pickle != null) {
          throw new IOException(
              file + " holds two checkpoints, " + Quote.of(pickle) + " and " + Quote.of(name));
        }
        pickle = name;
      }
    }
    if (pickle == null) {
      throw new IOException(
          file + " is a zip file, but no checkpoint of torch: it has no folder with " + PICKLE);
    }
    root = pickle.substring(0, pickle.length() - PICKLE.length());
    if (entries.keySet().stream().anyMatch(this::isProgram)) {
      throw new IOException(
          file
              + " is TorchScript, a program, not weights; save its weights in Python:"
              + " torch.save(torch.jit.load(path).state_dict(), other)");
    }
    ZipEntry order = entries.get(root + "byteorder");
    if (order != null) {
      byte[] word = new byte[8];
      try (InputStream in = stream(order)) {
        String found = new String(word, 0, in.readNBytes(word, 0, 8), StandardCharsets.US_ASCII);
        if (!found.equals("little")) {
          throw new IOException(
              file
                  + " has the byte order "
                  + Quote.of(found)
                  + ", but only \"little\" is read; save it on another machine");
        }
      }
    }
  }

  private List<ZipEntry> entriesOf() throws IOException {
    if (zip.size() > MOST_ENTRIES) {
      throw new IOException(file + " has more than " + MOST_ENTRIES + " entries");
    }
    try {
      return List.copyOf(Collections.list(zip.entries()));
    } catch (IllegalArgumentException e) {
      // So the JDK says that a comment is no UTF-8; of names it says so when it opens a file.
      throw new IOException(file + " is a damaged zip file: it has a text that is no UTF-8", e);
    }
  }

  private boolean isProgram(String name) {
    return name.equals(root + "constants.pkl") || name.startsWith(root + "code/");
  }

  private @Nullable Object unpickle() throws IOException {
    ZipEntry entry = entry(root + PICKLE);
    Map<String, PickledStorage> storages = new LinkedHashMap<>();
    Object value;
    try (InputStream in = new BufferedInputStream(stream(entry))) {
      PickleInput input = new PickleInput(in, entry.getSize());
      value = TorchPickles.read(file, input, storages);
    }
    for (PickledStorage storage : storages.values()) {
      long bytes = TorchStorages.bytes(file, storage);
      long there = entry(data(storage)).getSize();
      if (there < bytes) {
        throw new IOException(
            file
                + " should hold "
                + bytes
                + " bytes in "
                + Quote.of(data(storage))
                + ", but holds "
                + there);
      }
    }
    return value;
  }

  private String data(PickledStorage storage) {
    return root + "data/" + storage.key();
  }

  private ZipEntry entry(String name) throws IOException {
    ZipEntry entry = entries.get(name);
    if (entry == null) {
      throw new IOException(file + " lacks its part " + Quote.of(name));
    }
    return entry;
  }

  /** What is compressed could be larger than any memory, and cannot be read from its middle. */
  private InputStream stream(ZipEntry entry) throws IOException {
    if (entry.getMethod() != ZipEntry.STORED || entry.getSize() != entry.getCompressedSize()) {
      throw new IOException(
          file
              + " has compressed its part "
              + Quote.of(entry.getName())
              + ", which torch never does; unpack it and pack it without compression");
    }
    try {
      InputStream in = zip.getInputStream(entry);
      if (in == null) {
        throw new IOException(file + " lacks its part " + Quote.of(entry.getName()));
      }
      return in;
    } catch (IllegalStateException e) {
      throw new IllegalStateException(file + " was closed; read from it before", e);
    }
  }

  @Override
  public void read(PickledStorage storage, long first, ByteBuffer target) throws IOException {
    try (InputStream in = stream(entry(data(storage)))) {
      if (in.skip(first) != first) {
        throw new EOFException(file + " ends too early: it is cut off");
      }
      byte[] piece = new byte[Math.min(PIECE_BYTES, target.remaining())];
      while (target.hasRemaining()) {
        int count = in.read(piece, 0, Math.min(piece.length, target.remaining()));
        if (count < 0) {
          throw new EOFException(file + " ends too early: it is cut off");
        }
        target.put(piece, 0, count);
      }
    } catch (IOException e) {
      throw named(file, e);
    }
  }

  /** What Java's own reader of zip files finds names no file, or says nothing at all. */
  static IOException named(Path file, IOException e) {
    String message = e.getMessage();
    return message != null && message.contains(file.toString())
        ? e
        : new IOException(
            file
                + " is a damaged zip file"
                + (message == null
                    ? ": a part lies beyond its end"
                    : ": " + Quote.message(message)),
            e);
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }
}
