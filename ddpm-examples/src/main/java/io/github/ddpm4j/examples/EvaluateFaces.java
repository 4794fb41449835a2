package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.models.EfficientNetLite0;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * Judges faces of the box or of {@link TrainFaces}: how near they are to unseen ones, whether they
 * show what was asked for, also glasses under hats, which it never saw, and whether they copy.
 */
public final class EvaluateFaces {

  private EvaluateFaces() {}

  /**
   * Evaluates.
   *
   * @param args the number of pictures, and the folder of a model in place of that in the box
   * @throws IOException if a file can't be read or written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    int count = args.length > 0 ? Integer.parseInt(args[0]) : 1000;
    Path folder = Path.of(System.getProperty("ddpm4j.target", "target"), "faces");
    try (DDPM model = args.length > 1 ? DDPM.load(Path.of(args[1])) : Models.faces();
        var features = EfficientNetLite0.load()) {
      run(model, features, folder, count, TrainFaces.COUNT, 20);
    }
  }

  static void run(DDPM model, Features features, Path folder, int count, int trained, int calls)
      throws IOException {
    List<Face> held = FaceSets.heldOut(2 * count);
    List<Face> asked = held.subList(count, 2 * count);
    List<Face> never = FaceSets.glassesUnderHats(Math.max(4, count / 4));
    var reading = new FaceReading(FaceSets.list(FaceSets.training(trained), trained));
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray others = FaceReading.pictures(manager, asked);
      NDArray known = FaceReading.pictures(manager, held.subList(0, count));
      var report = new FeatureReport(features, known);
      report.print("other held-out faces", others);
      reading.print("other held-out faces", others, asked);
      report.print("noise", manager.randomNormal(others.getShape()).clip(-1, 1));
      var sampling = model.sampling().sampler(Samplers.dpmSolverPlusPlus(calls)).seed(1);
      try (Samples samples = sampling.generate(count)) {
        report.print("without attributes", samples.toNDArray(manager));
        FaceReading.printCoverage(samples.toNDArray(manager), asked);
      }
      for (double scale : new double[] {1, 2, 4}) {
        for (List<Face> wanted : List.of(asked, never)) {
          var vectors = manager.create(wanted.stream().map(Face::vector).toArray(float[][]::new));
          sampling.condition(Condition.vectors(vectors)).guidance(Guidance.classifierFree(scale));
          String what = (wanted.equals(never) ? "glasses under hats" : "as asked") + " at " + scale;
          try (Samples samples = sampling.generate(wanted.size())) {
            NDArray drawn = samples.toNDArray(manager);
            if (wanted.equals(asked)) {
              report.print(what, drawn);
            }
            reading.print(what, drawn, wanted);
            NDArray shown = drawn.get("0:" + Math.min(48, wanted.size()));
            Path file = folder.resolve(what.replace(' ', '-') + ".png");
            Pictures.of(shown).columns(12).enlarge(2).save(file);
          }
        }
      }
    }
  }
}
