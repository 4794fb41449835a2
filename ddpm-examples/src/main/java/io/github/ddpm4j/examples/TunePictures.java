package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.models.EfficientNetLite0;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Tunes a model in the box for consistency with guidance built in, and compares a few calls after
 * with more before. Started again, it goes on from its last checkpoint.
 */
public final class TunePictures {

  private static final int BATCH = 32;
  private static final int[] BEFORE = {15, 50};

  private TunePictures() {}

  /**
   * Tunes and compares.
   *
   * @param args {@code faces} or {@code fashion}, the steps of tuning, the number of pictures, and
   *     the folder of Fashion-MNIST's IDX files
   * @throws IOException if a file can't be read or written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1");
    DDPM.endStepsOnShutdown();
    String name = args.length > 0 ? args[0] : "faces";
    int steps = args.length > 1 ? Integer.parseInt(args[1]) : 500;
    int count = args.length > 2 ? Integer.parseInt(args[2]) : 500;
    Path data = Path.of(args.length > 3 ? args[3] : "/usr/share/datasets/fashion-mnist");
    Path target = Path.of(System.getProperty("ddpm4j.target", "target"), "tuned-" + name);
    try (NDManager manager = NDManager.newBaseManager();
        var task = TuningTask.of(name, manager, data, count, BATCH);
        var features = EfficientNetLite0.load()) {
      run(task, features, target, steps, BATCH, BEFORE);
    }
  }

  static void run(
      TuningTask task, Features features, Path folder, int steps, int batch, int... before)
      throws IOException {
    Path saved = folder.resolve("model");
    try (DDPM model = task.load()) {
      model.requireSavable(saved);
      System.out.println(TuningCost.of(task, steps, batch, 8));
      var run = model.consistencyTuning(task.tuning()).steps(steps).batchSize(batch).seed(1);
      run.learningRate(DigitsRuns.falling(task.rate(), steps)).warmup(Math.min(50, steps));
      run.ema(0.99).checkpoints(folder.resolve("checkpoints")).resume();
      try (TrainedModel tuned = task.fit().apply(run)) {
        tuned.ddpm().save(saved);
      }
    }
    var rows = new TuningRows(task, features);
    try (DDPM model = task.load();
        DDPM tuned = DDPM.load(saved)) {
      for (int calls : before) {
        var sampling = model.sampling().guidance(Guidance.classifierFree(TuningTask.GUIDANCE));
        rows.draw(sampling, Samplers.ddim(calls), calls);
      }
      for (int calls : new int[] {1, 2, 4}) {
        rows.draw(tuned.sampling(), Samplers.consistency(calls), calls);
      }
    }
    rows.save(folder.resolve("pictures.png"));
  }
}
