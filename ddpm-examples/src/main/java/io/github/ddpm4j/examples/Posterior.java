package io.github.ddpm4j.examples;

import static ai.djl.ndarray.types.DataType.FLOAT32;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
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
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Finds held-out digits from half of their pixels, from a quarter of them, and from the means of
 * 2x2 pixels, with little noise: by DPS and by moment matching, beside RePaint where it can.
 */
public final class Posterior {
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
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    run(model, 100, 50, 10, 10);
  }

  static void run(Path model, int images, int calls, int jump, int times) throws IOException {
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      Digits digits = Digits.load();
      NDArray real = digits.heldOut().slice(0, images).toArray(manager);
      NDArray known = digits.training().toArray(manager);
      Judge judge = Judge.of(real, known, digits.training().labels());
      NDArray half = manager.zeros(new Shape(1, 1, 8, 8));
      half.set(new NDIndex(":, :, :, :4"), 1);
      NDArray few = manager.zeros(new Shape(1, 1, 8, 8));
      few.set(new NDIndex(":, :, 1::2, 0::2"), 1);
      List<Task> tasks =
          List.of(
              new Task("left half", Measurement.pixels(half), NOISE, half),
              new Task("means of 2x2", Measurement.averages(2), NOISE / 2, null),
              new Task("16 of 64 pixels", Measurement.pixels(few), NOISE, null));
      NDArray noise = NoiseSource.seeded(2).array(manager, 0, 0, real.getShape(), FLOAT32);
      System.out.println(
          "| measured | drawn by | network calls | off y | off the digit | like real |");
      System.out.println("|---|---|--:|--:|--:|--:|");
      System.out.println(row("-", "nothing: real digits", 0, 0, 0, judge.judge(real).likeReal()));
      for (Task task : tasks) {
        NDArray y = task.operator.of(real.add(noise.mul(NOISE)));
        Measurement of = Measurement.of(task.operator, y, task.deviation);
        if (task.mask != null) {
          print(
              judge, task, real, y, "replaced", calls, sampling(ddpm, calls).inpaint(y, task.mask));
          var again = Samplers.resampling(Samplers.ddim(calls).eta(1), jump, times);
          int all = again.plan(ddpm.model().diffusion()).steps().size();
          Samples filled = sampling(ddpm, calls).sampler(again).inpaint(y, task.mask);
          print(judge, task, real, y, "RePaint", all, filled);
        } else {
          print(judge, task, real, y, "free", calls, sampling(ddpm, calls).generate(images));
        }
        for (double step : new double[] {0.1, 0.3}) {
          var guided = sampling(ddpm, calls).guidance(Guidance.dps(of, step));
          print(judge, task, real, y, "DPS, ζ = " + step, 2 * calls, guided.generate(images));
        }
        var guided = sampling(ddpm, calls).guidance(Guidance.posterior(of).interval(0, 3));
        print(judge, task, real, y, "posterior", 2 * calls, guided.generate(images));
      }
    }
  }

  private record Task(
      String name, Measurement.Operator operator, double deviation, @Nullable NDArray mask) {}

  private static Sampling sampling(DDPM ddpm, int calls) {
    return ddpm.sampling().sampler(Samplers.ddim(calls).eta(1)).seed(1);
  }

  private static void print(
      Judge judge, Task task, NDArray real, NDArray y, String by, int calls, Samples samples) {
    try (samples) {
      NDArray drawn = samples.toNDArray(real.getManager());
      double off = distance(task.operator.of(drawn), y);
      double like = judge.judge(drawn).likeReal();
      System.out.println(row(task.name, by, calls, off, distance(drawn, real), like));
    }
  }

  private static String row(
      String task, String by, int calls, double off, double far, double like) {
    return String.format(
        Locale.ROOT, "| %s | %s | %d | %.3f | %.3f | %.2f |", task, by, calls, off, far, like);
  }

  private static double distance(NDArray one, NDArray other) {
    return Math.sqrt(one.sub(other).square().mean().getFloat());
  }
}
