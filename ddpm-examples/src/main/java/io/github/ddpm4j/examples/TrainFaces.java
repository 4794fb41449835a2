package io.github.ddpm4j.examples;

import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Trains on pixel-art portraits by their attributes, none of which wears glasses under a hat.
 * Started again, it goes on from its last checkpoint.
 */
public final class TrainFaces {

  private static final int STEPS = 2_800;
  private static final int BATCH = 32;

  /** How many faces it sees. */
  static final int COUNT = STEPS * BATCH;

  private TrainFaces() {}

  /**
   * Trains.
   *
   * @param args the folder to write into, or nothing
   * @throws IOException if it can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target") + "/faces";
    run(Path.of(args.length > 0 ? args[0] : target), STEPS, BATCH, 16, 64, 128);
  }

  static void run(Path folder, int steps, int batch, int... channels) throws IOException {
    var faces = FaceSets.training(steps * batch).hidden(0.3).setSampling(batch, true);
    var network = UNet.builder().image(3, Face.SIDE, Face.SIDE).levelChannels(channels).groups(8);
    network.residualBlocks(1).attentionAtLevels(2).vectorCondition(Face.vectorLength()).seed(1);
    Tracker rate = s -> (float) (1e-3 * Math.max(0.01, Math.min(1, (steps - s) / (0.4 * steps))));
    try (UNet unet = network.precision(UNet.Precision.AUTO).build();
        DDPM ddpm =
            DDPM.builder()
                .schedule(Schedules.cosine(1000))
                .prediction(Prediction.VELOCITY)
                .metadata(Map.of(Attributes.METADATA, Face.attributes().toString()))
                .denoiser(unet)
                .build()) {
      ddpm.requireSavable(folder.resolve("model"));
      var training = ddpm.training().batchSize(batch).steps(steps).learningRate(rate).seed(1);
      training.condition((images, vectors) -> Condition.vectors(vectors.head()));
      training.warmup(Math.min(200, steps / 10)).conditionDropout(0.1);
      training.ema(0.999).checkpoints(folder.resolve("checkpoints")).resume();
      var report = TrainingReport.of(ddpm, folder.resolve("report.html"));
      report.samples(500, 4, 16, s -> s.sampler(Samplers.dpmSolverPlusPlus(20)));
      training.listener(TrainingProgress.bar()).listener(report);
      try (TrainedModel result = training.fit(faces.build())) {
        result.ddpm().save(folder.resolve("model"));
      }
    }
    System.out.println(folder);
  }
}
