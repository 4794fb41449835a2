package io.github.ddpm4j.data;

import io.github.ddpm4j.data.FaceParts.Slot;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.model.Attributes;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.StringJoiner;
import java.util.stream.Collectors;
import org.apache.commons.rng.UniformRandomProvider;
import org.jspecify.annotations.Nullable;

/**
 * A pixel-art portrait of {@value #SIDE}x{@value #SIDE} in colour, put together from parts that are
 * drawn by lot. What it shows is known: {@link Attribute} has what can be asked for.
 *
 * <pre>{@code
 * Face face = Face.of(1, 0);             // always the same
 * face.value(Face.Attribute.GLASSES);    // "dark"
 * float[] asked = Face.vector("glasses=dark, hat=red");
 * }</pre>
 *
 * <p>The design is "Pixel Art" by DiceBear, <a
 * href="https://creativecommons.org/publicdomain/zero/1.0/">CC0 1.0</a>: 140 sprites on a grid of
 * 16x16, each cell of which is a block of four pixels here. Immutable and thread-safe.
 */
// The order of slots and attributes is part of what seeds and vectors mean.
@SuppressWarnings("EnumOrdinal")
public final class Face {

  /** The side length in pixels: {@value}. */
  public static final int SIDE = 32;

  private static final int BLOCK = SIDE / FaceParts.GRID;
  private static final int LEVELS = FaceParts.CELLS * FaceParts.CHANNELS;
  private static final double HALF_RANGE = 127.5;

  /** How many of a hundred faces have an optional part. */
  private static final int ACCESSORIES = 10;

  private static final int GLASSES = 30;
  private static final int BEARDS = 15;
  private static final int HATS = 25;
  private static final int HUNDRED = 100;

  /** Rounds of {@link #nearest}; more than two have not been seen to change anything. */
  private static final int ROUNDS = 6;

  /**
   * What can be asked of a face. The values of all attributes one after the other, in this order,
   * are the entries of {@link #vector()}.
   */
  public enum Attribute {
    /** The skin. */
    SKIN("light", "fair", "tan", "brown"),
    /** The hair's length. */
    HAIR("long", "short"),
    /** The hair's colour, and that of a beard. */
    HAIR_COLOR("blond", "brown", "auburn", "black", "blue", "red", "green"),
    /** Glasses that one sees the eyes through, or dark ones. */
    GLASSES("none", "clear", "dark"),
    /** The hat's colour, if there is one. */
    HAT("none", "brown", "blue", "grey", "green", "pink", "purple", "red"),
    /** The expression. */
    MOUTH("happy", "sad"),
    /** Whether there is a beard. */
    BEARD("none", "beard"),
    /** The colour of the clothes. */
    CLOTHING("blue", "green", "red", "yellow"),
    /** The colour of the background. */
    BACKGROUND("white", "blue", "green", "yellow", "pink", "purple");

    // Immutable, of List.of.
    @SuppressWarnings("ImmutableEnumChecker")
    private final List<String> values;

    Attribute(String... values) {
      this.values = List.of(values);
    }

    /**
     * The values, in the order of the vector.
     *
     * @return at least two
     */
    public List<String> names() {
      return values;
    }

    /** Its place among the attributes. */
    @SuppressWarnings("EnumOrdinal") // where it lies in an array
    int index() {
      return ordinal();
    }

    /**
     * Where the values begin in a vector.
     *
     * @return the index of the first one's entry
     */
    public int offset() {
      int before = 0;
      for (Attribute earlier : Arrays.asList(Attribute.values()).subList(0, ordinal())) {
        before += earlier.values.size();
      }
      return before;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
  }

  /** Which hair colours of the design are which value. */
  private static final int[] HAIR_VALUES = {0, 1, 1, 0, 2, 1, 2, 3, 4, 5, 6};

  /** Parts whose style and colour {@link #nearest} tries together. */
  private static final List<List<Slot>> TRIED =
      List.of(
          List.of(Slot.BACKGROUND),
          List.of(Slot.SKIN),
          List.of(Slot.CLOTHING, Slot.CLOTHING_COLOR),
          List.of(Slot.HAIR, Slot.HAIR_COLOR),
          List.of(Slot.HAT, Slot.HAT_COLOR),
          List.of(Slot.GLASSES, Slot.GLASSES_COLOR),
          List.of(Slot.EYES, Slot.EYES_COLOR),
          List.of(Slot.MOUTH, Slot.MOUTH_COLOR),
          List.of(Slot.BEARD),
          List.of(Slot.ACCESSORIES, Slot.ACCESSORIES_COLOR));

