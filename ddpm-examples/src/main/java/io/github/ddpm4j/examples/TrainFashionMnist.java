package io.github.ddpm4j.examples;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/**
 * Trains on Fashion-MNIST, or other IDX files of 28x28 grey pictures: by class, with a fifth of the
 * labels dropped, or without classes. Started again, it goes on from its last checkpoint.
 */
public final class TrainFashionMnist {

  private static final int STEPS = 3_000;
  private static final int BATCH = 64;
  private static final int CHANNELS = 32;

  private TrainFashionMnist() {}

  /**
   * Trains.
   *
   * @param args the folder of the IDX files, or nothing for where Debian's package puts them; the
   *     folder to write into, or nothing; and {@code unconditional} for a model without classes
   * @throws IOException if the data can't be read or the model not be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path data = Path.of(args.length > 0 ? args[0] : "/usr/share/datasets/fashion-mnist");
    String target = System.getProperty("ddpm4j.target", "target") + "/fashion-mnist";
    LabeledImages pictures = IdxFiles.training(data);
    boolean byClass = args.length < 3 || !args[2].equals("unconditional");
    int classes = byClass ? Arrays.stream(pictures.labels()).max().orElseThrow() + 1 : 0;
    run(pictures, classes, Path.of(args.length > 1 ? args[1] : target), STEPS, BATCH, CHANNELS);
  }

  static void run(
      LabeledImages pictures, int classes, Path folder, int steps, int batch, int channels)
      throws IOException {
    var network = UNet.builder().image(1, 28, 28).baseChannels(channels).seed(1);
    network.channelMultipliers(1, 2, 4).residualBlocks(1).attentionAtLevels(2).groups(8);
    var configured = classes == 0 ? network : network.classes(classes);
    Tracker rate = s -> (float) (6e-4 * Math.max(0.01, Math.min(1, (steps - s) / (0.4 * steps))));
    int[] rows = IntStream.range(0, 8 * Math.max(classes, 1)).map(i -> i / 8).toArray();
    UnaryOperator<Sampling> plain = s -> s.sampler(Samplers.dpmSolverPlusPlus(20));
    UnaryOperator<Sampling> byClass =
        s -> plain.apply(s).condition(Condition.labels(rows)).guidance(Guidance.classifierFree(2));
    try (UNet unet = configured.precision(UNet.Precision.AUTO).build();
        DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
        NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      ddpm.requireSavable(folder.resolve("model"));
      var training = ddpm.training().batchSize(batch).steps(steps).learningRate(rate).seed(1);
      training.warmup(Math.min(200, steps / 10)).conditionDropout(classes == 0 ? 0 : 0.2);
      training.ema(0.999).checkpoints(folder.resolve("checkpoints")).resume();
      var report = TrainingReport.of(ddpm, folder.resolve("report.html"));
      report.samples(500, 8, rows.length, classes == 0 ? plain : byClass);
      training.listener(TrainingProgress.bar()).listener(report);
      try (TrainedModel result = training.fit(pictures.toDataset(manager, batch))) {
        result.ddpm().save(folder.resolve("model"));
      }
    }
    System.out.println(folder);
  }
}
