package io.github.ddpm4j.sampling;

import io.github.ddpm4j.noise.NoiseSource;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Pictures of a seed by their indexes, drawn in blocks that begin at multiples of their length:
 * each whole or not at all. So the bits of a picture depend on its index and the length alone, not
 * on which others are drawn with it, or where: any number of processes and machines of one kind can
 * share the work, and do a part of it again.
 *
 * <pre>{@code
 * SampleBlocks blocks = new SampleBlocks(42, 16);
 * try (Samples samples = blocks.draw(ddpm.sampling(), 3)) { // pictures 48 to 63
 *   samples.save(0, folder.resolve("48.png"));
 * }
 * }</pre>
 *
 * <p>Immutable and thread-safe.
 */
public final class SampleBlocks {

  private final long seed;
  private final int length;

  /**
   * The blocks of a seed.
   *
   * @param seed the seed of the noise of all pictures
   * @param length the pictures of a block, at least 1; a network call takes them all
   * @throws IllegalArgumentException if the length is less than 1
   */
  public SampleBlocks(long seed, int length) {
    if (length < 1) {
      throw new IllegalArgumentException(
          "the length of blocks must be at least 1, but was " + length);
    }
    this.seed = seed;
    this.length = length;
  }

  /**
   * The block of a picture.
   *
   * @param index the index of the picture, at least 0
   * @return the number of its block, from 0
   */
  public long of(long index) {
    return index / length;
  }

  /**
   * The first picture of a block.
   *
   * @param block the number of the block
   * @return its index
   */
  public long first(long block) {
    return block * length;
  }

  /**
   * The pictures of a block.
   *
   * @return at least 1
   */
  public int length() {
    return length;
  }

  /**
   * Draws a block.
   *
   * @param sampling a run, whose condition is that of the pictures of this block; its noise and
   *     batch size are set
   * @param block the number of the block, at least 0
   * @return the pictures; the caller closes them
   */
  public Samples draw(Sampling sampling, long block) {
    Objects.requireNonNull(sampling, "sampling");
    NoiseSource all = NoiseSource.seeded(seed);
    long first = first(block);
    return sampling
        .noise((image, draw, target) -> all.normal(first + image, draw, target))
        .batchSize(length)
        .generate(length);
  }

  /**
   * How a picture of a block was drawn, as one of a run over all of the indexes before too, which
   * {@link Sampling#reproduce} draws again.
   *
   * @param drawn what is known of it as one of the block, {@link Samples#provenance}
   * @param block the number of the block
   * @param place its place in the block, from 0
   * @return texts by name; unmodifiable
   */
  public Map<String, String> provenance(Map<String, String> drawn, long block, int place) {
    Map<String, String> words = new LinkedHashMap<>();
    drawn.forEach(
        (name, text) -> {
          if (name.equals("images")) {
            words.put("seed", Long.toString(seed)); // where a run that knows it has it
          }
          words.put(name, text);
        });
    words.put("images", Long.toString(first(block + 1)));
    words.put("batchSize", Integer.toString(length));
    words.put("image", Long.toString(first(block) + place));
    return Collections.unmodifiableMap(words);
  }
}