  private static final Attributes ATTRIBUTES =
      Attributes.of(
          Arrays.stream(Attribute.values())
              .collect(
                  Collectors.toMap(
                      Attribute::toString,
                      Attribute::names,
                      (first, second) -> first,
                      LinkedHashMap::new)));

  private final int[] choices;

  /** One choice per slot. */
  Face(int[] choices) {
    this.choices = choices;
  }

  /**
   * A face by its number.
   *
   * @param seed any number
   * @param index any number; faces of other indexes are independent
   * @return the same face for the same seed and index, everywhere
   */
  public static Face of(long seed, long index) {
    FaceParts parts = FaceParts.get();
    UniformRandomProvider random =
        CounterRandom.of(seed, CounterRandom.Stream.MADE_PICTURES).at(index, 0);
    int[] choices = new int[Slot.values().length];
    for (Slot slot : Slot.values()) {
      boolean there = !slot.optional() || random.nextInt(HUNDRED) < percent(slot);
      int least = slot.optional() ? 1 : 0;
      int choice = least + random.nextInt(parts.choices(slot) - least);
      choices[slot.index()] = there ? choice : 0;
    }
    return new Face(choices);
  }

  private static int percent(Slot slot) {
    return switch (slot) {
      case ACCESSORIES -> ACCESSORIES;
      case GLASSES -> GLASSES;
      case BEARD -> BEARDS;
      default -> HATS;
    };
  }

  /**
   * The face that comes nearest to a picture, by the squares of the differences: what a drawn
   * picture shows. Each part is tried in every style and colour while the others stay, until none
   * gets better. What a picture hides, such as the hair under a hat, is a guess.
   *
   * @param pixels a picture of (3, {@value #SIDE}, {@value #SIDE}), values in [−1, 1]
   * @return the face
   * @throws IllegalArgumentException if the number of values is another
   */
  public static Face nearest(float[] pixels) {
    double[] wanted = cells(pixels);
    FaceParts parts = FaceParts.get();
    int[] best = new int[Slot.values().length];
    double[] picture = new double[LEVELS];
    double least = Double.POSITIVE_INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
      double before = least;
      for (List<Slot> tried : TRIED) {
        int[] choices = best.clone();
        int first = tried.get(0).index();
        int second = tried.get(tried.size() - 1).index();
        for (int style = 0; style < parts.choices(tried.get(0)); style++) {
          choices[first] = style;
          int colors = tried.size() == 1 ? 1 : parts.choices(tried.get(1));
          for (int color = 0; color < colors; color++) {
            choices[second] = tried.size() == 1 ? style : color;
            parts.draw(choices, picture);
            double distance = distance(picture, wanted, least);
            if (distance < least) {
              least = distance;
              best = choices.clone();
            }
          }
        }
      }
      if (least == before) {
        break;
      }
    }
    return new Face(best);
  }

  private static double distance(double[] picture, double[] wanted, double enough) {
    double sum = 0;
    for (int i = 0; i < LEVELS && sum < enough; i++) {
      double difference = picture[i] - wanted[i];
      sum += difference * difference;
    }
    return sum;
  }

  /** The mean levels of the cells, from 0 to 255. */
  private static double[] cells(float[] pixels) {
    int values = FaceParts.CHANNELS * SIDE * SIDE;
    if (pixels.length != values) {
      throw new IllegalArgumentException(
          "a picture of a face must have 3 x 32 x 32 = "
              + values
              + " values, but had "
              + pixels.length);
    }
    double[] cells = new double[LEVELS];
    for (int i = 0; i < values; i++) {
      int channel = i / (SIDE * SIDE);
      int cell = i / SIDE % SIDE / BLOCK * FaceParts.GRID + i % SIDE / BLOCK;
      cells[cell * FaceParts.CHANNELS + channel] += (pixels[i] + 1) * HALF_RANGE / (BLOCK * BLOCK);
    }
    return cells;
  }

