package io.github.ddpm4j.evaluation;

import org.ojalgo.matrix.store.R064Store;

/**
 * Fréchet distances of resamples of fewer images than features from a reference. Their covariances
 * are not needed: for centred rows X, Σ_1 = Xᵀ X / (n − 1) and Σ_2 = L Lᵀ,
 *
 * <pre>
 *   tr (Σ_1 Σ_2)^½ = Σ σ_k(X L) / √(n − 1)
 * </pre>
 *
 * and X L is worked out once. A row that is drawn c times counts as one √c times as long.
 */
final class FewRows {

  private final R064Store deviations;
  private final R064Store projected;
  private final double[] toReference;
  private final double referenceTrace;

  FewRows(double[][] rows, FeatureStatistics reference) {
    int width = rows[0].length;
    double[] mean = new double[width];
    for (double[] row : rows) {
      for (int k = 0; k < width; k++) {
        mean[k] += row[k] / rows.length;
      }
    }
    deviations = R064Store.FACTORY.make(rows.length, width);
    for (int i = 0; i < rows.length; i++) {
      for (int k = 0; k < width; k++) {
        deviations.set(i, k, rows[i][k] - mean[k]);
      }
    }
    R064Store factor = reference.factor();
    projected = R064Store.FACTORY.make(rows.length, factor.getColDim());
    projected.fillByMultiplying(deviations, factor);
    toReference = reference.meanUncopied().clone();
    for (int k = 0; k < width; k++) {
      toReference[k] -= mean[k];
    }
    referenceTrace = reference.trace();
  }

  /**
   * The distance of a resample.
   *
   * @param counts how often each row was drawn, as often together as there are rows
   */
  double distance(int[] counts) {
    int n = counts.length;
    double[] mean = mean(deviations, counts);
    double sum = 0;
    double ofMean = 0;
    for (int k = 0; k < mean.length; k++) {
      sum += (mean[k] - toReference[k]) * (mean[k] - toReference[k]);
      ofMean += mean[k] * mean[k];
    }
    double squares = -n * ofMean;
    int drawn = 0;
    for (int i = 0; i < n; i++) {
      if (counts[i] > 0) {
        drawn++;
        for (int k = 0; k < mean.length; k++) {
          squares += counts[i] * deviations.doubleValue(i, k) * deviations.doubleValue(i, k);
        }
      }
    }
    double[] centre = mean(projected, counts);
    R064Store scaled = R064Store.FACTORY.make(drawn, centre.length);
    int row = 0;
    for (int i = 0; i < n; i++) {
      if (counts[i] > 0) {
        double length = Math.sqrt(counts[i] / (n - 1.0));
        for (int k = 0; k < centre.length; k++) {
          scaled.set(row, k, length * (projected.doubleValue(i, k) - centre[k]));
        }
        row++;
      }
    }
    double roots = Factors.sumOfSingularValues(scaled);
    return Math.max(0, sum + squares / (n - 1) + referenceTrace - 2 * roots);
  }

  private static double[] mean(R064Store rows, int[] counts) {
    double[] mean = new double[rows.getColDim()];
    for (int k = 0; k < mean.length; k++) {
      for (int i = 0; i < counts.length; i++) {
        mean[k] += counts[i] * rows.doubleValue(i, k);
      }
      mean[k] /= counts.length;
    }
    return mean;
  }
}
