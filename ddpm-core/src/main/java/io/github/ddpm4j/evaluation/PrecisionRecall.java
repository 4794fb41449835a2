package io.github.ddpm4j.evaluation;

import java.util.Arrays;
import java.util.Objects;

/**
 * Precision and recall of generated images (Kynkäänniemi et al. 2019, eqs. 1 and 2). The manifold
 * of a set is approximated by balls around its images whose radius is the distance to the k-th
 * nearest neighbour.
 *
 * <p>Unrealistic images lower precision; modes that are never generated lower recall. Both depend
 * on the number of images and on k: in the paper, 50,000 of each and 3. The cost is n²·d.
 *
 * @param precision the share of generated images in the balls of the reference
 * @param recall the share of reference images in the balls of the generated
 */
public record PrecisionRecall(Estimate precision, Estimate recall) {

  /** The paper's k: {@value}. */
  public static final int DEFAULT_NEIGHBOURS = 3;

  /**
   * Precision and recall with the paper's k.
   *
   * @param generated one row of features per image, at least 4
   * @param reference one row of the same features per image, at least 4
   * @param bootstrap the bootstrap settings, see {@link #of(double[][], double[][], int,
   *     Bootstrap)}
   * @return precision and recall
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   */
  public static PrecisionRecall of(
      double[][] generated, double[][] reference, Bootstrap bootstrap) {
    Objects.requireNonNull(generated, "generated");
    Objects.requireNonNull(reference, "reference");
    return of(generated, reference, DEFAULT_NEIGHBOURS, bootstrap);
  }

  /**
   * Precision and recall with a given k.
   *
   * @param generated one row of features per image, more than {@code neighbours}
   * @param reference one row of the same features per image, more than {@code neighbours}
   * @param neighbours k, at least 1
   * @param bootstrap the bootstrap settings; the images being counted are resampled, with the balls
   *     fixed
   * @return precision and recall
   * @throws IllegalArgumentException if {@code neighbours} is less than 1, there are fewer rows,
   *     the features differ in number, or a value is not finite
   */
  public static PrecisionRecall of(
      double[][] generated, double[][] reference, int neighbours, Bootstrap bootstrap) {
    Objects.requireNonNull(generated, "generated");
    Objects.requireNonNull(reference, "reference");
    if (neighbours < 1) {
      throw new IllegalArgumentException(
          "neighbours must be at least 1, but was " + neighbours + "; 3 is usual");
    }
    String purpose = "precision and recall with k = " + neighbours;
    FeatureRows.require("generated images", generated, neighbours + 1, purpose);
    FeatureRows.require("reference images", reference, neighbours + 1, purpose);
    FeatureRows.requireSameWidth(generated, reference);
    boolean[] precise =
        Neighbours.inBalls(generated, reference, Neighbours.radii(reference, neighbours));
    boolean[] recalled =
        Neighbours.inBalls(reference, generated, Neighbours.radii(generated, neighbours));
    String remark = "k = " + neighbours;
    return new PrecisionRecall(
        share("precision", precise, 0, bootstrap, generated, reference, remark),
        share("recall", recalled, 1, bootstrap, generated, reference, remark));
  }

  private static Estimate share(
      String name,
      boolean[] inside,
      int purpose,
      Bootstrap bootstrap,
      double[][] generated,
      double[][] reference,
      String remark) {
    int[] once = new int[inside.length];
    Arrays.fill(once, 1);
    double[] replicates =
        bootstrap.replicates(r -> share(inside, bootstrap.counts(r, purpose, inside.length)));
    return Estimate.of(
            name,
            share(inside, once),
            replicates,
            bootstrap,
            generated.length,
            reference.length,
            remark)
        .within(0, 1)
        .resampling(inside.length);
  }

  private static double share(boolean[] inside, int[] counts) {
    long sum = 0;
    for (int i = 0; i < inside.length; i++) {
      sum += inside[i] ? counts[i] : 0;
    }
    return (double) sum / inside.length;
  }

  /** Both estimates, each with its interval and the numbers of generated and reference images. */
  @Override
  public String toString() {
    return precision + "\n" + recall;
  }
}
