package io.github.ddpm4j.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Decoded pictures, up to a number of bytes. The first ones stay: a run visits all pictures equally
 * often, so that exchanging them would gain nothing.
 */
final class FrameCache {

  private static final int BYTES_PER_LEVEL = 2;

  private final long limit;
  private final AtomicLong used = new AtomicLong();
  private final Map<Integer, Frame> memory = new ConcurrentHashMap<>();
  private final Map<Integer, Piece> pieces = new ConcurrentHashMap<>();
  private final @Nullable FileChannel file;

  private record Piece(long position, int channels, int height, int width) {}

  private FrameCache(long limit, @Nullable FileChannel file) {
    this.limit = limit;
    this.file = file;
  }

  /** In Java's memory. */
  static FrameCache inMemory(long limit) {
    return new FrameCache(limit, null);
  }

  /**
   * In a file of a folder. It has no name once it is open, where the system allows that, so that
   * killed processes leave nothing.
   */
  static FrameCache inFile(Path folder, long limit) throws IOException {
    Files.createDirectories(folder);
    Path file = folder.resolve("pictures-" + UUID.randomUUID() + ".cache");
    return new FrameCache(
        limit,
        FileChannel.open(
            file,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE));
  }

  /** The picture, if it was kept. Only threads that are never interrupted may ask a file. */
  @Nullable Frame get(int index) throws IOException {
    FileChannel channel = file;
    if (channel == null) {
      return memory.get(index);
    }
    Piece piece = pieces.get(index);
    if (piece == null) {
      return null;
    }
    short[] levels = new short[piece.channels * piece.height * piece.width];
    ByteBuffer bytes = ByteBuffer.allocate(levels.length * BYTES_PER_LEVEL);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, piece.position + bytes.position()) < 0) {
        throw new IOException("the cache of pictures was cut off by another program");
      }
    }
    bytes.flip().asShortBuffer().get(levels);
    return new Frame(piece.channels, piece.height, piece.width, levels);
  }

  /** Keeps a picture if there is room. */
  void put(int index, Frame frame) throws IOException {
    long bytes = (long) frame.levels().length * BYTES_PER_LEVEL;
    long position = used.getAndUpdate(before -> before + bytes <= limit ? before + bytes : before);
    if (position + bytes > limit) {
      return;
    }
    FileChannel channel = file;
    if (channel == null) {
      memory.put(index, frame);
      return;
    }
    ByteBuffer buffer = ByteBuffer.allocate((int) bytes);
    buffer.asShortBuffer().put(frame.levels());
    while (buffer.hasRemaining()) {
      channel.write(buffer, position + buffer.position());
    }
    pieces.put(index, new Piece(position, frame.channels(), frame.height(), frame.width()));
  }

  /** The bytes that are taken. */
  long used() {
    return used.get();
  }
}
