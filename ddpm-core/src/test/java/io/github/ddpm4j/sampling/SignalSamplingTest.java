package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Signals of an AR(1) process, x_i = ρ x_{i−1} + √(1 − ρ²) s z_i, whose covariance is Σ_ij = s²
 * ρ^|i − j|. The best estimate is linear in x_t,
 *
 * <pre>
 * x̂_0 = α Σ (α² Σ + σ² I)⁻¹ x_t      ε̂ = (x_t − α x̂_0) / σ = σ (α² Σ + σ² I)⁻¹ x_t
 * </pre>
 */
class SignalSamplingTest {

  private static final int LENGTH = 8;
  private static final double RHO = 0.7;
  private static final double VARIANCE = 0.25;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static double[] covariance() {
    double[] values = new double[LENGTH * LENGTH];
    for (int i = 0; i < values.length; i++) {
      values[i] = VARIANCE * Math.pow(RHO, Math.abs(i / LENGTH - i % LENGTH));
    }
    return values;
  }

  /** The exact denoiser, of signals (1, L) or of images that are the same in memory. */
  private record Ar1(Shape shape) implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      NDManager manager = x.getManager();
      NDArray rows = x.reshape(levels.size(), LENGTH);
      NDList parts = new NDList();
      int end;
      for (int i = 0; i < levels.size(); i = end) { // those of one level together
        Level level = levels.level(i);
        end = i + 1;
        while (end < levels.size() && levels.level(end).equals(level)) {
          end++;
        }
        double[] inverse = inverse(level.signal(), level.noise());
        NDArray factor =
            Upload.doubles(manager, inverse, new Shape(LENGTH, LENGTH), x.getDataType());
        NDArray own = end - i == levels.size() ? rows : rows.get(new NDIndex("{}:{}", i, end));
        parts.add(own.matMul(factor));
      }
      NDArray all = parts.size() == 1 ? parts.head() : NDArrays.concat(parts);
      return all.reshape(x.getShape());
    }

    /** σ (α² Σ + σ² I)⁻¹, by Gauss and Jordan; it is symmetric. */
    private static double[] inverse(double alpha, double sigma) {
      double[] a = covariance();
      double[] b = new double[a.length];
      for (int i = 0; i < a.length; i++) {
        boolean diagonal = i / LENGTH == i % LENGTH;
        a[i] = alpha * alpha * a[i] + (diagonal ? sigma * sigma : 0);
        b[i] = diagonal ? sigma : 0;
      }
      for (int pivot = 0; pivot < LENGTH; pivot++) {
        double by = a[pivot * LENGTH + pivot];
        for (int k = 0; k < LENGTH; k++) {
          a[pivot * LENGTH + k] /= by;
          b[pivot * LENGTH + k] /= by;
        }
        for (int row = 0; row < LENGTH; row++) {
          double factor = row == pivot ? 0 : a[row * LENGTH + pivot];
          for (int k = 0; k < LENGTH; k++) {
            a[row * LENGTH + k] -= factor * a[pivot * LENGTH + k];
            b[row * LENGTH + k] -= factor * b[pivot * LENGTH + k];
          }
        }
      }
      return b;
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(shape);
    }
  }

  private static DDPM ddpm(int... sizes) {
    Shape shape = new Shape(1);
    for (int size : sizes) {
      shape = shape.add(size);
    }
    return DDPM.builder().timesteps(1000).denoiser(new Ar1(shape)).build();
  }

  private static Sampling exact(DDPM ddpm, String sampler) {
    return ddpm.sampling().sampler(Samplers.parse(sampler)).dataType(DataType.FLOAT64);
  }

  /** A sampler without noise of a linear network is a matrix A, and signals have A · Aᵀ. */
  @ParameterizedTest
  @CsvSource({"ddim:1000, 0.002", "dpm++2m:100, 0.002", "heun:100, 0.002", "ddim:50, 0.03"})
  void decode_everyUnitVector_covarianceOfTheProcess(String sampler, double tolerance) {
    NDArray units = manager.eye(LENGTH, LENGTH, 0, DataType.FLOAT64).reshape(LENGTH, 1, LENGTH);
    try (Samples samples = exact(ddpm(LENGTH), sampler).decode(units)) {
      NDArray a = samples.toNDArray(manager).reshape(LENGTH, LENGTH);
      double[] actual = a.transpose().matMul(a).toDoubleArray();
      double[] expected = covariance();
      for (int i = 0; i < expected.length; i++) {
        assertThat(actual[i]).as("element %d", i).isCloseTo(expected[i], within(tolerance));
      }
    }
  }

  /** Of 4,000 signals, an estimated covariance is off by less than 0.03 in five deviations. */
  @Test
  void generate_withNoise_autocovarianceOfTheProcess() {
    int count = 4000;
    try (Samples samples =
        exact(ddpm(LENGTH), "ddpm:100").seed(1).batchSize(count).generate(count)) {
      NDArray x = samples.toNDArray(manager).reshape(count, LENGTH);
      double[] actual = x.transpose().matMul(x).div(count).toDoubleArray();
      double[] expected = covariance();
      for (int i = 0; i < expected.length; i++) {
        assertThat(actual[i]).as("element %d", i).isCloseTo(expected[i], within(0.05));
      }
    }
  }

  /** Each use gives of signals and of volumes what it gives of images with the same values. */
  @Test
  void uses_signalsAndVolumes_asImages() {
    for (int[] sizes : new int[][] {{LENGTH}, {2, 2, 2}}) {
      same(sizes, (ddpm, x) -> ddpm.sampling().seed(3).batchSize(2).generate(3));
      same(sizes, (ddpm, x) -> ddpm.sampling().seed(3).imageToImage(x, 0.1));
      same(sizes, (ddpm, x) -> ddpm.sampling().seed(3).denoise(x, 20));
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .seed(3)
                  .sampler(Samplers.ddim(10))
                  .interpolateLatents(x.get(0), x.get(1), 0.3));
      same(sizes, (ddpm, x) -> ddpm.sampling().seed(3).interpolate(x.get(0), x.get(1), 50, 0.3));
      same(sizes, (ddpm, x) -> ddpm.sampling().encode(x, 10));
      same(sizes, (ddpm, x) -> ddpm.sampling().seed(3).sampler(Samplers.ddim(10)).decode(x));
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .seed(3)
                  .sampler(Samplers.ddim(10))
                  .inpaint(x, x.get("0:1").gt(0).toType(DataType.FLOAT32, false)));
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .seed(3)
                  .sampler(Samplers.ddim(10))
                  .dynamicThresholding(0.9, 2)
                  .generate(2));
    }
  }

  /** So do the ways to steer a run, and what draws noise of its own. */
  @Test
  void steeredRuns_signalsAndVolumes_asImages() {
    Guidance near = // ln p(y | x), a normal distribution about 0.4
        Guidance.classifier(
            (x, levels) -> {
              NDArray rows = x.reshape(levels.size(), LENGTH);
              return rows.sub(0.4).square().sum(new int[] {1}).mul(-0.5);
            },
            2);
    for (int[] sizes : new int[][] {{LENGTH}, {2, 2, 2}}) {
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .sampler(Samplers.parse("ddim:10"))
                  .guidance(near)
                  .seed(3)
                  .batchSize(2)
                  .generate(3));
      for (Measurement.Operator operator :
          List.<Measurement.Operator>of(
              x -> Measurement.pixels(halves(x)).of(x),
              x -> x.reshape(x.getShape().get(0), 2, LENGTH / 2).mean(new int[] {2}))) {
        same(sizes, (ddpm, x) -> measured(ddpm, x, operator, of -> Guidance.posterior(of, 3)));
        same(sizes, (ddpm, x) -> measured(ddpm, x, operator, of -> Guidance.dps(of, 0.3)));
      }
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .sampler(Samplers.parse("dpm++2m-sde:10"))
                  .noisePath(true)
                  .seed(3)
                  .batchSize(2)
                  .generate(3));
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling().sampler(Samplers.parse("ddpm:20")).seed(3).generateSharing(500, 3));
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .sampler(Samplers.parse("consistency:3"))
                  .seed(3)
                  .batchSize(2)
                  .generate(3));
      same(
          sizes,
          (ddpm, x) ->
              ddpm.sampling()
                  .sampler(Samplers.parse("consistency:3"))
                  .seed(3)
                  .imageToImage(x, 0.5));
    }
  }

  /** A mask of every other value. */
  private static NDArray halves(NDArray like) {
    Shape one = new Shape(1).addAll(like.getShape().slice(1));
    return like.getManager().arange(LENGTH).mod(2).reshape(one).toType(DataType.FLOAT32, false);
  }

  private Samples measured(
      DDPM ddpm, NDArray x, Measurement.Operator operator, Function<Measurement, Guidance> by) {
    NDArray y = operator.of(x);
    return ddpm.sampling()
        .sampler(Samplers.ddim(10).eta(1))
        .guidance(by.apply(Measurement.of(operator, y, 0.1)))
        .seed(3)
        .generate(2);
  }

  private interface Use {
    Samples of(DDPM ddpm, NDArray given);
  }

  private void same(int[] sizes, Use use) {
    Function<int[], float[]> run =
        own -> {
          DDPM ddpm = ddpm(own);
          Shape shape = new Shape(2).addAll(ddpm.model().denoiser().imageShape().orElseThrow());
          NDArray x =
              NoiseSource.seeded(9)
                  .array(manager, 0, 0, shape, DataType.FLOAT32)
                  .mul(0.3)
                  .clip(-1, 1);
          try (Samples samples = use.of(ddpm, x)) {
            return samples.toNDArray(manager).toFloatArray();
          }
        };
    assertThat(run.apply(sizes)).containsExactly(run.apply(new int[] {2, 4}));
  }

  @Test
  void bitsPerDim_signals_asOfImages() {
    double[] bits = new double[2];
    for (int i = 0; i < 2; i++) {
      DDPM ddpm = i == 0 ? ddpm(LENGTH) : ddpm(2, 4);
      Shape shape = new Shape(3).addAll(ddpm.model().denoiser().imageShape().orElseThrow());
      NDArray x = NoiseSource.seeded(9).array(manager, 0, 0, shape, DataType.FLOAT32).mul(0.2);
      bits[i] = ddpm.bitsPerDim().timesteps(20).seed(1).of(x.clip(-1, 1)).total().value();
    }
    assertThat(bits[0]).isEqualTo(bits[1]).isPositive();
  }

  @Test
  void pictures_signalsAndVolumes_refusedByName() {
    try (Samples signals = exact(ddpm(LENGTH), "ddim:2").seed(1).generate(2);
        Samples volumes = exact(ddpm(2, 2, 2), "ddim:2").seed(1).generate(2)) {
      String wayOut = " and no pictures; take them by toNDArray(manager)";
      assertThatIllegalArgumentException()
          .isThrownBy(signals::images)
          .withMessage("samples of shape (2, 1, 8) are signals" + wayOut);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> signals.saveGrid(Path.of("no.png")))
          .withMessage("samples of shape (2, 1, 8) are signals" + wayOut);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> volumes.write(0, OutputStream.nullOutputStream()))
          .withMessage("samples of shape (2, 1, 2, 2, 2) are volumes" + wayOut);
    }
  }

  @Test
  void given_otherAxes_refused() {
    NDArray images = manager.zeros(new Shape(2, 1, 2, 4));
    NDArray signals = manager.zeros(new Shape(2, 1, LENGTH));
    Sampling sampling = ddpm(LENGTH).sampling();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> sampling.denoise(images, 3))
        .withMessage("x_t must have shape (N, C, L) with (C, L) = (1, 8), but had (2, 1, 2, 4)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> sampling.inpaint(signals, images))
        .withMessage(
            "the mask must be float32 or float64 of shape (N, 1, L) or (1, 1, L) for images of"
                + " (2, 1, 8), but was float32 of shape (2, 1, 2, 4)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> sampling.interpolate(signals, signals, 3, 0.5))
        .withMessage("from must be one picture of shape (1, 8), but had (2, 1, 8)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ddpm(2, 2, 2).sampling().shape(1, 2, 2))
        .withMessage(
            "image shape (1, 2, 2) does not match the denoiser, which is made for (1, 2, 2, 2);"
                + " leave shape() out");
  }
}
