package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Machine;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.ojalgo.matrix.store.R064Store;

/**
 * Count, mean and covariance of features, in {@code double}: all that {@link FrechetDistance} needs
 * of a dataset. Can be collected in batches, merged from parts and saved to a file.
 *
 * <pre>
 *   n = n_a + n_b,  δ = μ_b − μ_a
 *   μ = μ_a + δ · n_b / n
 *   M = M_a + M_b + δ δᵀ · n_a n_b / n        (Chan, Golub, LeVeque 1979)
 *   Σ = M / (n − 1)
 * </pre>
 *
 * <p>Immutable and thread-safe. Serializable, so that frameworks can carry parts between machines
 * of one version of this library; {@link #save} is for files.
 */
public final class FeatureStatistics implements Serializable {

  private static final long serialVersionUID = 1;

  private static final String FORMAT = "ddpm4j feature statistics";
  private static final String MEAN = "mean";
  private static final String PRODUCTS = "products";

  /** As many numbers as an array can hold on every virtual machine. */
  private static final int LONGEST = Integer.MAX_VALUE - 8;

  /** The name of the features. */
  private final String features;

  /** The number of images. */
  private final long count;

  /** The mean of each feature. */
  private final double[] mean;

  /** M, the sum of the products of the deviations from the mean, row by row. */
  private final double[] products;

  /** L with L·Lᵀ = Σ, of any number of columns; computed on first use if it is not known. */
  private transient volatile @Nullable R064Store factor;

  private FeatureStatistics(String features, long count, double[] mean, double[] products) {
    this.features = features;
    this.count = count;
    this.mean = mean;
    this.products = products;
  }

  /**
   * Computes the statistics of a complete set of features.
   *
   * @param rows one row per image, at least one
   * @return the statistics
   * @throws IllegalArgumentException if there are no rows, rows of unequal length, or a value is
   *     not finite, or more than 46,340 features, whose covariance no array holds
   */
  public static FeatureStatistics of(double[][] rows) {
    return collector().add(rows).statistics();
  }

  /**
   * Creates a collector that accumulates statistics batch by batch, without keeping the features.
   *
   * @return an empty collector
   */
  public static Collector collector() {
    return new Collector();
  }

  /** As {@link #of}, for rows that were checked. */
  static FeatureStatistics ofChecked(double[][] rows) {
    return ofChecked(rows, LONGEST);
  }

  /** As that, with no more deviations at once than {@code longest}, half after half. */
  static FeatureStatistics ofChecked(double[][] rows, int longest) {
    int width = rows[0].length;
    requireSquare(width);
    if ((long) rows.length * width > longest) {
      int half = rows.length / 2;
      FeatureStatistics all = ofChecked(Arrays.copyOfRange(rows, 0, half), longest);
      all.include(ofChecked(Arrays.copyOfRange(rows, half, rows.length), longest), half);
      return new FeatureStatistics("", rows.length, all.mean, all.products);
    }
    double[] mean = new double[width];
    for (double[] row : rows) {
      for (int k = 0; k < width; k++) {
        mean[k] += row[k];
      }
    }
    for (int k = 0; k < width; k++) {
      mean[k] /= rows.length;
    }
    // One column per feature: the product of the transposed matrix with itself is the fast one.
    double[] deviations = new double[rows.length * width];
    for (int i = 0; i < rows.length; i++) {
      for (int k = 0; k < width; k++) {
        deviations[k * rows.length + i] = rows[i][k] - mean[k];
      }
    }
    R064Store columns = R064Store.wrap(deviations, rows.length);
    double[] products = new double[width * width];
    R064Store.wrap(products, width).fillByMultiplying(columns.transpose(), columns);
    FeatureStatistics statistics = new FeatureStatistics("", rows.length, mean, products);
    if (rows.length > 1 && rows.length <= width) {
      // Of few images the deviations themselves are a factor, where Σ has no other that is cheap.
      double root = Math.sqrt(statistics.divisor());
      R064Store factor = R064Store.FACTORY.make(width, rows.length);
      for (int k = 0; k < width; k++) {
        for (int i = 0; i < rows.length; i++) {
          factor.set(k, i, deviations[k * rows.length + i] / root);
        }
      }
      statistics.factor = factor;
    }
    return statistics;
  }

  /** Refuses what makes a covariance longer than an array can be. */
  private static void requireSquare(int width) {
    if ((long) width * width > LONGEST) {
      throw new IllegalArgumentException(
          "statistics need at most "
              + (int) Math.sqrt(LONGEST)
              + " features per image, since a covariance holds the square of it, but were given "
              + width
              + "; use smaller images, or the features of a network");
    }
  }

