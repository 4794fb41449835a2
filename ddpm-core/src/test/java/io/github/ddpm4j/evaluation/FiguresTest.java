package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.Golden;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The figures against numpy and scipy, by hand, and at the edges. */
class FiguresTest {

  private static final Golden GOLDEN = Golden.load("evaluation/evaluation.json");
  private static final Golden CASES = GOLDEN.at("cases");

  static Stream<String> cases() {
    return CASES.keys().stream();
  }

  private static double[][] generated(String name) {
    return Gaussian.rows(CASES.at(name), "generated");
  }

  private static double[][] reference(String name) {
    return Gaussian.rows(CASES.at(name), "reference");
  }

  private static void assertGolden(String what, double actual, double expected) {
    Golden.assertClose(what, new double[] {actual}, new double[] {expected}, 1e-6);
  }

  /* --- against Python --- */

  @ParameterizedTest
  @MethodSource("cases")
  void frechetDistance_isScipys(String name) {
    FeatureStatistics generated = FeatureStatistics.of(generated(name));
    FeatureStatistics reference = FeatureStatistics.of(reference(name));
    double expected = CASES.at(name).number("frechet");

    assertGolden(name, FrechetDistance.between(generated, reference), expected);
    assertGolden("mirrored", FrechetDistance.between(reference, generated), expected);
    assertThat(FrechetDistance.between(generated, generated))
        .isLessThan(1e-10 * (1 + trace(generated)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void kernelDistance_isNumpys(String name) {
    assertGolden(
        name,
        KernelDistance.between(generated(name), reference(name)),
        CASES.at(name).number("kernel"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void precisionAndRecall_areScipys(String name) {
    for (int k : new int[] {1, 3}) {
      PrecisionRecall shares =
          PrecisionRecall.of(generated(name), reference(name), k, Bootstrap.none());

      assertThat(shares.precision().value()).isEqualTo(CASES.at(name).number("precision_k" + k));
      assertThat(shares.recall().value()).isEqualTo(CASES.at(name).number("recall_k" + k));
    }
  }

  @Test
  void inceptionScore_isScipys() {
    Golden expected = GOLDEN.at("inception");
    double[][] probabilities = Gaussian.rows(expected, "probabilities");

    for (int splits : new int[] {1, 4}) {
      assertGolden(
          splits + " splits",
          InceptionScore.estimate(probabilities, splits, Bootstrap.none()).value(),
          expected.number("splits_" + splits));
    }
  }

  /* --- in blocks, by hand --- */

  /** 600 and 300 images: several blocks, one of them not full. */
  @Test
  void kernelDistance_inBlocks_isTheSumOverAllPairs() {
    double[][] xs = Gaussian.draw(1, 600, new double[] {0.5, 0}, new double[] {1, 2});
    double[][] ys = Gaussian.draw(2, 300, new double[] {0, 0}, new double[] {1, 1});
    Bootstrap bootstrap = new Bootstrap(20, 0.9, 5);
    Estimate estimate = KernelDistance.estimate(xs, ys, bootstrap);

    double[] once = new double[600];
    Arrays.fill(once, 1);
    assertThat(estimate.value()).isCloseTo(kernelDistance(xs, once, ys, once), within(1e-9));
    double[] replicates =
        IntStream.range(0, 20)
            .mapToDouble(
                r ->
                    kernelDistance(
                        xs,
                        Arrays.stream(bootstrap.counts(r, 0, 600)).asDoubleStream().toArray(),
                        ys,
                        Arrays.stream(bootstrap.counts(r, 1, 300)).asDoubleStream().toArray()))
            .toArray();
    double mean = Arrays.stream(replicates).average().orElseThrow();
    Arrays.sort(replicates);
    // The quantile 0.05 of 20 is number 0.05 · 21 = 1.05 from below.
    double low = replicates[0] + 0.05 * (replicates[1] - replicates[0]);
    double high = replicates[18] + 0.95 * (replicates[19] - replicates[18]);
    assertThat(estimate.low()).isCloseTo(estimate.value() + low - mean, within(1e-9));
    assertThat(estimate.high()).isCloseTo(estimate.value() + high - mean, within(1e-9));
  }

  /* --- intervals --- */

  /** Resamples of two images are the two, over and over: nothing of a width can be told. */
  @Test
  void intervals_ofFewImages_areNotGiven() {
    double[][] xs = {{0, 1}, {1, 0}};
    double[][] ys = Gaussian.draw(1, 10, new double[2], new double[] {1, 1});
    double[][] nine = Arrays.copyOf(ys, 9);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    double[][] probabilities = new double[9][];
    Arrays.fill(probabilities, new double[] {0.5, 0.5});

    for (Estimate estimate :
        List.of(
            KernelDistance.estimate(xs, ys, bootstrap),
            KernelDistance.estimate(ys, nine, bootstrap),
            FrechetDistance.estimate(nine, FeatureStatistics.of(ys), bootstrap),
            PrecisionRecall.of(nine, ys, bootstrap).precision(),
            PrecisionRecall.of(ys, nine, bootstrap).recall(),
            InceptionScore.estimate(probabilities, 1, bootstrap))) {
      assertThat(estimate.low()).isNaN();
      assertThat(estimate.high()).isNaN();
      assertThat(estimate.toString())
          .endsWith("; no interval of fewer than 10 images")
          .doesNotContain("NaN", "[");
    }
    assertThat(KernelDistance.estimate(xs, ys, Bootstrap.none()).remark()).isEqualTo("unbiased");
    for (Estimate estimate :
        List.of(
            KernelDistance.estimate(ys, ys, bootstrap),
            FrechetDistance.estimate(ys, FeatureStatistics.of(nine), bootstrap),
            PrecisionRecall.of(ys, nine, bootstrap).precision(),
            PrecisionRecall.of(nine, ys, bootstrap).recall())) {
      assertThat(estimate.low()).isFinite();
      assertThat(estimate.high()).isFinite();
    }
  }

  /** By products of rows, of fewer images than features, as by covariances. */
  @ParameterizedTest
  @CsvSource({"12, 30, 40", "12, 30, 8", "30, 31, 200"})
  void frechetDistance_ofAResampleOfFewRows_isThatOfItsCovariance(int n, int width, int others) {
    double[] mean = new double[width];
    Arrays.fill(mean, 100);
    double[][] rows = Gaussian.draw(1, n, mean, ones(width));
    FeatureStatistics reference = FeatureStatistics.of(Gaussian.draw(2, others, mean, ones(width)));
    FewRows few = new FewRows(rows, reference);
    Bootstrap bootstrap = new Bootstrap(20, 0.9, 1);
    for (int r = 0; r < 20; r++) {
      FeatureStatistics drawn = FeatureStatistics.of(Bootstrap.rows(rows, bootstrap.draw(r, 0, n)));
      double expected = FrechetDistance.between(drawn, reference);
      assertThat(few.distance(bootstrap.counts(r, 0, n)))
          .isCloseTo(expected, within(1e-9 * expected));
    }
    Estimate estimate = FrechetDistance.estimate(rows, reference, bootstrap);
    assertThat(estimate.low()).isLessThan(estimate.value());
    assertThat(estimate.high()).isGreaterThan(estimate.value());
  }

  @Test
  void frechetDistance_fromTheSameImage_isThatOfTheirMeans() {
    FeatureStatistics same = FeatureStatistics.of(new double[][] {{1, 1, 1}, {1, 1, 1}});
    FewRows few = new FewRows(new double[][] {{1, 2, 1}, {1, 4, 1}}, same);
    assertThat(few.distance(new int[] {1, 1})).isEqualTo(4 + 2);
    assertThat(few.distance(new int[] {0, 2})).isEqualTo(9);
  }

  /** Each of them, by its quantiles alone, would go beyond. */
  @Test
  void intervals_endWhereTheFigureDoes() {
    double[][] xs = Gaussian.draw(1, 12, new double[3], ones(3));
    FeatureStatistics near = FeatureStatistics.of(Gaussian.draw(2, 12, new double[3], ones(3)));
    Estimate distance = FrechetDistance.estimate(xs, near, new Bootstrap(20, 0.999, 1));
    double[][] probabilities = new double[12][];
    for (int i = 0; i < probabilities.length; i++) {
      probabilities[i] = new double[] {i % 2, 1 - i % 2};
    }
    Estimate score = InceptionScore.estimate(probabilities, 1, Bootstrap.seeded(1));
    double[][] far = Gaussian.draw(3, 12, new double[] {5, 0, 0}, ones(3));
    far[0] = xs[0];
    PrecisionRecall shares = PrecisionRecall.of(xs, xs, Bootstrap.seeded(1));
    PrecisionRecall none = PrecisionRecall.of(far, xs, Bootstrap.seeded(1));

    assertThat(distance.low()).isNotNegative().isLessThan(distance.high());
    assertThat(score.value()).isCloseTo(2, within(1e-12));
    assertThat(score.low()).isGreaterThanOrEqualTo(1).isLessThan(2);
    assertThat(score.high()).isBetween(2.0, 2 + 1e-12);
    assertThat(shares.precision().high()).isEqualTo(1);
    assertThat(none.precision().value()).isEqualTo(1 / 12.0);
    assertThat(none.precision().low()).isZero();
    assertThat(none.precision().high()).isGreaterThan(none.precision().value());
  }

  @Test
  void within_valueBeyond_staysInItsInterval() {
    Estimate below =
        Estimate.of("f", -1, new double[] {-3, 5}, new Bootstrap(20, 0.5, 0), 10, 10, "");

    assertThat(below.within(0, 2).low()).isEqualTo(-1);
    assertThat(below.within(0, 2).high()).isEqualTo(2);
    assertThat(below.within(-9, 9)).isEqualTo(below);
  }

  /** An image on a border belongs to the ball: the distance to the k-th nearest is its radius. */
  @Test
  void balls_haveTheirBorder() {
    double[][] centres = {{0}, {1}, {3}};
    double[] radii = Neighbours.radii(centres, 1);

    assertThat(radii).containsExactly(1, 1, 2);
    assertThat(Neighbours.inBalls(new double[][] {{-1}, {-1.0001}, {5}, {5.0001}}, centres, radii))
        .containsExactly(true, false, true, false);
    assertThat(
            PrecisionRecall.of(new double[][] {{-1}, {-7}}, centres, 1, Bootstrap.none())
                .precision()
                .value())
        .isEqualTo(0.5);
  }

  private static double kernelDistance(double[][] xs, double[] w, double[][] ys, double[] v) {
    return mean(xs, w, xs, w, true) + mean(ys, v, ys, v, true) - 2 * mean(xs, w, ys, v, false);
  }

  private static double mean(double[][] xs, double[] w, double[][] ys, double[] v, boolean within) {
    double sum = 0;
    double weight = 0;
    for (int i = 0; i < xs.length; i++) {
      for (int j = 0; j < ys.length; j++) {
        if (!within || i != j) {
          double base = (xs[i][0] * ys[j][0] + xs[i][1] * ys[j][1]) / 2 + 1;
          sum += w[i] * v[j] * base * base * base;
          weight += w[i] * v[j];
        }
      }
    }
    return sum / weight;
  }

  /** (μ − μ')² + (σ − σ')² in one dimension. */
  @Test
  void frechetDistance_ofOneFeature_byHand() {
    FeatureStatistics one = FeatureStatistics.of(new double[][] {{-1}, {1}, {3}});
    FeatureStatistics other = FeatureStatistics.of(new double[][] {{2}, {8}, {5}});
    FeatureStatistics point = FeatureStatistics.of(new double[][] {{5}, {5}});

    assertThat(FrechetDistance.between(one, other)).isCloseTo(17, within(1e-13));
    assertThat(FrechetDistance.between(one, point)).isCloseTo(20, within(1e-13));
    assertThat(FrechetDistance.between(point, point)).isZero();
  }

  @Test
  void inceptionScore_ofCertainAndOfNoAnswers_areTheClassesAndOne() {
    double[][] certain = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    double[][] none = {{0.2, 0.3, 0.5}, {0.2, 0.3, 0.5}};

    assertThat(InceptionScore.estimate(certain, 1, Bootstrap.none()).value())
        .isCloseTo(3, within(1e-14));
    assertThat(InceptionScore.estimate(none, 1, Bootstrap.none()).value())
        .isCloseTo(1, within(1e-14));
  }

  @Test
  void extrapolation_fitsALine() {
    assertThat(FrechetDistance.intercept(new double[] {1, 2, 4}, new double[] {5, 7, 11}))
        .isCloseTo(3, within(1e-13));
    assertThat(FrechetDistance.sizes(1000))
        .containsExactly(
            100, 164, 229, 293, 357, 421, 486, 550, 614, 679, 743, 807, 871, 936, 1000);
  }

  /* --- words --- */

  @Test
  void estimates_sayOnWhatTheyRest() {
    double[][] xs = generated("regular");
    double[][] ys = reference("regular");
    FeatureStatistics statistics = FeatureStatistics.of(ys);
    Bootstrap bootstrap = new Bootstrap(40, 0.9, 1);

    assertThat(FrechetDistance.estimate(xs, statistics, Bootstrap.none()))
        .hasToString(
            "Fréchet distance 8.1644, 60 generated against 45; biased upwards at this n, compare at"
                + " equal n alone");
    assertThat(FrechetDistance.estimate(xs, statistics, bootstrap).toString())
        .matches(
            "Fréchet distance 8\\.1644 \\[\\d\\.\\d{4}, \\d+\\.\\d{4}] at 90 % \\(40 resamples\\),"
                + " 60 generated against 45; biased upwards at this n, compare at equal n alone");
    assertThat(
            FrechetDistance.estimate(
                generated("fewer images than features"), few(), Bootstrap.none()))
        .asString()
        .endsWith(
            "; biased upwards at this n, compare at equal n alone; the covariance is singular, as n"
                + " is not above the number of features (12)");
    assertThat(KernelDistance.estimate(xs, ys, Bootstrap.none()))
        .hasToString("kernel distance 37.4088, 60 generated against 45; unbiased");
    assertThat(PrecisionRecall.of(xs, ys, Bootstrap.none()))
        .hasToString(
            """
            precision 0.7333, 60 generated against 45; k = 3
            recall 0.7556, 60 generated against 45; k = 3""");
    double[][] probabilities = Gaussian.rows(GOLDEN.at("inception"), "probabilities");
    assertThat(InceptionScore.estimate(probabilities, 4, Bootstrap.none()))
        .hasToString("Inception score 2.3603, 40 generated; mean of 4 splits");
    double[][] many = Gaussian.draw(3, 100, new double[12], ones(12));
    assertThat(FrechetDistance.extrapolate(many, few(), Bootstrap.none()))
        .asString()
        .endsWith(
            ", 100 generated against 30; a line in 1/n through subsets of 10 to 100; too short: the"
                + " least subset is not above the number of features (12)")
        .startsWith("Fréchet distance extrapolated to n = ∞ ");
  }

  private static FeatureStatistics few() {
    return FeatureStatistics.of(reference("fewer images than features"));
  }

  private static double[] ones(int n) {
    double[] ones = new double[n];
    Arrays.fill(ones, 1);
    return ones;
  }

  /* --- seeds --- */

  @Test
  void intervals_dependOnTheSeedAlone() {
    double[][] xs = generated("regular");
    FeatureStatistics statistics = FeatureStatistics.of(reference("regular"));
    Estimate one = FrechetDistance.estimate(xs, statistics, Bootstrap.seeded(1));

    assertThat(FrechetDistance.estimate(xs, statistics, Bootstrap.seeded(1))).isEqualTo(one);
    assertThat(FrechetDistance.estimate(xs, statistics, Bootstrap.seeded(2)).low())
        .isNotEqualTo(one.low());
    assertThat(one.low()).isLessThan(one.value());
    assertThat(one.high()).isGreaterThan(one.value());
    assertThat(one.bootstrap()).isEqualTo(new Bootstrap(200, 0.95, 1));
  }

  /* --- input --- */

  @Test
  void tooFewSamples_areRefused() {
    double[][] two = {{1, 2}, {3, 4}};
    FeatureStatistics statistics = FeatureStatistics.of(two);

    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> FrechetDistance.estimate(new double[][] {{1, 2}}, statistics, Bootstrap.none()))
        .withMessage(
            "generated images must be at least 2 for a Fréchet distance, but were 1; make more");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> FrechetDistance.extrapolate(two, statistics, Bootstrap.none()))
        .withMessage(
            "generated images must be at least 100 for an extrapolated Fréchet distance, but were 2;"
                + " make more");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> KernelDistance.between(two, new double[][] {{1, 2}}))
        .withMessage(
            "reference images must be at least 2 for a kernel distance, but were 1; make more");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PrecisionRecall.of(two, two, Bootstrap.none()))
        .withMessage(
            "generated images must be at least 4 for precision and recall with k = 3, but were 2;"
                + " make more");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> InceptionScore.estimate(new double[][] {{1, 0}, {0, 1}}, 2, Bootstrap.none()))
        .withMessage(
            "generated images must be at least 4 for an Inception score of 2 splits, but were 2;"
                + " make more");
    assertThatIllegalStateException()
        .isThrownBy(
            () ->
                FrechetDistance.between(statistics, FeatureStatistics.of(new double[][] {{1, 2}})))
        .withMessage("a covariance needs at least 2 images, but these statistics are of 1");
  }

  @Test
  void badValues_areRefused() {
    double[][] rows = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
    double[][] nan = {{1, 2}, {3, Double.NaN}, {5, 6}, {7, 8}};
    double[][] wide = {{1, 2, 3}, {3, 4, 5}, {1, 1, 1}, {2, 2, 2}};
    String message =
        "generated images must be finite, but feature 1 of image 1 was NaN; leave such images out,"
            + " or see why the images or the feature network hold such values";
    FeatureStatistics statistics = FeatureStatistics.of(rows);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> FrechetDistance.estimate(nan, statistics, Bootstrap.none()))
        .withMessage(message);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> KernelDistance.between(nan, rows))
        .withMessage(message);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PrecisionRecall.of(nan, rows, Bootstrap.none()))
        .withMessage(message);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> KernelDistance.between(rows, wide))
        .withMessage(
            "generated and reference must have equally many features per image, but have 2 and 3;"
                + " use the same Features for both");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> FrechetDistance.estimate(wide, statistics, Bootstrap.none()))
        .withMessage(
            "generated and reference must have equally many features, but have 3 and 2; use the same"
                + " Features for both");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> InceptionScore.estimate(rows, 1, Bootstrap.none()))
        .withMessage(
            "probabilities must be at least 0 and sum up to 1, but those of image 0 are at least 1.0"
                + " and sum up to 3.0; apply softmax to the classifier's output");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> InceptionScore.estimate(rows, 0, Bootstrap.none()))
        .withMessage("splits must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> InceptionScore.estimate(rows, Integer.MAX_VALUE, Bootstrap.none()))
        .withMessage(
            "generated images must be at least 2147483647 for an Inception score of 2147483647"
                + " splits, but were 4; make more");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PrecisionRecall.of(rows, rows, 0, Bootstrap.none()))
        .withMessage("neighbours must be at least 1, but was 0; 3 is usual");
  }

  @Test
  void badBootstraps_areRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Bootstrap(19, 0.95, 0))
        .withMessage("resamples must be at least 20, or 0 for no interval, but was 19");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Bootstrap(20, 1, 0))
        .withMessage("confidence must be above 0 and below 1, but was 1.0; 0.95 is usual");
  }

  private static double trace(FeatureStatistics statistics) {
    double[][] covariance = statistics.covariance();
    return IntStream.range(0, covariance.length).mapToDouble(k -> covariance[k][k]).sum();
  }
}
