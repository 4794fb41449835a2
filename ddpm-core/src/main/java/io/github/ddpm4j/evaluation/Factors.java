package io.github.ddpm4j.evaluation;

import java.util.Locale;
import java.util.stream.IntStream;
import org.ojalgo.array.Array1D;
import org.ojalgo.matrix.decomposition.Cholesky;
import org.ojalgo.matrix.decomposition.Eigenvalue;
import org.ojalgo.matrix.decomposition.SingularValue;
import org.ojalgo.matrix.store.MatrixStore;
import org.ojalgo.matrix.store.R064Store;

/** What is worked out of covariance matrices. */
final class Factors {

  /** Eigenvalues below this share of the greatest, times the dimension, are rounding. */
  private static final double ROUNDING = 0x1p-52;

  private Factors() {}

  /**
   * L with L·Lᵀ = Σ for a symmetric matrix without negative eigenvalues beyond rounding:
   * Cholesky's, or the columns of Q·√Λ of the eigendecomposition that are not 0 where Σ is
   * singular.
   */
  static R064Store of(R064Store covariance) {
    int n = covariance.getRowDim();
    double greatest = 0;
    for (int k = 0; k < n; k++) {
      greatest = Math.max(greatest, covariance.doubleValue(k, k));
    }
    if (greatest == 0) {
      return R064Store.FACTORY.make(n, 1);
    }
    Cholesky<Double> cholesky = Cholesky.R064.make(n, n);
    if (cholesky.decompose(covariance) && cholesky.isSPD()) {
      MatrixStore<Double> lower = cholesky.getL();
      if (leastPivot(lower) > n * ROUNDING * greatest) {
        return R064Store.FACTORY.copy(lower);
      }
    }
    return ofEigenvalues(covariance);
  }

  private static double leastPivot(MatrixStore<Double> lower) {
    double least = Double.POSITIVE_INFINITY;
    for (int k = 0; k < lower.getRowDim(); k++) {
      least = Math.min(least, lower.doubleValue(k, k) * lower.doubleValue(k, k));
    }
    return least;
  }

  private static R064Store ofEigenvalues(R064Store covariance) {
    int n = covariance.getRowDim();
    Eigenvalue<Double> eigen = Eigenvalue.R064.make(n, true);
    if (!eigen.decompose(covariance)) {
      throw new IllegalStateException(
          "the eigenvalues of a covariance of " + n + " features were not found");
    }
    MatrixStore<Double> values = eigen.getD();
    MatrixStore<Double> vectors = eigen.getV();
    double greatest = 0;
    for (int k = 0; k < n; k++) {
      greatest = Math.max(greatest, values.doubleValue(k, k));
    }
    double least = n * ROUNDING * greatest;
    int[] kept = IntStream.range(0, n).filter(k -> values.doubleValue(k, k) > least).toArray();
    R064Store factor = R064Store.FACTORY.make(n, kept.length);
    for (int column = 0; column < kept.length; column++) {
      double root = Math.sqrt(values.doubleValue(kept[column], kept[column]));
      for (int i = 0; i < n; i++) {
        factor.set(i, column, root * vectors.doubleValue(i, kept[column]));
      }
    }
    return factor;
  }

  /**
   * tr √(Σ_1 Σ_2) for Σ = L·Lᵀ: the sum of the singular values of L_1ᵀ·L_2. Unlike the roots of the
   * eigenvalues of a product, they carry no rounding that a root would enlarge.
   */
  static double traceOfRoot(R064Store one, R064Store other) {
    R064Store product = R064Store.FACTORY.make(one.getColDim(), other.getColDim());
    product.fillByMultiplying(one.transpose(), other);
    return sumOfSingularValues(product);
  }

  /** The nuclear norm. */
  static double sumOfSingularValues(R064Store matrix) {
    SingularValue<Double> singular = SingularValue.R064.make(matrix);
    if (!singular.computeValuesOnly(matrix)) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "the singular values of a matrix of %d rows and %d columns were not found",
              matrix.getRowDim(),
              matrix.getColDim()));
    }
    double sum = 0;
    Array1D<Double> values = singular.getSingularValues();
    for (int k = 0; k < values.size(); k++) {
      sum += values.doubleValue(k);
    }
    return sum;
  }
}
