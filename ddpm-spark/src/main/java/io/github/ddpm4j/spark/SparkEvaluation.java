package io.github.ddpm4j.spark;

import io.github.ddpm4j.evaluation.BitsPerDim;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.FrechetDistance;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import scala.Tuple2;

/**
 * Figures of pictures on a cluster. Pictures are rows with an {@code index} (long), each once, and
 * a {@code png} (binary, the bytes of a file that Java reads), as {@link SparkSampling#pictures}
 * and {@link #folder} make them; all of one size.
 *
 * <pre>{@code
 * SparkEvaluation evaluation = SparkEvaluation.of(SparkFeatures.pixels());
 * double distance = evaluation.frechetDistance(generated, SparkEvaluation.folder(spark, "real"));
 * }</pre>
 *
 * <p>Pictures are brought together in blocks by their indexes, a block being a batch of the
 * network. So the features of each are the same bits however the rows are partitioned, and figures
 * differ at most by the rounding of sums in {@code double}.
 *
 * <p>Immutable and thread-safe.
 */
public final class SparkEvaluation {

  /** The default length of blocks: {@value}. */
  public static final int DEFAULT_BLOCK = 16;

  private final SparkFeatures features;
  private final int block;

  private SparkEvaluation(SparkFeatures features, int block) {
    this.features = features;
    this.block = block;
  }

  /**
   * Figures in some features.
   *
   * @param features the features
   * @return the evaluation
   */
  public static SparkEvaluation of(SparkFeatures features) {
    return new SparkEvaluation(Objects.requireNonNull(features, "features"), DEFAULT_BLOCK);
  }

  /**
   * The same with another length of blocks, which the features depend on by rounding.
   *
   * @param pictures the pictures of a batch of the network, at least 1; the default is {@value
   *     #DEFAULT_BLOCK}
   * @return an evaluation
   * @throws IllegalArgumentException if {@code pictures} is less than 1
   */
  public SparkEvaluation block(int pictures) {
    return new SparkEvaluation(features, positive(pictures));
  }

  /**
   * The pictures of a folder on any file system that Spark reads, numbered in the order of their
   * paths.
   *
   * @param spark the session
   * @param folder a path or URI; folders in it are not looked into
   * @return rows of {@code index}, {@code png} and {@code path}
   */
  public static Dataset<Row> folder(SparkSession spark, String folder) {
    JavaRDD<Row> rows =
        spark
            .read()
            .format("binaryFile")
            .option("pathGlobFilter", "*.{png,jpg,jpeg,gif,bmp,PNG,JPG,JPEG,GIF,BMP}")
            .load(folder)
            .select("path", "content")
            .orderBy("path")
            .javaRDD()
            .zipWithIndex()
            .map(one -> RowFactory.create(one._2(), one._1().get(1), one._1().getString(0)));
    StructType schema =
        new StructType()
            .add(PictureRows.INDEX, DataTypes.LongType, false)
            .add(PictureRows.PNG, DataTypes.BinaryType, false)
            .add("path", DataTypes.StringType, false);
    return spark.createDataFrame(rows, schema);
  }

  /**
   * Count, mean and covariance of the features.
   *
   * @param pictures at least one
   * @return the statistics, named as the features
   * @throws IllegalArgumentException if there are no pictures
   * @throws ExecutorException if a task fails for good
   */
  public FeatureStatistics statistics(Dataset<Row> pictures) {
    FeatureTask task = new FeatureTask(features, block);
    return merged(
        pictures, sorted(pictures).mapPartitions(task::statistics), FeatureStatistics::merge);
  }

  /**
   * The Fréchet distance, as {@link FrechetDistance#between}.
   *
   * @param generated at least two
   * @param reference at least two
   * @return the distance
   * @throws IllegalArgumentException if there are no pictures
   * @throws IllegalStateException if there is only one
   * @throws ExecutorException if a task fails for good
   */
  public double frechetDistance(Dataset<Row> generated, Dataset<Row> reference) {
    return FrechetDistance.between(statistics(generated), statistics(reference));
  }

