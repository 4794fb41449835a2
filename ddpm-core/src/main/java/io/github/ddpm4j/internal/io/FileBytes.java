package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.files.Uninterrupted;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;

/**
 * The bytes of a file that stays open, at any place. They are read into the memory where they are
 * wanted. A mapping of Java's would save nothing: it counts a second time in the memory of the
 * process until the garbage collector ends it, and the process dies if another one cuts the file
 * off. {@link FileMapping} is for those who want pages of the file and no memory of their own.
 */
final class FileBytes implements AutoCloseable {

  private final Path file;
  private final BasicFileAttributes attributes;
  private FileChannel channel;
  private boolean closed;

  private FileBytes(Path file, BasicFileAttributes attributes, FileChannel channel) {
    this.file = file;
    this.attributes = attributes;
    this.channel = channel;
  }

  static FileBytes open(Path file) throws IOException {
    // Its attributes first: if it is replaced in between, the channel closed by an interrupt
    // cannot be opened again, but no bytes of two files are mixed.
    BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
    if (!attributes.isRegularFile()) {
      throw new IOException(
          file + " must be a file, but is " + (attributes.isDirectory() ? "a folder" : "none"));
    }
    FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
    return new FileBytes(file, attributes, channel);
  }

  Path file() {
    return file;
  }

  long size() throws IOException {
    return uninterrupted(() -> channel.size());
  }

  /**
   * Fills a buffer.
   *
   * @param position the place of the first byte
   * @param target filled from its position to its limit
   * @throws EOFException if the file ends before
   * @throws IOException if reading fails
   */
  void read(long position, ByteBuffer target) throws IOException {
    int start = target.position();
    uninterrupted(
        () -> {
          while (target.hasRemaining()) {
            if (channel.read(target, position + target.position() - start) < 0) {
              throw new EOFException(file + " ends too early: it is cut off");
            }
          }
          return target;
        });
  }

  /** A part of the file as a stream, which need not be closed. */
  InputStream stream(long position, long bytes) {
    return new Part(position, bytes);
  }

  /** An interrupt closes the channel: it is opened anew, if the file is still the same. */
  private <T> T uninterrupted(Uninterrupted.Work<T> work) throws IOException {
    if (closed) {
      throw new IllegalStateException(file + " was closed; read from it before");
    }
    return Uninterrupted.run(
        () -> {
          if (!channel.isOpen()) {
            requireSame();
            channel = FileChannel.open(file, StandardOpenOption.READ);
          }
          return work.run();
        });
  }

  /**
   * Requires that what lies at the file's path is the file that was opened, as it was then.
   *
   * @throws IOException if it was replaced, written to or removed
   */
  void requireSame() throws IOException {
    BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
    if (!Objects.equals(attributes.fileKey(), now.fileKey())
        || !attributes.lastModifiedTime().equals(now.lastModifiedTime())
        || attributes.size() != now.size()) {
      throw new IOException(file + " was replaced while it was read; read it again");
    }
  }

  @Override
  public void close() throws IOException {
    closed = true;
    channel.close();
  }

  private final class Part extends InputStream {

    private long position;
    private long left;

    Part(long position, long bytes) {
      this.position = position;
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
      int count = (int) Math.min(length, left);
      FileBytes.this.read(position, ByteBuffer.wrap(target, offset, count));
      position += count;
      left -= count;
      return count;
    }
  }
}
