package io.github.ddpm4j.spark;

import io.github.ddpm4j.internal.picture.SampleFolder;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.SampleBlocks;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.LongAccumulator;
import org.jspecify.annotations.Nullable;

/**
 * Draws pictures on a cluster, set up fluently:
 *
 * <pre>{@code
 * SparkSampling.of(spark, SparkModel.shared(Path.of("/data/fashion")))
 *     .sampler(Samplers.parse("dpm++2m:20"))
 *     .seed(42)
 *     .writeFiles(Path.of("/data/pictures"), 1_000_000);
 * }</pre>
 *
 * <p>Pictures are those of a seed by their indexes, drawn in {@linkplain SampleBlocks blocks}: the
 * bytes of each depend on model, sampler, seed, classes, index and the length of blocks, on the
 * kind of machine and the number of threads of a task, and on nothing else. Partitions, executors,
 * tasks that are run again or twice at once, and drivers that go on after a killed one change
 * nothing. A task has as many threads of libtorch as {@code spark.task.cpus}, unless the executor's
 * property {@code ai.djl.pytorch.num_threads} says otherwise.
 *
 * <p>A block is a batch of the network and what a task holds in memory. Not thread-safe.
 */
public final class SparkSampling {

  /** The default length of blocks, that of the command line too: {@value}. */
  public static final int DEFAULT_BLOCK = 16;

  /** The default number of blocks of a chapter: {@value}. */
  public static final int DEFAULT_CHAPTER = 1024;

  private final SparkSession spark;
  private final LongAccumulator drawn;
  private final SparkModel model;
  private String sampler = Samplers.ddpm().toString();
  private long seed;
  private int block = DEFAULT_BLOCK;
  private int chapter = DEFAULT_CHAPTER;
  private int partitions;
  private List<Integer> labels = List.of();
  private @Nullable Double guidance;

  private SparkSampling(SparkSession spark, SparkModel model) {
    this.spark = spark;
    this.model = model;
    this.drawn = spark.sparkContext().longAccumulator("pictures drawn");
  }

  /**
   * Sets up a job with the defaults.
   *
   * @param spark the session to run on
   * @param model the model
   * @return the job
   */
  public static SparkSampling of(SparkSession spark, SparkModel model) {
    Objects.requireNonNull(spark, "spark");
    Objects.requireNonNull(model, "model");
    return new SparkSampling(spark, model);
  }

  /**
   * The sampler.
   *
   * @param sampler a sampler of {@link Samplers}, which has a text; the default is the paper's
   * @return this job
   * @throws IllegalArgumentException if the sampler has no text that {@link Samplers#parse} reads
   */
  public SparkSampling sampler(Sampler sampler) {
    String text = Objects.requireNonNull(sampler, "sampler").toString();
    Samplers.parse(text);
    this.sampler = text;
    return this;
  }

