package io.github.ddpm4j.evaluation;

import java.util.Arrays;
import java.util.Objects;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.PermutationSampler;

/**
 * The Fréchet distance between Gaussian approximations of two sets of features (Heusel et al. 2017,
 * eq. 6): with Inception-v3 features, the FID.
 *
 * <pre>
 *   d² = ‖μ_1 − μ_2‖² + tr(Σ_1 + Σ_2 − 2 (Σ_1 Σ_2)^½)
 *   tr (Σ_1 Σ_2)^½ = Σ σ_k(L_1ᵀ L_2),  Σ = L Lᵀ,  σ_k the singular values
 * </pre>
 *
 * <p>The estimate is biased: with fewer images it is larger, by about c / n with an unknown c, and
 * considerably so if n is of the order of the number of features. Compare only values with equal n,
 * or {@link #extrapolate}.
 */
public final class FrechetDistance {

  /** The minimum number of images for {@link #extrapolate}: {@value}. */
  public static final int LEAST_TO_EXTRAPOLATE = 100;

  /** The number of subset sizes used by {@link #extrapolate}: {@value}. */
  public static final int POINTS = 15;

  private static final String REMARK = "biased upwards at this n, compare at equal n alone";

  private FrechetDistance() {}

  /**
   * The distance between two sets of images.
   *
   * @param generated statistics of at least 2 images
   * @param reference statistics of at least 2 images, of the same features
   * @return d², at least 0
   * @throws IllegalArgumentException if the features differ in number or name
   * @throws IllegalStateException if a set has only one image
   */
  public static double between(FeatureStatistics generated, FeatureStatistics reference) {
    Objects.requireNonNull(reference, "reference");
    generated.requireSameFeatures("generated and reference", reference);
    double[] mean = generated.meanUncopied();
    double[] other = reference.meanUncopied();
    double sum = 0;
    for (int k = 0; k < mean.length; k++) {
      sum += (mean[k] - other[k]) * (mean[k] - other[k]);
    }
    sum += generated.trace() + reference.trace();
    return Math.max(0, sum - 2 * Factors.traceOfRoot(generated.factor(), reference.factor()));
  }

  /**
   * The distance of generated images from a reference, with an interval. With n images and d
   * features, a resample costs n·d² for the covariance and some ten times d³ for the rest. With
   * fewer images than features it costs some ten times n³, or n²·d if the reference has more.
   *
   * @param generated one row of features per image, at least 2
   * @param reference statistics of the same features, treated as fixed
   * @param bootstrap the bootstrap settings; the generated images are resampled
   * @return the estimate
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   * @throws IllegalStateException if the reference has only one image
   */
  public static Estimate estimate(
      double[][] generated, FeatureStatistics reference, Bootstrap bootstrap) {
    Objects.requireNonNull(generated, "generated");
    Objects.requireNonNull(reference, "reference");
    FeatureRows.require("generated images", generated, 2, "a Fréchet distance");
    double value = distance(generated, reference);
    int n = generated.length;
    double[] replicates;
    if (bootstrap.resamples() > 0 && n < generated[0].length) {
      FewRows rows = new FewRows(generated, reference);
      replicates = bootstrap.replicates(r -> rows.distance(bootstrap.counts(r, 0, n)));
    } else {
      replicates =
          bootstrap.replicates(
              r -> distance(Bootstrap.rows(generated, bootstrap.draw(r, 0, n)), reference));
    }
    return Estimate.of(
            "Fréchet distance",
            value,
            replicates,
            bootstrap,
            generated.length,
            reference.count(),
            remark(generated, reference))
        .within(0, Double.POSITIVE_INFINITY)
        .resampling(generated.length);
  }

  private static String remark(double[][] generated, FeatureStatistics reference) {
    int width = generated[0].length;
    return generated.length > width && reference.count() > width
        ? REMARK
        : REMARK
            + "; the covariance is singular, as n is not above the number of features ("
            + width
            + ")";
  }

  /**
   * The distance extrapolated to infinitely many generated images (Chong and Forsyth 2020): d² is
   * computed on {@value #POINTS} subsets of n / 10 to n images, a line in 1 / n is fitted, and the
   * estimate is its value at 1 / n = 0. This removes the bias from the generated images to first
   * order, provided that even n / 10 exceeds the number of features; the bias from the reference
   * remains.
   *
   * @param generated one row of features per image, at least {@value #LEAST_TO_EXTRAPOLATE}
   * @param reference statistics of the same features, treated as fixed
   * @param bootstrap the bootstrap settings, with the seed of the subsets; each resample costs
   *     {@value #POINTS} distances
   * @return the estimate, which may be negative by chance; its interval begins at 0, or at the
   *     estimate if that is less
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   * @throws IllegalStateException if the reference has only one image
   */
  public static Estimate extrapolate(
      double[][] generated, FeatureStatistics reference, Bootstrap bootstrap) {
    Objects.requireNonNull(generated, "generated");
    Objects.requireNonNull(reference, "reference");
    Objects.requireNonNull(bootstrap, "bootstrap");
    FeatureRows.require(
        "generated images", generated, LEAST_TO_EXTRAPOLATE, "an extrapolated Fréchet distance");
    double value = intercept(generated, reference, bootstrap, -1);
    double[] replicates =
        bootstrap.replicates(
            r ->
                intercept(
                    Bootstrap.rows(generated, bootstrap.draw(r, 0, generated.length)),
                    reference,
                    bootstrap,
                    r));
    int least = generated.length / 10;
    int width = generated[0].length;
    return Estimate.of(
            "Fréchet distance extrapolated to n = ∞",
            value,
            replicates,
            bootstrap,
            generated.length,
            reference.count(),
            "a line in 1/n through subsets of "
                + least
                + " to "
                + generated.length
                + (least > width
                    ? ""
                    : "; too short: the least subset is not above the number of features ("
                        + width
                        + ")"))
        .within(0, Double.POSITIVE_INFINITY);
  }

  private static double intercept(
      double[][] rows, FeatureStatistics reference, Bootstrap bootstrap, int replicate) {
    int[] sizes = sizes(rows.length);
    double[] distances =
        IntStream.range(0, POINTS)
            .mapToDouble(
                point -> {
                  UniformRandomProvider random = bootstrap.random(replicate, 1 + point);
                  int[] order = PermutationSampler.natural(rows.length);
                  PermutationSampler.shuffle(random, order);
                  return distance(
                      Bootstrap.rows(rows, Arrays.copyOf(order, sizes[point])), reference);
                })
            .toArray();
    return intercept(Arrays.stream(sizes).mapToDouble(n -> 1.0 / n).toArray(), distances);
  }

  /** The numbers of images, evenly from n / 10 to n. */
  static int[] sizes(int n) {
    int least = n / 10;
    return IntStream.range(0, POINTS)
        .map(point -> (int) Math.rint(least + (double) point * (n - least) / (POINTS - 1)))
        .toArray();
  }

  /** Where the line of least squares through the points meets x = 0. */
  static double intercept(double[] x, double[] y) {
    double meanX = Arrays.stream(x).average().orElse(Double.NaN);
    double meanY = Arrays.stream(y).average().orElse(Double.NaN);
    double products = 0;
    double squares = 0;
    for (int i = 0; i < x.length; i++) {
      products += (x[i] - meanX) * (y[i] - meanY);
      squares += (x[i] - meanX) * (x[i] - meanX);
    }
    return meanY - products / squares * meanX;
  }

  private static double distance(double[][] rows, FeatureStatistics reference) {
    return between(FeatureStatistics.ofChecked(rows), reference);
  }
}
