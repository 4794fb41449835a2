package io.github.ddpm4j.internal.io;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import io.github.ddpm4j.internal.description.Quote;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads one object of JSON from a stream, to the letter of RFC 8259: no comments, no other quotes,
 * no numbers that are none, no name twice in an object, nothing after the object, and UTF-8 alone.
 */
final class StrictJson {

  private static final int DEEPEST = 32;

  /** What Gson says of malformed JSON is how to read it all the same. */
  private static final String ADVICE =
      "Use JsonReader.setStrictness(Strictness.LENIENT) to accept ";

  private StrictJson() {}

  /** Reads what is between the braces. */
  @FunctionalInterface
  interface Members {

    /**
     * Reads the value that follows a name.
     *
     * @param name the name; never the same twice
     * @param json stands before the value
     * @throws IOException if reading fails
     */
    void read(String name, JsonReader json) throws IOException;
  }

  /** Something that is no JSON, or not what it must be; the message does not name the file. */
  static final class Malformed extends IOException {

    private static final long serialVersionUID = 1;

    Malformed(String message) {
      super(message);
    }
  }

  /**
   * Reads the object that a stream holds.
   *
   * @param in the stream; read to its end, not closed
   * @param members reads the values
   * @throws Malformed if it holds anything else
   * @throws IOException if reading fails
   */
  static void object(InputStream in, Members members) throws IOException {
    // A decoder that is made so refuses what is not UTF-8, while the one of a name repairs it.
    Reader text = new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder());
    JsonReader json = new JsonReader(text);
    json.setStrictness(Strictness.STRICT);
    json.setNestingLimit(DEEPEST);
    try {
      if (json.peek() != JsonToken.BEGIN_OBJECT) {
        throw new Malformed("is no JSON object");
      }
      members(json, members);
      if (json.peek() != JsonToken.END_DOCUMENT) {
        throw new Malformed("is no JSON object: there is more after it");
      }
    } catch (MalformedJsonException | EOFException e) {
      throw malformed(e);
    } catch (CharacterCodingException e) {
      throw malformed("it is not in UTF-8", e);
    }
  }

  private static Malformed malformed(Exception cause) {
    String told = String.valueOf(cause.getMessage()).lines().findFirst().orElse("");
    return malformed(told.startsWith(ADVICE) ? told.substring(ADVICE.length()) : told, cause);
  }

  private static Malformed malformed(String reason, Exception cause) {
    Malformed malformed = new Malformed("is no JSON object: " + Quote.of(reason));
    malformed.initCause(cause);
    return malformed;
  }

  /**
   * Reads an object inside the one that is read.
   *
   * @param json stands before it
   * @param members reads the values
   * @throws IOException if it is no object, or reading fails
   */
  static void members(JsonReader json, Members members) throws IOException {
    Set<String> names = new HashSet<>();
    json.beginObject();
    while (json.hasNext()) {
      String name = json.nextName();
      if (!names.add(name)) {
        throw new Malformed("has the name \"" + Quote.of(name) + "\" twice in one object");
      }
      members.read(name, json);
    }
    json.endObject();
  }

  /**
   * Reads the object that a stream holds, as maps, lists, texts, truth values, whole numbers (Long)
   * and others (Double).
   *
   * @param in the stream; read to its end, not closed
   * @return the values by name, in their order
   * @throws Malformed if it holds anything else
   * @throws IOException if reading fails
   */
  static Map<String, @Nullable Object> map(InputStream in) throws IOException {
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    object(in, (name, json) -> values.put(name, value(json)));
    return values;
  }

  private static @Nullable Object value(JsonReader json) throws IOException {
    switch (json.peek()) {
      case BEGIN_OBJECT -> {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        members(json, (name, inside) -> values.put(name, value(inside)));
        return values;
      }
      case BEGIN_ARRAY -> {
        List<@Nullable Object> values = new ArrayList<>();
        json.beginArray();
        while (json.hasNext()) {
          values.add(value(json));
        }
        json.endArray();
        return values;
      }
      case BOOLEAN -> {
        return json.nextBoolean();
      }
      case NULL -> {
        json.nextNull();
        return null;
      }
      case NUMBER -> {
        return number(json.nextString());
      }
      default -> {
        return json.nextString();
      }
    }
  }

  private static Number number(String text) throws Malformed {
    try {
      return Long.valueOf(text);
    } catch (NumberFormatException e) {
      double number = Double.parseDouble(text);
      if (Double.isInfinite(number)) {
        throw new Malformed("has a number that is too large: " + Quote.of(text));
      }
      return number;
    }
  }
}
