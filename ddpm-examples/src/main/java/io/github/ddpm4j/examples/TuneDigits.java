package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.unet.UNet;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Tunes a model of digits for consistency, and compares a few calls after with more before. */
public final class TuneDigits {
  private TuneDigits() {}

  /**
   * Runs the comparison.
   *
   * @param args the steps of tuning and the number of seeds, or nothing for 600 and 3
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    int tuning = args.length > 0 ? Integer.parseInt(args[0]) : 600;
    int seeds = args.length > 1 ? Integer.parseInt(args[1]) : 3;
    System.out.print(run(600, tuning, seeds, 500));
  }

  static String run(int steps, int tuning, int seeds, int images) {
    var rows = new ArrayList<DigitsRuns.Drawn>();
    double[] seconds = new double[2];
    try (NDManager manager = NDManager.newBaseManager()) {
      Judge judge = DigitsRuns.judge(manager, images);
      for (int seed = 1; seed <= seeds; seed++) {
        try (UNet unet = DigitsRuns.network(32).seed(seed).build()) {
          var model = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet);
          DDPM ddpm = model.prediction(Prediction.VELOCITY).build();
          var first = ddpm.training().steps(steps).learningRate(DigitsRuns.falling(2e-3, steps));
          seconds[0] += judge(first.seed(seed), judge, seed, rows, 15, 50);
          var then = ddpm.consistencyTuning(ConsistencyTuning.usual().stages(6)).steps(tuning);
          then.learningRate(DigitsRuns.falling(1e-3, tuning));
          seconds[1] += judge(then.seed(seed), judge, seed, rows, -1, -2, -4);
        }
      }
      double share = seconds[1] / seconds[0];
      return DigitsRuns.table(judge.realAgainstReal(), rows)
          + String.format(Locale.ROOT, "%nTuning took %.2f of the time of training.%n", share);
    }
  }

  /** Runs, draws with some numbers of calls, and returns the seconds of the run. */
  private static double judge(
      Training run, Judge judge, long seed, List<DigitsRuns.Drawn> rows, int... calls) {
    long begun = System.nanoTime();
    run.batchSize(64).warmup(50).ema(0.99); // judged are calls of DDIM, of consistency if < 0
    try (NDManager manager = NDManager.newBaseManager();
        TrainedModel model = run.fit(Digits.load().training().toDataset(manager, 64))) {
      double seconds = (System.nanoTime() - begun) / 1e9;
      for (int n : calls) {
        Sampler sampler = n > 0 ? Samplers.ddim(n) : Samplers.consistency(-n);
        var sampling = model.ddpm().sampling().sampler(sampler).seed(seed);
        sampling.generate(1).close(); // compiles
        long start = System.nanoTime();
        try (var drawn = sampling.generate(judge.size())) {
          double millis = (System.nanoTime() - start) / 1e6 / judge.size();
          var verdict = judge.judge(drawn.toNDArray(manager));
          rows.add(new DigitsRuns.Drawn(Math.abs(n) + " | " + sampler, verdict, millis));
        }
      }
      return seconds;
    }
  }
}
