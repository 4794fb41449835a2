package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;

/** Makes 4x4 pixels into 8x8: the network sees the small picture too (Saharia et al. 2021). */
public final class SuperResolution {
  private SuperResolution() {}

  /**
   * Runs the example.
   *
   * @param args none
   * @throws IOException if the picture can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    run(Path.of(System.getProperty("ddpm4j.target", "target"), "super-resolution.png"), 600, 8, 50);
  }

  static void run(Path picture, int steps, int draws, int calls) throws IOException {
    Pictures.requireSavable(picture);
    Digits digits = Digits.load();
    var network = UNet.builder().image(1, 8, 8).baseChannels(32).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0).imageCondition(1).seed(1);
    Tracker rate = s -> (float) (2e-3 * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
    try (UNet unet = network.build();
        NDManager manager = NDManager.newBaseManager()) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
      var training = ddpm.training().batchSize(64).steps(steps).learningRate(rate).warmup(50);
      training.ema(0.99).seed(1).listener(TrainingProgress.bar());
      training.condition((images, labels) -> Condition.images(coarse(images)));
      try (TrainedModel result = training.fit(digits.training().toDataset(manager, 64))) {
        NDArray real = digits.heldOut().slice(0, 100).toArray(manager);
        NDArray coarse = coarse(real);
        report("pixels repeated", coarse, real);
        PictureTable table = new PictureTable(ddpm.dataRange()).row("4x4", coarse.get(":12"));
        NDArray mean = real.zerosLike();
        for (int i = 1; i <= draws; i++) {
          var sampling = result.ddpm().sampling().sampler(Samplers.ddim(calls).eta(0.5)).seed(i);
          try (Samples samples = sampling.condition(Condition.images(coarse)).generate(100)) {
            NDArray drawn = samples.toNDArray(manager);
            report("drawn by seed " + i, drawn, real);
            mean = mean.add(drawn.div(draws));
            table.row("drawn", drawn.get(":12"));
          }
        }
        report("mean of them", mean, real);
        table.row("mean", mean.get(":12")).row("real", real.get(":12")).save(picture);
        System.out.println(picture);
      }
    }
  }

  /** Each square of 2x2 pixels has its mean: what a picture of 4x4 pixels knows. */
  private static NDArray coarse(NDArray images) {
    NDArray squares = images.reshape(-1, 1, 4, 2, 4, 2);
    return squares.mean(new int[] {5}).mean(new int[] {3}).repeat(2, 2).repeat(3, 2);
  }

  private static void report(String what, NDArray images, NDArray real) {
    double decibels = 10 * Math.log10(4 / images.sub(real).square().mean().getFloat());
    System.out.println(what + ": PSNR " + Math.round(100 * decibels) / 100.0 + " dB");
  }
}
