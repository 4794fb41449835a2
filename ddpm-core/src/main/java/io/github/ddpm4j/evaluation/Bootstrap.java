package io.github.ddpm4j.evaluation;

import io.github.ddpm4j.internal.random.CounterRandom;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;

/**
 * Settings of a bootstrap confidence interval: the samples are resampled with replacement and the
 * statistic is recomputed on each resample (Efron 1979). The interval is
 *
 * <pre>
 *   [θ + q_{(1−c)/2}, θ + q_{(1+c)/2}]
 * </pre>
 *
 * where θ is the statistic, c the confidence, and q are quantiles of the deviations of the
 * resampled statistics from their mean. It reflects the variability between sample sets of this
 * size, but not the bias of the statistic at this size. It ends where the statistic's range does,
 * and there is none of fewer than {@value #LEAST_IMAGES} images.
 *
 * @param resamples the number of resamples; 0 for no interval, otherwise at least {@value #LEAST}
 * @param confidence c, above 0 and below 1
 * @param seed the seed of the resampling: the same seed gives the same interval
 */
public record Bootstrap(int resamples, double confidence, long seed) {

  /** The default number of resamples, used by {@link #seeded}: {@value}. */
  public static final int DEFAULT_RESAMPLES = 200;

  /** The default confidence, used by {@link #seeded}: {@value}. */
  public static final double DEFAULT_CONFIDENCE = 0.95;

  /** The minimum number of resamples for an interval: {@value}. */
  public static final int LEAST = 20;

  /**
   * The minimum number of images to resample for an interval, {@value}: fewer say too little about
   * other images, and their resamples repeat.
   */
  public static final int LEAST_IMAGES = 10;

  /**
   * Creates the settings.
   *
   * @param resamples the number of resamples
   * @param confidence the confidence level
   * @param seed any number
   * @throws IllegalArgumentException if {@code resamples} is neither 0 nor at least {@value
   *     #LEAST}, or {@code confidence} is not between 0 and 1
   */
  public Bootstrap {
    if (resamples != 0 && resamples < LEAST) {
      throw new IllegalArgumentException(
          "resamples must be at least " + LEAST + ", or 0 for no interval, but was " + resamples);
    }
    if (!(confidence > 0 && confidence < 1)) {
      throw new IllegalArgumentException(
          "confidence must be above 0 and below 1, but was " + confidence + "; 0.95 is usual");
    }
  }

  /**
   * The default settings: {@value #DEFAULT_RESAMPLES} resamples at a confidence of {@value
   * #DEFAULT_CONFIDENCE}.
   *
   * @param seed any number
   * @return the settings
   */
  public static Bootstrap seeded(long seed) {
    return new Bootstrap(DEFAULT_RESAMPLES, DEFAULT_CONFIDENCE, seed);
  }

  /**
   * No interval.
   *
   * @return the settings
   */
  public static Bootstrap none() {
    return new Bootstrap(0, DEFAULT_CONFIDENCE, 0);
  }

  /** Works the replicates out, several at a time; each must depend on its number alone. */
  double[] replicates(IntToDoubleFunction replicate) {
    return IntStream.range(0, resamples).parallel().mapToDouble(replicate).toArray();
  }

  /** {@code count} places among {@code count}, drawn with replacement. */
  int[] draw(int replicate, int purpose, int count) {
    UniformRandomProvider random = random(replicate, purpose);
    int[] places = new int[count];
    for (int i = 0; i < count; i++) {
      places[i] = random.nextInt(count);
    }
    return places;
  }

  /** How often each of {@code count} places was drawn. */
  int[] counts(int replicate, int purpose, int count) {
    int[] counts = new int[count];
    for (int place : draw(replicate, purpose, count)) {
      counts[place]++;
    }
    return counts;
  }

  UniformRandomProvider random(int replicate, int purpose) {
    return CounterRandom.of(seed, CounterRandom.Stream.RESAMPLING).at(replicate, purpose);
  }

  static double[][] rows(double[][] all, int[] places) {
    return Arrays.stream(places).mapToObj(i -> all[i]).toArray(double[][]::new);
  }

  /** Where the interval begins, NaN if there is none. */
  double low(double value, double[] replicates) {
    return value + quantileOfDeviations(replicates, (1 - confidence) / 2);
  }

  /** Where the interval ends, NaN if there is none. */
  double high(double value, double[] replicates) {
    return value + quantileOfDeviations(replicates, (1 + confidence) / 2);
  }

  private static double quantileOfDeviations(double[] replicates, double share) {
    if (replicates.length == 0) {
      return Double.NaN;
    }
    double[] sorted = replicates.clone();
    Arrays.sort(sorted);
    // Of n draws the k-th smallest has k / (n + 1) below it in the mean.
    double at = Math.max(0, Math.min(sorted.length - 1, share * (sorted.length + 1) - 1));
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    double quantile = sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    return quantile - Arrays.stream(sorted).average().orElse(Double.NaN);
  }
}
