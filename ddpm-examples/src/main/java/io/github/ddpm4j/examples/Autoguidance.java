package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.Judge.Verdict;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/**
 * Guides the quickstart's network by worse versions of itself (Karras et al. 2024): an early
 * snapshot of the same training, and a smaller network that was trained for less. Prints the table
 * of docs/samplers.md, mean ± standard deviation over seeds of training and sampling.
 */
public final class Autoguidance {
  private static final double[] SCALES = {1.25, 1.5, 2, 3};

  private Autoguidance() {}

  /**
   * Runs the example.
   *
   * @param args nothing
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    System.out.print(run(600, 15, 500, 3));
  }

  static String run(int steps, int calls, int images, int seeds) {
    List<List<Verdict>> rows = new ArrayList<>();
    List<String> names = new ArrayList<>();
    Digits digits = Digits.load();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray known = digits.training().toArray(manager);
      NDArray real = digits.heldOut().slice(0, images).toArray(manager);
      Judge judge = Judge.of(real, known, digits.training().labels());
      for (long seed = 1; seed <= seeds; seed++) {
        try (TrainedModel good = train(manager, digits, 32, steps, steps, seed);
            TrainedModel snapshot = train(manager, digits, 32, steps / 4, steps, seed);
            TrainedModel small = train(manager, digits, 16, steps / 2, steps / 2, seed + seeds)) {
          var kinds = List.of("the network alone", "snapshot of a quarter", "half the channels");
          List<Guidance> guidance = new ArrayList<>(List.of(Guidance.none()));
          guidance.addAll(List.of(Guidance.none(), Guidance.none())); // the worse ones alone
          List<String> labels = new ArrayList<>(kinds);
          List<DDPM> models = List.of(good.ddpm(), snapshot.ddpm(), small.ddpm());
          for (int k = 1; k < models.size(); k++) {
            for (double scale : SCALES) {
              guidance.add(Guidance.autoguidance(models.get(k).model(), scale));
              labels.add("away from " + kinds.get(k) + ", " + scale);
            }
          }
          for (int i = 0; i < guidance.size(); i++) {
            var sampling = models.get(i < models.size() ? i : 0).sampling().seed(seed);
            sampling.sampler(Samplers.dpmSolverPlusPlus(calls)).guidance(guidance.get(i));
            if (seed == 1) {
              names.add(labels.get(i));
              rows.add(new ArrayList<>());
            }
            try (var drawn = sampling.generate(images)) {
              rows.get(i).add(judge.judge(drawn.toNDArray(manager)));
            }
          }
        }
      }
    }
    StringBuilder table =
        new StringBuilder("| guidance | MMD | like real | precision | recall |\n");
    table.append("|---|--:|--:|--:|--:|\n");
    for (int i = 0; i < rows.size(); i++) {
      table.append("| ").append(names.get(i)).append(" | ");
      table.append(over(rows.get(i), "%.4f", Verdict::mmd));
      table.append(over(rows.get(i), "%.3f", Verdict::likeReal));
      table.append(over(rows.get(i), "%.3f", Verdict::precision));
      table.append(over(rows.get(i), "%.3f", Verdict::recall)).append("\n");
    }
    return table.toString();
  }

  private static String over(List<Verdict> all, String format, ToDoubleFunction<Verdict> figure) {
    double mean = all.stream().mapToDouble(figure).average().orElseThrow();
    double squares =
        all.stream().mapToDouble(figure).map(value -> (value - mean) * (value - mean)).sum();
    double deviation = Math.sqrt(squares / Math.max(1, all.size() - 1));
    return String.format(Locale.ROOT, format + " ± " + format + " | ", mean, deviation);
  }

  /** Takes the first steps of a training of so many. */
  private static TrainedModel train(
      NDManager manager, Digits digits, int channels, int steps, int whole, long seed) {
    var network = UNet.builder().image(1, 8, 8).baseChannels(channels).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0).seed(seed);
    Tracker rate = s -> (float) (2e-3 * Math.max(0.02, Math.min(1, (whole - s) / (0.3 * whole))));
    try (UNet unet = network.build()) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
      var training = ddpm.training().batchSize(64).steps(steps).learningRate(rate).warmup(50);
      return training.ema(0.99).seed(seed).fit(digits.training().toDataset(manager, 64));
    }
  }
}
