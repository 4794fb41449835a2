package io.github.ddpm4j.internal.picture;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32;

/** PNG files as what they are made of: chunks with checksums (PNG specification, section 5). */
public final class PngChunks {

  private static final long SIGNATURE = 0x89504e470d0a1a0aL;
  private static final int LENGTH_AND_TYPE = 8;
  private static final int CRC = 4;

  private PngChunks() {}

  /**
   * Whether a file is there, with all of its chunks as they were written.
   *
   * @param file the file
   * @return false also for what is no PNG file
   * @throws IOException if it cannot be read
   */
  public static boolean areWhole(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      return false;
    }
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    if (in.remaining() < Long.BYTES || in.getLong() != SIGNATURE) {
      return false;
    }
    while (in.remaining() >= LENGTH_AND_TYPE + CRC) {
      int length = in.getInt();
      if (length < 0 || length > in.remaining() - 4 - CRC) {
        return false;
      }
      CRC32 crc = new CRC32();
      crc.update(bytes, in.position(), 4 + length);
      String type = new String(bytes, in.position(), 4, StandardCharsets.US_ASCII);
      in.position(in.position() + 4 + length);
      if (in.getInt() != (int) crc.getValue()) {
        return false;
      }
      if (type.equals("IEND")) {
        return !in.hasRemaining();
      }
    }
    return false;
  }
}
