package io.github.ddpm4j.spark.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spark.OuterStep;
import io.github.ddpm4j.spark.SparkTraining;
import io.github.ddpm4j.spark.SparkTraining.Moments;
import io.github.ddpm4j.spark.SparkTraining.Round;
import io.github.ddpm4j.unet.UNet;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.commons.math3.stat.descriptive.rank.Median;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * What rounds are worth and what they take, with executors of one core each on this machine: bits
 * per dimension beside one machine's at equal samples, and a model of the time of a round.
 */
public final class SparkRounds {

  private static final int BATCH = 32;
  private static final int ROUNDS = 10;
  private static final int STEPS = 50;
  private static final int WORKERS = 2;
  private static final int SEEDS = 3;
  private static final int TIMED = 5;

  private SparkRounds() {}

  /**
   * Measures.
   *
   * @param args {@code losses} or {@code times}, or nothing for both
   * @throws IOException if a model cannot be sent
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // as executors have
    List<String> parts = args.length == 0 ? List.of("losses", "times") : List.of(args);
    if (parts.contains("losses")) {
      try (SparkSession spark = cluster(WORKERS)) {
        losses(digits(spark).cache());
      }
    }
    if (parts.contains("times")) {
      List<RoundTimes.Point> points = new ArrayList<>();
      for (int executors : new int[] {1, 2}) {
        try (SparkSession spark = cluster(executors)) {
          points.addAll(times(digits(spark).cache(), executors));
        }
      }
      RoundTimes.of(points).print(points, weights());
    }
  }

  private static SparkSession cluster(int executors) {
    return SparkSession.builder()
        .master("local-cluster[" + executors + ",1,1024]")
        .appName("SparkRounds")
        .getOrCreate();
  }

  private static UNet network(int seed) {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(32)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .attentionAtLevels()
        .groups(8)
        .dropout(0)
        .seed(seed)
        .build();
  }

  private static long weights() {
    try (UNet network = network(1)) {
      return network.weights().values().stream().mapToLong(NDArray::size).sum();
    }
  }

  private static DDPM model(UNet network) {
    return DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(network).build();
  }

  /** The bundled digits, as the files of a folder would be. */
  private static Dataset<Row> digits(SparkSession spark) throws IOException {
    LabeledImages training = Digits.load().training();
    List<Row> rows = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager()) {
      for (BufferedImage digit : Pictures.of(training.toArray(manager)).toImages()) {
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        Pictures.write(digit, png, Map.of());
        rows.add(RowFactory.create((long) rows.size(), png.toByteArray()));
      }
    }
    StructType type =
        new StructType().add("index", DataTypes.LongType).add("png", DataTypes.BinaryType);
    return spark.createDataFrame(rows, type);
  }

  private static SparkTraining training(Dataset<Row> digits, DDPM ddpm) {
    return SparkTraining.of(digits.sparkSession(), ddpm)
        .batchSize(BATCH)
        .setUp((run, round) -> run.learningRate(1e-3));
  }

  /* --- what they are worth --- */

  private static void losses(Dataset<Row> digits) throws IOException {
    int samples = WORKERS * ROUNDS * STEPS * BATCH;
    System.out.printf(
        Locale.ROOT,
        "%,d weights, %,d digits seen; %d rounds of %d workers with %d steps each. Bits per"
            + " dimension of 500 others, mean (least to most) of %d seeds:%n%n",
        weights(),
        samples,
        ROUNDS,
        WORKERS,
        STEPS,
        SEEDS);
    System.out.println("| trained by | Adam's moments | bits per dimension | kB a round |");
    System.out.println("|---|---|---|--:|");
    alone(BATCH, samples / BATCH);
    alone(WORKERS * BATCH, samples / BATCH / WORKERS);
    for (OuterStep outer : List.of(OuterStep.average(), OuterStep.diloco())) {
      for (Moments moments : Moments.values()) {
        double[] bits = new double[SEEDS];
        double kB = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
          try (UNet network = network(seed)) {
            DDPM ddpm = model(network);
            List<Round> rounds =
                training(digits, ddpm)
                    .workers(WORKERS)
                    .rounds(ROUNDS)
                    .localSteps(STEPS)
                    .seed(seed)
                    .outer(outer)
                    .moments(moments)
                    .fit(digits);
            kB = rounds.get(ROUNDS - 1).bytes() / 1e3;
            bits[seed] = bits(ddpm);
          }
        }
        String name = outer.equals(OuterStep.average()) ? "average" : "DiLoCo";
        row(name, moments == Moments.ANEW ? "anew" : "travel", bits, kB);
      }
    }
    System.out.println();
  }

  private static void alone(int batch, int steps) {
    double[] bits = new double[SEEDS];
    for (int seed = 0; seed < SEEDS; seed++) {
      try (NDManager manager = NDManager.newBaseManager();
          UNet network = network(seed)) {
        DDPM ddpm = model(network);
        ddpm.training()
            .batchSize(batch)
            .steps(steps)
            .seed(seed)
            .learningRate(1e-3)
            .fit(Digits.load().training().toDataset(manager, batch))
            .close();
        bits[seed] = bits(ddpm);
      }
    }
    row("one machine, batches of " + batch, "kept", bits, Double.NaN);
  }

  private static void row(String by, String moments, double[] bits, double kB) {
    DoubleSummaryStatistics all = Arrays.stream(bits).summaryStatistics();
    System.out.printf(
        Locale.ROOT,
        "| %s | %s | %.3f (%.3f to %.3f) | %s |%n",
        by,
        moments,
        all.getAverage(),
        all.getMin(),
        all.getMax(),
        Double.isNaN(kB) ? "-" : String.format(Locale.ROOT, "%.0f", kB));
  }

  private static double bits(DDPM ddpm) {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray others = Digits.load().heldOut().toArray(manager);
      return ddpm.bitsPerDim().levels(17).timesteps(20).seed(1).of(others).total().value();
    }
  }

  /* --- what they take --- */

  private static List<RoundTimes.Point> times(Dataset<Row> digits, int executors)
      throws IOException {
    List<RoundTimes.Point> points = new ArrayList<>();
    for (int workers : new int[] {1, 2, 4}) {
      for (int steps : new int[] {10, 40, 160}) {
        try (UNet network = network(1)) {
          List<Round> rounds =
              training(digits, model(network))
                  .workers(workers)
                  .rounds(TIMED)
                  .localSteps(steps)
                  .fit(digits);
          double[] seconds =
              rounds.stream().skip(1).mapToDouble(r -> r.time().toNanos() / 1e9).toArray();
          points.add(
              new RoundTimes.Point(executors, workers, steps, new Median().evaluate(seconds)));
        }
      }
    }
    return points;
  }
}
