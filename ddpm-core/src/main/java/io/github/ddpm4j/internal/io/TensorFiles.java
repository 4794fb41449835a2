package io.github.ddpm4j.internal.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

/** Opens files of tensors of every kind that is read. */
public final class TensorFiles {

  private static final int SEEN = 512;
  private static final int TAR_AT = 257;
  private static final int PICKLE = 0x80;

  /** The first byte of a safetensors header, which follows its length. */
  private static final int HEADER_AT = Long.BYTES;

  private TensorFiles() {}

  /**
   * Opens a file, whatever it is called: safetensors, the index of several ({@code
   * *.safetensors.index.json}), arrays of NumPy ({@code .npz}), or a checkpoint of {@code
   * torch.save} ({@code .pt}, {@code .pth}, {@code .ckpt}, {@code .bin}), old or new. No value is
   * read yet, and nothing of a checkpoint is run.
   *
   * @param file the file
   * @return what it holds; closed by the caller
   * @throws NoSuchFileException if there is none
   * @throws IOException if reading fails, it is no such file, or it holds anything but tensors and
   *     plain values, naming what is wrong
   */
  public static TensorSource open(Path file) throws IOException {
    String name = String.valueOf(file.getFileName());
    if (name.endsWith(ShardedSafetensors.SUFFIX)) {
      return ShardedSafetensors.open(file);
    }
    ByteBuffer start;
    long size;
    try (FileBytes bytes = FileBytes.open(file)) {
      size = bytes.size();
      start = ByteBuffer.allocate((int) Math.min(size, SEEN));
      bytes.read(0, start);
    }
    byte[] seen = start.array();
    if (begins(seen, 0, "PK\3\4") || begins(seen, 0, "PK\5\6")) {
      return TorchZip.open(file, size);
    }
    if (seen.length > HEADER_AT && seen[HEADER_AT] == '{') {
      return SafetensorsReader.open(file);
    }
    if (seen.length > 0 && (seen[0] & 0xff) == PICKLE) {
      return TorchStream.open(file);
    }
    String kind = kind(seen);
    if (!kind.isEmpty()) {
      throw new IOException(file + " is " + kind);
    }
    // Its messages say what a safetensors file would be.
    return SafetensorsReader.open(file);
  }

  private static boolean begins(byte[] seen, int at, String text) {
    byte[] wanted = text.getBytes(StandardCharsets.ISO_8859_1);
    boolean same = seen.length >= at + wanted.length;
    for (int i = 0; same && i < wanted.length; i++) {
      same = seen[at + i] == wanted[i];
    }
    return same;
  }

  /** What other files that people have in this place are, and the way out. */
  private static String kind(byte[] seen) {
    if (begins(seen, TAR_AT, "ustar")) {
      return "a tar file, as torch wrote before 0.1.10; load it in a later torch and save it again";
    }
    if (begins(seen, 0, "version https://git-lfs")) {
      return "a pointer of Git LFS, not the file itself; get that with: git lfs pull";
    }
    if (begins(seen, 0, "\u0089HDF")) {
      return "an HDF5 file, as Keras writes; save its weights as safetensors";
    }
    String text = new String(seen, StandardCharsets.ISO_8859_1).strip().toLowerCase(Locale.ROOT);
    if (text.startsWith("<!doctype") || text.startsWith("<html")) {
      return "a web page, not the file itself; download that";
    }
    return "";
  }
}
