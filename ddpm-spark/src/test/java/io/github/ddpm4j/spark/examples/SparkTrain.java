package io.github.ddpm4j.spark.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spark.OuterStep;
import io.github.ddpm4j.spark.SparkEvaluation;
import io.github.ddpm4j.spark.SparkTraining;
import io.github.ddpm4j.spark.SparkTraining.Moments;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** Trains a small network on a folder of grey 8x8 pictures in rounds, and saves the model. */
public final class SparkTrain {

  private SparkTrain() {}

  /**
   * Trains.
   *
   * @param args the pictures, the model to be made, and the numbers of workers, rounds and steps of
   *     a round; then average or diloco, and ANEW or TRAVEL
   * @throws IOException if the model cannot be written
   */
  public static void main(String[] args) throws IOException {
    Path model = Path.of(args[1]);
    var network = UNet.builder().image(1, 8, 8).baseChannels(32).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels().groups(8).dropout(0).seed(1);
    try (SparkSession spark = SparkSession.builder().appName("SparkTrain").getOrCreate();
        UNet unet = network.build()) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
      SparkTraining.of(spark, ddpm)
          .workers(Integer.parseInt(args[2]))
          .rounds(Integer.parseInt(args[3]))
          .localSteps(Integer.parseInt(args[4]))
          .outer(args[5].equals("diloco") ? OuterStep.diloco() : OuterStep.average())
          .moments(Moments.valueOf(args[6]))
          .batchSize(32)
          .setUp((run, round) -> run.learningRate(1e-3))
          .checkpoint(model.resolveSibling(model.getFileName() + ".rounds"))
          .listener(System.out::println)
          .fit(SparkEvaluation.folder(spark, args[0]));
      ddpm.save(model);
    }
  }
}
