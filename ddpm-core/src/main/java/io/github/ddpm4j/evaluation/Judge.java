package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.noise.NoiseSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Evaluates generated images against equally many held-out real images by pixel distances, in
 * {@code double}. Intended for small images, since no feature network is involved. For larger
 * images, use {@link FrechetDistance} and the other metrics over {@link Features}.
 *
 * <ul>
 *   <li><b>MMD</b>: the {@link KernelDistance} of generated and real images on pixels, divided by
 *       that of noise and real images, where noise is as many images of N(0, 1) clipped to [−1, 1],
 *       always the same.
 *   <li><b>Precision and recall</b>: {@link PrecisionRecall} on pixels with k = {@value
 *       #NEIGHBOURS}.
 *   <li><b>Two-sample accuracy</b> (Lopez-Paz and Oquab 2017): how often the nearest neighbour of
 *       an image in the union of both sets, excluding itself, comes from its own set. A tie counts
 *       half.
 *   <li><b>Like real</b>: the share of generated images whose nearest held-out image is no farther
 *       than what holds {@value #LIKE_SHARE} of the held-out ones themselves (each to the nearest
 *       other one).
 *   <li><b>Class shares</b>, where the training images have labels: the class of an image is the
 *       label of its nearest training image.
 *   <li><b>Copying</b>: the median distance of generated images to their nearest training image,
 *       divided by the median of the held-out images to theirs.
 * </ul>
 *
 * <p>Images are in [−1, 1], the range of the noise; those of 0 to 255 are refused. Distances are
 * Euclidean; the cost is n²·d. Immutable and thread-safe.
 */
public final class Judge {

  /** The k of the k-th nearest neighbour that defines the radius of a ball: {@value}. */
  public static final int NEIGHBOURS = PrecisionRecall.DEFAULT_NEIGHBOURS;

  /** The share of real images that are like real ones by definition: {@value}. */
  public static final double LIKE_SHARE = 0.95;

  /** The seed of the noise that MMD is measured against. */
  private static final long NOISE_SEED = 0;

  private final Shape shape;
  private final double[][] real;
  private final double[][] training;
  private final int[] labels;
  private final int classes;
  private final double[] toOtherReal;
  private final double mmdOfNoise;
  private final double toTrainingOfReal;

  private Judge(Shape shape, double[][] real, double[][] training, int[] labels, int classes) {
    this.shape = shape;
    this.real = real;
    this.training = training;
    this.labels = labels;
    this.classes = classes;
    this.toOtherReal = Neighbours.radii(real, 1);
    this.mmdOfNoise = KernelDistance.between(noise(), real);
    this.toTrainingOfReal = Neighbours.median(Neighbours.nearest(real, training));
  }

  /**
   * Creates a judge from real images.
   *
   * @param heldOut the reference: held-out real images, float32 or float64, shape (N, C, H, W), at
   *     least {@value #NEIGHBOURS} + 1; not closed
   * @param training the training images, or a subset of them, shape (M, C, H, W), at least one; not
   *     closed
   * @param labels the class of each training image, from 0, or none if there are no classes
   * @return a judge for as many images as are held out
   * @throws IllegalArgumentException if there are too few images, their shapes differ, a value is
   *     not finite, there are more or fewer labels than training images, or a label is negative
   */
  public static Judge of(NDArray heldOut, NDArray training, int... labels) {
    Given.open(heldOut, "heldOut");
    Given.open(training, "training");
    Shape shape = heldOut.getShape();
    if (shape.dimension() < 3
        || training.getShape().dimension() != shape.dimension()
        || !shape.slice(1).equals(training.getShape().slice(1))) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "held-out and training images must have shapes (N, C, H, W) and (M, C, H, W), but had %s and %s",
              shape,
              training.getShape()));
    }
    if (labels.length != 0 && labels.length != training.getShape().get(0)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "every training image must have a label, or none of them, but %d have %d labels",
              training.getShape().get(0),
              labels.length));
    }
    for (int label : labels) {
      if (label < 0) {
        throw new IllegalArgumentException("labels must be at least 0, but one was " + label);
      }
    }
    double[][] real = Features.pixels().of(heldOut);
    double[][] known = Features.pixels().of(training);
    FeatureRows.require("held-out images", real, NEIGHBOURS + 1, "a judge");
    FeatureRows.require("training images", known, 1, "a judge");
    PictureChecks.requireLike("held-out images", heldOut, DataRange.DEFAULT);
    PictureChecks.requireLike("training images", training, DataRange.DEFAULT);
    int classes = 1 + Arrays.stream(labels).max().orElse(-1);
    return new Judge(shape, real, known, labels.clone(), classes);
  }

  /**
   * The number of images per evaluation.
   *
   * @return the number of held-out images
   */
  public int size() {
    return real.length;
  }

  /**
   * Evaluates generated images.
   *
   * @param generated the images, float32 or float64, as many and as large as the held-out ones; not
   *     closed
   * @return the verdict
   * @throws IllegalArgumentException if the number or size of the images differs, or a value is not
   *     finite
   */
  public Verdict judge(NDArray generated) {
    Given.open(generated, "generated");
    if (!generated.getShape().equals(shape)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "generated must have shape %s, as the held-out images, but had %s",
              shape,
              generated.getShape()));
    }
    double[][] rows = Features.pixels().of(generated);
    FeatureRows.require("generated images", rows, NEIGHBOURS + 1, "a judge");
    PictureChecks.requireLike("generated images", generated, DataRange.DEFAULT);
    return judge(rows);
  }

  private Verdict judge(double[][] rows) {
    PrecisionRecall shares = PrecisionRecall.of(rows, real, NEIGHBOURS, Bootstrap.none());
    double[] toReal = Neighbours.nearest(rows, real);
    return new Verdict(
        KernelDistance.between(rows, real) / mmdOfNoise,
        shares.precision().value(),
        shares.recall().value(),
        twoSampleAccuracy(
            Neighbours.radii(rows, 1), toReal, toOtherReal, Neighbours.nearest(real, rows)),
        likeReal(toReal, toOtherReal),
        classShares(rows),
        Neighbours.median(Neighbours.nearest(rows, training)) / toTrainingOfReal);
  }

  /**
   * The baseline for real images: the first training images, as many as are held out, evaluated as
   * if they were generated. The remaining training images then serve as the training set.
   *
   * @return the verdict of real against real
   * @throws IllegalStateException if there are no more training images than held-out ones
   */
  public Verdict realAgainstReal() {
    if (training.length <= real.length) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "real against real needs more training images than the %d held-out ones, but has %d",
              real.length,
              training.length));
    }
    double[][] others = Arrays.copyOfRange(training, real.length, training.length);
    int[] theirs =
        labels.length == 0 ? labels : Arrays.copyOfRange(labels, real.length, labels.length);
    return new Judge(shape, real, others, theirs, classes)
        .judge(Arrays.copyOf(training, real.length));
  }

  /**
   * The class of each image: the label of its nearest training image.
   *
   * @param images any number of images, shape (K, C, H, W); not closed
   * @return K labels
   * @throws IllegalArgumentException if the size of the images differs
   * @throws IllegalStateException if the training images have no labels
   */
  public int[] classesOf(NDArray images) {
    Given.open(images, "images");
    if (labels.length == 0) {
      throw new IllegalStateException(
          "classes need labels of the training images, but there are none; give them to of(...)");
    }
    if (images.getShape().dimension() != shape.dimension()
        || !images.getShape().slice(1).equals(shape.slice(1))) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "images must have shape (K, C, H, W) with (C, H, W) = %s, but had %s",
              shape.slice(1),
              images.getShape()));
    }
    PictureChecks.requireLike("images", images, DataRange.DEFAULT);
    return classesOf(Features.pixels().of(images));
  }

  private int[] classesOf(double[][] rows) {
    return Arrays.stream(Neighbours.nearestIndices(rows, training)).map(i -> labels[i]).toArray();
  }

  private List<Double> classShares(double[][] rows) {
    if (labels.length == 0) {
      return List.of();
    }
    int[] counts = new int[classes];
    for (int label : classesOf(rows)) {
      counts[label]++;
    }
    return Arrays.stream(counts).mapToObj(n -> (double) n / rows.length).toList();
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

  /**
   * How often the nearest neighbour is of the own set.
   *
   * @param own the distance of each generated image to the nearest other generated one
   * @param toReal and to the nearest real one
   * @param ownReal the distance of each real image to the nearest other real one
   * @param toGenerated and to the nearest generated one
   */
  static double twoSampleAccuracy(
      double[] own, double[] toReal, double[] ownReal, double[] toGenerated) {
    return (ownIsNearer(own, toReal) + ownIsNearer(ownReal, toGenerated))
        / (own.length + ownReal.length);
  }

  private static double ownIsNearer(double[] own, double[] other) {
    double right = 0;
    for (int i = 0; i < own.length; i++) {
      right += own[i] < other[i] ? 1 : own[i] == other[i] ? 0.5 : 0;
    }
    return right;
  }

  /** The share of distances to real images that are no greater than usual among real ones. */
  static double likeReal(double[] toReal, double[] toOtherReal) {
    double[] ofReal = toOtherReal.clone();
    Arrays.sort(ofReal);
    double farthest = ofReal[(int) Math.ceil(LIKE_SHARE * ofReal.length) - 1];
    return (double) Arrays.stream(toReal).filter(distance -> distance <= farthest).count()
        / toReal.length;
  }

  /**
   * One line of a verdict.
   *
   * @param name the name of the metric
   * @param value the value, as text
   * @param bound the bound on it, as text
   * @param kept whether the bound is met
   */
  public record Figure(String name, String value, String bound, boolean kept) {}

  /**
   * The result of an evaluation, with bounds that a small network meets on small pictures such as
   * 8x8 digits. For other data they are a rough guide, and {@link #realAgainstReal} is a better
   * one.
   *
   * @param mmd unbiased squared MMD between generated and real images, relative to that between
   *     noise and real images; 0 is ideal, and the unbiased estimate may be slightly negative
   * @param precision the share of generated images inside the neighbourhoods of real ones
   * @param recall the share of real images inside the neighbourhoods of generated ones
   * @param twoSampleAccuracy how often the nearest neighbour correctly separates generated from
   *     real; 0.5 is ideal
   * @param likeReal the share of generated images that have a real one nearby; that of real ones is
   *     0.95
   * @param classShares the share of generated images per class, by the nearest training image;
   *     empty where there are no classes
   * @param copying the median distance to the nearest training image, divided by that of held-out
   *     images; 0 for copies, 1 is ideal
   */
  public record Verdict(
      double mmd,
      double precision,
      double recall,
      double twoSampleAccuracy,
      double likeReal,
      List<Double> classShares,
      double copying) {

    /** The most that {@link #mmd} may be: {@value}. */
    public static final double MOST_MMD = 0.01;

    /** The least that {@link #precision} may be: {@value}. */
    public static final double LEAST_PRECISION = 0.60;

    /** The least that {@link #recall} may be: {@value}. */
    public static final double LEAST_RECALL = 0.70;

    /** The most that {@link #twoSampleAccuracy} may be: {@value}. */
    public static final double MOST_TWO_SAMPLE_ACCURACY = 0.70;

    /** The least that {@link #likeReal} may be: {@value}. */
    public static final double LEAST_LIKE_REAL = 0.65;

    /** The least that any of {@link #classShares} may be, in even shares: {@value}. */
    public static final double LEAST_CLASS_SHARE = 0.4;

    /** The most that any of {@link #classShares} may be, in even shares: {@value}. */
    public static final double MOST_CLASS_SHARE = 2;

    /** The least that {@link #copying} may be: {@value}. */
    public static final double LEAST_COPYING = 0.80;

    /**
     * Copies the list.
     *
     * @param mmd see the record
     * @param precision see the record
     * @param recall see the record
     * @param twoSampleAccuracy see the record
     * @param likeReal see the record
     * @param classShares see the record
     * @param copying see the record
     */
    public Verdict {
      classShares = List.copyOf(classShares);
    }

    /**
     * The metrics in table order.
     *
     * @return one line per figure; the class shares are one line, from least to most, or none where
     *     there are no classes
     */
    public List<Figure> figures() {
      List<Figure> figures = new ArrayList<>();
      figures.add(
          new Figure(
              "MMD, share of the way to noise",
              String.format(Locale.ROOT, "%.4f", mmd),
              "at most " + number(MOST_MMD),
              mmd <= MOST_MMD));
      figures.add(atLeast("precision (k=3)", precision, LEAST_PRECISION));
      figures.add(atLeast("recall (k=3)", recall, LEAST_RECALL));
      figures.add(
          atMost("two-sample accuracy (1-NN)", twoSampleAccuracy, MOST_TWO_SAMPLE_ACCURACY));
      figures.add(atLeast("share like real ones", likeReal, LEAST_LIKE_REAL));
      if (!classShares.isEmpty()) {
        double even = classShares.size();
        double least = Collections.min(classShares);
        double most = Collections.max(classShares);
        figures.add(
            new Figure(
                "class shares (least to most)",
                number(least) + " to " + number(most),
                number(LEAST_CLASS_SHARE / even) + " to " + number(MOST_CLASS_SHARE / even),
                least >= LEAST_CLASS_SHARE / even && most <= MOST_CLASS_SHARE / even));
      }
      figures.add(atLeast("distance to training (copying)", copying, LEAST_COPYING));
      return List.copyOf(figures);
    }

    /**
     * The metrics that miss their bounds.
     *
     * @return one sentence per metric that misses its bound, with bound and value
     */
    public List<String> failures() {
      return figures().stream()
          .filter(figure -> !figure.kept())
          .map(f -> f.name() + " must be " + f.bound() + ", but was " + f.value())
          .toList();
    }

    /**
     * Whether every metric meets its bound.
     *
     * @return whether there are no {@link #failures}
     */
    public boolean passes() {
      return failures().isEmpty();
    }

    /**
     * A comparison of this verdict with that on real images, as plain text for a terminal.
     *
     * @param real the verdict on real images, {@link Judge#realAgainstReal}
     * @return the table, lines ending in {@code \n}
     */
    public String table(Verdict real) {
      StringBuilder table = new StringBuilder();
      table.append(line("", "generated", "real against real", "bound", ""));
      List<Figure> others = real.figures();
      for (int i = 0; i < others.size(); i++) {
        Figure figure = figures().get(i);
        table.append(
            line(
                figure.name(),
                figure.value(),
                others.get(i).value(),
                figure.bound(),
                figure.kept() ? "ok" : "FAILS"));
      }
      if (!classShares.isEmpty()) {
        table.append('\n').append(shares("class", IntStream.range(0, classShares.size()).boxed()));
        table.append(shares("generated, %", percent(classShares)));
        table.append(shares("real, %", percent(real.classShares)));
      }
      return table.toString();
    }

    private static String line(
        String name, String value, String other, String bound, String verdict) {
      return String.format(
                  Locale.ROOT, "%-31s  %14s  %17s  %14s  %s", name, value, other, bound, verdict)
              .stripTrailing()
          + "\n";
    }

    private static String shares(String name, Stream<?> cells) {
      return String.format(Locale.ROOT, "%-14s", name)
          + cells.map(cell -> String.format(Locale.ROOT, "%6s", cell)).collect(Collectors.joining())
          + "\n";
    }

    private static Stream<String> percent(List<Double> shares) {
      return shares.stream().map(share -> String.format(Locale.ROOT, "%.1f", 100 * share));
    }

    private static Figure atLeast(String name, double value, double least) {
      return new Figure(name, number(value), "at least " + number(least), value >= least);
    }

    private static Figure atMost(String name, double value, double most) {
      return new Figure(name, number(value), "at most " + number(most), value <= most);
    }

    private static String number(double value) {
      return String.format(Locale.ROOT, "%.3f", value);
    }
  }
}
