package io.github.ddpm4j.spark;

import io.github.ddpm4j.internal.files.WholeFile;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a driver that goes on after a killed one needs, in a file that is there whole or not at all.
 *
 * @param rounds how many are done
 * @param weights the weights after them
 * @param velocity that of the outer step
 * @param states that of each worker
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record RoundFile(int rounds, float[] weights, float[] velocity, List<byte[]> states) {

  private static final String FORMAT = "ddpm4j rounds 1";
  private static final int PIECE = 1 << 14;

  /** Writes the file; identity is what the rounds depend on. */
  void write(Path file, String identity) throws IOException {
    WholeFile.write(
        file,
        target -> {
          MessageDigest sha256 = WholeFile.sha256();
          DataOutputStream out = new DataOutputStream(new DigestOutputStream(target, sha256));
          out.writeUTF(FORMAT);
          out.writeUTF(identity);
          out.writeInt(rounds);
          write(out, weights);
          write(out, velocity);
          out.writeInt(states.size());
          for (byte[] state : states) {
            out.writeInt(state.length);
            out.write(state);
          }
          out.flush();
          target.write(sha256.digest());
        });
  }

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException if its rounds are others
   * @throws IOException if it is damaged
   */
  static RoundFile read(Path file, String identity) throws IOException {
    MessageDigest sha256 = WholeFile.sha256();
    try (InputStream source = new BufferedInputStream(Files.newInputStream(file))) {
      DataInputStream in = new DataInputStream(new DigestInputStream(source, sha256));
      if (!in.readUTF().equals(FORMAT)) {
        throw damaged(file);
      }
      String before = in.readUTF();
      if (!before.equals(identity)) {
        throw new IllegalArgumentException(
            file
                + " holds rounds of another training, "
                + before
                + ", but this is "
                + identity
                + "; set it as it was, or choose another file");
      }
      int rounds = in.readInt();
      float[] weights = floats(in);
      float[] velocity = floats(in);
      List<byte[]> states = new ArrayList<>();
      for (int count = in.readInt(); states.size() < count; ) {
        states.add(in.readNBytes(in.readInt()));
      }
      byte[] found = sha256.digest();
      if (!Arrays.equals(found, source.readNBytes(found.length))) {
        throw damaged(file);
      }
      return new RoundFile(rounds, weights, velocity, states);
    } catch (EOFException e) {
      throw damaged(file);
    }
  }

  private static IOException damaged(Path file) {
    return new IOException(file + " is damaged; delete it to begin anew");
  }

  private static void write(OutputStream out, float[] values) throws IOException {
    ByteBuffer piece = ByteBuffer.allocate(PIECE * Float.BYTES);
    new DataOutputStream(out).writeInt(values.length);
    for (int at = 0; at < values.length; at += PIECE) {
      int length = Math.min(PIECE, values.length - at);
      piece.clear().asFloatBuffer().put(values, at, length);
      out.write(piece.array(), 0, length * Float.BYTES);
    }
  }

  private static float[] floats(DataInputStream in) throws IOException {
    float[] values = new float[in.readInt()];
    byte[] piece = new byte[PIECE * Float.BYTES];
    for (int at = 0; at < values.length; at += PIECE) {
      int length = Math.min(PIECE, values.length - at);
      in.readFully(piece, 0, length * Float.BYTES);
      ByteBuffer.wrap(piece).asFloatBuffer().get(values, at, length);
    }
    return values;
  }
}
