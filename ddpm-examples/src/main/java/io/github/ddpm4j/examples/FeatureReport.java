package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.Estimate;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import java.util.Locale;

/** Prints how far pictures are from real ones in some features. */
final class FeatureReport {

  /** Of Fréchet distances, whose resamples take a second for thousands of pictures. */
  private static final Bootstrap SOME = new Bootstrap(40, Bootstrap.DEFAULT_CONFIDENCE, 1);

  private final Features features;
  private final double[][] real;
  private final FeatureStatistics statistics;

  FeatureReport(Features features, NDArray real) {
    this.features = features;
    this.real = features.of(real);
    this.statistics = FeatureStatistics.of(this.real);
  }

  /** Cells of a table: the figures of pictures with their intervals, a kernel distance by 1000. */
  String cells(NDArray pictures) {
    double[][] rows = features.of(pictures);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    PrecisionRecall alike = PrecisionRecall.of(rows, real, bootstrap);
    return cell("%.1f", 1, FrechetDistance.estimate(rows, statistics, SOME))
        + cell("%.1f", 1000, KernelDistance.estimate(rows, real, bootstrap))
        + cell("%.3f", 1, alike.precision())
        + cell("%.3f", 1, alike.recall());
  }

  private static String cell(String form, double factor, Estimate figure) {
    String cell = form + " (" + form + ".." + form + ") | ";
    double value = factor * figure.value();
    return String.format(Locale.ROOT, cell, value, factor * figure.low(), factor * figure.high());
  }

  void print(String what, NDArray pictures) {
    double[][] rows = features.of(pictures);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    System.out.println(what);
    System.out.println("  " + FrechetDistance.estimate(rows, statistics, SOME));
    System.out.println("  " + KernelDistance.estimate(rows, real, bootstrap));
    System.out.println("  " + PrecisionRecall.of(rows, real, bootstrap));
  }
}
