package io.github.ddpm4j.evaluation;

import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;

/**
 * The Inception score (Salimans et al. 2016, section 4): measures how confidently a classifier
 * labels each image and how diverse the labels are. Ranges from 1, the worst, to the number of
 * classes.
 *
 * <pre>
 *   IS = exp(mean_x KL(p(y | x) ‖ p(y))),  p(y) = mean_x p(y | x)
 * </pre>
 *
 * <p>It does not use real images. Published scores are the mean over 10 splits of 50,000 images;
 * with fewer images the score is lower.
 */
public final class InceptionScore {

  /** How far the probabilities of an image may sum up beside 1: {@value}. */
  private static final double SUM_TOLERANCE = 1e-3;

  private InceptionScore() {}

  /**
   * The score of generated images.
   *
   * @param probabilities the class probabilities of each image, which sum to 1: a classifier's
   *     output after softmax; at least 2 rows per split
   * @param splits the number of equal-sized consecutive parts whose scores are averaged; 1 for no
   *     splitting. Leftover images are ignored
   * @param bootstrap the bootstrap settings; the images are resampled
   * @return the estimate
   * @throws IllegalArgumentException if there are fewer rows, {@code splits} is less than 1, or a
   *     row is not a probability distribution
   */
  public static Estimate estimate(double[][] probabilities, int splits, Bootstrap bootstrap) {
    Objects.requireNonNull(probabilities, "probabilities");
    Objects.requireNonNull(bootstrap, "bootstrap");
    if (splits < 1) {
      throw new IllegalArgumentException("splits must be at least 1, but was " + splits);
    }
    FeatureRows.require(
        "generated images",
        probabilities,
        (int) Math.min(Integer.MAX_VALUE, 2L * splits),
        "an Inception score of " + splits + (splits == 1 ? " split" : " splits"));
    for (int i = 0; i < probabilities.length; i++) {
      requireProbabilities(i, probabilities[i]);
    }
    double value = score(probabilities, splits);
    double[] replicates =
        bootstrap.replicates(
            r ->
                score(
                    Bootstrap.rows(probabilities, bootstrap.draw(r, 0, probabilities.length)),
                    splits));
    return Estimate.of(
            "Inception score",
            value,
            replicates,
            bootstrap,
            probabilities.length,
            0,
            splits == 1 ? "" : "mean of " + splits + " splits")
        .within(1, probabilities[0].length)
        .resampling(probabilities.length);
  }

  private static void requireProbabilities(int image, double[] row) {
    double sum = Arrays.stream(row).sum();
    double least = Arrays.stream(row).min().orElse(0);
    if (least < 0 || Math.abs(sum - 1) > SUM_TOLERANCE) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "probabilities must be at least 0 and sum up to 1, but those of image %d are at least %s and sum up to %s; apply softmax to the classifier's output",
              image,
              least,
              sum));
    }
  }

  private static double score(double[][] probabilities, int splits) {
    int size = probabilities.length / splits;
    double sum = 0;
    for (int split = 0; split < splits; split++) {
      sum += score(Arrays.copyOfRange(probabilities, split * size, (split + 1) * size));
    }
    return sum / splits;
  }

  private static double score(double[][] probabilities) {
    int classes = probabilities[0].length;
    double[] marginal = new double[classes];
    for (double[] row : probabilities) {
      for (int k = 0; k < classes; k++) {
        marginal[k] += row[k] / probabilities.length;
      }
    }
    double divergence = 0;
    for (double[] row : probabilities) {
      for (int k = 0; k < classes; k++) {
        if (row[k] > 0) {
          divergence += row[k] * (Math.log(row[k]) - Math.log(marginal[k]));
        }
      }
    }
    return Math.exp(divergence / probabilities.length);
  }
}
