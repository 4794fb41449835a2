package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import java.math.BigInteger;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How an image was drawn, from what its file says.
 *
 * @param words what it says
 * @param image the index of the image in its run
 * @param images the number of images of its run
 * @param length that of a batch
 * @param seed that of the noise
 * @param sampler by which it was drawn
 * @param label its class; null if it had none
 * @param guidance how it was guided
 * @param noisePath whether its noise is of one path
 */
record Recipe(
    Map<String, String> words,
    long image,
    long images,
    int length,
    long seed,
    Sampler sampler,
    @Nullable Integer label,
    Guidance guidance,
    boolean noisePath) {

  private static final Pattern GUIDANCE = Pattern.compile("classifierFree\\((.+)\\)");
  private static final String CANNOT = "the image can't be drawn again from what it says: ";

  /**
   * Reads what a file says.
   *
   * @throws IllegalArgumentException if that is not all that takes part
   */
  static Recipe of(Map<String, String> words) {
    Objects.requireNonNull(words, "provenance");
    if (!words.containsKey("sampler")) {
      throw new IllegalArgumentException(
          "the image does not say how it was drawn; name a PNG file of a sample of this library");
    }
    require(words, "use", "noise");
    if (words.containsKey("pipeline")) {
      throw new IllegalArgumentException(
          CANNOT
              + "it was drawn by the pipeline "
              + words.get("pipeline")
              + ", which has more parts than a network; draw it by the same settings");
    }
    if (words.containsKey("condition")) {
      throw new IllegalArgumentException(
          CANNOT
              + "its condition is "
              + words.get("condition")
              + ", which has numbers that it doesn't tell");
    }
    long image = number(words, "image", 0, Long.MAX_VALUE);
    return new Recipe(
        Map.copyOf(words),
        image,
        number(words, "images", image + 1, Long.MAX_VALUE),
        (int) number(words, "batchSize", 1, Integer.MAX_VALUE),
        number(words, "seed", Long.MIN_VALUE, Long.MAX_VALUE),
        samplerOf(words),
        words.containsKey("label") ? (int) number(words, "label", 0, Integer.MAX_VALUE) : null,
        guidanceOf(words),
        words.containsKey("noisePath"));
  }

  private static Sampler samplerOf(Map<String, String> words) {
    try {
      return Samplers.parse(words.getOrDefault("sampler", ""));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(CANNOT + e.getMessage(), e);
    }
  }

  private static Guidance guidanceOf(Map<String, String> words) {
    Matcher scale = GUIDANCE.matcher(words.getOrDefault("guidance", ""));
    if (scale.matches()) {
      try {
        return Guidance.classifierFree(Double.parseDouble(scale.group(1)));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(CANNOT + "its guidance: " + e.getMessage(), e);
      }
    }
    require(words, "guidance", "none");
    return Guidance.none();
  }

  /** The index of the first image of its batch. */
  private long first() {
    return image / length * length;
  }

  /** Its place in its batch. */
  int place() {
    return (int) (image - first());
  }

  /** The number of images of its batch, of which the last of a run may have fewer. */
  int count() {
    return (int) Math.min(length, images - first());
  }

  /** The noise of its batch. */
  NoiseSource noise() {
    NoiseSource all = NoiseSource.seeded(seed);
    long first = first();
    return (image, draw, target) -> all.normal(first + image, draw, target);
  }

  /** Its attributes as a vector, which the description of a model reads; null if it had none. */
  float @Nullable [] vector(Diffusion diffusion) {
    String text = words.get(Attributes.METADATA);
    if (text == null) {
      return null;
    }
    Attributes known =
        diffusion
            .attributes()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "the image was drawn with the attributes "
                            + text
                            + ", but the model of this run names none; take the model that it was"
                            + " drawn by"));
    return known.vector(text);
  }

  /**
   * Refuses a run that would draw another image.
   *
   * @param name what must be the same
   * @param now what it is; null if that is unknown
   */
  void requireSame(String name, @Nullable String now) {
    String before = words.get(name);
    if (before != null && now != null && !before.equals(now)) {
      throw new IllegalArgumentException(
          "the image was drawn with the "
              + name
              + " "
              + before
              + ", but that of this run is "
              + now
              + "; take the model that it was drawn by");
    }
  }

  private static void require(Map<String, String> words, String name, String value) {
    String found = words.get(name);
    if (!value.equals(found)) {
      throw new IllegalArgumentException(
          CANNOT + "its " + name + " is " + found + ", and only " + value + " is told in full");
    }
  }

  private static long number(Map<String, String> words, String name, long least, long most) {
    String text = words.getOrDefault(name, "none");
    if (text.matches("-?\\d{1,19}")) {
      BigInteger number = new BigInteger(text);
      if (number.compareTo(BigInteger.valueOf(least)) >= 0
          && number.compareTo(BigInteger.valueOf(most)) <= 0) {
        return number.longValue();
      }
    }
    throw new IllegalArgumentException(
        CANNOT
            + "its "
            + name
            + " is "
            + text
            + (name.equals("image") ? "; name the file of one picture, not of a grid" : ""));
  }
}
