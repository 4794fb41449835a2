package io.github.ddpm4j.evaluation;

import java.util.Arrays;

/**
 * How many generated images lie among the real ones, and how many real ones among the generated
 * (Kynkäänniemi et al. 2019, eqs. 1 and 2). A set is taken to fill the balls around its images that
 * reach to the k-th nearest other one.
 *
 * <p>Precision falls with images that look like nothing real, recall with kinds of images that are
 * never drawn. Both depend on the numbers of images and on k: the paper's are 50,000 of each and 3.
 * The cost is n²·d.
 *
 * @param precision the share of generated images in the balls of the reference
 * @param recall the share of reference images in the balls of the generated
 */
public record PrecisionRecall(Estimate precision, Estimate recall) {

  /** The paper's k: {@value}. */
  public static final int DEFAULT_NEIGHBOURS = 3;

  /**
   * Both shares at the paper's k.
   *
   * @param generated one row of features per image, at least 4
   * @param reference one row of the same features per image, at least 4
   * @param bootstrap how the intervals are found, see {@link #of(double[][], double[][], int,
   *     Bootstrap)}
   * @return the shares
   * @throws IllegalArgumentException if there are fewer rows, the features differ in number, or a
   *     value is not finite
   */
  public static PrecisionRecall of(
      double[][] generated, double[][] reference, Bootstrap bootstrap) {
    return of(generated, reference, DEFAULT_NEIGHBOURS, bootstrap);
  }

  /**
   * Both shares.
   *
   * @param generated one row of features per image, more than {@code neighbours}
   * @param reference one row of the same features per image, more than {@code neighbours}
   * @param neighbours k, at least 1
   * @param bootstrap how the intervals are found: the images whose share it is are drawn again, and
   *     the balls taken as given
   * @return the shares
   * @throws IllegalArgumentException if {@code neighbours} is less than 1, there are fewer rows,
   *     the features differ in number, or a value is not finite
   */
  public static PrecisionRecall of(
      double[][] generated, double[][] reference, int neighbours, Bootstrap bootstrap) {
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
        remark);
  }

  private static double share(boolean[] inside, int[] counts) {
    long sum = 0;
    for (int i = 0; i < inside.length; i++) {
      sum += inside[i] ? counts[i] : 0;
    }
    return (double) sum / inside.length;
  }

  /** Both figures, each with its interval and the number of images on either side. */
  @Override
  public String toString() {
    return precision + "\n" + recall;
  }
}