  /**
   * The features of the first pictures, in the order of indexes, at the driver: for {@link
   * io.github.ddpm4j.evaluation.KernelDistance}, {@link
   * io.github.ddpm4j.evaluation.PrecisionRecall} and all others of one machine, whose cost grows
   * with the square of the number.
   *
   * @param pictures the pictures
   * @param most how many rows at most, at least 1; ten thousand are usual
   * @return a row for each picture
   * @throws IllegalArgumentException if {@code most} is less than 1, or there are no pictures
   * @throws ExecutorException if a task fails for good
   */
  public double[][] rows(Dataset<Row> pictures, int most) {
    if (most < 1) {
      throw new IllegalArgumentException("most must be at least 1, but was " + most);
    }
    FeatureTask task = new FeatureTask(features, block);
    Dataset<Row> first =
        pictures.select(PictureRows.INDEX, PictureRows.PNG).orderBy(PictureRows.INDEX).limit(most);
    List<Tuple2<Long, double[]>> rows =
        Failures.atDriver(() -> sorted(first).mapPartitions(task::rows).collect());
    if (rows.isEmpty()) {
      throw none();
    }
    return rows.stream()
        .sorted(Comparator.comparing(Tuple2::_1))
        .map(Tuple2::_2)
        .toArray(double[][]::new);
  }

  /**
   * The Inception score over all pictures, without splits; the features must be class
   * probabilities. {@link io.github.ddpm4j.evaluation.InceptionScore} has intervals and splits for
   * {@link #rows}.
   *
   * @param generated at least one
   * @return the score
   * @throws IllegalArgumentException if there are no pictures
   * @throws ExecutorException if a task fails for good, as where the features are no probabilities
   */
  public double inceptionScore(Dataset<Row> generated) {
    FeatureTask task = new FeatureTask(features, block);
    return merged(
            generated, sorted(generated).mapPartitions(task::probabilities), ProbabilitySums::merge)
        .score();
  }

  /**
   * Bits per dimension of pictures under a model, as {@link BitsPerDim} evaluates those of the same
   * indexes.
   *
   * @param pictures at least one, of the size of the model's
   * @param model the model
   * @param setUp sets a run up on an executor: {@code run -> run.seed(1).timesteps(50)}; a seed is
   *     needed for a result that can be had again
   * @return the result over all pictures
   * @throws IllegalArgumentException if there are no pictures
   * @throws ExecutorException if a task fails for good
   */
  public static BitsPerDimResult bitsPerDim(
      Dataset<Row> pictures, SparkModel model, Function<BitsPerDim, BitsPerDim> setUp) {
    LikelihoodTask task = new LikelihoodTask(model, setUp, DEFAULT_BLOCK);
    return merged(
        pictures,
        sorted(pictures, DEFAULT_BLOCK).mapPartitions(task::call),
        BitsPerDimResult::merge);
  }

  private JavaPairRDD<Long, byte[]> sorted(Dataset<Row> pictures) {
    return sorted(pictures, block);
  }

  /** Each block in one partition, and partitions in the order of indexes. */
  private static JavaPairRDD<Long, byte[]> sorted(Dataset<Row> pictures, int block) {
    int partitions = pictures.sparkSession().sparkContext().defaultParallelism();
    return pictures
        .select(PictureRows.INDEX, PictureRows.PNG)
        .javaRDD()
        .mapToPair(row -> new Tuple2<>(row.getLong(0), row.<byte[]>getAs(1)))
        .repartitionAndSortWithinPartitions(new BlockPartitioner(block, partitions));
  }

  /** Puts the parts together, two by two on the executors, where there are many. */
  private static <T> T merged(
      Dataset<Row> pictures,
      JavaRDD<T> parts,
      org.apache.spark.api.java.function.Function2<T, T, T> merge) {
    Objects.requireNonNull(pictures, "pictures");
    return Failures.atDriver(
        () -> {
          try {
            return parts.treeReduce(merge);
          } catch (UnsupportedOperationException e) {
            throw none(); // so Spark says that there was nothing to put together
          }
        });
  }

  private static IllegalArgumentException none() {
    return new IllegalArgumentException("there are no pictures; an evaluation needs at least one");
  }

  private static int positive(int pictures) {
    if (pictures < 1) {
      throw new IllegalArgumentException("block must be at least 1, but was " + pictures);
    }
    return pictures;
  }
}
