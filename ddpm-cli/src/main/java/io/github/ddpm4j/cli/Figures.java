package io.github.ddpm4j.cli;

import com.google.gson.JsonObject;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.Estimate;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What came of an evaluation.
 *
 * @param features in which features
 * @param lines each figure as a line of text
 * @param json each figure for a program
 */
record Figures(String features, List<String> lines, JsonObject json) {

  private static final int MOST_FRECHET = 2048;

  /** The most features for which the Fréchet distance has an interval, and is told of few. */
  private static final int MOST_RESAMPLED = 256;

  private static final String FRECHET = "Fréchet distance";

  /** Compares pictures by a row of features each. */
  static List<Estimate> compare(double[][] reference, double[][] rows) {
    Bootstrap bootstrap = Bootstrap.seeded(1);
    List<Estimate> estimates = new ArrayList<>();
    boolean cheap = rows[0].length <= MOST_RESAMPLED;
    boolean regular = Math.min(rows.length, reference.length) > rows[0].length;
    if (cheap || (regular && rows[0].length <= MOST_FRECHET)) {
      // Each resample costs as much as the distance itself, seconds for a thousand features.
      Bootstrap resamples = cheap ? bootstrap : Bootstrap.none();
      estimates.add(FrechetDistance.estimate(rows, FeatureStatistics.of(reference), resamples));
    }
    estimates.add(KernelDistance.estimate(rows, reference, bootstrap));
    PrecisionRecall both = PrecisionRecall.of(rows, reference, bootstrap);
    estimates.add(both.precision());
    estimates.add(both.recall());
    return estimates;
  }

  /** Those of pictures, and of the likelihood of a model. */
  static Figures of(
      String features, List<Estimate> estimates, @Nullable BitsPerDimResult likelihood) {
    List<String> lines = new ArrayList<>();
    JsonObject all = new JsonObject();
    for (Estimate estimate : estimates) {
      lines.add(estimate.toString());
      JsonObject one = new JsonObject();
      one.addProperty("value", estimate.value());
      if (!Double.isNaN(estimate.low())) {
        one.addProperty("low", estimate.low());
        one.addProperty("high", estimate.high());
      }
      one.addProperty("generated", estimate.generated());
      one.addProperty("reference", estimate.reference());
      all.add(estimate.figure(), one);
    }
    if (likelihood != null) {
      lines.add(likelihood.toString());
      JsonObject one = new JsonObject();
      one.addProperty("value", likelihood.total().value());
      one.addProperty("standardError", likelihood.total().standardError());
      one.addProperty("images", likelihood.images());
      all.add("bits per dimension", one);
    }
    return new Figures(features, lines, all);
  }

  /** The distance of statistics, of which there are no resamples. */
  static Figures of(FeatureStatistics drawn, FeatureStatistics reference) {
    double distance = FrechetDistance.between(drawn, reference);
    JsonObject one = new JsonObject();
    one.addProperty("value", distance);
    one.addProperty("generated", drawn.count());
    one.addProperty("reference", reference.count());
    JsonObject all = new JsonObject();
    all.add(FRECHET, one);
    String line =
        String.format(
            Locale.ROOT,
            "%s %.6g (%d generated, %d reference)",
            FRECHET,
            distance,
            drawn.count(),
            reference.count());
    return new Figures(String.valueOf(reference.features()), List.of(line), all);
  }

  /** Tells them. */
  void print(PrintWriter out, boolean asJson) {
    if (asJson) {
      JsonObject all = new JsonObject();
      all.addProperty("features", features);
      json.asMap().forEach(all::add);
      out.println(all);
    } else {
      out.println("in the features of " + features + ":");
      lines.forEach(out::println);
    }
    out.flush();
  }
}
