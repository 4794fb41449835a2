package io.github.ddpm4j.spark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.spark.RoundTask.Picture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.storage.StorageLevel;
import org.jspecify.annotations.Nullable;
import scala.Tuple2;

/**
 * Trains a network on a cluster in rounds, each a job of Spark: every worker takes some steps on
 * its share of the pictures from the same weights, and the driver makes new weights of what they
 * have come to.
 *
 * <pre>
 *   repeat for each round
 *     each worker k:  θ_k ← H steps of Adam from θ, on its own pictures
 *     driver:         θ ← outer step from θ to mean_k θ_k                    ({@link OuterStep})
 * </pre>
 *
 * <p>The part of a worker is a function of the weights, its state, its pictures, worker and round;
 * sums are in the order of workers. So tasks that are lost or run twice change nothing, and a run
 * gives the same bits again on machines of one kind, whatever their number. Workers are parts of
 * the work, not machines: the picture of index i is worker (i mod n)'s.
 *
 * <pre>{@code
 * SparkTraining.of(spark, ddpm)
 *     .workers(8).rounds(100).localSteps(500).batchSize(64).seed(1)
 *     .outer(OuterStep.diloco())
 *     .setUp((run, round) -> run.learningRate(1e-3))
 *     .fit(pictures);
 * }</pre>
 *
 * <p>Driver and executors need DJL's engine. The driver holds the weights of all workers at once,
 * and their states. Not thread-safe.
 */
public final class SparkTraining {

  /** The default number of steps of a round: {@value}. */
  public static final int DEFAULT_LOCAL_STEPS = 500;

  /** What becomes of the moments of Adam, and of the number of steps that they are of. */
  public enum Moments {
    /** Each round begins with none: nothing but weights is sent. */
    ANEW,

    /** They go to the driver with the weights and to the worker's next round: thrice the bytes. */
    TRAVEL
  }

  /**
   * A round that was done.
   *
   * @param number from 0
   * @param loss the mean loss of all steps of all workers
   * @param bytes what the workers sent to the driver
   * @param time how long it took
   */
  public record Round(int number, double loss, long bytes, Duration time) {}

  private final SparkSession spark;
  private final DDPM ddpm;
  private final List<Consumer<Round>> listeners = new ArrayList<>();
  private int workers;
  private int rounds;
  private int localSteps = DEFAULT_LOCAL_STEPS;
  private int batchSize = Training.DEFAULT_BATCH_SIZE;
  private long seed;
  private OuterStep outer = OuterStep.average();
  private Moments moments = Moments.ANEW;
  private Function2<Training, Integer, Training> setUp = (run, round) -> run;
  private @Nullable Path file;

  private SparkTraining(SparkSession spark, DDPM ddpm) {
    this.spark = spark;
    this.ddpm = ddpm;
    this.workers = spark.sparkContext().defaultParallelism();
  }

  /**
   * Sets up a training with the defaults.
   *
   * @param spark the session to run on
   * @param ddpm the model, whose network is trained in place; not closed
   * @return the training
   * @throws IllegalStateException if the model has no network
   * @throws IllegalArgumentException if it has one that cannot be trained
   */
  public static SparkTraining of(SparkSession spark, DDPM ddpm) {
    Objects.requireNonNull(spark, "spark");
    ddpm.denoiser(TrainableDenoiser.class);
    return new SparkTraining(spark, ddpm);
  }

  /**
   * The parts that the pictures and each round are divided into.
   *
   * @param workers at least 1; the default is as many as the cluster has cores at first
   * @return this training
   * @throws IllegalArgumentException if {@code workers} is less than 1
   */
  public SparkTraining workers(int workers) {
    this.workers = positive("workers", workers);
    return this;
  }

  /**
   * The number of rounds.
   *
   * @param rounds at least 1
   * @return this training
   * @throws IllegalArgumentException if {@code rounds} is less than 1
   */
  public SparkTraining rounds(int rounds) {
    this.rounds = positive("rounds", rounds);
    return this;
  }

  /**
   * H, the steps that a worker takes in a round.
   *
   * @param steps at least 1; the default is {@value #DEFAULT_LOCAL_STEPS}, DiLoCo's
   * @return this training
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public SparkTraining localSteps(int steps) {
    this.localSteps = positive("localSteps", steps);
    return this;
  }

  /**
   * The pictures of a step of a worker.
   *
   * @param pictures at least 1; the default is {@value Training#DEFAULT_BATCH_SIZE}
   * @return this training
   * @throws IllegalArgumentException if {@code pictures} is less than 1
   */
  public SparkTraining batchSize(int pictures) {
    this.batchSize = positive("batchSize", pictures);
    return this;
  }

