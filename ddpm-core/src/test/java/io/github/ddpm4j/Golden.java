package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Numbers that published reference code printed, from {@code src/test/resources/golden}, and
 * comparison with them, element by element. See the README there.
 *
 * <pre>
 *   Golden ddim = Golden.load("ddim.json").at("linear|leading|50|eta=0.0|clip=False|model=A");
 *   double[] expected = ddim.data("final");
 *   Golden.assertClose("DDIM", actual, expected, 1e-9);
 * </pre>
 *
 * <p>{@code mvn test -Dorg.slf4j.simpleLogger.log.io.github.ddpm4j.Golden=info} shows the largest
 * difference of every comparison.
 */
public final class Golden {

  private static final Logger LOGGER = LoggerFactory.getLogger(Golden.class);
  private static final String FOLDER = "/golden/";

  private final String name;
  private final JsonElement json;

  private Golden(String name, JsonElement json) {
    this.name = name;
    this.json = json;
  }

  /** A JSON file of the folder. */
  public static Golden load(String file) {
    try (InputStreamReader reader = new InputStreamReader(open(file), StandardCharsets.UTF_8)) {
      return new Golden(file, JsonParser.parseReader(reader));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Raw little-endian doubles, such as {@code noise1000.f64le.bin}, of shape (1000,2,3,4,4). */
  public static double[] binary(String file) {
    try (InputStream in = open(file)) {
      ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
      double[] values = new double[bytes.remaining() / Double.BYTES];
      bytes.asDoubleBuffer().get(values);
      return values;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static InputStream open(String file) {
    InputStream in = Golden.class.getResourceAsStream(FOLDER + file);
    if (in == null) {
      throw new IllegalArgumentException("no golden file " + file + " on the class path");
    }
    return in;
  }

  /** The value under a path of keys. */
  public Golden at(String... path) {
    Golden golden = this;
    for (String key : path) {
      if (!golden.has(key)) {
        throw new IllegalArgumentException(golden.name + " has no key " + key);
      }
      golden = new Golden(golden.name + " > " + key, golden.object().get(key));
    }
    return golden;
  }

  /** Whether the value is an object with this key. */
  public boolean has(String key) {
    return json.isJsonObject() && object().has(key);
  }

  /** The keys, in the order of the file. */
  public Set<String> keys() {
    return object().keySet();
  }

  /** A number under a path of keys. */
  public double number(String... path) {
    return at(path).json.getAsDouble();
  }

  /** A text under a path of keys. */
  public String text(String... path) {
    return at(path).json.getAsString();
  }

  /** A truth value under a path of keys. */
  public boolean flag(String... path) {
    return at(path).json.getAsBoolean();
  }

  /** The values of an array {@code {"shape": …, "data": …}} under a path of keys, row-major. */
  public double[] data(String... path) {
    return numbers(at(path).at("data"));
  }

  /** The values of an array of whole numbers. */
  public int[] integers(String... path) {
    return Arrays.stream(data(path))
        .mapToInt(value -> Math.toIntExact(Math.round(value)))
        .toArray();
  }

  /** The shape of an array. */
  public Shape shape(String... path) {
    return new Shape(
        Arrays.stream(numbers(at(path).at("shape"))).mapToLong(value -> (long) value).toArray());
  }

  /** An array as an NDArray of FLOAT32 or FLOAT64, attached to the manager. */
  public NDArray array(NDManager manager, DataType type, String... path) {
    NDArray array = manager.create(data(path), shape(path));
    if (type == DataType.FLOAT64) {
      return array;
    }
    try (array) {
      return array.toType(type, false);
    }
  }

  private JsonObject object() {
    return json.getAsJsonObject();
  }

  private static double[] numbers(Golden golden) {
    double[] values = new double[golden.json.getAsJsonArray().size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = golden.json.getAsJsonArray().get(i).getAsDouble();
    }
    return values;
  }

  @Override
  public String toString() {
    return name;
  }

  /** The values of a FLOAT32 or FLOAT64 array as doubles. */
  public static double[] values(NDArray array) {
    if (array.getDataType() == DataType.FLOAT64) {
      return array.toDoubleArray();
    }
    float[] floats = array.toFloatArray();
    double[] values = new double[floats.length];
    for (int i = 0; i < floats.length; i++) {
      values[i] = floats[i];
    }
    return values;
  }

  /**
   * Asserts |actual − expected| ≤ tolerance · |expected| for every element.
   *
   * @return the largest relative difference
   */
  public static double assertRelative(
      String what, double[] actual, double[] expected, double tolerance) {
    return assertWithin(what, actual, expected, tolerance, 0);
  }

  /**
   * Asserts |actual − expected| ≤ tolerance · (1 + |expected|) for every element.
   *
   * @return the largest difference relative to 1 + |expected|
   */
  public static double assertClose(
      String what, double[] actual, double[] expected, double tolerance) {
    return assertWithin(what, actual, expected, tolerance, 1);
  }

  private static double assertWithin(
      String what, double[] actual, double[] expected, double tolerance, double floor) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    int worst = -1;
    double largest = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = difference(actual[i], expected[i], floor);
      if (!(difference <= largest)) {
        largest = difference;
        worst = i;
        if (Double.isNaN(difference)) {
          break;
        }
      }
    }
    assertThat(largest <= tolerance)
        .as(
            "%s: the largest difference relative to %s is %s at index %d of %d (expected %s, but was"
                + " %s), tolerance %s",
            what,
            floor == 0 ? "|x|" : "1 + |x|",
            largest,
            worst,
            actual.length,
            worst < 0 ? "" : expected[worst],
            worst < 0 ? "" : actual[worst],
            tolerance)
        .isTrue();
    LOGGER.info("{}: largest difference {} at index {}", what, largest, worst);
    return largest;
  }

  private static double difference(double actual, double expected, double floor) {
    if (Double.compare(actual, expected) == 0 || actual == expected) {
      return 0;
    }
    return Math.abs(actual - expected) / (floor + Math.abs(expected));
  }
}
