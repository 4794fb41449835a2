package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Increments of one path, and what samplers of different numbers of steps make of it. */
class NoisePathTest {

  private static final Diffusion DIFFUSION =
      new Diffusion(
          Schedules.linear(1000), Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);

  private static final NoiseSource SOURCE = NoiseSource.seeded(7);

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static double[] draw(NoiseSource noise, long image, long draw, int size) {
    double[] z = new double[size];
    noise.normal(image, draw, z);
    return z;
  }

  /* --- the path --- */

  /** Of 40,000 numbers: means, variances, correlations and fourth moments of each two rows. */
  @Test
  void increments_areStandardNormalAndIndependent() {
    SamplingPlan plan = Samplers.ddim(6).eta(1).endAtFirstTimestep(true).plan(DIFFUSION);
    NoisePath path = NoisePath.along(plan, "ddim", SOURCE);
    int images = 100;
    int size = 400;
    int rows = plan.steps().size();
    double[][] z = new double[rows + 1][images * size];
    for (int draw = 0; draw <= rows; draw++) {
      for (int image = 0; image < images; image++) {
        System.arraycopy(draw(path, image, draw, size), 0, z[draw], image * size, size);
      }
    }
    double error = 1 / Math.sqrt(images * size);
    for (int i = 0; i <= rows; i++) {
      double[] one = z[i];
      assertThat(Arrays.stream(one).average().orElseThrow()).isCloseTo(0, within(4 * error));
      assertThat(Arrays.stream(one).map(v -> v * v * v * v).average().orElseThrow())
          .isCloseTo(3, within(4 * Math.sqrt(96) * error));
      for (int k = 0; k <= i; k++) {
        double product = 0;
        for (int n = 0; n < one.length; n++) {
          product += one[n] * z[k][n] / one.length;
        }
        assertThat(product)
            .as("rows %d and %d", i, k)
            .isCloseTo(i == k ? 1 : 0, within(4 * (i == k ? Math.sqrt(2) : 1) * error));
      }
    }
  }

  /** Draws of 999 → 500 and 500 → 200 add up to that of 999 → 200. */
  @Test
  void increments_ofPartsAddUpToThatOfTheWhole() {
    NoisePath whole = along(999, 200, 0);
    NoisePath parts = along(999, 500, 200, 0);
    double first = tau(500) - tau(999);
    double second = tau(200) - tau(500);
    for (long image : new long[] {0, 5, 1L << 40}) {
      double[] all = draw(whole, image, 1, 9);
      double[] one = draw(parts, image, 1, 9);
      double[] two = draw(parts, image, 2, 9);
      for (int i = 0; i < 9; i++) {
        assertThat(Math.sqrt(first) * one[i] + Math.sqrt(second) * two[i])
            .isCloseTo(
                Math.sqrt(first + second) * all[i], within(1e-13 * Math.sqrt(first + second)));
      }
    }
    // beyond where the two part, too
    assertThat(draw(whole, 3, 2, 4)).containsExactly(draw(parts, 3, 3, 4));
  }

  private static NoisePath along(int... timesteps) {
    SamplingPlan plan =
        Samplers.ddim(timesteps.length)
            .timesteps(timesteps)
            .eta(1)
            .endAtFirstTimestep(true)
            .plan(DIFFUSION);
    return NoisePath.along(plan, "ddim", SOURCE);
  }

  private static double tau(int timestep) {
    return NoisePath.ratio(NoisePath.place(Level.of(DIFFUSION.schedule(), timestep)));
  }

  /** τ is the signal-to-noise ratio, and W(τ) has its variance. */
  @Test
  void values_haveTheVarianceOfTheSignalToNoiseRatio() {
    NoisePath path = along(999, 0);
    for (int timestep : new int[] {999, 700, 300, 0}) {
      assertThat(tau(timestep))
          .isCloseTo(
              DIFFUSION.schedule().snr(timestep),
              within(1e-5 * DIFFUSION.schedule().snr(timestep)));
      double[] values = new double[20_000];
      path.value(3, NoisePath.place(Level.of(DIFFUSION.schedule(), timestep)), values);
      double variance = Arrays.stream(values).map(v -> v * v).average().orElseThrow();
      assertThat(variance / tau(timestep)).isCloseTo(1, within(4 * Math.sqrt(2.0 / 20_000)));
    }
    assertThat(NoisePath.ratio(NoisePath.place(new Level(0, 0, 1)))).isZero();
    double[] none = {1};
    path.value(3, 0, none);
    assertThat(none).containsExactly(0);
    assertThat(NoisePath.place(Level.CLEAN)).isEqualTo(1L << 24);
  }

