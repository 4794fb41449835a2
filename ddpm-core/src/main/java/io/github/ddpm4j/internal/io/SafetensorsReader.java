package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import io.github.ddpm4j.internal.description.Quote;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * A safetensors file that is open: what its header says, which was found to fit the file, and its
 * tensors, read one after the other. It can be read to its end even if it is deleted meanwhile, or
 * replaced by another of its name.
 */
final class SafetensorsReader implements AutoCloseable {

  private static final int LENGTH_BYTES = 8;
  private static final int PIECE_BYTES = 1 << 16;

  private final Path file;
  private final FileChannel channel;
  private final SafetensorsHeader header;
  private final long dataStart;

  private SafetensorsReader(
      Path file, FileChannel channel, SafetensorsHeader header, long dataStart) {
    this.file = file;
    this.channel = channel;
    this.header = header;
    this.dataStart = dataStart;
  }

  /**
   * Opens a file. What the header says is checked against the size of the file.
   *
   * @param file the file
   * @return the reader; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is none
   * @throws IOException if reading fails, or the file is not what the format says, naming the file
   *     and what is wrong
   */
  static SafetensorsReader open(Path file) throws IOException {
    FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
    boolean done = false;
    try {
      ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      readAll(channel, length, file);
      long headerBytes = length.getLong(0);
      if (headerBytes < 2 || headerBytes > channel.size() - LENGTH_BYTES) {
        throw new IOException(
            file
                + " is no safetensors file, or is cut off: its header would be "
                + Long.toUnsignedString(headerBytes)
                + " bytes long");
      }
      long dataStart = LENGTH_BYTES + headerBytes;
      long dataBytes = channel.size() - dataStart;
      InputStream in = new Part(channel, headerBytes);
      SafetensorsHeader header = SafetensorsHeader.read(file, in, headerBytes, dataBytes);
      SafetensorsReader reader = new SafetensorsReader(file, channel, header, dataStart);
      done = true;
      return reader;
    } finally {
      if (!done) {
        channel.close();
      }
    }
  }

  /** What the file says of its tensors. */
  SafetensorsHeader header() {
    return header;
  }

  /** How many single values the tensors hold, all together. */
  long values() {
    return header.entries().stream().mapToLong(entry -> entry.shape().size()).sum();
  }

  /**
   * Every tensor.
   *
   * @param manager owns the arrays that are returned
   * @return the tensors by name, in the order of the header
   * @throws IOException if reading fails
   */
  Map<String, NDArray> tensors(NDManager manager) throws IOException {
    ByteBuffer memory = memory();
    Map<String, NDArray> tensors = new LinkedHashMap<>();
    boolean done = false;
    try {
      for (SafetensorsHeader.Entry entry : header.entries()) {
        ByteBuffer data = data(entry, memory);
        try (NDArray value = manager.create(data, entry.shape(), entry.type())) {
          tensors.put(entry.name(), value.duplicate());
        }
      }
      done = true;
      return tensors;
    } finally {
      if (!done) {
        tensors.values().forEach(NDArray::close);
      }
    }
  }

  /**
   * Reads the tensors into arrays that are there, without a second copy of them in memory. Nothing
   * is written before all of the header is known to fit.
   *
   * @param weights the arrays by name, exactly those of the file; no gradients may be recorded
   *     meanwhile
   * @param digest takes in every byte of the file, in order; null if nobody wants to know
   * @throws IOException if reading fails, or the file holds other tensors, naming it and what is
   *     wrong
   */
  void readInto(Map<String, NDArray> weights, @Nullable MessageDigest digest) throws IOException {
    requireFit(weights);
    if (digest != null) {
      addHeader(digest);
    }
    ByteBuffer memory = memory();
    // There are neither gaps nor overlaps, so this is the order of the bytes.
    List<SafetensorsHeader.Entry> inOrder =
        header.entries().stream()
            .sorted(
                Comparator.comparingLong(SafetensorsHeader.Entry::start)
                    .thenComparingLong(SafetensorsHeader.Entry::end))
            .toList();
    for (SafetensorsHeader.Entry entry : inOrder) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name()), entry.name());
      ByteBuffer data = data(entry, memory);
      if (digest != null) {
        digest.update(data.duplicate());
      }
      try (NDArray value = weight.getManager().create(data, entry.shape(), entry.type())) {
        // Into the weight's own memory; copyTo would point the weight at memory of Java.
        weight.set(new NDIndex("..."), value);
      }
    }
  }

  private void addHeader(MessageDigest digest) throws IOException {
    channel.position(0);
    ByteBuffer piece = ByteBuffer.allocate(PIECE_BYTES);
    for (long left = dataStart; left > 0; left -= piece.limit()) {
      piece.clear().limit((int) Math.min(left, PIECE_BYTES));
      readAll(channel, piece, file);
      digest.update(piece.flip());
    }
  }

  private void requireFit(Map<String, NDArray> weights) throws IOException {
    TreeSet<String> missing = new TreeSet<>(weights.keySet());
    TreeSet<String> unused = new TreeSet<>();
    for (SafetensorsHeader.Entry entry : header.entries()) {
      if (!missing.remove(entry.name())) {
        unused.add(entry.name());
      }
    }
    if (!missing.isEmpty() || !unused.isEmpty()) {
      throw new IOException(
          file
              + " does not fit the network: missing "
              + Quote.of(missing)
              + ", unused "
              + Quote.of(unused));
    }
    for (SafetensorsHeader.Entry entry : header.entries()) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name()), entry.name());
      if (!entry.shape().equals(weight.getShape()) || entry.type() != weight.getDataType()) {
        throw new IOException(
            SafetensorsHeader.about(file, entry.name())
                + " must be "
                + weight.getShape()
                + " of "
                + weight.getDataType()
                + ", but is "
                + entry.shape()
                + " of "
                + entry.type());
      }
    }
  }

  /** As much as the largest tensor takes. */
  private ByteBuffer memory() {
    return ByteBuffer.allocateDirect(header.mostBytes());
  }

  /** The bytes of a tensor, in {@code memory} until the next is read. */
  private ByteBuffer data(SafetensorsHeader.Entry entry, ByteBuffer memory) throws IOException {
    ByteBuffer data = memory.slice(0, entry.bytes()).order(ByteOrder.nativeOrder());
    channel.position(dataStart + entry.start());
    readAll(channel, data, file);
    data.rewind();
    return data;
  }

  private static void readAll(FileChannel channel, ByteBuffer buffer, Path file)
      throws IOException {
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException(file + " ends too early: it is cut off or no safetensors file");
      }
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  /** The next bytes of a channel. */
  private static final class Part extends InputStream {

    private final FileChannel channel;
    private long left;

    Part(FileChannel channel, long bytes) {
      this.channel = channel;
      this.left = bytes;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int count = channel.read(ByteBuffer.wrap(target, offset, (int) Math.min(length, left)));
      left -= Math.max(0, count);
      return count;
    }
  }
}
