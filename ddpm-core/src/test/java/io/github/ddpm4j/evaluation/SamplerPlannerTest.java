package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.List;
import java.util.Locale;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SamplerPlannerTest {

  private static final double MEAN = 0.3;
  private static final double DEVIATION = 0.2;

  /** The exact score of N(0.3, 0.2²) data, as ε. */
  private static final Denoiser EXACT =
      (x, levels, condition) -> {
        IntToDoubleFunction variance =
            i -> Math.pow(levels.signal(i) * DEVIATION, 2) + Math.pow(levels.noise(i), 2);
        return x.sub(PerImage.column(x, column(levels, i -> levels.signal(i) * MEAN)))
            .mul(
                PerImage.column(
                    x, column(levels, i -> levels.noise(i) / variance.applyAsDouble(i))));
      };

  private static double[] column(NoiseLevels levels, IntToDoubleFunction value) {
    return IntStream.range(0, levels.size()).mapToDouble(value).toArray();
  }

  private static final DDPM DDPM_OF_GAUSSIAN =
      DDPM.builder().schedule(Schedules.linearScaled(100)).denoiser(EXACT).build();

  private static SamplerPlanner planner() {
    return DDPM_OF_GAUSSIAN.samplerPlanner().setUp(run -> run.shape(1, 2, 2));
  }

  @Test
  void plan_isTheErrorBesideTheLongChain() {
    List<Sampler> candidates =
        List.of(Samplers.ddim(5), Samplers.dpmSolverPlusPlus(10), Samplers.ddim(100));
    SamplerPlanner.Table table = planner().candidates(candidates).images(6).seed(3).plan(100);

    assertThat(table.longChain().calls()).isEqualTo(100);
    assertThat(table.rows()).hasSize(3);
    for (SamplerPlanner.Row row : table.rows()) {
      assertThat(row.error()).isCloseTo(error(row.sampler()), within(1e-9));
      assertThat(row.calls()).isEqualTo(row.sampler().plan(diffusion()).steps().size());
      assertThat(row.isRefused()).isFalse();
    }
    assertThat(table.rows().get(0).error()).isZero();
    assertThat(table.choice()).isSameAs(candidates.get(2));
  }

  private static Diffusion diffusion() {
    return new Diffusion(
        DDPM_OF_GAUSSIAN.schedule(),
        DDPM_OF_GAUSSIAN.prediction(),
        DDPM_OF_GAUSSIAN.variance(),
        DDPM_OF_GAUSSIAN.dataRange());
  }

  private static double error(Sampler sampler) {
    float[] values = drawn(sampler);
    float[] others = drawn(Samplers.ddim(100));
    return Math.sqrt(
        IntStream.range(0, values.length)
            .mapToDouble(i -> Math.pow((double) values[i] - others[i], 2))
            .average()
            .orElseThrow());
  }

  private static float[] drawn(Sampler sampler) {
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            DDPM_OF_GAUSSIAN.sampling().shape(1, 2, 2).sampler(sampler).seed(3).generate(6)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  @Test
  void plan_ofTheUsualCandidates_putsTheBestFirst() {
    SamplerPlanner.Table table = planner().plan(10);

    assertThat(table.images()).isEqualTo(32);
    assertThat(table.rows())
        .hasSize(17)
        .allSatisfy(row -> assertThat(row.calls()).isBetween(9, 10))
        .allSatisfy(row -> assertThat(row.distance()).isNaN());
    assertThat(table.rows().stream().map(SamplerPlanner.Row::error).toList()).isSorted();
    // More order, less error: what is chosen is no DDIM and far nearer than any.
    assertThat(table.choice().toString()).doesNotStartWith("ddim");
    assertThat(table.rows().get(0).error())
        .isLessThan(
            0.5
                * table.rows().stream()
                    .filter(row -> row.sampler().toString().startsWith("ddim"))
                    .mapToDouble(SamplerPlanner.Row::error)
                    .min()
                    .orElseThrow());
  }

  /** Those of the long chain and of what is not refused for its calls or its noise. */
  @Test
  void totalCalls_areThoseOfThePlan() {
    List<Sampler> candidates =
        List.of(Samplers.ddim(5), Samplers.heun(6), Samplers.ddim(13), Samplers.ddpm(4));
    SamplerPlanner planner = planner().candidates(candidates).images(2);
    SamplerPlanner.Table table = planner.plan(12);
    assertThat(table.rows()).filteredOn(SamplerPlanner.Row::isRefused).hasSize(2);
    assertThat(planner.totalCalls(12))
        .isEqualTo(
            table.longChain().calls()
                + table.rows().stream().mapToInt(SamplerPlanner.Row::calls).sum());
  }

  @Test
  void plan_moreCalls_lessError() {
    assertThat(leastError(planner(), 20)).isLessThan(leastError(planner(), 5));

    assertThat(leastError(planner().candidates(atTimesteps(20)), 20))
        .isLessThan(leastError(planner().candidates(atTimesteps(5)), 5) / 3);
  }

  private static double leastError(SamplerPlanner planner, int calls) {
    return planner.plan(calls).rows().get(0).error();
  }

  /** Those that are so far from the long chain that its own error does not count. */
  private static List<Sampler> atTimesteps(int calls) {
    return Stream.of(
            "ddim", "ddim, trailing", "dpm++2m", "unipc", "unipc, order=3", "euler", "plms")
        .map(text -> Samplers.parse(text, calls))
        .toList();
  }

  @Test
  void compareWith_choosesByTheDistanceToRealImages_andTakesFreshNoise() {
    double[][] real =
        Gaussian.draw(
            4,
            400,
            new double[] {MEAN, MEAN, MEAN, MEAN},
            new double[] {DEVIATION, DEVIATION, DEVIATION, DEVIATION});
    SamplerPlanner.Table table =
        planner()
            .candidates(
                List.of(Samplers.ddpm(10), Samplers.ddim(10), Samplers.ddpm(), Samplers.ddpm(2)))
            .longChain(Samplers.ddim(100))
            .compareWith(Features.pixels(), real)
            .images(400)
            .plan(10);

    assertThat(table.byDistance()).isTrue();
    assertThat(table.longChain().distance()).isBetween(-0.01, 0.02);
    assertThat(table.rows().subList(0, 3))
        .extracting(SamplerPlanner.Row::distance)
        .isSorted()
        .doesNotContain(Double.NaN);
    SamplerPlanner.Row fresh =
        table.rows().stream()
            .filter(row -> row.sampler().toString().startsWith("ddpm:2"))
            .findAny()
            .orElseThrow();
    assertThat(fresh.error()).isNaN();
    // Two steps of fresh noise leave far too much of it.
    assertThat(fresh.distance()).isGreaterThan(10 * table.longChain().distance());
    assertThat(table.rows().get(3).refusal()).isEqualTo("takes 100 network calls");
  }

  @Test
  void compareWith_usualCandidates_includeThoseWithFreshNoise() {
    SamplerPlanner.Table table =
        planner()
            .longChain(Samplers.ddim(20))
            .compareWith(Features.pixels(), new double[][] {{0, 0, 0, 0}, {1, 1, 1, 1}})
            .images(4)
            .plan(4);

    assertThat(table.rows()).hasSize(Samplers.usual().size());
    assertThat(table.rows())
        .filteredOn(SamplerPlanner.Row::isRefused)
        .extracting(row -> row.sampler().toString())
        .containsExactly("edm:2, karras, lambdaMin=-5.1, churn=10");
  }

  @Test
  void toString_isATable() {
    SamplerPlanner.Table table =
        planner()
            .candidates(
                List.of(
                    Samplers.heun(30),
                    Samplers.ddpm(10),
                    Samplers.ddim(10).spacing(TimestepSpacing.TRAILING)))
            .images(2)
            .plan(10);
    String error = String.format(Locale.ROOT, "%.5f", table.rows().get(0).error());

    assertThat(table)
        .hasToString(
            String.format(
                Locale.ROOT,
                """
            Samplers within 10 network calls, 2 images each from the noise of seed 0.
            Error: root mean square per pixel beside the long chain.
              sampler            calls      error
              ddim:100             100    0.00000
            * ddim:10, trailing     10    %s
              heun:30, trailing      –  takes 59 network calls
              ddpm:10                –  adds fresh noise and can be compared by features of real images alone
            * ddim:10, trailing""",
                error));
  }

  /* --- input --- */

  @Test
  void badSettings_areRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().plan(0))
        .withMessage("calls must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().candidates(List.of(Samplers.ddim(5))).totalCalls(0))
        .withMessage("calls must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().images(0))
        .withMessage("images must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().candidates(List.of()))
        .withMessage(
            "a plan needs at least one candidate, but has none; leave candidates() out for the"
                + " usual ones");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().longChain(Samplers.ddpm(10)).plan(5))
        .withMessage("the long chain must add no fresh noise, but ddpm:10 does; use ddim(steps)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().compareWith(Features.pixels(), new double[][] {{1}}))
        .withMessage(
            "reference images must be at least 2 for a kernel distance, but were 1; make more");
    double[][] real = {{0, 0, 0, 0}, {1, 1, 1, 1}};
    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner().images(1).compareWith(Features.pixels(), real).plan(5))
        .withMessage(
            "images must be at least 2 to be compared with real ones, but was 1; call images(n)");
    assertThatIllegalStateException()
        .isThrownBy(() -> DDPM.builder().build().samplerPlanner())
        .withMessageStartingWith("sampling needs a denoiser");
  }

  @Test
  void plan_whereNoCandidateFits_saysWhy() {
    SamplerPlanner planner =
        DDPM.builder()
            .schedule(Schedules.linear(20))
            .denoiser(EXACT)
            .build()
            .samplerPlanner()
            .setUp(run -> run.shape(1, 2, 2))
            .candidates(List.of(Samplers.ddim(10), Samplers.ddim(21)));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> planner.plan(5))
        .withMessageStartingWith(
            """
            no candidate can serve this model within 5 network calls:
            ddim:10: takes 10 network calls
            ddim:21:""");
  }
}
