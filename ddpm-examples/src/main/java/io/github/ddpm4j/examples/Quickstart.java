package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.report.ModelReport;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Draws faces with a model in the box; then trains a small U-Net on bundled digits, judges what it
 * draws, and writes pictures, a page and the model. Exit code 3: a figure falls short.
 */
public final class Quickstart {

  private static final int STEPS = 600;

  private Quickstart() {}

  /**
   * Runs the quickstart.
   *
   * @param args the folder to write into, or nothing
   * @throws IOException if it can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path folder = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart");
    if (!run(folder, STEPS, 50, Precision.FLOAT32)) {
      System.exit(3);
    }
  }

  static boolean run(Path folder, int steps, int calls, Precision precision) throws IOException {
    Digits digits = Digits.load();
    var network = UNet.builder().image(1, 8, 8).baseChannels(32).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0).seed(1);
    Tracker rate = s -> (float) (2e-3 * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
    Path faces = FacesInTheBox.draw(folder.resolve("faces.png"), calls);
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = network.precision(precision).build()) {
      System.out.println("Training a U-Net of " + unet.config().parameterCount() + " parameters.");
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
      ddpm.requireSavable(folder.resolve("model"));
      NDArray known = digits.training().toArray(manager);
      var training = ddpm.training().batchSize(64).steps(steps).learningRate(rate).warmup(50);
      training.ema(0.99).seed(1).listener(TrainingProgress.bar());
      try (TrainedModel result = training.fit(digits.training().toDataset(manager, 64))) {
        result.ddpm().save(folder.resolve("model"));
        var sampling = result.ddpm().sampling().sampler(Samplers.ddim(calls).eta(0.5)).seed(1);
        try (Samples samples = sampling.generate(Digits.HELD_OUT)) {
          NDArray drawn = samples.toNDArray(manager);
          NDArray real = digits.heldOut().toArray(manager);
          Judge judge = Judge.of(real, known, digits.training().labels());
          Judge.Verdict verdict = judge.judge(drawn);
          System.out.print(verdict.table(judge.realAgainstReal()));
          ModelReport report = new ModelReport(result.ddpm(), drawn, real).seed(1);
          report.title("ddpm4j quickstart", "A model of hand-written digits, 8x8 pixels.");
          report.picture("In the box", FacesInTheBox.CAPTION, faces);
          report.losses(result.losses().toArray()).verdict(verdict, judge.realAgainstReal());
          report.save(folder).forEach(System.out::println);
          verdict.failures().forEach(failure -> System.out.println("Falls short: " + failure));
          return verdict.passes();
        }
      }
    }
  }
}
