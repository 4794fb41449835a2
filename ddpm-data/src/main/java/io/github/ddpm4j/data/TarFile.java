package io.github.ddpm4j.data;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * Reads the plain files of a tar archive that is gzipped (POSIX ustar), one after the other: blocks
 * of 512 bytes, of which the first of each file has its name, its size in octal and its kind.
 */
final class TarFile {

  private static final int BLOCK = 512;
  private static final int NAME_LENGTH = 100;
  private static final int SIZE_AT = 124;
  private static final int SIZE_LENGTH = 12;
  private static final int SUM_AT = 148;
  private static final int SUM_LENGTH = 8;
  private static final int KIND_AT = 156;

  private TarFile() {}

  /** What is done with a file. */
  @FunctionalInterface
  interface Visitor {

    /**
     * Sees a file.
     *
     * @param name the last part of its name
     * @param size its size in bytes
     * @param content its bytes, and what follows; need not be read
     */
    void visit(String name, long size, InputStream content) throws IOException;
  }

  static void visit(Path archive, Visitor visitor) throws IOException {
    try (InputStream in =
        new BufferedInputStream(
            new GZIPInputStream(new BufferedInputStream(Files.newInputStream(archive))))) {
      byte[] head = new byte[BLOCK];
      while (in.readNBytes(head, 0, BLOCK) == BLOCK && head[0] != 0) {
        requireSum(head, archive);
        String name = text(head, 0, NAME_LENGTH);
        long size = Long.parseLong(text(head, SIZE_AT, SIZE_LENGTH), 8);
        Part content = new Part(in, size);
        if (head[KIND_AT] == '0' || head[KIND_AT] == 0) {
          visitor.visit(name.substring(name.lastIndexOf('/') + 1), size, content);
        }
        content.skipRest();
      }
    } catch (EOFException e) {
      throw new IOException(archive + " is cut off; copy it again", e);
    } catch (ZipException e) {
      throw new IOException(archive + " is no gzipped tar archive: " + e.getMessage(), e);
    }
  }

  private static void requireSum(byte[] head, Path archive) throws IOException {
    int sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      boolean own = i >= SUM_AT && i < SUM_AT + SUM_LENGTH;
      sum += own ? ' ' : Byte.toUnsignedInt(head[i]);
    }
    String told = text(head, SUM_AT, SUM_LENGTH);
    if (!told.matches("[0-7]{1,7}") || Integer.parseInt(told, 8) != sum) {
      throw new IOException(archive + " is no tar archive, or is damaged: a checksum is wrong");
    }
  }

  private static String text(byte[] head, int from, int length) {
    String all = new String(head, from, length, StandardCharsets.UTF_8);
    int end = all.indexOf('\0');
    return (end < 0 ? all : all.substring(0, end)).trim();
  }

  /** The bytes of one file. */
  private static final class Part extends InputStream {
    private final InputStream in;
    private long left;
    private long padding;

    Part(InputStream in, long size) {
      this.in = in;
      this.left = size;
      this.padding = (BLOCK - size % BLOCK) % BLOCK;
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
      int count = in.read(target, offset, (int) Math.min(length, left));
      if (count < 0) {
        throw new EOFException();
      }
      left -= count;
      return count;
    }

    void skipRest() throws IOException {
      in.skipNBytes(left + padding);
      left = 0;
      padding = 0;
    }
  }
}
