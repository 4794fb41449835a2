package io.github.ddpm4j.cli;

import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How a picture was drawn, from what its file says.
 *
 * @param file the file
 * @param words what it says
 * @param image the index of the picture in its run
 * @param images the number of pictures of its run
 * @param length that of a batch
 * @param seed that of the noise
 * @param label its class
 * @param guidance the scale
 */
record Recipe(
    Path file,
    Map<String, String> words,
    long image,
    long images,
    int length,
    long seed,
    @Nullable Integer label,
    @Nullable Double guidance) {

  private static final Pattern GUIDANCE = Pattern.compile("classifierFree\\((.+)\\)");

  /**
   * Reads what a file says.
   *
   * @throws IllegalArgumentException if that is not all that takes part
   */
  static Recipe of(Path file) throws IOException {
    Map<String, String> words = Pictures.provenance(file);
    if (!words.containsKey("sampler")) {
      throw new IllegalArgumentException(
          file + " does not say how it was drawn; name a PNG file of a sample of this library");
    }
    require(words, "use", "noise", file);
    if (words.containsKey("condition")) {
      throw new IllegalArgumentException(
          file
              + " can't be drawn again from what it says: its condition is "
              + words.get("condition")
              + ", which has numbers that it doesn't tell");
    }
    String guidance = words.getOrDefault("guidance", "none");
    Matcher scale = GUIDANCE.matcher(guidance);
    boolean guided = scale.matches();
    if (!guided) {
      require(words, "guidance", "none", file);
    }
    try {
      Samplers.parse(words.get("sampler"));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          file + " can't be drawn again from what it says: " + e.getMessage(), e);
    }
    long image = number(words, "image", 0, Long.MAX_VALUE, file);
    return new Recipe(
        file,
        words,
        image,
        number(words, "images", image + 1, Long.MAX_VALUE, file),
        (int) number(words, "batchSize", 1, Integer.MAX_VALUE, file),
        number(words, "seed", Long.MIN_VALUE, Long.MAX_VALUE, file),
        words.containsKey("label")
            ? (int) number(words, "label", 0, Integer.MAX_VALUE, file)
            : null,
        guided ? Double.valueOf(scale.group(1)) : null);
  }

  /** A run that draws its batch again. */
  Sampling sampling(LoadedModel model) {
    Sampling sampling = model.sampling().sampler(Samplers.parse(words.getOrDefault("sampler", "")));
    // Conditions of the others in the batch don't matter: an image depends on its own alone.
    Condition condition = Condition.none();
    if (label != null) {
      condition = Condition.labels(label);
    }
    String attributes = words.get(Attributes.METADATA);
    if (attributes != null) {
      condition = condition.and(model.attributes(List.of(attributes)));
    }
    sampling.condition(condition);
    return guidance == null ? sampling : sampling.guidance(Guidance.classifierFree(guidance));
  }

  /** The block of its picture. */
  long block() {
    return image / length;
  }

  /** Its place in that block. */
  int place() {
    return (int) (image % length);
  }

  /** The number of pictures of its block, of which the last of a run may have fewer. */
  int count() {
    return (int) Math.min(length, images - block() * length);
  }

  private static void require(Map<String, String> words, String name, String value, Path file) {
    String found = words.get(name);
    if (!value.equals(found)) {
      throw new IllegalArgumentException(
          file
              + " can't be drawn again from what it says: its "
              + name
              + " is "
              + found
              + ", and only "
              + value
              + " is told in full");
    }
  }

  private static long number(
      Map<String, String> words, String name, long least, long most, Path file) {
    String text = words.getOrDefault(name, "none");
    if (text.matches("-?\\d{1,19}")) {
      BigInteger number = new BigInteger(text);
      if (number.compareTo(BigInteger.valueOf(least)) >= 0
          && number.compareTo(BigInteger.valueOf(most)) <= 0) {
        return number.longValue();
      }
    }
    throw new IllegalArgumentException(
        file
            + " can't be drawn again from what it says: its "
            + name
            + " is "
            + text
            + (name.equals("image") ? "; name the file of one picture, not of a grid" : ""));
  }
}
