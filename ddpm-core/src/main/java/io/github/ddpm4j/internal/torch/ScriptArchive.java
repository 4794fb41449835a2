package io.github.ddpm4j.internal.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes TorchScript archives, the files that {@code torch.jit.load} reads: a zip, not compressed,
 * of source text, pickled objects and tensors.
 */
public final class ScriptArchive {

  /** The folder that holds everything in the archive; any name will do. */
  private static final String FOLDER = "ddpm4j/";

  /** The file format of libtorch since 1.6. */
  private static final String VERSION = "3\n";

  private static final int PIECE_BYTES = 1 << 16;

  private ScriptArchive() {}

  /**
   * Writes an archive. Weights are copied out of the engine one after the other.
   *
   * @param modules the modules
   * @param methods the methods of the root, each indented by two spaces, which call weights by
   *     {@link ModuleTree#expression}
   * @param weights the weights, float32, in the order of {@code modules}; not closed
   * @param out where to; not closed
   * @throws IOException if writing fails
   */
  public static void write(
      ModuleTree modules, String methods, Collection<NDArray> weights, OutputStream out)
      throws IOException {
    ZipOutputStream zip = new ZipOutputStream(out);
    entry(zip, "data.pkl", ByteBuffer.wrap(modules.objects()));
    entry(zip, "constants.pkl", ByteBuffer.wrap(new Pickle().emptyTuple().finish()));
    entry(zip, "version", text(VERSION));
    entry(zip, "code/__torch__.py", text(modules.source(methods)));
    int index = 0;
    for (NDArray weight : weights) {
      weight(zip, "data/" + index++, weight);
    }
    zip.finish();
  }

  private static ByteBuffer text(String text) {
    return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
  }

  private static void weight(ZipOutputStream zip, String name, NDArray weight) throws IOException {
    // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
    try (NDManager temporary = weight.getManager().newSubManager();
        NDArray view = weight.reshape(weight.getShape())) {
      view.attach(temporary);
      entry(zip, name, view.toByteBuffer());
    }
  }

  /** libtorch takes entries as they lie in the file, so they are not compressed. */
  private static void entry(ZipOutputStream zip, String name, ByteBuffer bytes) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(bytes.duplicate());
    ZipEntry entry = new ZipEntry(FOLDER + name);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(bytes.remaining());
    entry.setCrc(crc.getValue());
    entry.setTime(0);
    zip.putNextEntry(entry);
    writeAll(zip, bytes);
    zip.closeEntry();
  }

  /** Not by a channel, which would fail on an interrupted thread. */
  private static void writeAll(OutputStream out, ByteBuffer bytes) throws IOException {
    byte[] piece = new byte[Math.min(bytes.remaining(), PIECE_BYTES)];
    while (bytes.hasRemaining()) {
      int length = Math.min(bytes.remaining(), piece.length);
      bytes.get(piece, 0, length);
      out.write(piece, 0, length);
    }
  }
}
