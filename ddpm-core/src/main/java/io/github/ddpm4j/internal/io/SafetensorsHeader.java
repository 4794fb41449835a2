package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.types.Shape;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import io.github.ddpm4j.internal.description.Quote;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The header of a safetensors file: what its tensors are and where they lie, and words about them.
 * It is read as a stream, so that a file takes no more memory than what it says is worth.
 *
 * @param words the words by name, in the order of the file
 * @param entries the tensors, in the order of the file
 */
record SafetensorsHeader(Map<String, String> words, List<Entry> entries) {

  /** The name that stands for words instead of a tensor. */
  static final String METADATA = "__metadata__";

  /** The system property that lets longer headers be read. */
  static final String MAX_BYTES_PROPERTY = "ddpm4j.maxHeaderBytes";

  /** The longest header that is read by default; those of published models take some 100 kB. */
  static final long MAX_BYTES = 16 << 20;

  /** No tensor is described in fewer bytes of the longest header than this, on average. */
  private static final int LEAST_BYTES_EACH = 256;

  private static final int MAX_RANK = 32;

  private static final Pattern WHOLE = Pattern.compile("-?(0|[1-9][0-9]{0,18})");

  private static final String DTYPE = "dtype";
  private static final String SHAPE = "shape";
  private static final String OFFSETS = "data_offsets";

  /** What the header says about one tensor; bytes are counted from the end of the header. */
  record Entry(String name, TensorType type, Shape shape, long start, long end) {}

  /**
   * The longest header that is read.
   *
   * @throws IOException if the system property is not a number
   */
  private static long maxBytes() throws IOException {
    String wanted = System.getProperty(MAX_BYTES_PROPERTY);
    if (wanted == null) {
      return MAX_BYTES;
    }
    try {
      return Math.min(Integer.MAX_VALUE, Long.parseLong(wanted));
    } catch (NumberFormatException e) {
      throw new IOException(
          "the system property "
              + MAX_BYTES_PROPERTY
              + " must be a whole number, but was "
              + Quote.of(wanted),
          e);
    }
  }

  /**
   * Reads a header.
   *
   * @param file the file, for messages
   * @param in stands at the header and ends with it
   * @param bytes the length of the header
   * @param dataBytes what follows the header
   * @return the header, which fits the file
   * @throws IOException if it is too long, not what the format says, or does not fit
   */
  static SafetensorsHeader read(Path file, InputStream in, long bytes, long dataBytes)
      throws IOException {
    long most = maxBytes();
    if (bytes > most) {
      throw new IOException(
          file
              + " has a header of "
              + bytes
              + " bytes, where those of published models take some 100 kB and at most "
              + most
              + " are read; if it is right, set the system property "
              + MAX_BYTES_PROPERTY
              + " to "
              + bytes);
    }
    Reading reading = new Reading(file, (int) Math.max(1, most / LEAST_BYTES_EACH));
    try (BufferedInputStream buffered = new BufferedInputStream(in)) {
      buffered.mark(1);
      if (buffered.read() != '{') {
        throw new StrictJson.Malformed("is no JSON object");
      }
      buffered.reset();
      StrictJson.object(buffered, reading::member);
    } catch (StrictJson.Malformed e) {
      throw new IOException(file + " is no safetensors file: its header " + e.getMessage(), e);
    }
    requireWhole(file, reading.entries, dataBytes);
    return new SafetensorsHeader(reading.words, reading.entries);
  }

  /** The format has neither gaps nor overlaps, so tensors take no more memory than the file. */
  private static void requireWhole(Path file, List<Entry> entries, long dataBytes)
      throws IOException {
    long end = 0;
    List<Entry> sorted = new ArrayList<>(entries);
    sorted.sort(Comparator.comparingLong(Entry::start).thenComparingLong(Entry::end));
    for (Entry entry : sorted) {
      if (entry.start != end) {
        throw new IOException(
            about(file, entry.name)
                + " should begin at "
                + end
                + ", where the one before it ends, but lies from "
                + entry.start
                + " to "
                + entry.end);
      }
      end = entry.end;
    }
    if (end != dataBytes) {
      throw new IOException(
          file
              + " should hold "
              + end
              + " bytes of tensors, but holds "
              + dataBytes
              + (end > dataBytes ? "; it is cut off" : ""));
    }
  }

  /** How messages name a tensor. */
  static String about(Path file, String tensor) {
    return "tensor " + Quote.of(tensor) + " of " + file;
  }

  /** What was read of a header so far. */
  private static final class Reading {

    private final Path file;
    private final int most;
    private final Map<String, String> words = new LinkedHashMap<>();
    private final List<Entry> entries = new ArrayList<>();
    private final long[] numbers = new long[MAX_RANK];

    Reading(Path file, int most) {
      this.file = file;
      this.most = most;
    }

    void member(String name, JsonReader json) throws IOException {
      if (name.equals(METADATA)) {
        requireObject(json, METADATA + " of " + file + " must map words to words");
        StrictJson.members(json, this::word);
      } else {
        requireFew(entries.size(), "tensors");
        entries.add(tensor(name, json));
      }
    }

