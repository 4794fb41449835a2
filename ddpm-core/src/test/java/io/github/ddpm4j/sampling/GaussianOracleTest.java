package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Data N(0, s²) has the optimal x̂_0 = √ᾱ s² / (ᾱ s² + 1 − ᾱ) · x in closed form, so the variance
 * of what a sampler gives is known exactly: it proves plans and the loop with no trained network.
 *
 * <p>The variance of a plan is worked out, and the loop is compared with the plan image by image.
 * That 4,000 images have that variance shows in plans of up to 50 steps, and in those of 1,000
 * steps in the slow test.
 */
class GaussianOracleTest {

  private static final double[] DATA_VARIANCES = {0.25, 1, 0.01};

  private static final int SAMPLES = 4000;

  /** The 99.95% quantile of N(0, 1). */
  private static final double QUANTILE = 3.2905;

  @ParameterizedTest
  @CsvSource({
    "0.25, DDPM_SMALL, 0.24612521",
    "0.25, DDPM_LARGE, 0.25075201",
    "0.25, DDIM1000, 0.24849755",
    "0.25, DDIM50_LEADING, 0.22319872",
    "0.25, DDIM50_TRAILING, 0.22222048",
    "0.25, DDIM10_LEADING, 0.13997213",
    "0.25, DDIM50_ETA1, 0.19724511",
    "1, DDPM_SMALL, 0.99106738",
    "1, DDPM_LARGE, 0.99990000",
    "1, DDIM1000, 0.99625211",
    "1, DDIM50_LEADING, 0.92944884",
    "1, DDIM50_TRAILING, 0.92843050",
    "1, DDIM10_LEADING, 0.69171803",
    "1, DDIM50_ETA1, 0.85743391",
    "0.01, DDPM_SMALL, 0.00927586",
    "0.01, DDPM_LARGE, 0.01015374",
    "0.01, DDIM1000, 0.00966658",
    "0.01, DDIM50_LEADING, 0.00613933",
    "0.01, DDIM50_TRAILING, 0.00550166",
    "0.01, DDIM10_LEADING, 0.00135313",
    "0.01, DDIM50_ETA1, 0.00468655",
  })
  void variance_isExact(double dataVariance, Setting setting, double expected) {
    assertThat(variance(setting.plan(), dataVariance)).isCloseTo(expected, within(1e-7));
    if (!setting.isLong()) {
      requireVarianceOfSamples(setting, dataVariance);
    }
  }

  @ParameterizedTest
  @EnumSource(Setting.class)
  @Tag("slow")
  void variance_ofSamples_isThatOfThePlan(Setting setting) {
    for (double dataVariance : DATA_VARIANCES) {
      requireVarianceOfSamples(setting, dataVariance);
    }
  }

  /** Image by image, each of its own data variance: the loop does what the plan says. */
  @ParameterizedTest
  @EnumSource(Setting.class)
  void samples_followThePlan(Setting setting) {
    NoiseSource noise = NoiseSource.seeded(7);
    double[] variances = new double[4 * DATA_VARIANCES.length];
    Arrays.setAll(variances, i -> DATA_VARIANCES[i % DATA_VARIANCES.length]);
    double[] values;
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(DenoisingModel.of(setting.diffusion, StandIns.gaussians(variances)))
                .sampler(setting.sampler)
                .shape(1, 1, 1)
                .clip(false)
                .dataType(DataType.FLOAT64)
                .noise(noise)
                .generate(variances.length)) {
      values = samples.toNDArray(manager).toDoubleArray();
    }
    SamplingPlan plan = setting.plan();
    assertThat(values).hasSize(variances.length);
    for (int i = 0; i < values.length; i++) {
      assertThat(values[i])
          .as("image %d, of data variance %s", i, variances[i])
          .isCloseTo(follow(plan, variances[i], noise, i), within(1e-12));
    }
  }

  private static void requireVarianceOfSamples(Setting setting, double dataVariance) {
    double expected = variance(setting.plan(), dataVariance);
    double[] values = sample(setting, dataVariance);
    double mean = Arrays.stream(values).average().orElseThrow();
    double measured =
        Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum() / (values.length - 1);
    assertThat(mean)
        .as("mean of %d samples", SAMPLES)
        .isCloseTo(0, within(QUANTILE * Math.sqrt(expected / SAMPLES)));
    assertThat(measured)
        .as("variance of %d samples", SAMPLES)
        .isCloseTo(expected, within(QUANTILE * expected * Math.sqrt(2.0 / (SAMPLES - 1))));
  }

  @SuppressWarnings("ImmutableEnumChecker") // diffusions and samplers are immutable
  enum Setting {
    DDPM_SMALL(Variance.FIXED_SMALL, Samplers.ddpm()),
    DDPM_LARGE(Variance.FIXED_LARGE, Samplers.ddpm()),
    DDIM1000(Variance.FIXED_LARGE, Samplers.ddim(1000)),
    DDIM50_LEADING(Variance.FIXED_LARGE, Samplers.ddim(50)),
    DDIM50_TRAILING(Variance.FIXED_LARGE, Samplers.ddim(50).spacing(TimestepSpacing.TRAILING)),
    DDIM10_LEADING(Variance.FIXED_LARGE, Samplers.ddim(10)),
    DDIM50_ETA1(Variance.FIXED_LARGE, Samplers.ddim(50).eta(1));

    private final Diffusion diffusion;
    private final Sampler sampler;

    Setting(Variance variance, Sampler sampler) {
      this.diffusion =
          new Diffusion(Schedules.linear(1000), Prediction.EPSILON, variance, DataRange.DEFAULT);
      this.sampler = sampler;
    }

    SamplingPlan plan() {
      return sampler.plan(diffusion);
    }

    boolean isLong() {
      return plan().steps().size() > 50;
    }
  }

  /** Takes one image of one pixel through a plan. */
  private static double follow(
      SamplingPlan plan, double dataVariance, NoiseSource noise, long image) {
    double[] z = new double[1];
    noise.normal(image, 0, z);
    double x = plan.initialScale() * z[0];
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double x0 =
          row.signal()
              * dataVariance
              / (row.signal() * row.signal() * dataVariance + row.noise() * row.noise())
              * x;
      double eps = (x - row.signal() * x0) / row.noise();
      noise.normal(image, i + 1, z);
      x = row.cX() * x + row.cX0() * x0 + row.cEps() * eps + row.noiseHigh() * z[0];
    }
    return x;
  }

  private static double variance(SamplingPlan plan, double dataVariance) {
    double variance = plan.initialScale() * plan.initialScale();
    for (SamplingPlan.Step row : plan.steps()) {
      double x0 =
          row.signal()
              * dataVariance
              / (row.signal() * row.signal() * dataVariance + row.noise() * row.noise());
      double eps = (1 - row.signal() * x0) / row.noise();
      double factor = row.cX() + row.cX0() * x0 + row.cEps() * eps;
      variance = factor * factor * variance + row.noiseHigh() * row.noiseHigh();
    }
    return variance;
  }

  private static double[] sample(Setting setting, double dataVariance) {
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(DenoisingModel.of(setting.diffusion, StandIns.gaussian(0, dataVariance)))
                .sampler(setting.sampler)
                .shape(1, 1, 1)
                .clip(false)
                .batchSize(SAMPLES)
                .seed(7)
                .generate(SAMPLES)) {
      return Golden.values(samples.toNDArray(manager));
    }
  }
}