  /**
   * Merges the statistics of two sets of images.
   *
   * @param other the statistics of the other set
   * @return the statistics of both sets
   * @throws IllegalArgumentException if the features differ in number or name
   */
  public FeatureStatistics merge(FeatureStatistics other) {
    requireSameFeatures("statistics to merge", other);
    FeatureStatistics merged =
        new FeatureStatistics(
            features.isEmpty() ? other.features : features,
            count + other.count,
            mean.clone(),
            products.clone());
    merged.include(other, count);
    return merged;
  }

  /** Takes a part in, beside the {@code own} images that the mean and the products are of. */
  private void include(FeatureStatistics part, long own) {
    factor = null;
    double total = (double) own + part.count;
    double[] delta = new double[mean.length];
    for (int k = 0; k < mean.length; k++) {
      delta[k] = part.mean[k] - mean[k];
      mean[k] += delta[k] * (part.count / total);
    }
    double weight = own * (part.count / total);
    for (int i = 0, at = 0; i < mean.length; i++) {
      double scaled = weight * delta[i];
      for (int j = 0; j < mean.length; j++, at++) {
        products[at] += part.products[at] + scaled * delta[j];
      }
    }
  }

  /**
   * These statistics with a name for their features. Statistics with different names cannot be
   * compared or merged.
   *
   * @param features the identity of the features: network, size and resizing method
   * @return the same statistics with that name
   */
  public FeatureStatistics named(String features) {
    Objects.requireNonNull(features, "features");
    return new FeatureStatistics(features, count, mean, products);
  }

  /**
   * The name of the features.
   *
   * @return the name, empty if none was given
   */
  public String features() {
    return features;
  }

  /**
   * The number of images.
   *
   * @return at least 1
   */
  public long count() {
    return count;
  }

  /**
   * The number of features per image.
   *
   * @return at least 1
   */
  public int dimension() {
    return mean.length;
  }

  /**
   * The mean of each feature.
   *
   * @return a copy
   */
  public double[] mean() {
    return mean.clone();
  }

  /**
   * The unbiased covariance of the features.
   *
   * @return a copy, the row of a feature at its index
   * @throws IllegalStateException if there is only one image
   */
  public double[][] covariance() {
    double divisor = divisor();
    double[][] covariance = new double[mean.length][mean.length];
    for (int i = 0; i < mean.length; i++) {
      for (int j = 0; j < mean.length; j++) {
        covariance[i][j] = products[i * mean.length + j] / divisor;
      }
    }
    return covariance;
  }

  /** tr Σ. */
  double trace() {
    double sum = 0;
    for (int k = 0; k < mean.length; k++) {
      sum += products[k * mean.length + k];
    }
    return sum / divisor();
  }

  /** L with L·Lᵀ = Σ; not to be changed. */
  R064Store factor() {
    R064Store known = factor;
    if (known == null) {
      double divisor = divisor();
      double[] covariance = products.clone();
      for (int k = 0; k < covariance.length; k++) {
        covariance[k] /= divisor;
      }
      known = Factors.of(R064Store.wrap(covariance, mean.length));
      factor = known;
    }
    return known;
  }

  /** The mean itself; not to be changed. */
  double[] meanUncopied() {
    return mean;
  }

  private double divisor() {
    if (count < 2) {
      throw new IllegalStateException(
          "a covariance needs at least 2 images, but these statistics are of " + count);
    }
    return count - 1.0;
  }

