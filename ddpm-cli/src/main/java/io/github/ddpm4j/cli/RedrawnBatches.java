package io.github.ddpm4j.cli;

import java.io.IOException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** Pictures that are drawn in batches, each of which is drawn once for all of its files. */
final class RedrawnBatches {

  private static final String IMAGE = "image";

  /** The pictures of batches by their indexes, as long as there are files of them to come. */
  private final Map<Map<String, String>, Map<Long, Drawn>> drawn = new HashMap<>();

  private final Map<Map<String, String>, Long> left = new HashMap<>();

  /** Draws a batch, of which so many pictures are wanted: those by their indexes. */
  @FunctionalInterface
  interface Redrawing {
    Map<Long, Drawn> of(long wanted) throws IOException;
  }

  /** Tells of a file that is to come, by the words that its pixels depend on. */
  void expect(Map<String, String> asked) {
    left.merge(batchOf(asked), 1L, Long::sum);
  }

  /** The picture of a file that was expected. */
  Drawn one(Map<String, String> asked, Redrawing redrawing) throws IOException {
    Map<String, String> batch = batchOf(asked);
    Map<Long, Drawn> all = drawn.get(batch);
    if (all == null) {
      all = redrawing.of(left.getOrDefault(batch, 1L));
      drawn.put(batch, all);
    }
    if (left.merge(batch, -1L, Long::sum) <= 0) {
      drawn.remove(batch);
    }
    return Objects.requireNonNull(all.get(indexOf(asked)));
  }

  /** What files of pictures say alike that one run of the sampler draws. */
  private static Map<String, String> batchOf(Map<String, String> asked) {
    Map<String, String> batch = new LinkedHashMap<>(asked);
    long length = Long.parseLong(asked.getOrDefault("batchSize", "1"));
    batch.put(IMAGE, "batch " + indexOf(asked) / length);
    return batch;
  }

  /** The index of a picture in the run that drew it first. */
  static long indexOf(Map<String, String> words) {
    return Long.parseLong(words.getOrDefault(IMAGE, "0"));
  }
}
