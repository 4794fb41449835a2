package io.github.ddpm4j.examples.judge;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.noise.NoiseSource;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Judges generated images against as many real ones that training did not see, by distances between
 * pixels, in {@code double}. Made for small images: no network stands between the judge and the
 * pixels.
 *
 * <ul>
 *   <li><b>MMD</b> (Gretton et al. 2012, eq. 3, unbiased) with the kernel of the kernel Inception
 *       distance (Bińkowski et al. 2018), on pixels:
 *       <pre>
 *   k(x, y) = (x·y / d + 1)³
 *   MMD²(X, Y) = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) − 2 mean_{i,j} k(x_i, y_j)
 * </pre>
 *       It is divided by MMD²(noise, real), where noise is as many images of N(0, 1) clipped to
 *       [-1, 1], always the same.
 *   <li><b>Precision and recall</b> (Kynkäänniemi et al. 2019, eqs. 1 and 2): the share of
 *       generated images within the ball of a real one, whose radius is the distance to its k-th
 *       nearest real neighbour, k = {@value #NEIGHBOURS}; and the same with the roles exchanged.
 *   <li><b>Two-sample accuracy</b> (Lopez-Paz and Oquab 2017): how often the nearest neighbour of
 *       an image, in both sets together without itself, comes from its own set. A tie counts half.
 *   <li><b>Digit-like</b>: the share of generated images whose nearest held-out real image is no
 *       farther than what holds {@value #LIKE_SHARE} of the held-out ones themselves (each to the
 *       nearest other one).
 *   <li><b>Class shares</b>: the class of an image is the label of its nearest training image.
 *   <li><b>Copying</b>: the median distance of generated images to their nearest training image,
 *       divided by the median of the held-out images to theirs.
 * </ul>
 *
 * <p>Distances are Euclidean. Immutable and thread-safe.
 */
public final class Judge {

  /** The neighbour that gives a ball its radius: {@value}. */
  public static final int NEIGHBOURS = 3;

  /** The share of real images that are digit-like by definition: {@value}. */
  public static final double LIKE_SHARE = 0.95;

  /** The seed of the noise that MMD is measured against. */
  private static final long NOISE_SEED = 0;

  private final LabeledImages heldOut;
  private final LabeledImages training;
  private final double[][] real;
  private final double[][] reference;
  private final double[][] withinReal;
  private final double mmdOfNoise;
  private final double toTrainingOfReal;

  private Judge(LabeledImages heldOut, LabeledImages training) {
    this.heldOut = heldOut;
    this.training = training;
    this.real = rows(heldOut);
    this.reference = rows(training);
    this.withinReal = distances(real, real);
    this.mmdOfNoise = mmd(noise(), real);
    this.toTrainingOfReal = median(nearest(distances(real, reference)));
  }

  /**
   * A judge by the bundled digits.
   *
   * @param digits the digits
   * @return a judge of as many images as are held out
   */
  public static Judge of(Digits digits) {
    return of(digits.heldOut(), digits.training());
  }

  /**
   * A judge by other images.
   *
   * @param heldOut what to judge by: real images that training did not see, at least {@value
   *     #NEIGHBOURS} + 1
   * @param training what was trained on, or a part of it, of the same size and at least as many
   * @return a judge of as many images as are held out
   * @throws IllegalArgumentException if there are too few images, or their sizes differ
   */
  public static Judge of(LabeledImages heldOut, LabeledImages training) {
    if (heldOut.size() <= NEIGHBOURS) {
      throw new IllegalArgumentException(
          "a judge needs at least %d held-out images, but has %d"
              .formatted(NEIGHBOURS + 1, heldOut.size()));
    }
    if (training.height() != heldOut.height() || training.width() != heldOut.width()) {
      throw new IllegalArgumentException(
          "images to train on and held-out ones must have one size, but have %dx%d and %dx%d pixels"
              .formatted(training.width(), training.height(), heldOut.width(), heldOut.height()));
    }
    return new Judge(heldOut, training);
  }

  /**
   * Judges generated images.
   *
   * @param generated the images, float32, as many and as large as the held-out ones: shape (N, 1,
   *     H, W), in [-1, 1]
   * @return the figures
   * @throws IllegalArgumentException if there are more or fewer, the size is another, or a value is
   *     not finite
   */
  public Judgement judge(NDArray generated) {
    float[] flat = generated.toFloatArray();
    int pixels = heldOut.height() * heldOut.width();
    if (flat.length != real.length * pixels) {
      throw new IllegalArgumentException(
          "generated must have shape (%d, 1, %d, %d), as the held-out images, but had %s"
              .formatted(real.length, heldOut.height(), heldOut.width(), generated.getShape()));
    }
    return judge(
        IntStream.range(0, real.length)
            .mapToObj(i -> Arrays.copyOfRange(flat, i * pixels, (i + 1) * pixels))
            .toArray(float[][]::new));
  }

  /**
   * Judges generated images.
   *
   * @param generated one row of H·W values in [-1, 1] per image, as many as are held out
   * @return the figures
   * @throws IllegalArgumentException if there are more or fewer, a row has another length, or a
   *     value is not finite
   */
  public Judgement judge(float[][] generated) {
    double[][] rows = checked(generated);
    double[][] within = distances(rows, rows);
    double[][] across = distances(rows, real);
    double[][] toTraining = distances(rows, reference);
    return new Judgement(
        mmd(rows, real) / mmdOfNoise,
        shareInBalls(across, radii(withinReal)),
        shareInBalls(transposed(across), radii(within)),
        twoSampleAccuracy(within, withinReal, across),
        digitLike(across, withinReal),
        classShares(toTraining),
        median(nearest(toTraining)) / toTrainingOfReal);
  }

  /**
   * What real images get: the first of the training images, as many as are held out, judged as if
   * they were generated. The training images that stand for the training set are then the others.
   *
   * @return the figures of real against real
   */
  public Judgement realAgainstReal() {
    LabeledImages others = training.slice(real.length, training.size());
    LabeledImages sample = training.slice(0, real.length);
    float[][] rows =
        IntStream.range(0, sample.size()).mapToObj(sample::pixels).toArray(float[][]::new);
    return new Judge(heldOut, others).judge(rows);
  }

  private double[][] checked(float[][] generated) {
    if (generated.length != real.length) {
      throw new IllegalArgumentException(
          "generated must hold %d images, as many as are held out, but held %d"
              .formatted(real.length, generated.length));
    }
    int pixels = real[0].length;
    for (int i = 0; i < generated.length; i++) {
      if (generated[i].length != pixels) {
        throw new IllegalArgumentException(
            "generated image %d must have %d values, but had %d"
                .formatted(i, pixels, generated[i].length));
      }
      for (int k = 0; k < pixels; k++) {
        if (!Float.isFinite(generated[i][k])) {
          throw new IllegalArgumentException(
              "generated image %d must be finite, but value %d was %s"
                  .formatted(i, k, generated[i][k]));
        }
      }
    }
    return Arrays.stream(generated).map(Judge::doubles).toArray(double[][]::new);
  }

  private double[][] noise() {
    NoiseSource source = NoiseSource.seeded(NOISE_SEED);
    double[][] noise = new double[real.length][real[0].length];
    for (int i = 0; i < noise.length; i++) {
      source.normal(i, 0, noise[i]);
      for (int k = 0; k < noise[i].length; k++) {
        noise[i][k] = Math.max(-1, Math.min(1, noise[i][k]));
      }
    }
    return noise;
  }

  static double mmd(double[][] xs, double[][] ys) {
    return KernelDistance.between(xs, ys);
  }

  static double shareInBalls(double[][] toCentres, double[] radii) {
    long inside =
        Arrays.stream(toCentres)
            .filter(row -> IntStream.range(0, row.length).anyMatch(j -> row[j] <= radii[j]))
            .count();
    return (double) inside / toCentres.length;
  }

  /** The distance from each image to its k-th nearest other one. */
  static double[] radii(double[][] within) {
    return IntStream.range(0, within.length)
        .mapToDouble(
            i -> {
              double[] others = within[i].clone();
              others[i] = Double.POSITIVE_INFINITY;
              Arrays.sort(others);
              return others[NEIGHBOURS - 1];
            })
        .toArray();
  }

  static double twoSampleAccuracy(double[][] within, double[][] withinReal, double[][] across) {
    double right =
        ownIsNearer(nearestOther(within), nearest(across))
            + ownIsNearer(nearestOther(withinReal), nearest(transposed(across)));
    return right / (within.length + withinReal.length);
  }

  private static double ownIsNearer(double[] own, double[] other) {
    double right = 0;
    for (int i = 0; i < own.length; i++) {
      right += own[i] < other[i] ? 1 : own[i] == other[i] ? 0.5 : 0;
    }
    return right;
  }

  static double digitLike(double[][] across, double[][] withinReal) {
    double[] ofReal = nearestOther(withinReal);
    Arrays.sort(ofReal);
    double farthest = ofReal[(int) Math.ceil(LIKE_SHARE * ofReal.length) - 1];
    long like = Arrays.stream(nearest(across)).filter(distance -> distance <= farthest).count();
    return (double) like / across.length;
  }

  private List<Double> classShares(double[][] toTraining) {
    int classes = 1 + IntStream.range(0, training.size()).map(training::label).max().orElse(0);
    int[] counts = new int[classes];
    for (double[] row : toTraining) {
      int nearest = 0;
      for (int j = 1; j < row.length; j++) {
        nearest = row[j] < row[nearest] ? j : nearest;
      }
      counts[training.label(nearest)]++;
    }
    return Arrays.stream(counts).mapToObj(n -> (double) n / toTraining.length).toList();
  }

  private static double[] nearest(double[][] distances) {
    return Arrays.stream(distances)
        .mapToDouble(row -> Arrays.stream(row).min().orElse(Double.POSITIVE_INFINITY))
        .toArray();
  }

  private static double[] nearestOther(double[][] within) {
    return IntStream.range(0, within.length)
        .mapToDouble(
            i ->
                IntStream.range(0, within.length)
                    .filter(j -> j != i)
                    .mapToDouble(j -> within[i][j])
                    .min()
                    .orElse(Double.POSITIVE_INFINITY))
        .toArray();
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int half = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  static double[][] distances(double[][] xs, double[][] ys) {
    double[][] distances = new double[xs.length][ys.length];
    for (int i = 0; i < xs.length; i++) {
      for (int j = 0; j < ys.length; j++) {
        double sum = 0;
        for (int k = 0; k < xs[i].length; k++) {
          double difference = xs[i][k] - ys[j][k];
          sum += difference * difference;
        }
        distances[i][j] = Math.sqrt(sum);
      }
    }
    return distances;
  }

  private static double[][] transposed(double[][] matrix) {
    double[][] transposed = new double[matrix[0].length][matrix.length];
    for (int i = 0; i < matrix.length; i++) {
      for (int j = 0; j < matrix[i].length; j++) {
        transposed[j][i] = matrix[i][j];
      }
    }
    return transposed;
  }

  private static double[][] rows(LabeledImages images) {
    return IntStream.range(0, images.size())
        .mapToObj(i -> doubles(images.pixels(i)))
        .toArray(double[][]::new);
  }

  private static double[] doubles(float[] values) {
    return IntStream.range(0, values.length).mapToDouble(k -> values[k]).toArray();
  }
}
