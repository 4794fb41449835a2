package io.github.ddpm4j.spark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.spark.SparkTraining.Moments;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** A driver that draws, evaluates and trains; how its cluster is, properties say. */
final class ClusterMain {

  static final int PICTURES = 160;
  static final int ROUNDS = 4;

  private ClusterMain() {}

  /** The model, and the folder to work in. */
  public static void main(String... args) throws IOException {
    try (SparkSession spark = SparkSession.builder().appName("cluster").getOrCreate()) {
      run(spark, Path.of(args[0]), Path.of(args[1]));
    } catch (ExecutorException e) {
      Files.writeString(Path.of(args[1], "failed"), String.valueOf(e.getMessage()));
      throw e;
    }
  }

  static void run(SparkSession spark, Path model, Path folder) throws IOException {
    SparkSampling.of(spark, SparkModel.shared(model))
        .sampler(Samplers.parse("ddpm:20"))
        .seed(3)
        .labels(0, 1)
        .block(2)
        .partitions(40)
        .writeFiles(folder.resolve("pictures"), PICTURES);
    Dataset<Row> pictures =
        SparkEvaluation.folder(spark, folder.resolve("pictures").toString())
            .selectExpr("index", "png", "cast(index % 2 as int) label");
    FeatureStatistics found = SparkEvaluation.of(SparkFeatures.pixels()).statistics(pictures);
    Files.writeString(folder.resolve("mean"), Arrays.toString(found.mean()));
    try (DDPM ddpm = DDPM.load(model)) {
      SparkTraining.of(spark, ddpm)
          .workers(4)
          .rounds(ROUNDS)
          .localSteps(20)
          .batchSize(8)
          .outer(OuterStep.diloco())
          .moments(Moments.TRAVEL)
          .setUp((run, round) -> run.learningRate(1e-3).anyRange())
          .checkpoint(folder.resolve("rounds"))
          .listener(round -> say(folder.resolve("round-" + round.number()), round.toString()))
          .fit(pictures);
      say(
          folder.resolve("weights"),
          Arrays.toString(FlatWeights.of(ddpm.denoiser(TrainableDenoiser.class))));
    }
  }

  private static void say(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
