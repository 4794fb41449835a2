package io.github.ddpm4j.evaluation;

import java.util.Locale;
import org.ojalgo.matrix.store.R064Store;

/** Features as rows, one per image: what is refused of them, and blocks of them as matrices. */
final class FeatureRows {

  private FeatureRows() {}

  /** Refuses rows that are too few, of unequal length, or not finite. */
  static void require(String name, double[][] rows, int least, String purpose) {
    if (rows.length < least) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s must be at least %d for %s, but were %d; make more",
              name,
              least,
              purpose,
              rows.length));
    }
    int width = rows[0].length;
    if (width == 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s must have at least 1 feature per image, but image 0 has none",
              name));
    }
    for (int i = 0; i < rows.length; i++) {
      if (rows[i].length != width) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "%s must have equally many features per image, but image 0 has %d and image %d has %d",
                name,
                width,
                i,
                rows[i].length));
      }
      for (int k = 0; k < width; k++) {
        if (!Double.isFinite(rows[i][k])) {
          throw new IllegalArgumentException(
              String.format(
                  Locale.ROOT,
                  "%s must be finite, but feature %d of image %d was %s; leave such images out, or see why the images or the feature network hold such values",
                  name,
                  k,
                  i,
                  rows[i][k]));
        }
      }
    }
  }

  /** Refuses two sets of rows that are not of one length. */
  static void requireSameWidth(double[][] generated, double[][] reference) {
    if (generated[0].length != reference[0].length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "generated and reference must have equally many features per image, but have %d and %d; use the same Features for both",
              generated[0].length,
              reference[0].length));
    }
  }

  /** Rows {@code first} to {@code end} as the columns of a matrix, copied. */
  static R064Store columns(double[][] rows, int first, int end) {
    int width = rows[0].length;
    double[] values = new double[(end - first) * width];
    for (int i = first; i < end; i++) {
      System.arraycopy(rows[i], 0, values, (i - first) * width, width);
    }
    return R064Store.wrap(values, width);
  }
}
