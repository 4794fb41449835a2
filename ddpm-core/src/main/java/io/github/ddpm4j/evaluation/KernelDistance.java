package io.github.ddpm4j.evaluation;

import java.util.Arrays;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;

/**
 * The squared maximum mean discrepancy of two sets of features, unbiased (Gretton et al. 2012, eq.
 * 3), with the cubic kernel of Bińkowski et al. 2018 (section 4): on the features of Inception-v3,
 * the KID.
 *
 * <pre>
 *   k(x, y) = (x·y / d + 1)³
 *   MMD²(X, Y) = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) − 2 mean_{i,j} k(x_i, y_j)
 * </pre>
 *
 * <p>Unlike the Fréchet distance it does not depend on the number of images in the mean, so that a
 * few thousand do; of sets of the same distribution it is 0 in the mean and below 0 half of the
 * time. The cost is n²·d; kernels are worked out block by block and never held all at once.
 */
public final class KernelDistance {

  /** Images per block: {@value}. */
  static final int BLOCK = 256;

  private KernelDistance() {}

  /**
   * The distance of two sets of images.
   *
   * @param generated one row of features per image, at least 2
   * @param reference one row of the same features per image, at least 2
   * @return MMD², which may be below 0
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   */
  public static double between(double[][] generated, double[][] reference) {
    return estimate(generated, reference, Bootstrap.none()).value();
  }

  /**
   * The distance of two sets of images, with an interval.
   *
   * @param generated one row of features per image, at least 2
   * @param reference one row of the same features per image, at least 2
   * @param bootstrap how the interval is found: the images of both sets are drawn again, and pairs
   *     of an image with itself left out. Close to 0 the interval is too wide rather than too short
   * @return the figure
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   */
  public static Estimate estimate(double[][] generated, double[][] reference, Bootstrap bootstrap) {
    FeatureRows.require("generated images", generated, 2, "a kernel distance");
    FeatureRows.require("reference images", reference, 2, "a kernel distance");
    FeatureRows.requireSameWidth(generated, reference);
    DMatrixRMaj ofGenerated = weights(generated.length, bootstrap, 0);
    DMatrixRMaj ofReference = weights(reference.length, bootstrap, 1);
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
        "unbiased");
  }

  /** How often each image is in each set: once in the first column, as drawn in the others. */
  private static DMatrixRMaj weights(int images, Bootstrap bootstrap, int purpose) {
    DMatrixRMaj weights = new DMatrixRMaj(images, 1 + bootstrap.resamples());
    for (int i = 0; i < images; i++) {
      weights.set(i, 0, 1);
    }
    for (int r = 0; r < bootstrap.resamples(); r++) {
      int[] counts = bootstrap.counts(r, purpose, images);
      for (int i = 0; i < images; i++) {
        weights.set(i, 1 + r, counts[i]);
      }
    }
    return weights;
  }

  /**
   * For each column of weights w and v: Σ w_i v_j k(x_i, y_j) / Σ w_i v_j, without i = j if within.
   */
  private static double[] means(
      double[][] xs, DMatrixRMaj w, double[][] ys, DMatrixRMaj v, boolean within) {
    int sets = w.numCols;
    double[] sums = new double[sets];
    DMatrixRMaj kernels = new DMatrixRMaj(BLOCK, BLOCK);
    DMatrixRMaj weighted = new DMatrixRMaj(BLOCK, sets);
    for (int i = 0; i < xs.length; i += BLOCK) {
      DMatrixRMaj x = FeatureRows.block(xs, i, Math.min(xs.length, i + BLOCK));
      int end = within ? i + 1 : ys.length;
      for (int j = 0; j < end; j += BLOCK) {
        DMatrixRMaj y = FeatureRows.block(ys, j, Math.min(ys.length, j + BLOCK));
        kernels.reshape(x.numRows, y.numRows);
        CommonOps_DDRM.multTransB(x, y, kernels);
        cube(kernels, x.numCols);
        boolean diagonal = within && i == j;
        if (diagonal) {
          for (int k = 0; k < x.numRows; k++) {
            kernels.set(k, k, 0);
          }
        }
        // Blocks below the diagonal stand for those above it too.
        double factor = within && !diagonal ? 2 : 1;
        weighted.reshape(x.numRows, sets);
        CommonOps_DDRM.mult(
            kernels, CommonOps_DDRM.extract(v, j, j + y.numRows, 0, sets), weighted);
        for (int a = 0, at = 0; a < x.numRows; a++) {
          for (int r = 0; r < sets; r++, at++) {
            sums[r] += factor * w.get(i + a, r) * weighted.data[at];
          }
        }
      }
    }
    for (int r = 0; r < sets; r++) {
      sums[r] /= pairs(w, v, r, within);
    }
    return sums;
  }

  private static void cube(DMatrixRMaj products, int width) {
    int size = products.getNumElements();
    for (int k = 0; k < size; k++) {
      double base = products.data[k] / width + 1;
      products.data[k] = base * base * base;
    }
  }

  private static double pairs(DMatrixRMaj w, DMatrixRMaj v, int set, boolean within) {
    double sum = 0;
    double other = 0;
    double squares = 0;
    for (int i = 0; i < w.numRows; i++) {
      sum += w.get(i, set);
      squares += w.get(i, set) * w.get(i, set);
    }
    for (int j = 0; j < v.numRows; j++) {
      other += v.get(j, set);
    }
    return within ? sum * sum - squares : sum * other;
  }
}