  /**
   * The seed of everything that is drawn.
   *
   * @param seed the seed; the default is 0
   * @return this training
   */
  public SparkTraining seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * What the driver makes of the workers' weights.
   *
   * @param outer the default is {@link OuterStep#average()}
   * @return this training
   */
  public SparkTraining outer(OuterStep outer) {
    this.outer = Objects.requireNonNull(outer, "outer");
    return this;
  }

  /**
   * What becomes of Adam's moments.
   *
   * @param moments the default is {@link Moments#ANEW}
   * @return this training
   */
  public SparkTraining moments(Moments moments) {
    this.moments = Objects.requireNonNull(moments, "moments");
    return this;
  }

  /**
   * Sets up the run of a worker in a round: learning rate, optimizer, loss. Batch size, number of
   * steps and seed are set afterwards. With {@link Moments#TRAVEL} the rounds of a worker are one
   * run, whose steps are counted over all of them; else each is a run of its own.
   *
   * @param setUp a serializable function of the run and the number of the round, from 0
   * @return this training
   */
  public SparkTraining setUp(Function2<Training, Integer, Training> setUp) {
    this.setUp = Objects.requireNonNull(setUp, "setUp");
    return this;
  }

  /**
   * Adds a listener, told at the driver of each round that was done; the network of the model has
   * its weights then.
   *
   * @param listener the listener
   * @return this training
   */
  public SparkTraining listener(Consumer<Round> listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /**
   * Keeps what a driver needs that goes on after a killed one in a file, replaced after each round.
   * If it is there when the training begins, it goes on with the rounds that are missing.
   *
   * @param file the file, which the driver sees
   * @return this training
   */
  public SparkTraining checkpoint(Path file) {
    this.file = Objects.requireNonNull(file, "file");
    return this;
  }

  /**
   * Trains.
   *
   * @param pictures rows with an {@code index} (long), each once, and a {@code png} (binary); for a
   *     network of classes with a {@code label} (int), too
   * @return the rounds that were done now, in order
   * @throws IllegalStateException if the number of rounds is not set
   * @throws IllegalArgumentException if the file of the checkpoint is that of another training
   * @throws ExecutorException if a task fails for good
   * @throws IOException if the model or the checkpoint cannot be written
   */
  public List<Round> fit(Dataset<Row> pictures) throws IOException {
    if (rounds == 0) {
      throw new IllegalStateException(
          "the number of rounds is not set; call rounds(n) before fit()");
    }
    TrainableDenoiser network = ddpm.denoiser(TrainableDenoiser.class);
    RoundFile before = before(FlatWeights.of(network));
    FlatWeights.set(network, before.weights());
    JavaRDD<Picture> shares = shares(pictures).persist(StorageLevel.MEMORY_AND_DISK());
    try {
      return rounds(network, before, shares);
    } finally {
      shares.unpersist();
    }
  }

  private RoundFile before(float[] weights) throws IOException {
    return file != null && Files.exists(file)
        ? RoundFile.read(file, identity(weights.length))
        : new RoundFile(
            0, weights, new float[weights.length], Collections.nCopies(workers, new byte[0]));
  }

  /** What the rounds depend on, as far as it can be told in words. */
  private String identity(int weights) {
    return "seed "
        + seed
        + ", workers "
        + workers
        + ", localSteps "
        + localSteps
        + ", batchSize "
        + batchSize
        + ", "
        + outer
        + ", moments "
        + moments
        + ", weights "
        + weights;
  }

  private List<Round> rounds(TrainableDenoiser network, RoundFile before, JavaRDD<Picture> shares)
      throws IOException {
    RoundTask task = new RoundTask(network(), setUp, localSteps, batchSize, seed, moments);
    float[] weights = before.weights();
    float[] velocity = before.velocity();
    List<byte[]> states = before.states();
    List<Round> done = new ArrayList<>();
    for (int round = before.rounds(); round < rounds; round++) {
      long start = System.nanoTime();
      List<RoundTask.Result> results = run(task, round, weights, states, shares);
      outer.take(weights, velocity, results.stream().map(RoundTask.Result::weights).toList());
      states = results.stream().map(RoundTask.Result::state).toList();
      FlatWeights.set(network, weights);
      if (file != null) {
        new RoundFile(round + 1, weights, velocity, states).write(file, identity(weights.length));
      }
      Round one =
          new Round(
              round,
              results.stream().mapToDouble(RoundTask.Result::loss).sum() / results.size(),
              results.stream()
                  .mapToLong(r -> (long) r.weights().length * Float.BYTES + r.state().length)
                  .sum(),
              Duration.ofNanos(System.nanoTime() - start));
      done.add(one);
      listeners.forEach(listener -> listener.accept(one));
    }
    return done;
  }

  /** The network without its weights' meaning, for the executors. */
  private SparkModel network() throws IOException {
    Path model = Files.createTempFile("ddpm4j", ".safetensors");
    try {
      ddpm.saveSafetensors(model);
      return SparkModel.broadcast(spark, model);
    } finally {
      Files.delete(model);
    }
  }

  private List<RoundTask.Result> run(
      RoundTask task, int round, float[] weights, List<byte[]> states, JavaRDD<Picture> shares) {
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    Broadcast<float[]> sent = context.broadcast(weights.clone());
    List<Broadcast<byte[]>> own = new ArrayList<>();
    states.forEach(state -> own.add(context.broadcast(state)));
    try {
      return Failures.atDriver(
          () ->
              shares
                  .mapPartitionsWithIndex(
                      (worker, pictures) ->
                          List.of(
                                  task.run(
                                      worker,
                                      round,
                                      sent.value(),
                                      own.get(worker).value(),
                                      pictures))
                              .iterator(),
                      false)
                  .collect());
    } finally {
      sent.destroy();
      own.forEach(Broadcast::destroy);
    }
  }

  private JavaRDD<Picture> shares(Dataset<Row> pictures) {
    boolean labels = ddpm.model().denoiser().conditionKinds().contains(Condition.Kind.LABELS);
    Dataset<Row> columns =
        labels
            ? pictures.select(PictureRows.INDEX, PictureRows.PNG, PictureRows.LABEL)
            : pictures.select(PictureRows.INDEX, PictureRows.PNG);
    return columns
        .javaRDD()
        .mapToPair(
            row ->
                new Tuple2<>(
                    row.getLong(0),
                    new Picture(row.getLong(0), row.getAs(1), labels ? row.getInt(2) : -1)))
        .repartitionAndSortWithinPartitions(new BlockPartitioner(1, workers))
        .values();
  }

  private static int positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }
}
