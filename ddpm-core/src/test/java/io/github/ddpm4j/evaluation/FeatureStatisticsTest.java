package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.io.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.ojalgo.matrix.store.R064Store;

class FeatureStatisticsTest {

  private static final Golden CASES = Golden.load("evaluation/evaluation.json").at("cases");

  @TempDir Path folder;

  static Stream<String> cases() {
    return CASES.keys().stream();
  }

  /* --- numbers --- */

  @ParameterizedTest
  @MethodSource("cases")
  void of_isMeanAndCovarianceOfNumpy(String name) {
    Golden expected = CASES.at(name);
    FeatureStatistics statistics = FeatureStatistics.of(Gaussian.rows(expected, "generated"));

    assertThat(statistics.count()).isEqualTo(expected.shape("generated").get(0));
    assertThat(statistics.dimension()).isEqualTo(expected.shape("generated").get(1));
    Golden.assertClose("mean", statistics.mean(), expected.data("mean"), 1e-12);
    Golden.assertClose(
        "covariance", flat(statistics.covariance()), expected.data("covariance"), 1e-12);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void batchesOfAnySize_areTheWhole(String name) {
    double[][] rows = Gaussian.rows(CASES.at(name), "generated");
    for (int size : new int[] {1, 2, 5, rows.length}) {
      FeatureStatistics.Collector collector = FeatureStatistics.collector();
      for (int first = 0; first < rows.length; first += size) {
        collector.add(Arrays.copyOfRange(rows, first, Math.min(rows.length, first + size)));
      }
      assertSame("batches of " + size, collector.statistics(), FeatureStatistics.of(rows));
      assertThat(collector.count()).isEqualTo(rows.length);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void mergedParts_areTheWhole(String name) {
    double[][] rows = Gaussian.rows(CASES.at(name), "generated");
    FeatureStatistics whole = FeatureStatistics.of(rows);
    for (int cut : new int[] {1, 3, rows.length - 1}) {
      FeatureStatistics one = FeatureStatistics.of(Arrays.copyOf(rows, cut));
      FeatureStatistics other = FeatureStatistics.of(Arrays.copyOfRange(rows, cut, rows.length));

      assertSame("cut at " + cut, one.merge(other), whole);
      assertSame("the other way at " + cut, other.merge(one), whole);
      assertThat(one.count()).isEqualTo(cut);
    }
  }

  /** A million rows at 1e6 ± 1: what a sum of squares would lose to cancellation is kept. */
  @Test
  void collector_farFrom0_keepsTheVariance() {
    FeatureStatistics.Collector collector = FeatureStatistics.collector();
    double[][] batch = new double[1000][1];
    for (int i = 0; i < 1000; i++) {
      batch[i][0] = 1e6 + (i % 2 == 0 ? 1 : -1);
    }
    for (int k = 0; k < 1000; k++) {
      collector.add(batch);
    }

    Golden.assertRelative(
        "variance", collector.statistics().covariance()[0], new double[] {1e6 / (1e6 - 1)}, 1e-12);
  }

  @Test
  void statistics_areNotChangedByWhatIsCollectedAfter() {
    FeatureStatistics.Collector collector = FeatureStatistics.collector();
    collector.add(new double[][] {{1, 2}, {3, 5}});
    FeatureStatistics before = collector.statistics();
    String digest = before.sha256();
    collector.add(new double[][] {{7, 7}});

    assertThat(before.sha256()).isEqualTo(digest);
    before.mean()[0] = 99;
    before.covariance()[0][0] = 99;
    assertThat(before.sha256()).isEqualTo(digest);
    assertThat(collector.statistics().count()).isEqualTo(3);
  }

  /* --- files --- */

  @Test
  void load_isWhatWasSaved() throws IOException {
    FeatureStatistics statistics =
        FeatureStatistics.of(Gaussian.rows(CASES.at("regular"), "generated"))
            .named("inception-v3, 299, bilinear");
    Path file = folder.resolve("new/reference.safetensors");
    statistics.save(file);

    FeatureStatistics loaded = FeatureStatistics.load(file);

    assertThat(loaded.sha256()).isEqualTo(statistics.sha256());
    assertThat(loaded.features()).isEqualTo("inception-v3, 299, bilinear");
    assertThat(loaded.count()).isEqualTo(60);
    assertThat(loaded.mean()).isEqualTo(statistics.mean());
    assertThat(loaded.covariance()).isDeepEqualTo(statistics.covariance());
    assertThat(loaded)
        .hasToString("FeatureStatistics[60 images, 6 features \"inception-v3, 299, bilinear\"]");
  }

  @Test
  void load_oneByteChanged_isRefused() throws IOException {
    FeatureStatistics statistics = FeatureStatistics.of(new double[][] {{1, 2}, {3, 5}});
    Path file = folder.resolve("reference.safetensors");
    statistics.save(file);
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 3] ^= 1;
    Files.write(file, bytes);

    assertThatThrownBy(() -> FeatureStatistics.load(file))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            "\\Q"
                + file
                + "\\E was changed after it was written: its numbers have the digest [0-9a-f]{64},"
                + " but it says "
                + statistics.sha256()
                + "; make it again");
  }

  @Test
  void load_otherFiles_areRefused() throws IOException {
    Path missing = folder.resolve("missing.safetensors");
    Path other = folder.resolve("other.safetensors");
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = manager.create(new double[] {1});
      Safetensors.write(other, Map.of("mean", weight), Map.of());
    }

    assertThatThrownBy(() -> FeatureStatistics.load(missing))
        .isInstanceOf(NoSuchFileException.class);
    assertThatThrownBy(() -> FeatureStatistics.load(other))
        .isInstanceOf(IOException.class)
        .hasMessage(
            other + " holds no feature statistics; FeatureStatistics.save writes such files");
  }

