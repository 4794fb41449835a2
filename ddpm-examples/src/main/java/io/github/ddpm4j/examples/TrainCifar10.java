package io.github.ddpm4j.examples;

import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.Batch;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.CifarFiles;
import io.github.ddpm4j.data.PictureDataset;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.nio.file.Path;

/**
 * The paper's recipe for CIFAR-10 (Ho et al. 2020, appendix B): 35.7 million weights, 800,000 steps
 * of 128 images with flips; then the Fréchet distance of as many samples as there are images, in
 * the features of a network of yours, or of pixels. Started again, it goes on.
 */
public final class TrainCifar10 {

  private static final int STEPS = 800_000;
  private static final int BATCH = 128;

  private TrainCifar10() {}

  /**
   * Trains and evaluates.
   *
   * @param args the binary version of CIFAR-10, as it is published or unpacked; the folder to write
   *     into; and Inception as TorchScript, for pixels in [0, 1] and 299x299 of them, or nothing
   * @throws Exception if a file can't be read or written
   */
  public static void main(String[] args) throws Exception {
    DDPM.endStepsOnShutdown();
    var data = CifarFiles.cifar10Training(Path.of(args[0])).setSampling(BATCH, true);
    Features features = Features.pixels();
    if (args.length > 2) {
      var file = Features.torchScript(Path.of(args[2]));
      features = file.resize(299, 299, Image.Interpolation.BILINEAR).load();
    }
    run(data.horizontalFlips().build(), Path.of(args[1]), UNet.cifar10(), 1000, STEPS, features);
  }

  static void run(
      PictureDataset data, Path folder, UNetBuilder network, int t, int steps, Features features)
      throws Exception {
    try (DDPM ddpm = DDPM.builder().timesteps(t).denoiser(network.seed(1).build()).build();
        NDManager manager = NDManager.newBaseManager()) {
      ddpm.requireSavable(folder.resolve("model"));
      var training = ddpm.training().steps(steps).learningRate(2e-4).warmup(5000).gradientClip(1);
      var report = TrainingReport.of(ddpm, folder.resolve("report.html")).data(data);
      training.ema(0.9999).seed(1).listener(TrainingProgress.bar()).listener(report);
      training.checkpoints(folder.resolve("checkpoints")).resume();
      try (TrainedModel result = training.fit(data)) {
        result.ddpm().save(folder.resolve("model"));
        var real = FeatureStatistics.collector();
        var drawn = FeatureStatistics.collector();
        for (Batch batch : data.getData(manager)) {
          int count = Math.toIntExact(batch.getData().head().getShape().get(0));
          var sampling = result.ddpm().sampling().seed(real.count());
          try (batch;
              Samples samples = sampling.generate(count)) {
            real.add(features.of(batch.getData().head()));
            drawn.add(features.of(samples.toNDArray(batch.getManager())));
          }
        }
        double distance = FrechetDistance.between(drawn.statistics(), real.statistics());
        System.out.println("Fréchet distance " + distance + " of " + real.count() + " images");
      }
    }
    System.out.println(folder);
  }
}
