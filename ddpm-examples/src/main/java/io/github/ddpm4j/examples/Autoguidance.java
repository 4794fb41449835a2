package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
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
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Guides digits by an early snapshot and by a smaller network (Karras et al. 2024). */
public final class Autoguidance {
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
    Map<String, List<Verdict>> rows = new LinkedHashMap<>();
    try (NDManager manager = NDManager.newBaseManager()) {
      Judge judge = DigitsRuns.judge(manager, images);
      for (long seed = 1; seed <= seeds; seed++) {
        try (TrainedModel good = train(32, steps, steps, seed);
            TrainedModel snapshot = train(32, steps / 4, steps, seed);
            TrainedModel small = train(16, steps / 2, steps / 2, seed + seeds)) {
          var kinds = List.of("the network alone", "snapshot of a quarter", "half the channels");
          var guidance = new ArrayList<>(Collections.nCopies(3, Guidance.none())); // each alone
          List<String> labels = new ArrayList<>(kinds);
          List<DDPM> models = List.of(good.ddpm(), snapshot.ddpm(), small.ddpm());
          for (int k = 1; k < models.size(); k++) {
            for (double scale : new double[] {1.25, 1.5, 2, 3}) {
              guidance.add(Guidance.autoguidance(models.get(k).model(), scale));
              labels.add("away from " + kinds.get(k) + ", " + scale);
            }
          }
          for (int i = 0; i < guidance.size(); i++) {
            var sampling = models.get(i < models.size() ? i : 0).sampling().seed(seed);
            sampling.sampler(Samplers.dpmSolverPlusPlus(calls)).guidance(guidance.get(i));
            var row = rows.computeIfAbsent(labels.get(i), label -> new ArrayList<>());
            try (var drawn = sampling.generate(images)) {
              row.add(judge.judge(drawn.toNDArray(manager)));
            }
          }
        }
      }
    }
    var table = new StringBuilder("| guidance | MMD | like real | precision | recall |\n");
    table.append("|---|--:|--:|--:|--:|\n");
    rows.forEach((name, row) -> table.append("| " + name + " | " + DigitsRuns.cells(row) + "\n"));
    return table.toString();
  }

  /** Takes the first steps of a training of so many. */
  private static TrainedModel train(int channels, int steps, int whole, long seed) {
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = DigitsRuns.network(channels).seed(seed).build()) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
      var training = ddpm.training().batchSize(64).steps(steps).warmup(50).ema(0.99).seed(seed);
      training.learningRate(DigitsRuns.falling(2e-3, whole));
      return training.fit(Digits.load().training().toDataset(manager, 64));
    }
  }
}
