package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import java.util.stream.IntStream;

/** Prints how far pictures are from real ones in the features of a classifier. */
final class FeatureReport {

  private final PictureClassifier judge;
  private final double[][] real;

  FeatureReport(PictureClassifier judge, NDArray real) {
    this.judge = judge;
    this.real = judge.features().of(real);
  }

  /** How often the classifier finds the labels. */
  void agreement(String what, NDArray pictures, int[] labels) {
    int[] found = judge.classesOf(pictures);
    long hits = IntStream.range(0, found.length).filter(i -> found[i] == labels[i]).count();
    System.out.println(what + ": " + hits + " of " + found.length + " as labelled");
  }

  void print(String what, NDArray pictures) {
    double[][] features = judge.features().of(pictures);
    FeatureStatistics statistics = FeatureStatistics.of(real);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    System.out.println(what);
    System.out.println("  " + FrechetDistance.estimate(features, statistics, bootstrap));
    System.out.println("  " + KernelDistance.estimate(features, real, bootstrap));
    System.out.println("  " + PrecisionRecall.of(features, real, bootstrap));
  }
}
