package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.Plots;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** What guidance gives and costs: how many digits are as asked for, and how varied they are. */
public final class GuidanceScales {
  private static final double[] SCALES = {0, 0.5, 1, 1.5, 2, 3, 4, 6, 8};
  private static final int PER_CLASS = 20;

  private GuidanceScales() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model of classes, or nothing for that of ConditionalDigits
   * @throws IOException if there is no model, or the plot can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    String model = args.length > 0 ? args[0] : target + "/conditional-digits/model";
    run(Path.of(model), Path.of(target, "guidance-scales.png"), 25);
  }

  static void run(Path model, Path plot, int calls) throws IOException {
    Pictures.requireSavable(plot);
    int[] asked = IntStream.range(0, 10 * PER_CLASS).map(i -> i / PER_CLASS).toArray();
    double[] hits = new double[SCALES.length];
    double[] variety = hits.clone();
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      Digits digits = Digits.load();
      NDArray known = digits.training().toArray(manager);
      Judge judge = Judge.of(known, known, digits.training().labels());
      System.out.println("scale  as asked for  variety");
      for (int k = 0; k < SCALES.length; k++) {
        var sampling = ddpm.sampling().sampler(Samplers.ddim(calls).eta(0.5)).seed(1);
        sampling.condition(Condition.labels(asked)).guidance(Guidance.classifierFree(SCALES[k]));
        try (Samples samples = sampling.generate(asked.length)) {
          NDArray drawn = samples.toNDArray(manager);
          int[] found = judge.classesOf(drawn);
          long right = IntStream.range(0, asked.length).filter(i -> found[i] == asked[i]).count();
          hits[k] = (double) right / asked.length;
          for (int label = 0; label < 10; label++) {
            NDArray real = digits.heldOut().withLabel(label).toArray(manager);
            variety[k] += distance(drawn.split(10).get(label)) / distance(real) / 10;
          }
        }
        System.out.printf(Locale.ROOT, "%5s %13.3f %8.3f%n", SCALES[k], hits[k], variety[k]);
      }
    }
    var curves = new TreeMap<>(Map.of("as asked for", hits, "variety, real = 1", variety));
    Plots.curves("guidance scale", SCALES, curves, plot);
    System.out.println(plot);
  }

  /** The mean distance between two images. */
  static double distance(NDArray images) {
    long n = images.getShape().get(0);
    NDArray differences = images.reshape(n, 1, -1).sub(images.reshape(1, n, -1));
    return differences.norm(new int[] {2}).sum().getFloat() / (n * (n - 1.0));
  }
}
