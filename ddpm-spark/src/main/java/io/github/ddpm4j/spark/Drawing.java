package io.github.ddpm4j.spark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.SampleBlocks;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.spark.Loaded.Lease;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How pictures are drawn: all that their bits depend on, beside the kind of machine and the number
 * of threads.
 *
 * @param model the model
 * @param sampler the sampler, as {@link Samplers#parse} reads it
 * @param seed the seed of all pictures
 * @param block the pictures of a block
 * @param labels a class of each picture in turn; empty for none
 * @param guidance the scale of classifier-free guidance; null for none
 * @param end the index after the last picture that is wanted
 */
record Drawing(
    SparkModel model,
    String sampler,
    long seed,
    int block,
    List<Integer> labels,
    @Nullable Double guidance,
    long from,
    long end)
    implements Serializable {

  /** The model's file in the words of a picture; where the model cannot tell it, ours stands. */
  private static final String MODEL = "model";

  /** A picture that was drawn. */
  record Drawn(
      long index, @Nullable Integer label, BufferedImage picture, Map<String, String> words) {}

  SampleBlocks blocks() {
    return new SampleBlocks(seed, block);
  }

  /** The wanted indexes of a block: from. */
  long first(long number) {
    return Math.max(from, blocks().first(number));
  }

  /** The wanted indexes of a block: to, exclusive. */
  long end(long number) {
    return Math.min(end, blocks().first(number + 1));
  }

  /** The number of the block after the last. */
  long lastBlock() {
    return blocks().of(end - 1) + 1;
  }

  /** On an executor: draws a block, and keeps what is wanted of it. */
  List<Drawn> draw(long number) {
    try (Lease<DDPM> lease = model.use()) {
      return Failures.onExecutor(
          "drawing pictures " + first(number) + " to " + (end(number) - 1),
          () -> drawn(lease.get(), number));
    }
  }

  private List<Drawn> drawn(DDPM ddpm, long number) throws IOException {
    SampleBlocks blocks = blocks();
    List<Drawn> all = new ArrayList<>();
    try (Samples samples = blocks.draw(sampling(ddpm, blocks.first(number)), number)) {
      for (long index = first(number); index < end(number); index++) {
        int place = (int) (index - blocks.first(number));
        Map<String, String> words = new LinkedHashMap<>(samples.provenance(place));
        words.putIfAbsent(MODEL, model.digest());
        all.add(
            new Drawn(
                index,
                label(index),
                samples.pictures().get(place),
                blocks.provenance(words, number, place)));
      }
    }
    return all;
  }

  private Sampling sampling(DDPM ddpm, long first) {
    Sampling sampling = ddpm.sampling().sampler(Samplers.parse(sampler));
    if (!labels.isEmpty()) {
      int[] each = new int[block];
      Arrays.setAll(each, i -> labels.get((int) ((first + i) % labels.size())));
      sampling.condition(Condition.labels(each));
    }
    if (guidance != null) {
      sampling.guidance(Guidance.classifierFree(guidance));
    }
    return sampling;
  }

  private @Nullable Integer label(long index) {
    return labels.isEmpty() ? null : labels.get((int) (index % labels.size()));
  }

  /** What a folder of such pictures must have been drawn by. */
  Map<String, String> settings() {
    Map<String, String> words = new LinkedHashMap<>();
    words.put(MODEL, model.digest());
    words.put("sampler", sampler);
    words.put("seed", Long.toString(seed));
    words.put("block", Integer.toString(block));
    if (!labels.isEmpty()) {
      words.put("labels", labels.toString());
    }
    if (guidance != null) {
      words.put("guidance", guidance.toString());
    }
    return words;
  }

  /** The same for other indexes. */
  Drawing of(long newFrom, long newEnd) {
    return new Drawing(model, sampler, seed, block, labels, guidance, newFrom, newEnd);
  }
}
