package io.github.ddpm4j.evaluation;

import io.github.ddpm4j.internal.random.CounterRandom;
import java.io.Serializable;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.jspecify.annotations.Nullable;

/**
 * The timesteps of a schedule cut into neighbouring ranges, of each of which every image visits one
 * timestep. Range 0 is timestep 0 alone.
 */
final class TimestepRanges implements Serializable {

  private static final long serialVersionUID = 1;

  /** The first timestep of each range, ascending, and at the end the number of timesteps. */
  private final int[] starts;

  private TimestepRanges(int... starts) {
    this.starts = starts;
  }

  /** Every timestep is a range of its own. */
  static TimestepRanges all(int timesteps) {
    return new TimestepRanges(IntStream.rangeClosed(0, timesteps).toArray());
  }

  /**
   * {@code count} ranges that widen towards the noise, where the terms are small: the ends go with
   * the square of the number of the range, each range having one timestep at least.
   */
  static TimestepRanges widening(int timesteps, int count) {
    int[] starts = new int[count + 1];
    for (int i = 1; i <= count; i++) {
      double share = (i - 1.0) / (count - 1);
      int even = 1 + (int) Math.rint((timesteps - 1) * share * share);
      starts[i] = Math.max(even, starts[i - 1] + 1);
    }
    return new TimestepRanges(starts);
  }

  int count() {
    return starts.length - 1;
  }

  int first(int range) {
    return starts[range];
  }

  int last(int range) {
    return starts[range + 1] - 1;
  }

  int size(int range) {
    return starts[range + 1] - starts[range];
  }

  /** The timestep that an image visits in each range. */
  int[] draw(CounterRandom random, long image) {
    UniformRandomProvider numbers = random.at(image, 0);
    return IntStream.range(0, count())
        .map(range -> starts[range] + numbers.nextInt(size(range)))
        .toArray();
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof TimestepRanges ranges && Arrays.equals(starts, ranges.starts);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(starts);
  }

  @Override
  public String toString() {
    return count() + " ranges of " + starts[count()] + " timesteps";
  }
}