  /**
   * The picture.
   *
   * @return a new array of (3, {@value #SIDE}, {@value #SIDE}), row-major: the level p of 0 to 255
   *     is p / 127.5 − 1
   */
  public float[] pixels() {
    double[] cells = new double[LEVELS];
    FaceParts.get().draw(choices, cells);
    float[] pixels = new float[FaceParts.CHANNELS * SIDE * SIDE];
    for (int i = 0; i < pixels.length; i++) {
      int channel = i / (SIDE * SIDE);
      int cell = i / SIDE % SIDE / BLOCK * FaceParts.GRID + i % SIDE / BLOCK;
      long level = Math.round(cells[cell * FaceParts.CHANNELS + channel]);
      pixels[i] = (float) (level / HALF_RANGE - 1);
    }
    return pixels;
  }

  /**
   * The value of an attribute.
   *
   * @param attribute what to tell
   * @return one of its {@link Attribute#names()}
   */
  public String value(Attribute attribute) {
    return attribute.values.get(index(attribute));
  }

  private int index(Attribute attribute) {
    Objects.requireNonNull(attribute, "attribute");
    return switch (attribute) {
      case SKIN -> choice(Slot.SKIN) / 2;
      case HAIR -> style(Slot.HAIR).startsWith("long") ? 0 : 1;
      case HAIR_COLOR -> HAIR_VALUES[choice(Slot.HAIR_COLOR)];
      case GLASSES ->
          choice(Slot.GLASSES) == 0 ? 0 : style(Slot.GLASSES).startsWith("light") ? 1 : 2;
      case HAT -> choice(Slot.HAT) == 0 ? 0 : 1 + choice(Slot.HAT_COLOR);
      case MOUTH -> style(Slot.MOUTH).startsWith("happy") ? 0 : 1;
      case BEARD -> Math.min(1, choice(Slot.BEARD));
      case CLOTHING -> choice(Slot.CLOTHING_COLOR) / FaceParts.CHANNELS;
      case BACKGROUND -> choice(Slot.BACKGROUND);
    };
  }

  private int choice(Slot slot) {
    return choices[slot.index()];
  }

  private String style(Slot slot) {
    return FaceParts.get().styles(slot).get(choice(slot) - (slot.optional() ? 1 : 0));
  }

  /**
   * The attributes as a vector: 1 at each value that holds, else 0.
   *
   * @return a new array of {@link #vectorLength()} numbers
   */
  public float[] vector() {
    float[] vector = new float[vectorLength()];
    for (Attribute attribute : Attribute.values()) {
      vector[attribute.offset() + index(attribute)] = 1;
    }
    return vector;
  }

  /**
   * The length of a vector.
   *
   * @return the number of values of all attributes
   */
  public static int vectorLength() {
    return ATTRIBUTES.length();
  }

  /**
   * Some attributes as a vector, with zeros for those that are not named.
   *
   * @param text such as {@code "glasses=dark, hair color=black"}; empty for none
   * @return a new array of {@link #vectorLength()} numbers
   * @throws IllegalArgumentException if a word is not an attribute and its value, or an attribute
   *     is named twice
   */
  public static float[] vector(String text) {
    return ATTRIBUTES.vector(text);
  }

  /**
   * What can be asked for, for the metadata of a model: {@link Attributes#METADATA}.
   *
   * @return all of {@link Attribute}
   */
  public static Attributes attributes() {
    return ATTRIBUTES;
  }

  /**
   * In how many parts and colours two faces differ, those that are hidden included.
   *
   * @param other another face
   * @return 0 if they are the same, at most 17
   */
  public int differences(Face other) {
    int differing = 0;
    for (int i = 0; i < choices.length; i++) {
      differing += choices[i] == other.choices[i] ? 0 : 1;
    }
    return differing;
  }

  /** Whether all parts are the same, those that are hidden included. */
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Face face && Arrays.equals(choices, face.choices);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(choices);
  }

  /** The attributes, as {@link #vector(String)} reads them. */
  @Override
  public String toString() {
    StringJoiner words = new StringJoiner(", ");
    for (Attribute attribute : Attribute.values()) {
      words.add(attribute + "=" + value(attribute));
    }
    return words.toString();
  }
}
