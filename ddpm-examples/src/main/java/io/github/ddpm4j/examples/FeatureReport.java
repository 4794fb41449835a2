package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;

/** Prints how far pictures are from real ones in some features. */
final class FeatureReport {

  /** Beyond so many features a Fréchet distance takes too long to be resampled. */
  private static final int MANY = 256;

  private final Features features;
  private final double[][] real;
  private final FeatureStatistics statistics;

  FeatureReport(Features features, NDArray real) {
    this.features = features;
    this.real = features.of(real);
    this.statistics = FeatureStatistics.of(this.real);
  }

  void print(String what, NDArray pictures) {
    double[][] rows = features.of(pictures);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    System.out.println(what);
    Bootstrap ofFrechet = real[0].length > MANY ? Bootstrap.none() : bootstrap;
    System.out.println("  " + FrechetDistance.estimate(rows, statistics, ofFrechet));
    System.out.println("  " + KernelDistance.estimate(rows, real, bootstrap));
    System.out.println("  " + PrecisionRecall.of(rows, real, bootstrap));
  }
}
