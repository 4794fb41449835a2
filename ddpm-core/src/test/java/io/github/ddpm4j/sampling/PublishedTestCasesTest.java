package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The cases of the tests of diffusers' own schedulers: 768 numbers in even steps as the start, x ·
 * t / (t + 1) as the model, 10 steps. Expected is what those tests print, and the same sums worked
 * out in float64, to their last digit. Element by element the samplers are compared in {@link
 * SolverTrajectoriesTest}, {@link GoldenTrajectoriesTest} and {@link GoldenDpmSolverTest}.
 */
class PublishedTestCasesTest {

  private static final int IMAGES = 4;
  private static final int SIZE = 192;
  private static final int STEPS = 10;

  /** Element (n, c, h, w) is that of (c, h, w, n) in even steps from 0 to 1. */
  private static final double[] START =
      values(i -> (i % SIZE * IMAGES + Math.floor(i / SIZE)) / (IMAGES * SIZE));

  private static final double[] NOISE =
      Arrays.stream(START).map(v -> (IMAGES * SIZE - 1.0) / (IMAGES * SIZE) - v).toArray();

  private static final Schedule LINEAR = Schedules.linear(1000);
  private static final Schedule T1100 = Schedules.linear(1100);

  private static double[] values(DoubleUnaryOperator of) {
    return IntStream.range(0, IMAGES * SIZE).mapToDouble(i -> of.applyAsDouble(i)).toArray();
  }

  private static DpmSolverSampler dpm() {
    return Samplers.dpmSolverPlusPlus(STEPS).lowerOrderFinal(false).endAtFirstTimestep(true);
  }

  /** Theirs has ten levels for ten steps, so that the last goes nowhere. */
  private static DpmSolverSampler dpm(NoiseSpacing spacing) {
    return Samplers.dpmSolverPlusPlus(STEPS - 1)
        .lowerOrderFinal(false)
        .endAtFirstTimestep(true)
        .spacing(spacing.wholeTimesteps(true));
  }

  private static UniPcSampler uniPc() {
    return Samplers.uniPc(STEPS).endAtFirstTimestep(true);
  }

  /**
   * Theirs has a tenth call at the last level, which corrects x and takes a step of no length; ours
   * is next to none.
   */
  private static Sampler uniPcKarras() {
    return (diffusion, start) -> {
      List<Level> levels =
          new ArrayList<>(
              NoiseSpacing.karras()
                  .wholeTimesteps(true)
                  .levels(diffusion.schedule(), start - 1, STEPS));
      Level last = levels.get(STEPS - 1);
      levels.add(Level.ofSigma(diffusion.schedule(), last.sigma() * (1 - 1e-9)));
      return uniPc().plan(diffusion, levels, true);
    };
  }

  /** What a case sets beside the sampler. */
  private record Case(String name, Sampler sampler, double sum, double mean) {
    Schedule schedule() {
      return name.contains("T=1100")
          ? T1100
          : name.contains("from 0.01") ? Schedules.linear(1000, 0.01, 0.02) : LINEAR;
    }

    Prediction prediction() {
      return name.contains(" v") ? Prediction.VELOCITY : Prediction.EPSILON;
    }

    Diffusion diffusion() {
      return new Diffusion(schedule(), prediction(), Variance.FIXED_SMALL, DataRange.DEFAULT);
    }
  }

  @TestFactory
  List<DynamicTest> wholeRuns() {
    DdimSampler ddim = Samplers.ddim(STEPS).rawEpsilon(true);
    NoiseSpacing karras = NoiseSpacing.karras();
    NoiseSpacing lambda = NoiseSpacing.uniformLogSnr();
    return Stream.of(
            new Case("DDIM", ddim, 172.006522, .22396683),
            new Case("DDIM v", ddim, 52.530124, 52.530124 / 768),
            new Case("DDIM from 0.01", ddim, 149.829460, 149.829460 / 768),
            new Case(
                "DDIM from 0.01 to the first timestep",
                ddim.endAtFirstTimestep(true),
                149.078430,
                149.078430 / 768),
            new Case("DPM++2M", dpm(), .33014698 * 768, .33014698),
            new Case("DPM++2M v", dpm(), .22509935 * 768, .22509935),
            new Case("DPM++2M v karras", dpm(karras), .20919991 * 768, .20919991),
            new Case("DPM++2M v lambda", dpm(lambda), .15542349 * 768, .15542349),
            new Case(
                "DPM++2M to the image",
                Samplers.dpmSolverPlusPlus(STEPS),
                .24090022 * 768,
                .24090022),
            new Case("DPM++3M", dpm().order(3).published(true), .23042013 * 768, .23042013),
            new Case("DPM++2M heun", dpm().heun(true), .38037919 * 768, .38037919),
            new Case("DPM++1", dpm().order(1), .22430204 * 768, .22430204),
            new Case("UniPC", uniPc(), .24639538 * 768, .24639538),
            new Case("UniPC v", uniPc(), .10139638 * 768, .10139638),
            new Case("UniPC karras", uniPcKarras(), .29248314 * 768, .29248314),
            new Case("UniPC karras v", uniPcKarras(), .19620939 * 768, .19620939),
            new Case("Euler T=1100", rescaling(false, false), 10.080668, 10.080668 / 768),
            new Case("Euler karras T=1100", rescaling(true, false), 124.517810, 124.517810 / 768),
            new Case("Heun T=1100", rescaling(false, true), .123331, .123331 / 768))
        .map(one -> DynamicTest.dynamicTest(one.name, () -> run(one)))
        .toList();
  }

