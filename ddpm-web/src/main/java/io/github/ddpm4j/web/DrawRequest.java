package io.github.ddpm4j.web;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.math.BigDecimal;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What the page asks for.
 *
 * @param model its name
 * @param prompt a class, attributes or a text; blank for anything
 * @param sampler as {@link io.github.ddpm4j.sampling.Samplers#parse(String, int)} reads it
 * @param steps the calls of the network
 * @param guidance its scale; 1 for none
 * @param seed of the noise
 * @param count the number of pictures; 1 with a hole
 * @param hole what is to be filled in; null for pictures from noise
 */
record DrawRequest(
    String model,
    String prompt,
    String sampler,
    int steps,
    double guidance,
    long seed,
    int count,
    @Nullable Hole hole) {

  static final int MOST_PICTURES = 16;
  static final int MOST_STEPS = 250;
  static final double MOST_GUIDANCE = 20;
  static final int MOST_PROMPT = 500;
  private static final int MOST_TEXT = 200;

  /** The largest image whose mask fits into a request beside all else, in pixels: {@value}. */
  static final int MOST_FILLED = 4 * (PageServer.MOST_BYTES - 4096);

  /** Numbers that JavaScript has exactly. */
  private static final long MOST_SEED = (1L << 53) - 1;

  private static final String NO_JSON = "the body must be one object of JSON";
  private static final List<String> NAMES =
      List.of("model", "prompt", "sampler", "steps", "guidance", "seed", "count", "fill");
  private static final List<String> FILL_NAMES = List.of("drawing", "picture", "mask");

  /**
   * A part of a picture that was drawn before.
   *
   * @param drawing the drawing that it belongs to
   * @param picture its index there
   * @param mask a hexadecimal digit for four pixels each, row by row and the first of them its
   *     highest bit: 1 where it is kept and 0 where it is drawn anew
   */
  record Hole(String drawing, int picture, String mask) {

    /**
     * The mask of an image.
     *
     * @param pixels the number of its pixels
     * @return 1 or 0 for each
     * @throws RefusalException if it is the mask of an image of another size
     */
    float[] kept(int pixels) {
      int digits = (pixels + 3) / 4;
      if (mask.length() != digits) {
        throw bad(
            "mask must have "
                + digits
                + " digits for "
                + pixels
                + " pixels, but has "
                + mask.length());
      }
      float[] kept = new float[pixels];
      for (int i = 0; i < 4 * digits; i++) {
        int bit = (Character.digit(mask.charAt(i / 4), 16) >> (3 - i % 4)) & 1;
        if (i < pixels) {
          kept[i] = bit;
        } else if (bit != 0) {
          throw bad("mask must be 0 beyond its " + pixels + " pixels");
        }
      }
      return kept;
    }
  }

  /**
   * Reads a request.
   *
   * @throws RefusalException if it is none
   */
  static DrawRequest of(String text) {
    JsonObject all = object(text);
    requireNames(all, NAMES);
    String prompt = string(all, "prompt", MOST_PROMPT);
    double guidance = number(all, "guidance", 1, MOST_GUIDANCE).doubleValue();
    if (prompt.isBlank() && guidance != 1) {
      throw bad("guidance must be 1 without a prompt, since it guides towards it");
    }
    int count = (int) whole(all, "count", 1, MOST_PICTURES);
    Hole hole = null;
    if (all.has("fill")) {
      if (!all.get("fill").isJsonObject()) {
        throw bad("fill must be an object of " + FILL_NAMES);
      }
      JsonObject fill = all.getAsJsonObject("fill");
      requireNames(fill, FILL_NAMES);
      String mask = string(fill, "mask", Integer.MAX_VALUE);
      if (!mask.matches("[0-9a-f]+")) {
        throw bad("mask must be of the digits 0 to 9 and a to f");
      }
      if (count != 1) {
        throw bad("count must be 1 where a part of a picture is filled in, but was " + count);
      }
      hole =
          new Hole(text(fill, "drawing"), (int) whole(fill, "picture", 0, MOST_PICTURES - 1), mask);
    }
    return new DrawRequest(
        text(all, "model"),
        prompt,
        text(all, "sampler"),
        (int) whole(all, "steps", 1, MOST_STEPS),
        guidance,
        whole(all, "seed", 0, MOST_SEED),
        count,
        hole);
  }

  private static JsonObject object(String text) {
    JsonReader reader = new JsonReader(new StringReader(text));
    reader.setStrictness(Strictness.STRICT);
    try {
      JsonElement all = JsonParser.parseReader(reader);
      if (all.isJsonObject() && reader.peek() == JsonToken.END_DOCUMENT) {
        return all.getAsJsonObject();
      }
    } catch (JsonParseException | IOException e) {
      throw new RefusalException(400, NO_JSON, e);
    }
    throw bad(NO_JSON);
  }

  private static void requireNames(JsonObject all, List<String> names) {
    Set<String> unknown = new TreeSet<>(all.keySet());
    unknown.removeAll(names);
    if (!unknown.isEmpty()) {
      throw bad("there is no such name, but there are " + names);
    }
  }

  private static String text(JsonObject all, String name) {
    return string(all, name, MOST_TEXT);
  }

  private static String string(JsonObject all, String name, int most) {
    JsonElement value = all.get(name);
    if (value == null || !value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
      throw bad(name + " must be a text");
    }
    String text = value.getAsString();
    if (text.length() > most) {
      throw bad(name + " must have at most " + most + " letters, but has " + text.length());
    }
    return text;
  }

  private static long whole(JsonObject all, String name, double least, double most) {
    BigDecimal number = number(all, name, least, most);
    if (number.stripTrailingZeros().scale() > 0) {
      throw bad(name + " must be a whole number, but was " + number);
    }
    return number.longValue();
  }

  private static BigDecimal number(JsonObject all, String name, double least, double most) {
    JsonElement value = all.get(name);
    if (value == null || !value.isJsonPrimitive() || !value.getAsJsonPrimitive().isNumber()) {
      throw bad(name + " must be a number");
    }
    String text = value.getAsString();
    // A short number with a large exponent would be a long one.
    if (!text.matches("-?\\d{1,20}(\\.\\d{1,20})?")) {
      throw bad(name + " must be a number in plain digits");
    }
    BigDecimal number = new BigDecimal(text);
    BigDecimal lower = BigDecimal.valueOf(least);
    BigDecimal upper = BigDecimal.valueOf(most);
    if (number.compareTo(lower) < 0 || number.compareTo(upper) > 0) {
      throw bad(
          name
              + " must lie in ["
              + plain(lower)
              + ", "
              + plain(upper)
              + "], but was "
              + plain(number));
    }
    return number;
  }

  private static String plain(BigDecimal number) {
    return number.stripTrailingZeros().toPlainString();
  }

  private static RefusalException bad(String message) {
    return new RefusalException(400, message);
  }
}