  /** The start and the noise of known pixels are those of the source. */
  @Test
  void otherDraws_areThoseOfTheSource() {
    NoisePath path = along(999, 500, 0);
    for (long draw : new long[] {0, 4, 1L << 32, (1L << 32) + 1}) {
      assertThat(draw(path, 2, draw, 3)).containsExactly(draw(SOURCE, 2, draw, 3));
    }
    assertThat(draw(path, 2, 1, 3)).isNotEqualTo(draw(SOURCE, 2, 1, 3));
  }

  /* --- samplers --- */

  @SuppressWarnings("ImmutableEnumChecker") // the functions keep nothing
  private enum Method {
    DDPM(n -> Samplers.ddpm(n).timesteps(even(n))),
    DDIM(n -> Samplers.ddim(n).timesteps(even(n)).eta(1)),
    DDIM_HALF(n -> Samplers.ddim(n).timesteps(even(n)).eta(0.5)),
    EULER_ANCESTRAL(n -> Samplers.eulerAncestral(n).spacing(NoiseSpacing.uniformLogSnr())),
    SDE_1(n -> sde(n).order(1)),
    SDE_2(n -> sde(n)),
    SDE_2_HEUN(n -> sde(n).heun(true)),
    SDE_3(n -> sde(n).order(3)),
    EDM(n -> Samplers.edm(n).churn(10).spacing(NoiseSpacing.karras()));

    private final IntFunction<Sampler> sampler;

    Method(IntFunction<Sampler> sampler) {
      this.sampler = sampler;
    }

    private static DpmSolverSampler sde(int steps) {
      return Samplers.dpmSolverPlusPlus(steps)
          .stochastic(true)
          .spacing(NoiseSpacing.uniformLogSnr());
    }

    SamplingPlan plan(int steps) {
      return sampler.apply(steps).plan(FINE);
    }
  }

  /** Of so many timesteps that some are nearly even in λ. */
  private static final Diffusion FINE =
      new Diffusion(
          Schedules.linearScaled(40_000),
          Prediction.EPSILON,
          Variance.FIXED_SMALL,
          DataRange.DEFAULT);

  /** Timesteps that are nearly even in λ. */
  private static int[] even(int steps) {
    int last = FINE.schedule().timesteps() - 1;
    double from = Level.of(FINE.schedule(), last).lambda();
    double to = Level.of(FINE.schedule(), 100).lambda();
    return IntStream.range(0, steps)
        .map(
            i ->
                (int)
                    Math.rint(
                        FINE.schedule()
                            .timestepOf(Math.exp(-from - (to - from) * i / (steps - 1)))))
        .toArray();
  }

  private static final int IMAGES = 300;

  /**
   * On one path, results of n and of 2n steps come together by the strong order of the method, 1
   * for all of these; with noise of its own in each step they never do.
   */
  @ParameterizedTest
  @EnumSource(Method.class)
  void steps_onOnePath_convergeAndApartDoNot(Method method) {
    double coarse = distance(method, 20, true);
    double middle = distance(method, 40, true);
    double fine = distance(method, 80, true);
    String found = method + ": " + coarse + ", " + middle + ", " + fine;
    System.out.println(found + "; apart " + distance(method, 80, false));
    assertThat(Math.log(coarse / fine) / Math.log(4)).as(found).isBetween(0.8, 1.6);
    assertThat(distance(method, 80, false)).isGreaterThan(5 * fine);
    assertThat(distance(method, 80, false) / distance(method, 20, false)).isGreaterThan(0.8);
  }

