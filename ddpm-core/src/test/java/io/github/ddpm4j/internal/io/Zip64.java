package io.github.ddpm4j.internal.io;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** Writes small zip files as large ones: what lies before their entries is a hole on the disk. */
final class Zip64 {

  private static final int END = 0x06054b50;
  private static final int ENTRY = 0x02014b50;
  private static final int ENTRY_BYTES = 46;

  private Zip64() {}

  /**
   * Writes a file with the same entries, behind a hole.
   *
   * @param whole a zip file without a comment
   * @param hole the bytes before it
   * @param file where to
   */
  static void shifted(byte[] whole, long hole, Path file) throws IOException {
    ByteBuffer zip = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN);
    int end = whole.length - 22;
    if (zip.getInt(end) != END) {
      throw new IllegalArgumentException("the zip file has a comment");
    }
    int entries = zip.getShort(end + 10);
    int directory = zip.getInt(end + 16);
    ByteArrayOutputStream written = new ByteArrayOutputStream();
    int place = directory;
    for (int i = 0; i < entries; i++) {
      if (zip.getInt(place) != ENTRY) {
        throw new IllegalArgumentException("the zip file is not as expected");
      }
      int name = zip.getShort(place + 28);
      int extra = zip.getShort(place + 30);
      ByteBuffer entry =
          ByteBuffer.allocate(ENTRY_BYTES + name + 12).order(ByteOrder.LITTLE_ENDIAN);
      entry.put(whole, place, ENTRY_BYTES + name);
      entry.putShort(30, (short) 12).putInt(42, -1);
      entry.putShort((short) 1).putShort((short) 8);
      entry.putLong(hole + Integer.toUnsignedLong(zip.getInt(place + 42)));
      written.write(entry.array());
      place += ENTRY_BYTES + name + extra;
    }
    long start = hole + directory;
    ByteBuffer ends = ByteBuffer.allocate(56 + 20 + 22).order(ByteOrder.LITTLE_ENDIAN);
    ends.putInt(0x06064b50).putLong(44).putShort((short) 45).putShort((short) 45);
    ends.putInt(0).putInt(0).putLong(entries).putLong(entries);
    ends.putLong(written.size()).putLong(start);
    ends.putInt(0x07064b50).putInt(0).putLong(start + written.size()).putInt(1);
    ends.putInt(END).putShort((short) 0).putShort((short) 0);
    ends.putShort((short) -1).putShort((short) -1).putInt(-1).putInt(-1).putShort((short) 0);
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      // Readers know a zip file by its first bytes.
      out.write(whole, 0, 4);
      out.seek(hole);
      out.write(whole, 0, directory);
      out.write(written.toByteArray());
      out.write(ends.array());
    }
  }
}
