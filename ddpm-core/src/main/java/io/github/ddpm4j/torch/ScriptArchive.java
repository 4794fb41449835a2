package io.github.ddpm4j.torch;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes TorchScript archives, the files that {@code torch.jit.load} reads: a zip, not compressed,
 * of source text, pickled objects and tensors.
 */
final class ScriptArchive {

  /** The folder that holds everything in the archive; any name will do. */
  private static final String FOLDER = "ddpm4j/";

  /** The file format of libtorch since 1.6. */
  private static final String VERSION = "3\n";

  private ScriptArchive() {}

  /**
   * Writes a module of one class without weights.
   *
   * @param source the text of {@code __torch__.py}
   * @param type the name of the class in it
   * @param out where to; not closed
   */
  static void write(String source, String type, OutputStream out) throws IOException {
    byte[] module =
        new Pickle()
            .global("__torch__", type)
            .emptyTuple()
            .newObject()
            .emptyDict()
            .mark()
            .string("training")
            .bool(true)
            .setItems()
            .build()
            .finish();
    ZipOutputStream zip = new ZipOutputStream(out);
    entry(zip, "data.pkl", module);
    entry(zip, "constants.pkl", new Pickle().emptyTuple().finish());
    entry(zip, "version", VERSION.getBytes(StandardCharsets.UTF_8));
    entry(zip, "code/__torch__.py", source.getBytes(StandardCharsets.UTF_8));
    zip.finish();
  }

  /** libtorch maps archives into memory, so entries are stored as they are. */
  private static void entry(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    ZipEntry entry = new ZipEntry(FOLDER + name);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(bytes.length);
    entry.setCrc(crc.getValue());
    entry.setTime(0);
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }
}
