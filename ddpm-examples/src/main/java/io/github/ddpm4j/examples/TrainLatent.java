package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.Autoencoder;
import io.github.ddpm4j.latent.LatentDataset;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.IntStream;

/**
 * Latent diffusion from nothing: trains an autoencoder on the bundled digits, encodes them once,
 * trains a U-Net on their latents by class, and draws a row of each digit.
 */
public final class TrainLatent {

  private TrainLatent() {}

  /**
   * Runs the example.
   *
   * @param args the folder to write into, or nothing; then a folder of Fashion-MNIST's IDX files
   * @throws IOException if data can't be read, or pictures not written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target") + "/latent";
    var data = args.length > 1 ? IdxFiles.training(Path.of(args[1])) : Digits.load().training();
    run(data, Path.of(args.length > 0 ? args[0] : target), 500, 1000, 50);
  }

  private static Tracker rate(double first, int steps) {
    return s -> (float) (first * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
  }

  static void run(LabeledImages of, Path to, int coding, int steps, int calls) throws IOException {
    var network = UNet.builder().image(4, of.height() / 2, of.width() / 2).baseChannels(32);
    network.channelMultipliers(1, 2).residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0);
    var coder = Autoencoder.builder().imageChannels(1).levelChannels(16, 32).groups(8).seed(1);
    try (NDManager manager = NDManager.newBaseManager();
        Autoencoder autoencoder = coder.build();
        UNet unet = network.classes(10).seed(1).build()) {
      var data = of.toDataset(manager, 64);
      var first = autoencoder.training().steps(coding).learningRate(rate(3e-3, coding)).seed(1);
      first.klWeight(1e-4).listener(s -> System.out.print("\r" + s)).fit(data);
      System.out.println();
      var latents = LatentDataset.builder(autoencoder, data).setSampling(64, true).build();
      var builder = DDPM.builder().schedule(Schedules.cosine(1000)).clip(false).denoiser(unet);
      var training = builder.build().training().anyRange().steps(steps).seed(1).warmup(50);
      training.learningRate(rate(2e-3, steps)).ema(0.99).conditionDropout(0.1);
      try (TrainedModel trained = training.listener(TrainingProgress.bar()).fit(latents);
          LatentDiffusion model = LatentDiffusion.of(trained.ddpm(), autoencoder)) {
        model.save(to.resolve("model"));
        var drawing = model.drawing().labels(0, 1, 2, 3, 4, 5, 6, 7, 8, 9).guidance(2).seed(1);
        try (Samples samples = drawing.sampler(Samplers.ddim(calls)).batchSize(80).generate(16)) {
          NDArray drawn = samples.toNDArray(manager);
          Pictures.of(drawn).columns(16).enlarge(4).save(to.resolve("drawn.png"));
          NDArray known = of.toArray(manager);
          int[] found = Judge.of(known, known, of.labels()).classesOf(drawn);
          long hits = IntStream.range(0, found.length).filter(i -> found[i] == i / 16).count();
          System.out.println(hits + " of 160 are what was asked for: " + to.resolve("drawn.png"));
        }
      }
    }
  }
}
