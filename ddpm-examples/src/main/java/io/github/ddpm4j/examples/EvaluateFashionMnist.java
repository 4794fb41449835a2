package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Judges models of {@link TrainFashionMnist}: how far its pictures are from held-out ones in the
 * features of a classifier that is trained here, beside other real ones and noise, and how often
 * the classifier finds the class that was asked for.
 */
public final class EvaluateFashionMnist {

  private static final double[] SCALES = {1, 2, 4};

  private EvaluateFashionMnist() {}

  /**
   * Evaluates.
   *
   * @param args the folder of the IDX files, the folder of the model by class, the number of
   *     pictures, and the folder of a model without classes, or nothing for the one by class
   * @throws IOException if a file can't be read
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path data = Path.of(args.length > 0 ? args[0] : "/usr/share/datasets/fashion-mnist");
    Path target = Path.of(System.getProperty("ddpm4j.target", "target"), "fashion-mnist/model");
    int count = args.length > 2 ? Integer.parseInt(args[2]) : 1000;
    Path folder = args.length > 1 ? Path.of(args[1]) : target;
    run(data, folder, args.length > 3 ? Path.of(args[3]) : folder, count, 4, 20);
  }

  static void run(Path data, Path folder, Path plainFolder, int count, int epochs, int calls)
      throws IOException {
    LabeledImages training = IdxFiles.training(data);
    LabeledImages test = IdxFiles.test(data);
    int classes = Arrays.stream(training.labels()).max().orElseThrow() + 1;
    int[] asked = IntStream.range(0, count).map(i -> i % classes).toArray();
    try (DDPM byClass = DDPM.load(folder);
        DDPM plain = DDPM.load(plainFolder);
        var judge = new PictureClassifier(training, classes, epochs);
        NDManager manager = NDManager.newBaseManager()) {
      NDArray held = test.toArray(manager);
      var report = new FeatureReport(judge.features(), held.get("0:" + count));
      judge.printAgreement("held-out pictures", held, test.labels());
      report.print("other held-out pictures", held.get(count + ":" + 2 * count));
      report.print("noise", manager.randomNormal(new Shape(count, 1, 28, 28)).clip(-1, 1));
      for (int i = -1; i < SCALES.length; i++) {
        var sampling =
            (i < 0 ? plain : byClass).sampling().sampler(Samplers.dpmSolverPlusPlus(calls)).seed(1);
        if (i >= 0) {
          sampling.condition(Condition.labels(asked)).guidance(Guidance.classifierFree(SCALES[i]));
        }
        String what = i < 0 ? "without classes" : "by class, guidance " + SCALES[i];
        try (Samples samples = sampling.generate(count)) {
          NDArray drawn = samples.toNDArray(manager);
          report.print(what, drawn);
          if (i >= 0) {
            judge.printAgreement(what, drawn, asked);
          }
        }
      }
    }
  }
}