  void requireSameFeatures(String name, FeatureStatistics other) {
    if (mean.length != other.mean.length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s must have equally many features, but have %d and %d; use the same Features for"
                  + " both",
              name,
              mean.length,
              other.mean.length));
    }
    if (!features.isEmpty() && !other.features.isEmpty() && !features.equals(other.features)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s must be of the same features, but are of \"%s\" and \"%s\"; use the same Features"
                  + " for both",
              name,
              Quote.of(features),
              Quote.of(other.features)));
    }
  }

  /**
   * A digest of the name and all values: equal for equal statistics, on every machine.
   *
   * @return SHA-256, in hexadecimal
   */
  public String sha256() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] name = features.getBytes(StandardCharsets.UTF_8);
      digest.update(ByteBuffer.allocate(2 * Long.BYTES).putLong(name.length).putLong(count).flip());
      digest.update(name);
      update(digest, mean);
      update(digest, products);
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("SHA-256 is part of every JDK", e);
    }
  }

  private static void update(MessageDigest digest, double[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(Double.BYTES);
    for (double value : values) {
      digest.update(bytes.clear().putDouble(value).flip());
    }
  }

  /**
   * Writes the statistics atomically to a safetensors file: {@code mean}, {@code products} (M
   * above), and in the metadata the count, the name and the digest.
   *
   * @param file the target file; missing folders are created, an existing file is replaced
   * @throws IOException if writing fails; an existing file is left intact
   */
  public void save(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    try (NDManager manager = Machine.newManager(null)) {
      Map<String, NDArray> tensors = new LinkedHashMap<>();
      tensors.put(MEAN, Upload.doubles(manager, mean, new Shape(mean.length), DataType.FLOAT64));
      tensors.put(
          PRODUCTS,
          Upload.doubles(manager, products, new Shape(mean.length, mean.length), DataType.FLOAT64));
      Map<String, String> words = new LinkedHashMap<>();
      words.put("format", FORMAT);
      words.put("features", features);
      words.put("count", Long.toString(count));
      words.put("sha256", sha256());
      Safetensors.write(file, tensors, words);
    }
  }

  /**
   * Reads statistics written by {@link #save}.
   *
   * @param file the file
   * @return the statistics, bit for bit
   * @throws java.nio.file.NoSuchFileException if there is no such file
   * @throws IOException if reading fails, or the file holds something else or was modified
   */
  public static FeatureStatistics load(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    Map<String, String> words = Safetensors.metadata(file);
    try (NDManager manager = Machine.newManager(null)) {
      Map<String, NDArray> tensors = Safetensors.read(file, manager);
      NDArray mean = tensors.get(MEAN);
      NDArray products = tensors.get(PRODUCTS);
      if (!FORMAT.equals(words.get("format"))
          || mean == null
          || products == null
          || mean.getDataType() != DataType.FLOAT64
          || products.getDataType() != DataType.FLOAT64
          || !products.getShape().equals(new Shape(mean.size(), mean.size()))) {
        throw new IOException(
            file + " holds no feature statistics; FeatureStatistics.save writes such files");
      }
      FeatureStatistics read =
          new FeatureStatistics(
              words.getOrDefault("features", ""),
              count(file, words.get("count")),
              mean.toDoubleArray(),
              products.toDoubleArray());
      if (!read.sha256().equals(words.get("sha256"))) {
        throw new IOException(
            file
                + " was changed after it was written: its numbers have the digest "
                + read.sha256()
                + ", but it says "
                + Quote.of(words.get("sha256"))
                + "; make it again");
      }
      return read;
    }
  }

  private static long count(Path file, @Nullable String word) throws IOException {
    try {
      return Long.parseLong(String.valueOf(word));
    } catch (NumberFormatException e) {
      throw new IOException(file + " must say a count, but says " + Quote.of(word), e);
    }
  }

  @Override
  public String toString() {
    return "FeatureStatistics["
        + count
        + " images, "
        + mean.length
        + " features"
        + (features.isEmpty() ? "" : " \"" + Quote.of(features) + "\"")
        + "]";
  }

  /**
   * Accumulates statistics batch by batch. Not thread-safe; to work in parallel, merge the
   * statistics of several collectors.
   */
  public static final class Collector {

    private @Nullable FeatureStatistics sum;
    private long images;

    private Collector() {}

    /**
     * Adds a batch.
     *
     * @param rows one row per image, at least one
     * @return this collector
     * @throws IllegalArgumentException if there are no rows, rows of unequal length or a different
     *     number of features than before, or a value is not finite; nothing is added then
     */
    public Collector add(double[][] rows) {
      FeatureRows.require("features", rows, 1, "statistics");
      FeatureStatistics batch = ofChecked(rows);
      if (sum == null) {
        sum = batch;
      } else {
        sum.requireSameFeatures("batches", batch);
        sum.include(batch, images);
      }
      images += batch.count;
      return this;
    }

    /**
     * The number of images so far.
     *
     * @return at least 0
     */
    public long count() {
      return images;
    }

    /**
     * The statistics of all batches so far. More batches can be added afterwards.
     *
     * @return the statistics
     * @throws IllegalStateException if there were no batches
     */
    public FeatureStatistics statistics() {
      if (sum == null) {
        throw new IllegalStateException("statistics need at least 1 image; add a batch before");
      }
      return new FeatureStatistics("", images, sum.mean.clone(), sum.products.clone());
    }
  }
}
