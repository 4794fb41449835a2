package io.github.ddpm4j.spark;

import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/** The files of a model, a folder's or a single one, as bytes. */
final class ModelBytes {

  private ModelBytes() {}

  /**
   * The files that make up a model.
   *
   * @throws NoSuchFileException if there is no model
   */
  private static List<Path> files(Path model) throws IOException {
    if (Files.isRegularFile(model)) {
      return List.of(model);
    }
    if (!Files.exists(model.resolve("ddpm.json"))) {
      throw new NoSuchFileException(
          model.toString(), null, "there is no model of this library; DDPM.save writes them");
    }
    try (Stream<Path> all = Files.list(model)) {
      return all.filter(file -> isOfModel(String.valueOf(file.getFileName()))).sorted().toList();
    }
  }

  private static boolean isOfModel(String name) {
    return !name.startsWith(".") && (name.equals("ddpm.json") || name.endsWith(".safetensors"));
  }

  /** The SHA-256 of the files of a model, in hexadecimal. */
  static String digest(Path model) throws IOException {
    MessageDigest sha256 = WholeFile.sha256();
    for (Path file : files(model)) {
      begin(sha256, String.valueOf(file.getFileName()), Files.size(file));
      try (InputStream in = Files.newInputStream(file);
          OutputStream out = new DigestOutputStream(OutputStream.nullOutputStream(), sha256)) {
        in.transferTo(out);
      }
    }
    return HexFormat.of().formatHex(sha256.digest());
  }

  /** The same of files that were read. */
  static String digest(SortedMap<String, byte[]> files) {
    MessageDigest sha256 = WholeFile.sha256();
    files.forEach(
        (name, bytes) -> {
          begin(sha256, name, bytes.length);
          sha256.update(bytes);
        });
    return HexFormat.of().formatHex(sha256.digest());
  }

  /** Where one file ends and which is the next makes a difference, too. */
  private static void begin(MessageDigest sha256, String name, long length) {
    sha256.update((name + " " + length + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** Reads the files of a model, by their names. */
  static SortedMap<String, byte[]> read(Path model) throws IOException {
    SortedMap<String, byte[]> read = new TreeMap<>();
    for (Path file : files(model)) {
      if (Files.size(file) > Integer.MAX_VALUE - 8) {
        throw new IllegalArgumentException(
            file
                + " is larger than 2 GB, which no broadcast holds; put it where all machines see"
                + " it, and use SparkModel.shared");
      }
      read.put(String.valueOf(file.getFileName()), Files.readAllBytes(file));
    }
    return read;
  }
}
