package io.github.ddpm4j.evaluation;

import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.CholeskyDecomposition_F64;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;
import org.ejml.interfaces.decomposition.SingularValueDecomposition_F64;

/** What is worked out of covariance matrices. */
final class Factors {

  /** Eigenvalues below this share of the greatest, times the dimension, are rounding. */
  private static final double ROUNDING = 0x1p-52;

  private Factors() {}

  /**
   * L with L·Lᵀ = Σ for a symmetric matrix without negative eigenvalues beyond rounding:
   * Cholesky's, or Q·√Λ of the eigendecomposition where Σ is singular.
   */
  static DMatrixRMaj of(DMatrixRMaj covariance) {
    int n = covariance.numRows;
    double greatest = CommonOps_DDRM.elementMaxAbs(covariance);
    if (greatest == 0) {
      return new DMatrixRMaj(n, 1);
    }
    CholeskyDecomposition_F64<DMatrixRMaj> cholesky = DecompositionFactory_DDRM.chol(n, true);
    if (cholesky.decompose(covariance.copy())) {
      DMatrixRMaj lower = cholesky.getT(null);
      if (leastPivot(lower) > n * ROUNDING * greatest) {
        return lower;
      }
    }
    return ofEigenvalues(covariance);
  }

  private static double leastPivot(DMatrixRMaj lower) {
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < lower.numRows; i++) {
      least = Math.min(least, lower.get(i, i) * lower.get(i, i));
    }
    return least;
  }

  private static DMatrixRMaj ofEigenvalues(DMatrixRMaj covariance) {
    int n = covariance.numRows;
    EigenDecomposition_F64<DMatrixRMaj> eigen = DecompositionFactory_DDRM.eig(n, true, true);
    if (!eigen.decompose(covariance.copy())) {
      throw new IllegalStateException(
          "the eigenvalues of a covariance of " + n + " features were not found");
    }
    double greatest = 0;
    for (int k = 0; k < n; k++) {
      greatest = Math.max(greatest, eigen.getEigenvalue(k).getReal());
    }
    DMatrixRMaj factor = new DMatrixRMaj(n, n);
    for (int k = 0; k < n; k++) {
      double value = eigen.getEigenvalue(k).getReal();
      if (value > n * ROUNDING * greatest) {
        DMatrixRMaj vector = eigen.getEigenVector(k);
        for (int i = 0; i < n; i++) {
          factor.set(i, k, Math.sqrt(value) * vector.get(i));
        }
      }
    }
    return factor;
  }

  /**
   * tr √(Σ_1 Σ_2) for Σ = L·Lᵀ: the sum of the singular values of L_1ᵀ·L_2. Unlike the roots of the
   * eigenvalues of a product, they carry no rounding that a root would enlarge.
   */
  static double traceOfRoot(DMatrixRMaj one, DMatrixRMaj other) {
    DMatrixRMaj product = new DMatrixRMaj(one.numCols, other.numCols);
    CommonOps_DDRM.multTransA(one, other, product);
    if (CommonOps_DDRM.elementMaxAbs(product) == 0) {
      return 0;
    }
    SingularValueDecomposition_F64<DMatrixRMaj> svd =
        DecompositionFactory_DDRM.svd(product.numRows, product.numCols, false, false, true);
    if (!svd.decompose(product)) {
      throw new IllegalStateException(
          "the singular values of a matrix of "
              + product.numRows
              + " rows and "
              + product.numCols
              + " columns were not found");
    }
    double sum = 0;
    double[] values = svd.getSingularValues();
    for (int k = 0; k < svd.numberOfSingularValues(); k++) {
      sum += values[k];
    }
    return sum;
  }
}
