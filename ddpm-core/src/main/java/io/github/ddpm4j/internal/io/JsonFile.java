package io.github.ddpm4j.internal.io;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Small files that hold one object of JSON. */
public final class JsonFile {

  /** A schedule of a million betas, each its own, is no larger. */
  private static final int MAX_BYTES = 32 << 20;

  private static final Gson gson =
      new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().serializeNulls().create();

  /** A list without texts, lists and objects in it, as Gson indents it. */
  private static final Pattern NUMBERS = Pattern.compile("\\[\\n[^\\[\\]{}\"]*]");

  private JsonFile() {}

  /**
   * Reads a file.
   *
   * @param file the file
   * @return the values by name, in their order: maps, lists, texts, truth values, whole numbers
   *     (Long) and others (Double)
   * @throws java.nio.file.NoSuchFileException if there is no such file
   * @throws IOException if reading fails, or it holds anything but one object
   */
  public static Map<String, @Nullable Object> read(Path file) throws IOException {
    long size = Files.size(file);
    if (size > MAX_BYTES) {
      throw new IOException(
          file + " has " + size + " bytes, but such a file has at most " + MAX_BYTES);
    }
    byte[] bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = in.readNBytes(MAX_BYTES);
    }
    return parse(file.toString(), bytes);
  }

  /**
   * Reads what was read.
   *
   * @param what what the bytes are, for messages
   * @param bytes JSON in UTF-8
   * @return as {@link #read}
   * @throws IOException if they hold anything but one object
   */
  public static Map<String, @Nullable Object> parse(String what, byte[] bytes) throws IOException {
    try {
      return StrictJson.map(new ByteArrayInputStream(bytes));
    } catch (StrictJson.Malformed e) {
      throw new IOException(what + " " + e.getMessage(), e);
    }
  }

  /**
   * The text of an object.
   *
   * @param values the values by name
   * @return JSON, indented, but lists of numbers on one line, with a line break at the end
   */
  public static String text(Map<String, ?> values) {
    return NUMBERS
            .matcher(gson.toJson(values))
            .replaceAll(
                list -> list.group().replaceAll("\\s+", " ").replaceAll("(?<=\\[) | (?=])", ""))
        + "\n";
  }
}
