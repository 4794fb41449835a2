package io.github.ddpm4j.internal.average;

import java.util.List;
import org.ojalgo.matrix.decomposition.Cholesky;
import org.ojalgo.matrix.store.MatrixStore;
import org.ojalgo.matrix.store.R064Store;

/**
 * An average as a sum of others: the least squares of profiles (Karras et al. 2024, section 3.2 and
 * algorithm 3).
 *
 * <pre>
 *   Σ_j ⟨p_i, p_j⟩ x_j = ⟨p_i, p⟩ for all i,      θ̂ = Σ_j x_j θ̂_j / Σ_j x_j
 * </pre>
 *
 * @param coefficients x_j / Σ x_j
 * @param error ‖p − Σ x_j p_j‖ / ‖p‖ with these coefficients, 0 where the average was tracked
 */
@SuppressWarnings("ArrayRecordComponent") // handed over once
public record PowerFit(double[] coefficients, double error) {

  /**
   * Solves the least squares in double.
   *
   * @param wanted p
   * @param tracked the p_j, no two of them alike, at least one
   * @return the coefficients in the order of {@code tracked}
   * @throws IllegalArgumentException if profiles are alike to rounding
   */
  public static PowerFit of(PowerProfile wanted, List<PowerProfile> tracked) {
    int n = tracked.size();
    double length = norm(wanted);
    double[] norms = tracked.stream().mapToDouble(PowerFit::norm).toArray();
    R064Store products = R064Store.FACTORY.make(n, n);
    R064Store right = R064Store.FACTORY.make(n, 1);
    for (int i = 0; i < n; i++) {
      // Of profiles of length 1: an early one is as much longer as it is shorter in time.
      right.set(i, 0, tracked.get(i).inner(wanted) / (norms[i] * length));
      for (int j = 0; j < n; j++) {
        products.set(i, j, tracked.get(i).inner(tracked.get(j)) / (norms[i] * norms[j]));
      }
    }
    Cholesky<Double> cholesky = Cholesky.R064.make(n, n);
    if (!cholesky.decompose(products) || !cholesky.isSPD()) {
      throw new IllegalArgumentException(
          "two of the "
              + n
              + " averages are alike to rounding, so that their sum is not determined; take some"
              + " of them away");
    }
    MatrixStore<Double> x = cholesky.getSolution(right);
    // Of the profiles of length 1, then of the averages.
    double sum = 0;
    double[] own = new double[n];
    for (int i = 0; i < n; i++) {
      own[i] = x.doubleValue(i, 0);
      sum += own[i] * length / norms[i];
    }
    double[] coefficients = new double[n];
    for (int i = 0; i < n; i++) {
      own[i] /= sum;
      coefficients[i] = own[i] * length / norms[i];
    }
    return new PowerFit(coefficients, error(own, right, products));
  }

  /** ‖p − Σ x_j p_j‖ where all have length 1. */
  private static double error(double[] x, R064Store right, R064Store products) {
    double square = 1;
    for (int i = 0; i < x.length; i++) {
      double row = -2 * right.doubleValue(i, 0);
      for (int j = 0; j < x.length; j++) {
        row += products.doubleValue(i, j) * x[j];
      }
      square += x[i] * row;
    }
    return Math.sqrt(Math.max(0, square));
  }

  private static double norm(PowerProfile profile) {
    return Math.sqrt(profile.inner(profile));
  }
}
