package io.github.ddpm4j.cli;

import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Pictures of a seed by their indexes, drawn in blocks that begin at multiples of their length:
 * each whole or not at all. So the bits of a picture depend on its index and the length alone, not
 * on which others are drawn with it, or where.
 */
final class Blocks {

  private final int length;

  Blocks(int length) {
    this.length = length;
  }

  long of(long index) {
    return index / length;
  }

  long first(long block) {
    return block * length;
  }

  int length() {
    return length;
  }

  /** Draws a block. */
  Samples draw(Sampling sampling, long seed, long block) {
    NoiseSource all = NoiseSource.seeded(seed);
    long first = first(block);
    return sampling
        .noise((image, draw, target) -> all.normal(first + image, draw, target))
        .batchSize(length)
        .generate(length);
  }

  /** How a picture of a block was drawn, as one of a run over all of the indexes before too. */
  Map<String, String> provenance(LoadedModel model, Samples drawn, long seed, long block, int place)
      throws IOException {
    Map<String, String> words = new LinkedHashMap<>();
    model
        .provenance(drawn, place)
        .forEach(
            (name, text) -> {
              if (name.equals("images")) {
                words.put("seed", Long.toString(seed)); // where a run that knows it has it
              }
              words.put(name, text);
            });
    words.put("images", Long.toString(first(block + 1)));
    words.put("batchSize", Integer.toString(length));
    words.put("image", Long.toString(first(block) + place));
    return words;
  }
}
