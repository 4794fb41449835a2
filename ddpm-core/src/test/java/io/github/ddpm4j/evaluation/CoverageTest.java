package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.LongFunction;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How often intervals at 95 % hold the truth, in Gaussian cases where it is known. {@code mvn test
 * -Dorg.slf4j.simpleLogger.log.io.github.ddpm4j.evaluation.CoverageTest=info} shows the shares.
 */
class CoverageTest {

  private static final Logger LOGGER = LoggerFactory.getLogger(CoverageTest.class);

  private static final int IMAGES = 200;

  /** Where each image is compared with each other. */
  private static final int PAIRED = 100;

  private static final double[] MEAN = {0.7, -0.4};
  private static final double[] DEVIATION = {1.5, 0.8};

  /** Mean 0 and covariance I, exactly. */
  private static final FeatureStatistics STANDARD = standard();

  /** ‖μ‖² + Σ (σ − 1)². */
  private static final double TRUTH = 0.49 + 0.16 + 0.25 + 0.04;

  private static FeatureStatistics standard() {
    double a = Math.sqrt(1.5);
    return FeatureStatistics.of(new double[][] {{a, 0}, {-a, 0}, {0, a}, {0, -a}});
  }

  private static double[][] draw(long trial) {
    return Gaussian.draw(trial, IMAGES, MEAN, DEVIATION);
  }

  /** The interval is about the figure that n images give in the mean, bias included. */
  @Test
  void frechetDistance_holdsTheMeanOfIndependentSets() {
    double mean =
        LongStream.range(0, 2000)
            .mapToDouble(
                trial -> FrechetDistance.between(FeatureStatistics.of(draw(-1 - trial)), STANDARD))
            .average()
            .orElseThrow();

    assertThat(mean).isGreaterThan(TRUTH + 0.01);
    assertThat(
            coverage(
                "Fréchet distance",
                mean,
                200,
                trial ->
                    FrechetDistance.estimate(
                        draw(trial), STANDARD, new Bootstrap(60, 0.95, trial))))
        .isBetween(0.87, 0.99);
  }

  @Test
  void extrapolatedFrechetDistance_holdsTheTruth() {
    assertThat(
            coverage(
                "extrapolated",
                TRUTH,
                100,
                trial ->
                    FrechetDistance.extrapolate(
                        draw(trial), STANDARD, new Bootstrap(40, 0.95, trial))))
        .isBetween(0.87, 0.99);
  }

  /** In one dimension the distance is 3 (m_1 − n_1)² + 3 (m_2 − n_2)² + (m_3 − n_3)² of moments. */
  @Test
  void kernelDistance_holdsTheTruth() {
    double m = 0.7;
    double s = 1.5;
    double second = m * m + s * s;
    double third = m * m * m + 3 * m * s * s;
    double truth = 3 * m * m + 3 * (second - 1) * (second - 1) + third * third;

    assertThat(
            coverage(
                "kernel distance",
                truth,
                200,
                trial ->
                    KernelDistance.estimate(
                        Gaussian.draw(trial, PAIRED, new double[] {m}, new double[] {s}),
                        Gaussian.draw(-1 - trial, PAIRED, new double[1], new double[] {1}),
                        new Bootstrap(60, 0.95, trial))))
        .isBetween(0.87, 0.99);
  }

  private static double coverage(
      String name, double truth, int trials, LongFunction<Estimate> estimate) {
    double share =
        LongStream.range(0, trials)
            .mapToObj(estimate)
            .mapToInt(found -> found.low() <= truth && truth <= found.high() ? 1 : 0)
            .average()
            .orElseThrow();
    LOGGER.info("{}: {} of intervals at 95 % hold {}", name, share, truth);
    return share;
  }
}
