package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.SamplerComparison;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.unet.UNet;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Trains a U-Net on the digits, tunes it for consistency, and compares a few calls after with more
 * before: the table of docs/few-steps.md.
 */
public final class TuneDigits {
  private static final int STEPS = 600;

  private TuneDigits() {}

  /**
   * Runs the comparison.
   *
   * @param args the steps of tuning and the number of seeds, or nothing for 600 and 3
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    int tuning = args.length > 0 ? Integer.parseInt(args[0]) : STEPS;
    int seeds = args.length > 1 ? Integer.parseInt(args[1]) : 3;
    System.out.println(run(STEPS, tuning, seeds, 500));
  }

  static SamplerComparison run(int steps, int tuning, int seeds, int images) {
    var digits = Digits.load();
    var network = UNet.builder().image(1, 8, 8).baseChannels(32).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0);
    Map<String, List<Judge.Verdict>> all = new LinkedHashMap<>();
    try (NDManager manager = NDManager.newBaseManager()) {
      var real = digits.heldOut().slice(0, images).toArray(manager);
      var known = digits.training();
      Judge judge = Judge.of(real, known.toArray(manager), known.labels());
      for (int seed = 1; seed <= seeds; seed++) {
        try (UNet unet = network.seed(seed).build()) {
          var model = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet);
          DDPM ddpm = model.prediction(Prediction.VELOCITY).build();
          Training first = set(ddpm.training(), steps, 2e-3, seed);
          judge(first, judge, seed, all, "ddim:15", "ddim:50");
          var consistency = ddpm.consistencyTuning(ConsistencyTuning.usual().stages(6));
          Training then = set(consistency, tuning, 1e-3, seed);
          judge(then, judge, seed, all, "consistency:1", "consistency:2", "consistency:4");
        }
      }
      List<SamplerComparison.Row> rows = new ArrayList<>();
      all.forEach(
          (text, verdicts) -> {
            int calls = Integer.parseInt(text.substring(text.indexOf(':') + 1));
            var sampler = Samplers.parse(text);
            rows.add(new SamplerComparison.Row(sampler, calls, verdicts, List.of(), ""));
          });
      return new SamplerComparison(judge.realAgainstReal(), rows);
    }
  }

  private static Training set(Training run, int steps, double rate, long seed) {
    Tracker falling =
        s -> (float) (rate * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
    return run.batchSize(64).steps(steps).learningRate(falling).warmup(50).ema(0.99).seed(seed);
  }

  private static void judge(
      Training run, Judge judge, long seed, Map<String, List<Judge.Verdict>> all, String... texts) {
    long begun = System.nanoTime();
    try (NDManager manager = NDManager.newBaseManager();
        TrainedModel model = run.fit(Digits.load().training().toDataset(manager, 64))) {
      System.err.printf(Locale.ROOT, "%n%.0f s of training%n", (System.nanoTime() - begun) / 1e9);
      for (String text : texts) {
        var sampling = model.ddpm().sampling().sampler(Samplers.parse(text)).seed(seed);
        sampling.generate(1).close(); // compiles
        long start = System.nanoTime();
        try (var drawn = sampling.generate(judge.size())) {
          double millis = (System.nanoTime() - start) / 1e6 / judge.size();
          var verdict = judge.judge(drawn.toNDArray(manager));
          System.err.printf(Locale.ROOT, "%s: %.2f ms a picture, %s%n", text, millis, verdict);
          all.computeIfAbsent(text, key -> new ArrayList<>()).add(verdict);
        }
      }
    }
  }
}
