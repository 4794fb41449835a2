package io.github.ddpm4j.spark.examples;

import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.spark.SparkModel;
import io.github.ddpm4j.spark.SparkSampling;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.spark.sql.SparkSession;

/** Draws pictures into the files of a folder, or goes on with one that was begun. */
public final class SparkGenerate {

  private SparkGenerate() {}

  /**
   * Draws.
   *
   * @param args the model, the folder and the number of pictures
   * @throws IOException if the model cannot be read, or the folder not be written
   */
  public static void main(String[] args) throws IOException {
    Path folder = Path.of(args[1]);
    long count = Long.parseLong(args[2]);
    try (SparkSession spark = SparkSession.builder().appName("SparkGenerate").getOrCreate()) {
      long start = System.nanoTime();
      long drawn =
          SparkSampling.of(spark, SparkModel.shared(Path.of(args[0])))
              .sampler(Samplers.parse("dpm++2m:10"))
              .seed(42)
              .writeFiles(folder, count);
      double seconds = (System.nanoTime() - start) / 1e9;
      System.out.printf(
          Locale.ROOT, "%s: %d of %d drawn now, %.1f s%n", folder, drawn, count, seconds);
    }
  }
}
