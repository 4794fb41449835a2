package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.IntStream;

/**
 * Digits on demand: trains a U-Net that is conditioned on the class, draws a row of each digit with
 * guidance, and counts how many of them are what was asked for.
 */
public final class ConditionalDigits {

  private static final int STEPS = 600;
  private static final int PER_CLASS = 16;
  private static final double GUIDANCE = 2;

  private ConditionalDigits() {}

  /**
   * Runs the example.
   *
   * @param args the folder to write into, or nothing
   * @throws IOException if it can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    run(args.length > 0 ? Path.of(args[0]) : Path.of(target, "conditional-digits"), STEPS, 50);
  }

  static void run(Path folder, int steps, int calls) throws IOException {
    Digits digits = Digits.load();
    var network = UNet.builder().image(1, 8, 8).baseChannels(32).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0).classes(10).seed(1);
    Tracker rate = s -> (float) (2e-3 * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
    int[] asked = IntStream.range(0, 10 * PER_CLASS).map(i -> i / PER_CLASS).toArray();
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = network.build()) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
      ddpm.requireSavable(folder.resolve("model"));
      var training = ddpm.training().batchSize(64).steps(steps).learningRate(rate).warmup(50);
      training.ema(0.99).seed(1).listener(TrainingProgress.bar());
      // The labels of the data are the classes; some are left out, which guidance needs.
      training.conditionDropout(0.1);
      try (TrainedModel result = training.fit(digits.training().toDataset(manager, 64))) {
        result.ddpm().save(folder.resolve("model"));
        var sampling = result.ddpm().sampling().sampler(Samplers.ddim(calls).eta(0.5)).seed(1);
        sampling.condition(Condition.labels(asked)).guidance(Guidance.classifierFree(GUIDANCE));
        try (Samples samples = sampling.generate(asked.length)) {
          NDArray drawn = samples.toNDArray(manager);
          Path picture = folder.resolve("digits.png");
          Pictures.of(drawn).columns(PER_CLASS).enlarge(6).save(picture);
          NDArray known = digits.training().toArray(manager);
          int[] found = Judge.of(known, known, digits.training().labels()).classesOf(drawn);
          long hits = IntStream.range(0, found.length).filter(i -> found[i] == asked[i]).count();
          System.out.println(hits + " of " + found.length + " digits are what was asked for.");
          System.out.println(picture);
        }
      }
    }
  }
}
