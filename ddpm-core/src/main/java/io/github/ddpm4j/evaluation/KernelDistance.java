package io.github.ddpm4j.evaluation;

import java.util.Arrays;
import java.util.Objects;
import org.ojalgo.matrix.store.R064Store;

/**
 * The unbiased squared maximum mean discrepancy (MMD) between two sets of features (Gretton et al.
 * 2012, eq. 3), with the cubic kernel of Bińkowski et al. 2018 (section 4): with Inception-v3
 * features, the KID.
 *
 * <pre>
 *   k(x, y) = (x·y / d + 1)³
 *   MMD²(X, Y) = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) − 2 mean_{i,j} k(x_i, y_j)
 * </pre>
 *
 * <p>Unlike the Fréchet distance, its expectation does not depend on the number of images, so a few
 * thousand suffice. For sets from the same distribution its mean is 0, and it is negative half of
 * the time. The cost is n²·d; kernels are computed block by block and never held all at once.
 */
public final class KernelDistance {

  /** Images per block: {@value}. */
  static final int BLOCK = 256;

  private KernelDistance() {}

  /**
   * The distance between two sets of images.
   *
   * @param generated one row of features per image, at least 2
   * @param reference one row of the same features per image, at least 2
   * @return MMD², which may be negative
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   */
  public static double between(double[][] generated, double[][] reference) {
    Objects.requireNonNull(generated, "generated");
    Objects.requireNonNull(reference, "reference");
    return estimate(generated, reference, Bootstrap.none()).value();
  }

  /**
   * The distance between two sets of images, with an interval.
   *
   * @param generated one row of features per image, at least 2
   * @param reference one row of the same features per image, at least 2
   * @param bootstrap the bootstrap settings; the images of both sets are resampled, with at least
   *     two distinct images each time and without pairs of an image with itself. Close to 0 the
   *     interval is conservative
   * @return the estimate
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   */
  public static Estimate estimate(double[][] generated, double[][] reference, Bootstrap bootstrap) {
    Objects.requireNonNull(generated, "generated");
    Objects.requireNonNull(reference, "reference");
    FeatureRows.require("generated images", generated, 2, "a kernel distance");
    FeatureRows.require("reference images", reference, 2, "a kernel distance");
    FeatureRows.requireSameWidth(generated, reference);
    double[][] ofGenerated = weights(generated.length, bootstrap, 0);
    double[][] ofReference = weights(reference.length, bootstrap, 1);
    double[] within = means(generated, ofGenerated, generated, ofGenerated, true);
    double[] withinReference = means(reference, ofReference, reference, ofReference, true);
    double[] across = means(generated, ofGenerated, reference, ofReference, false);
    double[] distances = new double[within.length];
    for (int r = 0; r < distances.length; r++) {
      distances[r] = within[r] + withinReference[r] - 2 * across[r];
    }
    return Estimate.of(
            "kernel distance",
            distances[0],
            Arrays.copyOfRange(distances, 1, distances.length),
            bootstrap,
            generated.length,
            reference.length,
            "unbiased")
        .resampling(Math.min(generated.length, reference.length));
  }

  /** How often each image is in each set: once in the first row, as drawn in the others. */
  private static double[][] weights(int images, Bootstrap bootstrap, int purpose) {
    double[][] weights = new double[1 + bootstrap.resamples()][];
    weights[0] = new double[images];
    Arrays.fill(weights[0], 1);
    for (int r = 0; r < bootstrap.resamples(); r++) {
      weights[1 + r] =
          Arrays.stream(counts(r, purpose, images, bootstrap)).asDoubleStream().toArray();
    }
    return weights;
  }

  /** A set of one image over and over has no pairs and is drawn again. */
  private static int[] counts(int replicate, int purpose, int images, Bootstrap bootstrap) {
    int[] counts = bootstrap.counts(replicate, purpose, images);
    for (int next = purpose + 2; Arrays.stream(counts).max().orElse(0) == images; next += 2) {
      counts = bootstrap.counts(replicate, next, images);
    }
    return counts;
  }

  /**
   * For each row of weights w and v: Σ w_i v_j k(x_i, y_j) / Σ w_i v_j, without i = j if within.
   */
  private static double[] means(
      double[][] xs, double[][] w, double[][] ys, double[][] v, boolean within) {
    int sets = w.length;
    double[] sums = new double[sets];
    for (int i = 0; i < xs.length; i += BLOCK) {
      int endI = Math.min(xs.length, i + BLOCK);
      R064Store x = FeatureRows.columns(xs, i, endI);
      int end = within ? i + 1 : ys.length;
      for (int j = 0; j < end; j += BLOCK) {
        int endJ = Math.min(ys.length, j + BLOCK);
        R064Store y = FeatureRows.columns(ys, j, endJ);
        boolean diagonal = within && i == j;
        R064Store kernels = kernels(x, y, xs[0].length, diagonal);
        // Blocks below the diagonal stand for those above it too.
        double factor = within && !diagonal ? 2 : 1;
        R064Store weighted = R064Store.FACTORY.make(endI - i, sets);
        weighted.fillByMultiplying(kernels, part(v, j, endJ).transpose());
        for (int r = 0; r < sets; r++) {
          for (int a = 0; a < endI - i; a++) {
            sums[r] += factor * w[r][i + a] * weighted.doubleValue(a, r);
          }
        }
      }
    }
    for (int r = 0; r < sets; r++) {
      sums[r] /= pairs(w[r], v[r], within);
    }
    return sums;
  }

  /** Some columns, the rows of which are the sets. */
  private static R064Store part(double[][] weights, int first, int end) {
    R064Store part = R064Store.FACTORY.make(weights.length, end - first);
    for (int r = 0; r < weights.length; r++) {
      for (int j = first; j < end; j++) {
        part.set(r, j - first, weights[r][j]);
      }
    }
    return part;
  }

  private static R064Store kernels(R064Store x, R064Store y, int width, boolean diagonal) {
    int rows = x.getColDim();
    double[] values = new double[rows * y.getColDim()];
    R064Store kernels = R064Store.wrap(values, rows);
    kernels.fillByMultiplying(x.transpose(), y);
    for (int k = 0; k < values.length; k++) {
      double base = values[k] / width + 1;
      values[k] = base * base * base;
    }
    for (int k = 0; diagonal && k < rows; k++) {
      values[k * rows + k] = 0;
    }
    return kernels;
  }

  private static double pairs(double[] w, double[] v, boolean within) {
    double sum = Arrays.stream(w).sum();
    return within
        ? sum * sum - Arrays.stream(w).map(weight -> weight * weight).sum()
        : sum * Arrays.stream(v).sum();
  }
}