  @Test
  void load_withoutACount_isRefused() throws IOException {
    Path file = folder.resolve("nothing.safetensors");
    try (NDManager manager = NDManager.newBaseManager()) {
      Safetensors.write(
          file,
          Map.of(
              "mean",
              manager.create(new double[] {1}),
              "products",
              manager.create(new double[][] {{1}})),
          Map.of("format", "ddpm4j feature statistics", "count", "many"));
    }

    assertThatThrownBy(() -> FeatureStatistics.load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " must say a count, but says many");
  }

  @Test
  void save_ontoAFolder_isRefused() {
    FeatureStatistics statistics = FeatureStatistics.of(new double[][] {{1, 2}, {3, 5}});

    assertThatThrownBy(() -> statistics.save(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " is a folder; name a file in it");
  }

  /* --- input --- */

  @Test
  void badRows_areRefused_andNothingIsTakenIn() {
    FeatureStatistics.Collector collector = FeatureStatistics.collector();
    collector.add(new double[][] {{1, 2}});

    assertThatIllegalArgumentException()
        .isThrownBy(() -> collector.add(new double[0][]))
        .withMessage("features must be at least 1 for statistics, but were 0; make more");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> collector.add(new double[][] {{}}))
        .withMessage("features must have at least 1 feature per image, but image 0 has none");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> collector.add(new double[][] {{1, 2}, {3}}))
        .withMessage(
            "features must have equally many features per image, but image 0 has 2 and image 1 has"
                + " 1");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> collector.add(new double[][] {{1, 2}, {3, Double.NaN}}))
        .withMessage(
            "features must be finite, but feature 1 of image 1 was NaN; leave such images out, or"
                + " see why the images or the feature network hold such values");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> collector.add(new double[][] {{1, 2, 3}}))
        .withMessage(
            "batches must have equally many features, but have 2 and 3; use the same Features for"
                + " both");
    assertThat(collector.count()).isEqualTo(1);
  }

  @Test
  void tooLittle_isRefused() {
    assertThatIllegalStateException()
        .isThrownBy(() -> FeatureStatistics.collector().statistics())
        .withMessage("statistics need at least 1 image; add a batch before");
    assertThatIllegalStateException()
        .isThrownBy(() -> FeatureStatistics.of(new double[][] {{1}}).covariance())
        .withMessage("a covariance needs at least 2 images, but these statistics are of 1");
  }

  @Test
  void merge_ofOtherFeatures_isRefused() {
    FeatureStatistics one = FeatureStatistics.of(new double[][] {{1}, {2}}).named("a");
    FeatureStatistics other = FeatureStatistics.of(new double[][] {{1}, {2}}).named("b");

    assertThatIllegalArgumentException()
        .isThrownBy(() -> one.merge(other))
        .withMessage(
            "statistics to merge must be of the same features, but are of \"a\" and \"b\"; use the"
                + " same Features for both");
    assertThat(one.merge(FeatureStatistics.of(new double[][] {{1}})).features()).isEqualTo("a");
    assertThat(FeatureStatistics.of(new double[][] {{1}}).merge(one).features()).isEqualTo("a");
    assertThat(FeatureStatistics.of(new double[][] {{1}}))
        .hasToString("FeatureStatistics[1 images, 1 features]");
  }

  private static void assertSame(
      String what, FeatureStatistics actual, FeatureStatistics expected) {
    assertThat(actual.count()).isEqualTo(expected.count());
    Golden.assertClose(what + ": mean", actual.mean(), expected.mean(), 1e-12);
    Golden.assertClose(
        what + ": covariance", flat(actual.covariance()), flat(expected.covariance()), 1e-11);
  }

  private static double[] flat(double[][] rows) {
    return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
  }

  /** 128 x 128 pixels of three channels: their covariance has 2.4 billion numbers. */
  @Test
  void of_featuresWithoutCovariance_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> FeatureStatistics.of(new double[2][49_152]))
        .withMessage(
            "statistics need at most 46340 features per image, since a covariance holds the square"
                + " of it, but were given 49152; use smaller images, or the features of a network");
  }

  /** More deviations than an array holds are taken half after half. */
  @Test
  void of_moreThanAnArrayHolds_isTheSame() {
    double[][] rows = Gaussian.draw(1, 37, new double[] {1, 2, 3}, new double[] {1, 1, 2});
    FeatureStatistics whole = FeatureStatistics.ofChecked(rows);
    FeatureStatistics parts = FeatureStatistics.ofChecked(rows, 10);

    assertThat(parts.count()).isEqualTo(37);
    Golden.assertClose("mean", parts.mean(), whole.mean(), 1e-13);
    for (int k = 0; k < 3; k++) {
      Golden.assertClose("row", parts.covariance()[k], whole.covariance()[k], 1e-12);
    }
  }

  /** Deviations of few images are a factor; others, and sums of parts, have one of Σ. */
  @ParameterizedTest
  @ValueSource(ints = {2, 4, 5, 6, 40})
  void factor_timesItself_isTheCovariance(int images) {
    double[] one = {1, 1, 1, 1, 1};
    double[][] rows = Gaussian.draw(1, images, new double[] {1, 2, 3, 4, 5}, one);
    FeatureStatistics whole = FeatureStatistics.ofChecked(rows);
    FeatureStatistics parts = FeatureStatistics.ofChecked(rows, 9);

    for (FeatureStatistics statistics : List.of(whole, parts)) {
      R064Store factor = statistics.factor();
      double[] product = new double[25];
      R064Store.wrap(product, 5).fillByMultiplying(factor, factor.transpose());
      Golden.assertClose("L·Lᵀ", product, flat(whole.covariance()), 1e-12);
    }
    assertThat(whole.factor().getColDim()).isEqualTo(Math.min(images, 5));
  }

  /** What was known of the first batch does not hold for all. */
  @Test
  void distance_ofBatches_isThatOfTheWhole() {
    double[] one = {1, 1, 1, 1, 1};
    double[][] rows = Gaussian.draw(1, 6, new double[] {1, 2, 3, 4, 5}, one);
    FeatureStatistics reference =
        FeatureStatistics.of(Gaussian.draw(2, 9, new double[5], new double[] {1, 2, 1, 2, 1}));
    FeatureStatistics first = FeatureStatistics.of(Arrays.copyOf(rows, 3));
    FeatureStatistics merged =
        first.merge(FeatureStatistics.of(Arrays.copyOfRange(rows, 3, rows.length)));

    assertThat(FrechetDistance.between(merged, reference))
        .isCloseTo(
            FrechetDistance.estimate(rows, reference, Bootstrap.none()).value(), within(1e-9));
  }
}
