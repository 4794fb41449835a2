package io.github.ddpm4j.examples;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Trains on a folder of pictures as {@code Trainer} of denoising_diffusion_pytorch does: its
 * network with 64 channels, velocity on the sigmoid schedule, Adam(0.9, 0.99), two batches a step,
 * an average of every tenth step, DDIM-250 for the milestones. Started again, it goes on.
 */
public final class TrainPictures {

  private static final int SIDE = 128;
  private static final int STEPS = 700_000;
  private static final int BATCH = 16;
  private static final int MILESTONE = 1000;
  private static final AdamOptimizer ADAM =
      new AdamOptimizer(0.9, 0.99, 1e-8, 0, AdamOptimizer.EpsilonPlacement.AFTER_CORRECTION);

  private TrainPictures() {}

  /**
   * Trains.
   *
   * @param args the folder of the pictures, and the folder to write into or nothing
   * @throws IOException if there are no pictures, or a file can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path target = Path.of(System.getProperty("ddpm4j.target", "target"), "pictures");
    Path folder = args.length > 1 ? Path.of(args[1]) : target;
    run(Path.of(args[0]), folder, PublishedUNet.LUCIDRAINS_64.builder(), SIDE, STEPS, BATCH, 250);
  }

  static void run(
      Path pictures, Path folder, UNetBuilder network, int side, int steps, int batch, int calls)
      throws IOException {
    PictureFolder data =
        PictureFolder.builder(pictures, new Shape(3, side, side))
            .setSampling(batch, true)
            .horizontalFlips()
            .build();
    var model =
        DDPM.builder().schedule(Schedules.sigmoidJabri(1000)).prediction(Prediction.VELOCITY);
    try (DDPM ddpm = model.denoiser(network.image(3, side, side).seed(1).build()).build()) {
      ddpm.requireSavable(folder.resolve("model"));
      var training =
          ddpm.training().accumulation(2).steps(steps).learningRate(8e-5).optimizer(ADAM);
      training.gradientClip(1).ema(Ema.inverseGamma(0.995, 1, 2. / 3).every(10)).seed(1);
      training.weighting(Weighting.p2(1, 0)); // SNR / (SNR + 1) for the velocity
      training.checkpoints(Checkpoints.in(folder.resolve("checkpoints")).everySteps(MILESTONE));
      var report = TrainingReport.of(ddpm, folder.resolve("report.html")).data(data);
      report.samples(MILESTONE, 5, 25, sampling -> sampling.sampler(Samplers.ddim(calls)));
      training.resume().listener(TrainingProgress.bar()).listener(report);
      try (TrainedModel result = training.fit(data)) {
        result.ddpm().save(folder.resolve("model"));
      }
    }
    data.brokenFiles().forEach(System.out::println);
    System.out.println(folder);
  }
}