    private void requireFew(int count, String what) throws IOException {
      if (count == most) {
        throw new IOException(
            file
                + " describes more than "
                + most
                + " "
                + what
                + "; if it is right, set the system property "
                + MAX_BYTES_PROPERTY
                + " to "
                + LEAST_BYTES_EACH
                + " times as many or more");
      }
    }

    private void word(String name, JsonReader json) throws IOException {
      requireFew(words.size(), "words");
      if (json.peek() != JsonToken.STRING) {
        throw new IOException(
            METADATA
                + " of "
                + file
                + " must map words to words, but \""
                + Quote.of(name)
                + "\" to "
                + shown(json));
      }
      words.put(name, json.nextString());
    }

    private Entry tensor(String name, JsonReader json) throws IOException {
      requireObject(json, about(file, name) + " must be described by an object");
      Fields fields = new Fields(name);
      StrictJson.members(json, fields::member);
      return fields.entry();
    }

    private static void requireObject(JsonReader json, String rule) throws IOException {
      if (json.peek() != JsonToken.BEGIN_OBJECT) {
        throw new IOException(rule + ", but was " + shown(json));
      }
    }

    /** What is described of one tensor so far. */
    private final class Fields {

      private final String name;
      private @Nullable TensorType type;
      private long @Nullable [] shape;
      private long @Nullable [] offsets;

      Fields(String name) {
        this.name = name;
      }

      void member(String field, JsonReader json) throws IOException {
        switch (field) {
          case DTYPE -> type = type(json);
          case SHAPE ->
              shape = numbers(json, SHAPE, 0, MAX_RANK, "a list of at most 32 whole numbers");
          case OFFSETS -> offsets = numbers(json, OFFSETS, 2, 2, "a list of two whole numbers");
          default -> throw wrongly("\"" + Quote.of(field) + "\" is no part of the format");
        }
      }

      Entry entry() throws IOException {
        if (type == null || shape == null || offsets == null) {
          throw wrongly(
              "it lacks \"" + (type == null ? DTYPE : shape == null ? SHAPE : OFFSETS) + "\"");
        }
        Shape whole = new Shape(shape);
        long size = type.bytes();
        boolean empty = false;
        for (long dimension : shape) {
          if (dimension < 0) {
            throw wrongly("a dimension of " + whole + " is negative");
          }
          // The engine multiplies the others of an empty tensor too.
          if (dimension > 0 && size > Long.MAX_VALUE / dimension) {
            throw new IOException(
                about(file, name) + " is larger than any file: " + Quote.of(whole));
          }
          empty |= dimension == 0;
          size *= Math.max(1, dimension);
        }
        if (empty) {
          size = 0;
        }
        if (offsets[0] < 0 || offsets[1] != offsets[0] + size) {
          throw new IOException(
              about(file, name)
                  + " should take "
                  + size
                  + " bytes for "
                  + Quote.of(whole)
                  + " of "
                  + type
                  + ", but lies from "
                  + offsets[0]
                  + " to "
                  + offsets[1]);
        }
        return new Entry(name, type, whole, offsets[0], offsets[1]);
      }

      private TensorType type(JsonReader json) throws IOException {
        String word = json.peek() == JsonToken.STRING ? json.nextString() : shown(json);
        for (TensorType known : TensorType.values()) {
          if (known.name().equals(word)) {
            return known;
          }
        }
        throw new IOException(
            about(file, name)
                + " must have a dtype of F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL to be"
                + " read, but has "
                + Quote.of(word)
                + "; convert the file");
      }

      private long[] numbers(JsonReader json, String field, int least, int most, String rule)
          throws IOException {
        if (json.peek() != JsonToken.BEGIN_ARRAY) {
          throw wrongly("\"" + field + "\" must be " + rule + ", but was " + shown(json));
        }
        int count = 0;
        json.beginArray();
        while (json.hasNext()) {
          String number = json.peek() == JsonToken.NUMBER ? json.nextString() : shown(json);
          if (count == most || !WHOLE.matcher(number).matches()) {
            throw wrongly(
                "\""
                    + field
                    + "\" must be "
                    + rule
                    + ", but "
                    + (count == most ? "has more" : "holds " + Quote.of(number)));
          }
          numbers[count++] = parse(field, number);
        }
        json.endArray();
        if (count < least) {
          throw wrongly("\"" + field + "\" must be " + rule + ", but has fewer");
        }
        return Arrays.copyOf(numbers, count);
      }

      private long parse(String field, String number) throws IOException {
        try {
          return Long.parseLong(number);
        } catch (NumberFormatException e) {
          throw wrongly("\"" + field + "\" holds " + number + ", which is too large");
        }
      }

      private IOException wrongly(String reason) {
        return new IOException(about(file, name) + " is described wrongly: " + reason);
      }
    }

    /** The value that comes, for a message; reading does not go on from there. */
    private static String shown(JsonReader json) throws IOException {
      return switch (json.peek()) {
        case BEGIN_OBJECT -> "an object";
        case BEGIN_ARRAY -> "a list";
        case STRING -> "\"" + Quote.of(json.nextString()) + "\"";
        case BOOLEAN -> String.valueOf(json.nextBoolean());
        case NULL -> "null";
        default -> Quote.of(json.nextString());
      };
    }
  }
}