  /** The root mean square between results of n and of 2n steps. */
  private static double distance(Method method, int steps, boolean onPath) {
    double[] one = results(method.plan(steps), onPath);
    double[] other = results(method.plan(2 * steps), onPath);
    double squares = 0;
    for (int i = 0; i < IMAGES; i++) {
      squares += (one[i] - other[i]) * (one[i] - other[i]) / IMAGES;
    }
    return Math.sqrt(squares);
  }

  private static double[] results(SamplingPlan plan, boolean onPath) {
    NoiseSource noise = onPath ? NoisePath.along(plan, "it", SOURCE) : SOURCE;
    double[] x = draw(noise, 0, 0, IMAGES);
    for (int i = 0; i < IMAGES; i++) {
      x[i] *= plan.initialScale();
    }
    return follow(plan, 0.3, 0.25, x, noise, 0);
  }

  /** Takes numbers through a plan, each by the exact x̂_0 of data of N(mean, variance). */
  private static double[] follow(
      SamplingPlan plan,
      double mean,
      double variance,
      double[] start,
      NoiseSource noise,
      int image) {
    double[] x = start.clone();
    List<double[]> remembered = new ArrayList<>();
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double total = row.signal() * row.signal() * variance + row.noise() * row.noise();
      double[] z = draw(noise, image, i + 1L, x.length);
      double[] kept = new double[x.length];
      for (int k = 0; k < x.length; k++) {
        double off = x[k] - row.signal() * mean;
        double x0 = mean + row.signal() * variance * off / total;
        double next = row.cX() * x[k] + row.cX0() * x0 + row.cEps() * row.noise() * off / total;
        for (int back = 0; back < row.past().size(); back++) {
          next += row.past().get(back) * remembered.get(back)[k];
        }
        x[k] = next + row.noiseHigh() * z[k];
        kept[k] = x0;
      }
      remembered.add(0, kept);
    }
    return x;
  }

  /** Where x̂_0 is always the same, the noise alone counts: any steps give one result. */
  @ParameterizedTest
  @EnumSource(
      value = Method.class,
      names = {"EULER_ANCESTRAL", "SDE_1", "SDE_2", "SDE_3"})
  void steps_ofOneKnownImage_doNotMatter(Method method) {
    double[] start = {0.5, -1, 2};
    double[][] ends = new double[2][];
    for (int i = 0; i < 2; i++) {
      Sampler sampler =
          ((LevelOptions<?>) method.sampler.apply(i == 0 ? 16 : 50)).endAtFirstTimestep(true);
      SamplingPlan plan = sampler.plan(DIFFUSION);
      ends[i] = follow(plan, 0.3, 0, start, NoisePath.along(plan, "it", SOURCE), 4);
      Level level = plan.end();
      for (double end : ends[i]) {
        assertThat(end - level.signal() * 0.3).isNotCloseTo(0, within(level.noise() / 100));
      }
    }
    // λ is rounded
    assertThat(ends[0]).containsExactly(ends[1], within(1e-5));
  }

  /* --- runs --- */

  private static Sampling sampling() {
    return Sampling.of(DenoisingModel.of(DIFFUSION, StandIns.modelG()))
        .sampler(Samplers.dpmSolverPlusPlus(8).stochastic(true))
        .shape(1, 2, 2)
        .clip(false)
        .dataType(DataType.FLOAT64)
        .noisePath(true)
        .seed(7);
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  @Test
  void run_takesTheNoiseOfThePath_inAnyBatch() {
    SamplingPlan plan = Samplers.dpmSolverPlusPlus(8).stochastic(true).plan(DIFFUSION);
    NoisePath path = NoisePath.along(plan, "it", SOURCE);
    double[] all = pixels(sampling().generate(3));
    assertThat(pixels(sampling().batchSize(2).generate(3))).containsExactly(all, within(1e-14));
    for (int image = 0; image < 3; image++) {
      double[] expected = follow(plan, 0.3, 0.25, draw(SOURCE, image, 0, 4), path, image);
      assertThat(Arrays.copyOfRange(all, 4 * image, 4 * image + 4))
          .containsExactly(expected, within(1e-12));
    }
    assertThat(pixels(sampling().noisePath(false).generate(3))).isNotEqualTo(all);
  }

  /** Steps taken by hand, shared latents and given noise are on the path, too. */
  @Test
  void everyUse_isOnThePath() {
    Sampler sampler = Samplers.ddim(10).eta(1);
    double[] all = pixels(sampling().sampler(sampler).generate(1));
    NDArray x = NoiseSource.seeded(7).array(manager, 0, 0, new Shape(1, 1, 2, 2), DataType.FLOAT64);
    Sampling byHand = sampling().sampler(sampler);
    for (int row = 0; row < 10; row++) {
      x = byHand.step(row, x).x();
    }
    assertThat(x.toDoubleArray()).containsExactly(all, within(1e-12));
    assertThat(pixels(sampling().sampler(sampler).noise(SOURCE).generate(1)))
        .containsExactly(all, within(1e-12));
    double[] shared = pixels(sampling().sampler(sampler).generateSharing(500, 2));
    assertThat(Arrays.copyOf(shared, 4)).containsExactly(all, within(1e-12));
    assertThat(Arrays.copyOfRange(shared, 4, 8)).isNotEqualTo(Arrays.copyOf(shared, 4));
    List<double[]> rows = new ArrayList<>();
    Sampling watched =
        sampling().sampler(sampler).listener(event -> rows.add(event.x().toDoubleArray()));
    pixels(watched.generateSharing(500, 2));
    for (int row = 0; row < 10; row++) { // they part in the row from timestep 500
      double[] both = rows.get(row);
      boolean alike = Arrays.equals(Arrays.copyOf(both, 4), Arrays.copyOfRange(both, 4, 8));
      assertThat(alike).as("row %d", row).isEqualTo(row < 4);
    }
  }

  @Test
  void generate_withMoreSteps_drawsNearlyTheSameImages() {
    double[] coarse = pixels(sampling().sampler(Samplers.ddim(200).eta(1)).generate(4));
    double[] fine = pixels(sampling().sampler(Samplers.ddim(400).eta(1)).generate(4));
    assertThat(fine).containsExactly(coarse, within(0.1));
  }

  @Test
  void resampling_isRefused() {
    assertThatThrownBy(
            () -> sampling().sampler(Samplers.resampling(Samplers.ddim(10).eta(1), 2, 2)).start(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "one path of noise goes down the levels once, but row 3 of ddim:10, eta=1,"
                + " resampling=2x2 adds noise where rows before it did; leave noisePath out, or take"
                + " a sampler that does not go back");
  }

  @Test
  void restore_withoutThePath_isRefused(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = sampling().start(2)) {
      run.next();
      run.save(file);
    }
    double[] whole = pixels(sampling().generate(2));
    try (SamplingRun run = sampling().start(2)) {
      assertThat(pixels(run.restore(file).finish())).containsExactly(whole, within(1e-14));
    }
    try (SamplingRun run = sampling().noisePath(false).start(2)) {
      assertThatThrownBy(() -> run.restore(file))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              file
                  + " was saved by a run with another sampler, schedule or path of noise; set this"
                  + " run up as that one was");
    }
  }

  @Test
  void reproduce_anImageOfAPath_isTheSame() {
    DDPM ddpm = DDPM.builder().timesteps(100).denoiser(StandIns.modelG()).build();
    Sampling sampling = ddpm.sampling().sampler(Samplers.ddim(10).eta(1)).shape(1, 2, 2);
    try (Samples samples = sampling.seed(3).batchSize(2).noisePath(true).generate(5)) {
      Map<String, String> words = samples.provenance(3);
      assertThat(words).containsEntry("noisePath", "true");
      double[] expected = Arrays.copyOfRange(Golden.values(samples.toNDArray(manager)), 12, 16);
      double[] again = pixels(ddpm.sampling().shape(1, 2, 2).reproduce(words));
      assertThat(again).containsExactly(expected);
    }
    try (Samples samples = sampling.noisePath(false).generate(1)) {
      assertThat(samples.provenance(0)).doesNotContainKey("noisePath");
    }
  }
}
