package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/** The table of {@link TunePictures}, a row for each sampler, and the first pictures of each. */
final class TuningRows {

  private static final int COLUMNS = 12;

  private final TuningTask task;
  private final FeatureReport report;
  private final NDList first = new NDList();

  TuningRows(TuningTask task, Features features) {
    this.task = task;
    this.report = new FeatureReport(features, task.real());
    System.out.println(
        "| calls | sampler | FD | KID · 1000 | precision | recall | as asked | ms a picture |");
    System.out.println("|--:|---|--:|--:|--:|--:|--:|--:|");
    print("-", "real images", task.others(), "-");
  }

  /** Draws what is asked for with one seed, and prints a row of it. */
  void draw(Sampling sampling, Sampler sampler, int calls) {
    sampling.sampler(sampler).seed(1);
    sampling.condition(task.asked().select(0)).generate(1).close(); // compiles
    sampling.condition(task.asked());
    int count = (int) task.others().getShape().get(0);
    NDManager manager = task.others().getManager();
    long begun = TuningCost.nanos();
    try (Samples drawn = sampling.generate(count)) {
      double millis = (TuningCost.nanos() - begun) / 1e6 / count;
      NDArray pictures = drawn.toNDArray(manager);
      String time = String.format(Locale.ROOT, "%.1f", millis);
      print(Integer.toString(calls), sampler.toString(), pictures, time);
      first.add(pictures.get("0:" + Math.min(COLUMNS, count)));
    }
  }

  private void print(String calls, String sampler, NDArray pictures, String millis) {
    double[] shown = task.shown().apply(pictures);
    double mean = Arrays.stream(shown).average().orElseThrow();
    double squares = Arrays.stream(shown).map(share -> (share - mean) * (share - mean)).sum();
    double error = 1.96 * Math.sqrt(squares) / shown.length;
    String asked = String.format(Locale.ROOT, "%.3f ± %.3f", mean, error);
    System.out.println(
        String.join(" | ", "| " + calls, sampler, report.cells(pictures) + asked, millis + " |"));
  }

  /** Saves the first pictures, a row for each sampler. */
  void save(Path file) throws IOException {
    Pictures.of(NDArrays.concat(first)).columns(COLUMNS).enlarge(2).save(file);
  }
}
