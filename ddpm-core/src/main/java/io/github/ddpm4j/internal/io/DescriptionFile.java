package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The file {@value ModelFiles#DESCRIPTION} of a model folder at one moment: the format and its
 * version, which file holds the weights, its digest, and the words for the model.
 */
final class DescriptionFile {

  private static final String FORMAT = "format";
  private static final String VERSION = "version";
  private static final String WEIGHTS = "weights";
  private static final String FILE = "file";
  private static final String SHA256 = "sha256";
  private static final String SAVED_BY = "savedBy";

  /** The format of model folders. */
  static final String NAME = "ddpm4j";

  /** The version that is written. All from 1 on are read. */
  static final long NEWEST = 2;

  private static final String WAY_OUT = "; choose a folder that DDPM.save wrote";

  /** A schedule of a million timesteps, each its own, is no larger. */
  private static final int MAX_BYTES = 32 << 20;

  private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{64}");

  private final Path file;
  private final byte[] bytes;
  private final Map<String, Object> values;

  private DescriptionFile(Path file, byte[] bytes, Map<String, Object> values) {
    this.file = file;
    this.bytes = bytes;
    this.values = values;
  }

  /* ---------------- Writing ---------------- */

  /**
   * The text of a description.
   *
   * @param weights the file of the weights
   * @param model the words for the model
   * @return JSON, indented, but lists of numbers on one line
   */
  static String text(WholeFile.Written weights, Map<String, Object> model) {
    Map<String, Object> all = head();
    Map<String, Object> named = new LinkedHashMap<>();
    named.put(FILE, String.valueOf(weights.file().getFileName()));
    named.put(SHA256, weights.sha256());
    all.put(WEIGHTS, named);
    all.putAll(model);
    return JsonFile.text(all);
  }

  /**
   * The text of a description that lies in the file of the weights.
   *
   * @param model the words for the model
   * @return JSON, as above
   */
  static String text(Map<String, Object> model) {
    Map<String, Object> all = head();
    all.putAll(model);
    return JsonFile.text(all);
  }

  private static Map<String, Object> head() {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put(FORMAT, NAME);
    all.put(VERSION, NEWEST);
    all.put(SAVED_BY, Versions.ofLibraries());
    return all;
  }

  /* ---------------- Reading ---------------- */

  /**
   * Reads a description that lies in the file of the weights.
   *
   * @param file the file, for messages
   * @param text the description
   * @return what it says; format and version are known
   * @throws IOException if it is no description that this version knows
   */
  static DescriptionFile of(Path file, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    DescriptionFile read = new DescriptionFile(file, bytes, parse(file, bytes));
    read.requireKnown();
    return read;
  }

  /**
   * Reads the description of a folder.
   *
   * @param folder the folder
   * @return what it says; format and version are known
   * @throws NoSuchFileException if it has none
   * @throws IOException if reading fails, or it is no description that this version knows
   */
  static DescriptionFile read(Path folder) throws IOException {
    Path file = folder.resolve(ModelFiles.DESCRIPTION);
    if (!Files.isRegularFile(file)) {
      throw missing(folder, ModelFiles.DESCRIPTION);
    }
    byte[] bytes = bytes(file);
    DescriptionFile read = new DescriptionFile(file, bytes, parse(file, bytes));
    read.requireKnown();
    return read;
  }

  /** The complaint about a folder that lacks a file. */
  static NoSuchFileException missing(Path folder, String name) {
    return new NoSuchFileException(
        folder.toString(),
        null,
        "no model folder: it has no "
            + name
            + "; choose a folder that DDPM.save wrote, with all of its files");
  }

  private static byte[] bytes(Path file) throws IOException {
    long size = Files.size(file);
    if (size > MAX_BYTES) {
      throw new IOException(
          file + " has " + size + " bytes, but a description has at most " + MAX_BYTES + WAY_OUT);
    }
    try (InputStream in = Files.newInputStream(file)) {
      return in.readNBytes(MAX_BYTES);
    }
  }

  private static Map<String, Object> parse(Path file, byte[] bytes) throws IOException {
    if (bytes.length == 0) {
      throw new IOException(file + " is empty" + WAY_OUT);
    }
    try {
      return StrictJson.map(new ByteArrayInputStream(bytes));
    } catch (StrictJson.Malformed e) {
      throw new IOException(file + " " + e.getMessage() + WAY_OUT, e);
    }
  }

  private void requireKnown() throws IOException {
    Object format = values.get(FORMAT);
    Object version = values.get(VERSION);
    if (NAME.equals(format) && version instanceof Long number && number >= 1 && number <= NEWEST) {
      return;
    }
    throw new IOException(
        file
            + " must have format "
            + NAME
            + " and a version from 1 to "
            + NEWEST
            + ", but has "
            + Quote.of(format)
            + " and "
            + Quote.of(version)
            + (NAME.equals(format)
                ? savedBy() + "; load it with the version of ddpm4j that saved it, or a newer one"
                : WAY_OUT));
  }

  private String savedBy() {
    return values.get(SAVED_BY) instanceof Map<?, ?> libraries
            && libraries.get(NAME) instanceof String library
        ? "; it was saved by ddpm4j " + Quote.of(library)
        : "";
  }

  /** The file. */
  Path file() {
    return file;
  }

  /** The words for the model, among others. */
  Map<String, Object> values() {
    return values;
  }

  /**
   * The file of the weights.
   *
   * @return its name in the folder
   * @throws IOException if it is none that is written here
   */
  String weights() throws IOException {
    if (isFirstVersion()) {
      return ModelFiles.WEIGHTS_1;
    }
    String name = text(FILE);
    if (!ModelFiles.isWeights(name)) {
      throw new IOException(
          file
              + " is not valid: \"file\" of weights must be a name such as"
              + " weights-0123456789abcdef.safetensors, but was "
              + Quote.of(name));
    }
    return name;
  }

  /**
   * The SHA-256 of the file of the weights.
   *
   * @return 64 hexadecimal digits; empty if the version has none
   * @throws IOException if it is none
   */
  Optional<String> sha256() throws IOException {
    if (isFirstVersion()) {
      return Optional.empty();
    }
    String digest = text(SHA256);
    if (!DIGEST.matcher(digest).matches()) {
      throw new IOException(
          file
              + " is not valid: \"sha256\" of weights must have 64 hexadecimal digits, but was "
              + Quote.of(digest));
    }
    return Optional.of(digest);
  }

  private boolean isFirstVersion() {
    return Long.valueOf(1).equals(values.get(VERSION));
  }

  private String text(String key) throws IOException {
    try {
      return Description.of(WEIGHTS, Description.of("the model", values).object(WEIGHTS)).text(key);
    } catch (IllegalArgumentException e) {
      throw new IOException(file + " is not valid: " + e.getMessage(), e);
    }
  }

  /** Whether the folder says the same now. */
  boolean isStillThere() throws IOException {
    return Files.isRegularFile(file) && Arrays.equals(bytes, bytes(file));
  }
}
