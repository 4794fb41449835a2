package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.sampling.Measurement;
import io.github.ddpm4j.sampling.Samples;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What {@link Posterior} finds digits from, and the rows of its table.
 *
 * @param name what the table calls it
 * @param operator what is measured
 * @param mask the pixels that are known, for inpainting; null if these are not pixels
 */
record PosteriorTask(String name, Measurement.Operator operator, @Nullable NDArray mask) {

  /** The left half, means of 2x2 pixels, a blurred picture, and a quarter of the pixels. */
  static List<PosteriorTask> all(NDManager manager) {
    NDArray half = manager.zeros(new Shape(1, 1, 8, 8));
    half.set(new NDIndex(":, :, :, :4"), 1);
    NDArray few = manager.zeros(new Shape(1, 1, 8, 8));
    few.set(new NDIndex(":, :, 1::2, 0::2"), 1);
    return List.of(
        new PosteriorTask("left half", Measurement.pixels(half), half),
        new PosteriorTask("means of 2x2", Measurement.averages(2), null),
        new PosteriorTask("blur of 1 pixel", Measurement.blur(1), null),
        new PosteriorTask("16 of 64 pixels", Measurement.pixels(few), few));
  }

  /** Values of the measurement, 0 where it has none. */
  NDArray masked(NDArray values) {
    return mask == null ? values : values.mul(mask);
  }

  /** The head of the table, and its row of real digits. */
  static void printHead(double likeReal) {
    System.out.println(
        "| measured | drawn by | network calls | off y | off the digit | like real |");
    System.out.println("|---|---|--:|--:|--:|--:|");
    System.out.println(row("-", "nothing: real digits", 0, 0, 0, likeReal));
  }

  /** Judges samples, prints their row, and closes them. */
  void print(Judge judge, NDArray real, NDArray y, String by, int calls, Samples samples) {
    try (samples) {
      NDArray drawn = samples.toNDArray(real.getManager());
      double off = distance(operator.of(drawn), y);
      double like = judge.judge(drawn).likeReal();
      System.out.println(row(name, by, calls, off, distance(drawn, real), like));
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
