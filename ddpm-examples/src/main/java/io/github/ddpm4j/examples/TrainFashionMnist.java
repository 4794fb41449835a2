package io.github.ddpm4j.examples;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.report.Plots;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Trains on Fashion-MNIST, or anything else in IDX files of 28x28 grey pictures, with a grid of
 * samples as it goes: on a GPU where there is one. Pictures begin to look like the data after a few
 * thousand steps.
 */
public final class TrainFashionMnist {

  private static final int STEPS = 20_000;
  private static final int BATCH = 128;
  private static final int CHANNELS = 64;
  private static final Precision PRECISION = Precision.FLOAT32;
  private static final int SAMPLE_EVERY = 1000;

  private TrainFashionMnist() {}

  /**
   * Runs the training.
   *
   * @param args the folder of the IDX files, or nothing for where Debian's package puts them; and
   *     the folder of a model to go on from, or nothing for new weights
   * @throws IOException if the data can't be read or the model not be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path data = Path.of(args.length > 0 ? args[0] : "/usr/share/datasets/fashion-mnist");
    var fresh = UNet.builder().image(1, 28, 28).baseChannels(CHANNELS);
    fresh.channelMultipliers(1, 2, 2).attentionAtLevels(1).precision(PRECISION).seed(1);
    LabeledImages pictures = IdxFiles.training(data);
    Path folder = Path.of(System.getProperty("ddpm4j.target", "target"), "fashion-mnist");
    try (UNet unet = args.length > 1 ? null : fresh.build();
        DDPM model =
            unet == null ? DDPM.load(Path.of(args[1])) : DDPM.builder().denoiser(unet).build()) {
      run(pictures, model, folder, STEPS, BATCH);
    }
  }

  static void run(LabeledImages pictures, DDPM ddpm, Path folder, int steps, int batch)
      throws IOException {
    ddpm.requireSavable(folder.resolve("model"));
    var training = ddpm.training().batchSize(batch).steps(steps).warmup(Math.min(1000, steps / 10));
    training.ema(0.999).seed(1).listener(TrainingProgress.bar());
    training.listener(
        event -> {
          if (event.step() % SAMPLE_EVERY == 0 || event.step() == event.steps()) {
            String file = String.format(Locale.ROOT, "samples-%06d.png", event.step());
            DDPM now = ddpm.withDenoiser(event.averaged());
            try (Samples drawn = now.sampling().sampler(Samplers.ddim(50)).seed(1).generate(36)) {
              drawn.saveGrid(folder.resolve(file));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        });
    try (NDManager manager = NDManager.newBaseManager(Device.cpu());
        TrainedModel result = training.fit(pictures.toDataset(manager, batch))) {
      result.ddpm().save(folder.resolve("model"));
      Plots.loss(result.losses().toArray(), folder.resolve("loss.png"));
    }
    System.out.println(folder);
  }
}
