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

  /** How many pictures were compared, of how many. */
  private static final String PICTURES = "pictures";

  /** Compares pictures by a row of features each. */
  static Figures compare(String features, double[][] reference, double[][] rows) {
    Bootstrap bootstrap = Bootstrap.seeded(1);
    Figures all = new Figures(features, new ArrayList<>(), new JsonObject());
    String missing = missing(rows[0].length, rows.length, reference.length);
    if (missing == null) {
      // Each resample costs as much as the distance itself, seconds for a thousand features.
      Bootstrap resamples = rows[0].length <= MOST_RESAMPLED ? bootstrap : Bootstrap.none();
      all.add(FrechetDistance.estimate(rows, FeatureStatistics.of(reference), resamples));
    } else {
      all.addNoFrechet(missing);
    }
    all.add(KernelDistance.estimate(rows, reference, bootstrap));
    PrecisionRecall both = PrecisionRecall.of(rows, reference, bootstrap);
    all.add(both.precision());
    all.add(both.recall());
    return all;
  }

  /** Why there is no Fréchet distance, and what would give one; null if there is one. */
  private static @Nullable String missing(int features, long generated, long real) {
    if (features > MOST_FRECHET) {
      return String.format(
          Locale.ROOT,
          "it is computed of up to %d features, but these are %d; give fewer, as --features lite0"
              + " does, or a smaller --size",
          MOST_FRECHET,
          features);
    }
    if (features > MOST_RESAMPLED && Math.min(generated, real) <= features) {
      return String.format(
          Locale.ROOT,
          "%d features need more pictures than that of each kind, not %d generated and %d real;"
              + " give more (-n), or fewer features",
          features,
          generated,
          real);
    }
    return null;
  }

  private void addNoFrechet(String why) {
    lines.add("no " + FRECHET + ": " + why);
    JsonObject none = new JsonObject();
    none.addProperty("missing", why);
    json.add(FRECHET, none);
  }

  private void add(Estimate estimate) {
    lines.add(estimate.toString());
    JsonObject one = new JsonObject();
    one.addProperty("value", estimate.value());
    if (!Double.isNaN(estimate.low())) {
      one.addProperty("low", estimate.low());
      one.addProperty("high", estimate.high());
    }
    one.addProperty("generated", estimate.generated());
    one.addProperty("reference", estimate.reference());
    json.add(estimate.figure(), one);
  }

  /** These and the likelihood of a model. */
  Figures and(BitsPerDimResult likelihood) {
    lines.add(likelihood.toString());
    JsonObject one = new JsonObject();
    one.addProperty("value", likelihood.total().value());
    one.addProperty("standardError", likelihood.total().standardError());
    one.addProperty("images", likelihood.images());
    json.add("bits per dimension", one);
    return this;
  }

  /** These, and how many pictures of a folder were compared. */
  Figures taken(String kind, FolderPictures pictures) {
    if (pictures.isPart()) {
      lines.add(pictures.said(kind + " pictures"));
    }
    if (!json.has(PICTURES)) {
      json.add(PICTURES, new JsonObject());
    }
    json.getAsJsonObject(PICTURES).add(kind, pictures.toJson());
    return this;
  }

  /** The distance of statistics, of which there are no resamples. */
  static Figures of(FeatureStatistics drawn, FeatureStatistics reference) {
    Figures all =
        new Figures(String.valueOf(reference.features()), new ArrayList<>(), new JsonObject());
    String missing = missing(reference.mean().length, drawn.count(), reference.count());
    if (missing != null) {
      all.addNoFrechet(missing);
      return all;
    }
    double distance = FrechetDistance.between(drawn, reference);
    JsonObject one = new JsonObject();
    one.addProperty("value", distance);
    one.addProperty("generated", drawn.count());
    one.addProperty("reference", reference.count());
    all.json.add(FRECHET, one);
    all.lines.add(
        String.format(
            Locale.ROOT,
            "%s %.6g (%d generated, %d reference)",
            FRECHET,
            distance,
            drawn.count(),
            reference.count()));
    return all;
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
