package io.github.ddpm4j.examples;

import static ai.djl.ndarray.types.DataType.FLOAT32;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Measurement;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Finds digits from some pixels, means or a blur: by DPS, moment matching, RePaint where it can.
 */
public final class Posterior {
  /** σ_y of every measurement. */
  private static final double NOISE = 0.05;

  private Posterior() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model of 8x8 digits, or nothing for the quickstart's
   * @throws IOException if there is no model
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = Path.of(target, "quickstart", "model");
    run(args.length > 0 ? Path.of(args[0]) : model, 100, 50, 10, 10);
  }

  static void run(Path model, int images, int calls, int jump, int times) throws IOException {
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      NDArray real = Digits.load().heldOut().slice(0, images).toArray(manager);
      Judge judge = DigitsRuns.judge(manager, images);
      PosteriorTask.printHead(judge.judge(real).likeReal());
      for (PosteriorTask task : PosteriorTask.all(manager)) {
        // y = A(x) + σ_y n, where there is something to measure
        NDArray exact = task.operator().of(real);
        NDArray n = NoiseSource.seeded(2).array(manager, 0, 0, exact.getShape(), FLOAT32);
        NDArray y = exact.add(task.masked(n).mul(NOISE));
        Measurement of = Measurement.of(task.operator(), y, NOISE);
        if (task.mask() != null) {
          Samples replaced = sampling(ddpm, calls).inpaint(y, task.mask());
          task.print(judge, real, y, "replaced", calls, replaced);
          var again = Samplers.resampling(Samplers.ddim(calls).eta(1), jump, times);
          int all = again.plan(ddpm.model().diffusion()).steps().size();
          Samples filled = sampling(ddpm, calls).sampler(again).inpaint(y, task.mask());
          task.print(judge, real, y, "RePaint", all, filled);
        } else {
          task.print(judge, real, y, "free", calls, sampling(ddpm, calls).generate(images));
        }
        for (double step : new double[] {0.1, 0.3}) {
          var guided = sampling(ddpm, calls).guidance(Guidance.dps(of, step));
          task.print(judge, real, y, "DPS, ζ = " + step, 2 * calls, guided.generate(images));
        }
        var guided = sampling(ddpm, calls).guidance(Guidance.posterior(of).interval(0, 3));
        task.print(judge, real, y, "posterior", 2 * calls, guided.generate(images));
      }
    }
  }

  private static Sampling sampling(DDPM ddpm, int calls) {
    return ddpm.sampling().sampler(Samplers.ddim(calls).eta(1)).seed(1);
  }
}
