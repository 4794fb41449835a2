package io.github.ddpm4j.report;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;

/** Numbers and words as one piece of text, which a checkpoint keeps. */
final class Words {

  private Words() {}

  /** What is written. */
  interface Content {
    void writeTo(DataOutput out) throws IOException;
  }

  /** What is read. */
  interface Reader {
    void readFrom(DataInput in) throws IOException;
  }

  static String of(Content content) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(new DeflaterOutputStream(bytes))) {
      content.writeTo(out);
    } catch (IOException e) {
      throw new UncheckedIOException("memory cannot fail to be written", e);
    }
    return Base64.getEncoder().encodeToString(bytes.toByteArray());
  }

  /**
   * Reads what {@link #of} made.
   *
   * @throws IOException if it is something else
   */
  static void read(String words, Reader reader) throws IOException {
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(words);
    } catch (IllegalArgumentException e) {
      throw new IOException("no Base64", e);
    }
    try (DataInputStream in =
        new DataInputStream(new InflaterInputStream(new ByteArrayInputStream(bytes)))) {
      reader.readFrom(in);
    }
  }

  /** Of any length, unlike {@link DataOutput#writeUTF}. */
  static void write(DataOutput out, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  static String read(DataInput in) throws IOException {
    int length = in.readInt();
    if (length < 0) {
      throw new IOException("a text of " + length + " bytes");
    }
    byte[] bytes = new byte[length];
    in.readFully(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
