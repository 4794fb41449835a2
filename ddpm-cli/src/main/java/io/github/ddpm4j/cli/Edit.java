package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * New pictures from others, as a user asked for them or as the file of their grid says.
 *
 * @param use what is made of them
 * @param count the number of new pictures
 * @param strength how much of the noise is added; inpainting adds all
 * @param batchSize the pictures of a call of the network
 * @param settings how they are drawn
 * @param pictures what they are made from
 * @param mask where inpainting draws anew; null for other uses
 */
record Edit(
    Use use,
    int count,
    double strength,
    int batchSize,
    SamplerSettings settings,
    List<Source> pictures,
    @Nullable Source mask) {

  /** The name of the command, and the word that says what was made of pictures. */
  static final String COMMAND = "edit";

  /** What is made of pictures. */
  enum Use {
    VARY,
    INPAINT,
    INTERPOLATE;

    /** The number of pictures that it takes. */
    int pictures() {
      return this == INTERPOLATE ? 2 : 1;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private static final String PICTURES = "pictures";
  private static final String MASK = "mask";
  private static final String STRENGTH = "strength";
  private static final String SAMPLER = "sampler";
  private static final String CLASSES = "classes";
  private static final String ATTRIBUTES = "asked attributes";
  private static final String SCALE = "asked guidance";

  /**
   * Reads what the file of a grid says.
   *
   * @throws IllegalArgumentException if that is not all that takes part
   */
  static Edit told(Map<String, String> words) {
    Use use =
        Told.value(
            words,
            COMMAND,
            text ->
                Arrays.stream(Use.values())
                    .filter(one -> one.toString().equals(text))
                    .findFirst()
                    .orElseThrow(NoSuchElementException::new),
            any -> true);
    boolean masked = use == Use.INPAINT;
    SamplerSettings settings =
        new SamplerSettings(
            words.getOrDefault(SAMPLER, ""),
            true,
            Told.value(words, "seed", Long::valueOf, any -> true),
            Told.texts(words, CLASSES),
            Told.texts(words, ATTRIBUTES),
            words.containsKey(SCALE)
                ? Told.value(words, SCALE, Double::valueOf, scale -> Double.isFinite(scale))
                : null);
    try {
      settings.check();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(Told.cannot(String.valueOf(e.getMessage())), e);
    }
    List<Source> masks = masked ? sources(words, MASK, 1) : List.of();
    return new Edit(
        use,
        Told.value(words, "images", Integer::valueOf, count -> count >= use.pictures()),
        masked ? 1 : Told.value(words, STRENGTH, Double::valueOf, share -> share > 0 && share <= 1),
        Told.value(words, "batchSize", Integer::valueOf, size -> size >= 1),
        settings,
        sources(words, PICTURES, use.pictures()),
        masks.isEmpty() ? null : masks.get(0));
  }

  private static List<Source> sources(Map<String, String> words, String name, int count) {
    List<Source> all = Source.told(words, name);
    if (all.size() != count) {
      throw new IllegalArgumentException(
          Told.cannot(
              "it does not tell the SHA-256 of its " + name + ", of which there are " + count));
    }
    return all;
  }

  /** All that was given. */
  Stream<Source> sources() {
    return Stream.concat(pictures.stream(), Stream.ofNullable(mask));
  }

  /** A run that makes them. */
  Sampling sampling(LoadedModel model) {
    return settings.of(model, 0, count).batchSize(batchSize);
  }

  /**
   * Makes them.
   *
   * @param run by {@link #sampling}
   * @param given as many pictures as the use takes, (N, C, H, W)
   * @param white a picture of the mask, (1, C, H, W); null for other uses
   * @return the new pictures; the caller closes them
   */
  Samples make(LoadedModel model, Sampling run, NDArray given, @Nullable NDArray white) {
    return switch (use) {
      case VARY -> run.imageToImage(given.repeat(0, count), strength);
      case INPAINT -> {
        DataRange range = model.ddpm().dataRange();
        NDArray known =
            Objects.requireNonNull(white)
                .get(":, 0:1")
                .lt((range.min() + range.max()) / 2)
                .toType(given.getDataType(), false);
        yield run.inpaint(given.repeat(0, count), known);
      }
      case INTERPOLATE -> {
        double[] fractions =
            IntStream.range(0, count).mapToDouble(i -> i / (count - 1.0)).toArray();
        int t = (int) (strength * (model.ddpm().schedule().timesteps() - 1));
        yield run.interpolate(given.get(0), given.get(1), t, fractions);
      }
    };
  }

  /** All in one file; what lies between two pictures is seen in one row. */
  BufferedImage grid(LoadedModel model, NDArray images) {
    Pictures grid = Grids.of(model, images);
    return (use == Use.INTERPOLATE ? grid.strip() : grid).toGrid();
  }

  /** What the file of their grid says, from which they are made again. */
  Map<String, String> words(LoadedModel model, Samples made) throws IOException {
    Map<String, String> words = Origin.of(COMMAND, model.provenance(made, 0), Map.of(), count);
    words.put(COMMAND, use.toString());
    if (!settings.classes().isEmpty()) {
      words.put(CLASSES, Told.of(settings.classes()));
    }
    if (!settings.attributes().isEmpty()) {
      words.put(ATTRIBUTES, Told.of(settings.attributes()));
    }
    if (settings.guidance() != null) {
      words.put(SCALE, settings.guidance().toString());
    }
    Source.tell(words, PICTURES, pictures);
    if (mask != null) {
      Source.tell(words, MASK, List.of(mask));
    } else {
      words.put(STRENGTH, Double.toString(strength));
    }
    return words;
  }
}