  /**
   * The seed of all pictures.
   *
   * @param seed the seed; the default is 0
   * @return this job
   */
  public SparkSampling seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * The pictures of a block, which one call of the network takes. The bytes of pictures depend on
   * it, by rounding.
   *
   * @param pictures at least 1; the default is {@value #DEFAULT_BLOCK}
   * @return this job
   * @throws IllegalArgumentException if {@code pictures} is less than 1
   */
  public SparkSampling block(int pictures) {
    this.block = positive("block", pictures);
    return this;
  }

  /**
   * The blocks of a chapter, which {@link #writeParquet} writes by one job of Spark: what a killed
   * driver loses at most.
   *
   * @param blocks at least 1; the default is {@value #DEFAULT_CHAPTER}
   * @return this job
   * @throws IllegalArgumentException if {@code blocks} is less than 1
   */
  public SparkSampling chapter(int blocks) {
    this.chapter = positive("chapter", blocks);
    return this;
  }

  /**
   * The partitions, of which each is a task. They change no picture.
   *
   * @param partitions at least 1; the default is one for each block, but at most 8 for each core
   *     that the cluster has at first
   * @return this job
   * @throws IllegalArgumentException if {@code partitions} is less than 1
   */
  public SparkSampling partitions(int partitions) {
    this.partitions = positive("partitions", partitions);
    return this;
  }

  /**
   * A class of each picture in turn: the picture of index i gets number i modulo their number.
   *
   * @param labels classes of the model; none for pictures without a class
   * @return this job
   */
  public SparkSampling labels(int... labels) {
    this.labels = List.copyOf(Arrays.stream(labels).boxed().toList());
    return this;
  }

  /**
   * Classifier-free guidance towards the classes.
   *
   * @param scale the scale, as {@link Guidance#classifierFree} takes it; the default is none
   * @return this job
   * @throws IllegalArgumentException as there
   */
  public SparkSampling guidance(double scale) {
    Guidance.classifierFree(scale);
    this.guidance = scale;
    return this;
  }

  /**
   * The pictures that the tasks of this job have drawn, as the driver hears of it and Spark's page
   * shows. What Spark does twice counts twice, except in {@link #writeFiles}.
   *
   * @return the accumulator
   */
  public LongAccumulator drawn() {
    return drawn;
  }

  /**
   * The pictures as rows, drawn when an action of Spark asks for them: {@code index} (long), {@code
   * seed} (long), {@code label} (int or null), {@code png} (binary, the bytes of a PNG file) and
   * {@code provenance} (map of strings, see {@link io.github.ddpm4j.sampling.Samples#provenance}).
   * Each action draws them anew: write them, or cache them.
   *
   * @param from the index of the first, at least 0
   * @param count how many, at least 1
   * @return the rows, in the order of indexes
   * @throws IllegalArgumentException if {@code from} or {@code count} is too small
   */
  public Dataset<Row> pictures(long from, long count) {
    return rows(drawing(from, count));
  }

  private Dataset<Row> rows(Drawing drawing) {
    return spark.createDataFrame(
        blocks(drawing).flatMap(new DrawRows(drawing, drawn)), PictureRows.SCHEMA);
  }

  /**
   * Draws pictures into files of a folder that all machines see by the same path: {@code
   * 00000000.png} and so on, and a {@code manifest.json} that says how they are drawn. Each file is
   * written whole or not at all. What is there already is left as it is, so a job that was killed
   * is gone on with by the same call, also with more pictures.
   *
   * @param folder the folder; made if it is missing
   * @param count the pictures, from index 0 on, at least 1
   * @return how many were drawn now
   * @throws IllegalArgumentException if the folder holds pictures that are drawn otherwise, or
   *     {@code count} is less than 1
   * @throws ExecutorException if a task fails for good
   * @throws IOException if the folder cannot be written
   */
  public long writeFiles(Path folder, long count) throws IOException {
    Drawing drawing = drawing(0, count);
    Path whole = folder.toAbsolutePath();
    SampleFolder.open(whole, drawing.settings());
    long before = drawn.sum();
    return Failures.atDriver(
        () -> {
          blocks(drawing).foreach(new DrawFiles(drawing, whole, drawn));
          return drawn.sum() - before;
        });
  }

  /**
   * Draws pictures into Parquet files on any file system that Spark writes to, chapter by chapter.
   * Chapters that are there are left as they are, so a job that was killed is gone on with by the
   * same call; {@code spark.read().parquet(folder)} reads the rows of {@link #pictures}, with the
   * column {@code chapter} beside. One driver at a time may write to a folder.
   *
   * @param folder a path or URI; made if it is missing
   * @param count the pictures, from index 0 on, at least 1; the last chapter is written when it is
   *     whole or the last picture is in it, so go on with the same count
   * @return how many were drawn now
   * @throws IllegalArgumentException if the folder holds pictures that are drawn otherwise, or
   *     {@code count} is less than 1
   * @throws ExecutorException if a task fails for good
   * @throws IOException if the folder cannot be read or written
   */
  public long writeParquet(String folder, long count) throws IOException {
    Drawing all = drawing(0, count);
    var settings = all.settings();
    settings.put("count", Long.toString(count));
    settings.put("chapter", Integer.toString(chapter));
    Chapters chapters = Chapters.open(folder, spark.sparkContext().hadoopConfiguration(), settings);
    long length = (long) chapter * block;
    long now = 0;
    for (long number = 0; number * length < count; number++) {
      if (!chapters.isWhole(number)) {
        Drawing part = all.of(number * length, Math.min(count, (number + 1) * length));
        String place = chapters.place(number);
        Failures.atDriver(
            () -> {
              rows(part).write().mode(SaveMode.Overwrite).parquet(place);
              return place;
            });
        chapters.markWhole(number);
        now += part.end() - part.from();
      }
    }
    return now;
  }

  private Drawing drawing(long from, long count) {
    if (from < 0) {
      throw new IllegalArgumentException("from must be at least 0, but was " + from);
    }
    if (count < 1) {
      throw new IllegalArgumentException("count must be at least 1, but was " + count);
    }
    return new Drawing(model, sampler, seed, block, labels, guidance, from, from + count);
  }

  private JavaRDD<Long> blocks(Drawing drawing) {
    long first = drawing.blocks().of(drawing.from());
    long end = drawing.lastBlock();
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    int tasks =
        partitions > 0
            ? partitions
            : (int) Math.min(end - first, 8L * context.defaultParallelism());
    return context.sc().range(first, end, 1, tasks).toJavaRDD().map(number -> (Long) number);
  }

  private static int positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }
}
