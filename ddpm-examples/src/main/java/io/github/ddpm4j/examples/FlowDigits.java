package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.training.NoiseAssignment;
import io.github.ddpm4j.unet.UNet;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Trains digits by noise prediction and by flow matching, with noise assigned or not. */
public final class FlowDigits {
  private FlowDigits() {}

  /**
   * Runs the comparison.
   *
   * @param args nothing
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    for (String recipe : List.of("noise", "noise, assigned", "flow", "flow, assigned")) {
      System.out.print(run(recipe, 300, 500, 3, 4, 20));
    }
  }

  static String run(String recipe, int steps, int images, int seeds, int... calls) {
    var set = Digits.load().training();
    boolean flow = recipe.startsWith("flow");
    var figures = new double[calls.length][seeds][];
    for (int seed = 0; seed < seeds; seed++) {
      try (NDManager manager = NDManager.newBaseManager();
          UNet unet = DigitsRuns.network(32).seed(seed).build()) {
        DDPM.Builder model = DDPM.builder().denoiser(unet);
        model.schedule(flow ? Schedules.flow(1000) : Schedules.cosine(1000));
        model.prediction(flow ? Prediction.FLOW : Prediction.EPSILON);
        var training = model.build().training().batchSize(64).steps(steps);
        training.learningRate(DigitsRuns.falling(2e-3, steps));
        if (recipe.endsWith("assigned")) {
          training.noiseAssignment(NoiseAssignment.optimal());
        }
        Judge judge = DigitsRuns.judge(manager, images);
        var data = set.toDataset(manager, 64);
        try (TrainedModel run = training.warmup(50).ema(0.99).seed(seed).fit(data)) {
          for (int i = 0; i < calls.length; i++) {
            var sampler = Samplers.ddim(calls[i]).spacing(TimestepSpacing.TRAILING);
            try (var drawn = run.ddpm().sampling().sampler(sampler).seed(seed).generate(images)) {
              var of = judge.judge(drawn.toNDArray(manager));
              figures[i][seed] = new double[] {of.mmd(), of.precision(), of.recall()};
            }
          }
        }
      }
    }
    var rows = new StringBuilder();
    for (int i = 0; i < calls.length; i++) {
      rows.append("| " + recipe + " | " + calls[i] + " |");
      for (int k : new int[] {0, 1, 2}) {
        var all = Stream.of(figures[i]).mapToDouble(values -> values[k]).summaryStatistics();
        double mean = all.getAverage();
        double min = all.getMin();
        double max = all.getMax();
        rows.append(String.format(Locale.ROOT, " %.4f (%.4f to %.4f) |", mean, min, max));
      }
      rows.append("\n");
    }
    return rows.toString();
  }
}