  private static void run(Case one) {
    // Only the DDIM of those tests clips.
    Sampling sampling =
        Sampling.of(DenoisingModel.of(one.diffusion(), model()))
            .sampler(one.sampler)
            .shape(3, 8, 8)
            .clip(one.name.startsWith("DDIM"))
            .dataType(DataType.FLOAT64)
            .noise(StandIns.recorded(START, START, IMAGES));
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = sampling.generate(IMAGES)) {
      assertSums(one.name, Golden.values(samples.toNDArray(manager)), one.sum, one.mean);
    }
  }

  private static void assertSums(String name, double[] values, double sum, double mean) {
    double found = Arrays.stream(values).map(Math::abs).sum();
    assertThat(found).as(name + ": sum").isCloseTo(sum, within(5e-6));
    assertThat(found / values.length).as(name + ": mean").isCloseTo(mean, within(6e-9));
  }

  private static Denoiser model() {
    return (x, levels, condition) -> x.mul(share(x, levels));
  }

  private static NDArray share(NDArray x, NoiseLevels levels) {
    return PerImage.column(
        x,
        IntStream.range(0, levels.size())
            .mapToDouble(i -> levels.timestep(i) / (levels.timestep(i) + 1))
            .toArray());
  }

  /** Noise is added to the start, and removed by the steps that are left. */
  @TestFactory
  List<DynamicTest> denoisings() {
    return List.of(
        denoising("DDIM", Samplers.ddim(STEPS).rawEpsilon(true), 100, 354.541501),
        denoising("DPM++2M", dpm(), 500, 318.412981),
        denoising("UniPC", uniPc(), 200, 315.575327));
  }

  private static DynamicTest denoising(String name, Sampler sampler, int t, double sum) {
    return DynamicTest.dynamicTest(
        name,
        () -> {
          Diffusion diffusion =
              new Diffusion(LINEAR, Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);
          try (NDManager manager = NDManager.newBaseManager()) {
            double[] xt =
                values(i -> LINEAR.signal(t) * START[(int) i] + LINEAR.noise(t) * NOISE[(int) i]);
            NDArray noisy = manager.create(xt, new Shape(IMAGES, 3, 8, 8));
            try (Samples samples =
                Sampling.of(DenoisingModel.of(diffusion, model()))
                    .sampler(sampler)
                    .clip(name.equals("DDIM"))
                    .dataType(DataType.FLOAT64)
                    .noise(StandIns.recorded(START, START, IMAGES))
                    .denoise(noisy, t)) {
              assertSums(name, Golden.values(samples.toNDArray(manager)), sum, sum / 768);
            }
          }
        });
  }

  /**
   * Those tests put the model's input, x scaled to variance 1, in place of x and go on from there.
   * So x is not scaled back, as a sampler does, before a step: y = x + (σ' − σ) ε̂.
   */
  private static Sampler rescaling(boolean karras, boolean heun) {
    return (diffusion, start) -> {
      List<Level> levels =
          new ArrayList<>(
              karras
                  ? NoiseSpacing.karras().levels(T1100, 1099, STEPS)
                  : IntStream.range(0, STEPS)
                      .mapToObj(i -> between(1099 - 1099.0 * i / (STEPS - 1)))
                      .toList());
      levels.add(Level.CLEAN);
      List<SamplingPlan.Step> rows = new ArrayList<>();
      for (int i = 0; i < STEPS; i++) {
        Level from = levels.get(i);
        Level to = levels.get(i + 1);
        double along = to.signal() * (to.sigma() - from.sigma());
        rows.add(new SamplingPlan.Step(from, to.signal(), 0, along, List.of(), 0));
        if (heun && to.noise() > 0) {
          rows.add(new SamplingPlan.Step(to, 1, 0, along / 2, List.of(-along / 2), 0));
        }
      }
      return new SamplingPlan(
          rows, SamplingPlan.Memory.EPSILON, levels.get(0).noise(), Level.CLEAN);
    };
  }

  /** σ at a timestep between two, by linear interpolation. */
  private static Level between(double timestep) {
    int below = (int) Math.min(Math.floor(timestep), 1098);
    double share = timestep - below;
    double sigma =
        (1 - share) * Level.of(T1100, below).sigma() + share * Level.of(T1100, below + 1).sigma();
    double signal = 1 / Math.hypot(1, sigma);
    return new Level(timestep, signal, sigma * signal);
  }

  /** Their limit of 0.5 is below the least that {@link Sampling#dynamicThresholding} takes. */
  @Test
  void thresholding_below1_agrees() {
    X0Limit limit = X0Limit.dynamic(DataRange.DEFAULT, .87, .5);
    Denoiser x0 = StandIns.predicting(Prediction.X0, model());
    Diffusion diffusion =
        new Diffusion(LINEAR, Prediction.X0, Variance.FIXED_SMALL, DataRange.DEFAULT);
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(
                    DenoisingModel.of(
                        diffusion,
                        (x, levels, condition) -> limit.apply(x0.predict(x, levels, condition))))
                .sampler(dpm())
                .shape(3, 8, 8)
                .clip(false)
                .dataType(DataType.FLOAT64)
                .noise(StandIns.recorded(START, START, IMAGES))
                .generate(IMAGES)) {
      assertSums(
          "thresholding", Golden.values(samples.toNDArray(manager)), 1.13637427 * 768, 1.13637427);
    }
  }

  /* --- one number, step by step --- */

  private static double[] steps(Sampler sampler) {
    Diffusion diffusion =
        new Diffusion(LINEAR, Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);
    List<Double> found = new ArrayList<>();
    Sampling.of(DenoisingModel.of(diffusion, (x, levels, condition) -> x.mul(0.1).add(0.05)))
        .sampler(sampler)
        .shape(1, 1, 1)
        .clip(false)
        .dataType(DataType.FLOAT64)
        .noise(StandIns.recorded(new double[] {1}, new double[0], 1))
        .listener(event -> found.add(Golden.values(event.x())[0]))
        .generate(1)
        .close();
    return found.stream().mapToDouble(Double::doubleValue).toArray();
  }

  @Test
  void dpmSolverPlusPlus_everyStep_agrees() {
    Golden.assertClose(
        "DPM++2M",
        steps(Samplers.dpmSolverPlusPlus(STEPS)),
        new double[] {
          2.3696213497, 5.1174551453, 10.0952646181, 18.1913641186, 29.7816274445,
          44.6829505731, 61.0068833085, 75.6589944658, 85.0253015215, 86.9402416548
        },
        1e-10);
  }

  @Test
  void ddim_everyStep_agrees() {
    Golden.assertClose(
        "DDIM",
        steps(Samplers.ddim(STEPS)),
        new double[] {
          2.1575115845, 4.3031911247, 7.8531394906, 13.0625337155, 19.7682783287,
          27.1844473225, 33.9273374101, 38.3792284906, 39.2711346516, 39.2333252323
        },
        1e-10);
  }

  /** Two timesteps with the noise levels 80 and 0.002 between which EDM samples. */
  @Test
  void edm_levelsAndResult_agree() {
    double clearest = 1 / (1 + 0.002 * 0.002);
    double noisiest = 1 / (1 + 80.0 * 80.0);
    Schedule ends = Schedules.ofBetas(1 - clearest, 1 - noisiest / clearest);
    Diffusion diffusion =
        new Diffusion(ends, Prediction.X0, Variance.FIXED_SMALL, DataRange.DEFAULT);
    List<SamplingPlan.Step> rows = Samplers.edm(18).plan(diffusion).steps();
    assertThat(rows).hasSize(35);
    double[] sigmas =
        IntStream.of(0, 1, 3, 5, 7, 31, 33)
            .mapToDouble(i -> rows.get(i).noise() / rows.get(i).signal())
            .toArray();
    Golden.assertClose(
        "levels",
        sigmas,
        new double[] {
          80, 57.585984721, 40.785573797, 28.374584604, 19.352452980, .0075280199628, .002
        },
        1e-10);
    double start = 80 / Math.hypot(1, 80);
    Denoiser denoiser =
        (x, levels, condition) -> {
          double sigma = levels.noise(0) / levels.signal(0);
          return x.mul(.25 / levels.signal(0) / (1 + sigma * sigma)).add(.1);
        };
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(DenoisingModel.of(diffusion, denoiser))
                .sampler(Samplers.edm(18))
                .shape(1, 1, 1)
                .clip(false)
                .dataType(DataType.FLOAT64)
                .noise(StandIns.recorded(new double[] {start}, new double[0], 1))
                .generate(1)) {
      Golden.assertClose(
          "EDM", Golden.values(samples.toNDArray(manager)), new double[] {.13443991915}, 1e-11);
    }
  }
}
