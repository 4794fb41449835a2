package io.github.ddpm4j.spark.examples;

import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import io.github.ddpm4j.spark.SparkEvaluation;
import io.github.ddpm4j.spark.SparkFeatures;
import io.github.ddpm4j.spark.SparkModel;
import java.io.IOException;
import java.nio.file.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Compares a folder of generated pictures with one of real ones, and judges a model by these. */
public final class SparkEvaluate {

  private SparkEvaluate() {}

  /**
   * Evaluates.
   *
   * @param args the folder of generated pictures, that of real ones, and the model
   * @throws IOException if the model cannot be read
   */
  public static void main(String[] args) throws IOException {
    try (SparkSession spark = SparkSession.builder().appName("SparkEvaluate").getOrCreate()) {
      Dataset<Row> generated = SparkEvaluation.folder(spark, args[0]).cache();
      Dataset<Row> real = SparkEvaluation.folder(spark, args[1]).cache();
      SparkEvaluation evaluation = SparkEvaluation.of(SparkFeatures.pixels());
      System.out.println("Fréchet distance " + evaluation.frechetDistance(generated, real));
      double[][] rows = evaluation.rows(generated, 10_000);
      double[][] others = evaluation.rows(real, 10_000);
      System.out.println(KernelDistance.estimate(rows, others, Bootstrap.seeded(1)));
      System.out.println(PrecisionRecall.of(rows, others, Bootstrap.seeded(1)));
      System.out.println(
          SparkEvaluation.bitsPerDim(
              real.where("index < 64"),
              SparkModel.shared(Path.of(args[2])),
              run -> run.seed(1).timesteps(20)));
    }
  }
}
