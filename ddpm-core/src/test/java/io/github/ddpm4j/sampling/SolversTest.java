package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the samplers between levels visit, say of themselves and refuse. */
class SolversTest {

  private static final Schedule LINEAR = Schedules.linear(10);
  private static final Diffusion TEN = diffusion(LINEAR, Prediction.EPSILON);
  private static final Diffusion ZERO =
      diffusion(Schedules.zeroTerminalSnr(LINEAR), Prediction.VELOCITY);

  private static Diffusion diffusion(Schedule schedule, Prediction prediction) {
    return new Diffusion(schedule, prediction, Variance.FIXED_LARGE, DataRange.DEFAULT);
  }

  private static double[] timesteps(Sampler sampler, int start) {
    return sampler.plan(TEN, start).steps().stream()
        .mapToDouble(SamplingPlan.Step::timestep)
        .toArray();
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @Test
  void multistep_leavesTimestepZeroOut() {
    DpmSolverSampler solver = Samplers.dpmSolverPlusPlus(3);
    assertThat(timesteps(solver, 10)).containsExactly(9, 6, 3);
    assertThat(timesteps(solver.spacing(TimestepSpacing.LEADING), 10)).containsExactly(6, 4, 2);
    assertThat(timesteps(solver.spacing(TimestepSpacing.TRAILING), 10)).containsExactly(9, 6, 2);
    assertThat(timesteps(solver, 5)).containsExactly(5, 3);
    assertThat(timesteps(solver, 6)).containsExactly(6, 3);
    assertThat(timesteps(solver, 0)).containsExactly(0);
    assertThat(timesteps(solver.endAtFirstTimestep(true), 5)).containsExactly(5, 3);
  }

  @Test
  void start_inTheMiddle_beginsWithoutHistory() {
    SamplingPlan plan = Samplers.dpmSolverPlusPlus(5).order(3).plan(TEN, 5);
    assertThat(plan.steps().get(0).past()).isEmpty();
    assertThat(plan.steps().get(0).signal()).isEqualTo(LINEAR.signal(5));
  }

  @Test
  void noiseSpacing_spreadsFromTheLastTimestepToTheFirst() {
    SamplingPlan plan =
        Samplers.dpmSolverPlusPlus(5).spacing(NoiseSpacing.uniformLogSnr()).plan(TEN);
    assertThat(plan.steps()).hasSize(5);
    assertThat(plan.steps().get(0).timestep()).isEqualTo(9);
    assertThat(plan.steps().get(4).timestep()).isEqualTo(0);
    double[] lambda =
        plan.steps().stream().mapToDouble(row -> Math.log(row.signal() / row.noise())).toArray();
    for (int i = 1; i < lambda.length; i++) {
      assertThat(lambda[i] - lambda[i - 1]).isCloseTo((lambda[4] - lambda[0]) / 4, within(1e-12));
    }
  }

  @Test
  void noiseSpacing_toTheFirstTimestep_endsThere() {
    SamplingPlan plan =
        Samplers.dpmSolverPlusPlus(5)
            .spacing(NoiseSpacing.karras())
            .endAtFirstTimestep(true)
            .plan(TEN);
    assertThat(plan.steps()).hasSize(5);
    assertThat(plan.end().noise()).isEqualTo(LINEAR.noise(0));
    assertThat(plan.steps().get(4).noise()).isGreaterThan(LINEAR.noise(0));
  }

  @Test
  void zeroTerminalSnr_firstRowIsThePlainTransferAndForgotten() {
    SamplingPlan plan =
        Samplers.dpmSolverPlusPlus(5).spacing(TimestepSpacing.TRAILING).order(3).plan(ZERO);
    assertThat(plan.steps().get(0).signal()).isEqualTo(0);
    assertThat(plan.steps().get(1).past()).isEmpty();
    assertThat(plan.steps().get(2).past()).hasSize(1);
  }

  @Test
  void toString_saysAllSettings() {
    assertThat(Samplers.dpmSolverPlusPlus(20)).hasToString("dpm++2m:20, linspace");
    assertThat(
            Samplers.dpmSolverPlusPlus(20)
                .order(3)
                .heun(true)
                .stochastic(true)
                .published(true)
                .lowerOrderFinal(false)
                .eulerAtFinal(true)
                .lambdaMin(-5.1)
                .endAtFirstTimestep(true)
                .spacing(NoiseSpacing.karras().wholeTimesteps(true)))
        .hasToString(
            "dpm++3m-sde:20, karras, wholeTimesteps, lambdaMin=-5.1, endAtFirstTimestep, heun,"
                + " published, lowerOrderFinal=false, eulerAtFinal");
    assertThat(Samplers.dpmSolver(5).spacing(NoiseSpacing.uniformLogSnr()))
        .hasToString("dpm:5, uniformLogSnr");
    assertThat(Samplers.uniPc(20)).hasToString("unipc:20, linspace");
    assertThat(Samplers.uniPc(20).order(3).bh1(true).lowerOrderFinal(false))
        .hasToString("unipc:20, linspace, order=3, bh1, lowerOrderFinal=false");
    assertThat(Samplers.euler(20)).hasToString("euler:20, trailing");
    assertThat(Samplers.eulerAncestral(20)).hasToString("euler-a:20, trailing");
    assertThat(Samplers.heun(20).lambdaMin(-5)).hasToString("heun:20, trailing, lambdaMin=-5");
    assertThat(Samplers.plms(20)).hasToString("plms:20");
    assertThat(Samplers.edm(20).churn(40).churnBetween(0.05, 50).churnNoise(1.003))
        .hasToString("edm:20, karras, churn=40, churnNoise=1.003, churnBetween=0.05..50");
    assertThat(Samplers.ddimInversion(20)).hasToString("ddim-inversion:20, trailing");
    assertThat(Samplers.ddim(20).endAtFirstTimestep(true).inversion())
        .hasToString("ddim-inversion:20, trailing, startAtFirstTimestep");
  }

  /* --- what can go wrong --- */

  @ParameterizedTest
  @ValueSource(ints = {0, 4, -1})
  void order_thatIsNone_isRefused(int order) {
    assertRefused(
        () -> Samplers.dpmSolverPlusPlus(5).order(order),
        "order must be 1, 2 or 3, but was " + order);
    assertRefused(
        () -> Samplers.uniPc(5).order(order), "order must be 1, 2 or 3, but was " + order);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1})
  void steps_lessThanOne_areRefused(int steps) {
    String message = "steps must be at least 1, but was " + steps;
    assertRefused(() -> Samplers.dpmSolverPlusPlus(steps), message);
    assertRefused(() -> Samplers.dpmSolver(steps), message);
    assertRefused(() -> Samplers.uniPc(steps), message);
    assertRefused(() -> Samplers.euler(steps), message);
    assertRefused(() -> Samplers.eulerAncestral(steps), message);
    assertRefused(() -> Samplers.heun(steps), message);
    assertRefused(() -> Samplers.plms(steps), message);
    assertRefused(() -> Samplers.edm(steps), message);
    assertRefused(() -> Samplers.ddimInversion(steps), message);
  }

  @Test
  void steps_thatLeaveNoTimestepOut_areRefused() {
    assertRefused(
        () -> Samplers.dpmSolverPlusPlus(10).plan(TEN),
        "steps must be less than the 10 timesteps with LINSPACE spacing, which leaves timestep 0"
            + " out, but was 10; use fewer steps or TimestepSpacing.TRAILING");
    assertRefused(
        () -> Samplers.dpmSolverPlusPlus(11).plan(TEN),
        "steps must be at least 1 and at most the schedule's 10 timesteps, but was 11");
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -7, Double.NaN, Double.POSITIVE_INFINITY})
  void rho_thatIsNotPositive_isRefused(double rho) {
    assertRefused(() -> NoiseSpacing.karras(rho), "rho must be finite and above 0, but was " + rho);
  }

  @Test
  void lambdaMin_thatServesNoLevel_isRefused() {
    assertRefused(
        () -> Samplers.dpmSolver(5).lambdaMin(Double.NaN),
        "lambdaMin must be a number or -Infinity, but was NaN");
    assertRefused(
        () -> Samplers.dpmSolver(5).lambdaMin(100).plan(TEN),
        "lambdaMin 100.0 leaves no timestep: the greatest of the schedule is "
            + Level.of(LINEAR, 0).lambda());
  }

  @Test
  void start_whereItEnds_isRefused() {
    assertRefused(
        () -> Samplers.dpmSolver(5).endAtFirstTimestep(true).plan(TEN, 0),
        "there is nothing to do from timestep 0 with endAtFirstTimestep, which ends there; start"
            + " higher, or end at the image");
  }

  @Test
  void start_outsideTheSchedule_isRefused() {
    assertRefused(
        () -> Samplers.dpmSolver(5).plan(TEN, 11),
        "start timestep must lie in [0, 10], where 10 stands for pure noise, but was 11; choose one"
            + " of these, 10 for a whole run");
  }

  @Test
  void previousMean_offTheSchedule_isRefused() {
    Diffusion mean = diffusion(LINEAR, Prediction.PREVIOUS_MEAN);
    assertRefused(
        () -> Samplers.dpmSolverPlusPlus(5).spacing(NoiseSpacing.karras()).plan(mean),
        "prediction PREVIOUS_MEAN cannot be used with karras(7.0) spacing, which asks the network"
            + " off the schedule's timesteps; use a TimestepSpacing");
    assertThat(Samplers.dpmSolverPlusPlus(5).plan(mean).steps()).hasSize(5);
  }

  @Test
  void zeroTerminalSnr_withoutTheLastTimestep_isRefused() {
    assertRefused(
        () -> Samplers.dpmSolverPlusPlus(5).spacing(TimestepSpacing.LEADING).plan(ZERO),
        "LEADING spacing begins at timestep 5, but with a schedule of zero terminal SNR pure noise"
            + " stands at timestep 9 alone; use TimestepSpacing.TRAILING");
    assertRefused(
        () -> Samplers.dpmSolverPlusPlus(5).spacing(NoiseSpacing.karras()).plan(ZERO),
        "karras(7.0) spacing has no first level, because timestep 9 of the schedule has no signal"
            + " left; use TimestepSpacing.TRAILING, or set lambdaMin");
    assertRefused(
        () -> Samplers.dpmSolver(5).spacing(TimestepSpacing.TRAILING).plan(ZERO),
        "dpmSolver needs some signal in its first level, but timestep 9 has none; use"
            + " dpmSolverPlusPlus");
  }

  @Test
  void stochastic_inEpsilon_isRefused() {
    assertRefused(
        () -> Samplers.dpmSolver(5).stochastic(true),
        "dpmSolver has no stochastic form; use dpmSolverPlusPlus");
  }

  @Test
  void inversion_goesUpToTheStart() {
    Sampler inversion = Samplers.ddimInversion(3);
    assertThat(timesteps(inversion, 10)).containsExactly(2, 6, 9);
    assertThat(timesteps(inversion, 9)).containsExactly(2, 6, 9);
    assertThat(timesteps(inversion, 5)).containsExactly(2, 5);
    assertThat(timesteps(inversion, 0)).containsExactly(0);
    assertThat(timesteps(Samplers.ddim(3).inversion(), 10)).containsExactly(2, 6, 9);
    DdimSampler leading = Samplers.ddim(3).spacing(TimestepSpacing.LEADING);
    assertThat(timesteps(leading.inversion(), 10)).containsExactly(0, 3, 6, 9);
    assertThat(timesteps(leading.endAtFirstTimestep(true).inversion(), 10))
        .containsExactly(3, 6, 9);
    SamplingPlan plan = inversion.plan(TEN, 5);
    assertThat(plan.steps().get(0).noise()).isEqualTo(0);
    assertThat(plan.steps().get(1).noise()).isEqualTo(LINEAR.noise(2));
    assertThat(plan.end().signal()).isEqualTo(LINEAR.signal(5));
    assertThat(plan.end().noise()).isEqualTo(LINEAR.noise(5));
  }

  @Test
  void inversion_thatCannotBe_isRefused() {
    Sampler inversion = Samplers.ddimInversion(3);
    Sampler noisy =
        Samplers.ddim(3).spacing(TimestepSpacing.TRAILING).endAtFirstTimestep(true).inversion();
    for (DdimSampler other :
        List.of(Samplers.ddim(3).eta(0.5), Samplers.ddim(3).rawEpsilon(true))) {
      assertThatThrownBy(other::inversion)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "ddim can be inverted without fresh noise and with the derived epsilon alone, but "
                  + other
                  + " has another; use eta(0) and rawEpsilon(false)");
    }
    assertRefused(
        () -> inversion.plan(diffusion(LINEAR, Prediction.PREVIOUS_MEAN)),
        "prediction PREVIOUS_MEAN cannot be inverted, because the network is asked at another"
            + " timestep than that of x; use a model of another prediction");
    assertRefused(
        () -> inversion.plan(diffusion(LINEAR, Prediction.X0)),
        "prediction X0 says nothing of the noise where x has none; invert a sampler with"
            + " endAtFirstTimestep(true)");
    assertRefused(
        () -> noisy.plan(TEN, 0),
        "there is nothing to do up to timestep 0, where the inversion of a sampler with"
            + " endAtFirstTimestep starts; go higher, or invert one that ends at the image");
    assertThat(noisy.plan(diffusion(LINEAR, Prediction.X0)).steps()).hasSize(3);
  }

  @Test
  void heun_asksTwiceButForTheStepToTheImage() {
    assertThat(timesteps(Samplers.heun(3), 10)).containsExactly(9, 6, 6, 2, 2);
    assertThat(Samplers.heun(3).plan(ZERO).steps()).hasSize(4);
  }

  @Test
  void uniPc_zeroTerminalSnr_forgetsTheFirstRow() {
    SamplingPlan plan = Samplers.uniPc(5).order(3).spacing(TimestepSpacing.TRAILING).plan(ZERO);
    assertThat(plan.steps().get(1).past()).isEmpty();
    assertThat(plan.steps().get(2).past()).hasSize(1);
  }

  @Test
  void plms_withoutSignal_isRefused() {
    assertRefused(
        () -> Samplers.plms(5).spacing(TimestepSpacing.TRAILING).plan(ZERO),
        "plms needs some signal in its first level, but timestep 9 has none; use"
            + " dpmSolverPlusPlus");
  }

  @Test
  void edm_withoutChurn_isHeun() {
    assertThat(Samplers.edm(5).plan(TEN))
        .isEqualTo(Samplers.heun(5).spacing(NoiseSpacing.karras()).plan(TEN));
  }

  @Test
  void edm_withChurn_liftsEachLevel() {
    SamplingPlan plan = Samplers.edm(5).churn(1).plan(TEN);
    for (int i = 0; i < 5; i++) {
      Level level =
          Level.ofSigma(LINEAR, 1.2 * NoiseSpacing.karras().levels(LINEAR, 9, 5).get(i).sigma());
      SamplingPlan.Step row = plan.steps().get(2 * i);
      assertThat(row.noise() / row.signal()).isCloseTo(level.sigma(), within(1e-12));
      assertThat(row.timestep()).isCloseTo(level.timestep(), within(1e-9));
    }
    double first = LINEAR.noise(9) / LINEAR.signal(9);
    double signal = 1 / Math.hypot(1, 1.2 * first);
    assertThat(plan.initialScale())
        .isCloseTo(
            Math.hypot(signal / LINEAR.signal(9), signal * first * Math.sqrt(1.44 - 1)),
            within(1e-12));
  }

  /** S_churn / N, with N that of the whole run: a part of it has a part of the churn. */
  @Test
  void edm_fromAStart_churnsAsMuchAsInTheWholeRun() {
    Diffusion linear = diffusion(Schedules.linear(1000), Prediction.EPSILON);
    for (EdmSampler edm :
        List.of(
            Samplers.edm(20).churn(4),
            Samplers.edm(20).churn(4).endAtFirstTimestep(true),
            Samplers.edm(20).churn(4).spacing(TimestepSpacing.TRAILING))) {
      List<SamplingPlan.Step> whole = edm.plan(linear).steps();
      List<SamplingPlan.Step> part = edm.plan(linear, 300).steps();
      assertThat(part.get(0).level()).isEqualTo(Level.of(linear.schedule(), 300));
      int common = part.size() - 2;
      assertThat(common).as("%s", edm).isGreaterThan(5);
      // the row before the first common one stands elsewhere
      assertThat(part.subList(2, part.size()))
          .as("%s", edm)
          .isEqualTo(whole.subList(whole.size() - common, whole.size()));
      double lifted = part.get(2).level().sigma();
      double unlifted = edm.churn(0).plan(linear, 300).steps().get(2).level().sigma();
      assertThat(lifted / unlifted).as("%s", edm).isCloseTo(1.2, within(1e-12));
    }
  }

  /** S_min ≤ σ ≤ S_max, ends included. */
  @Test
  void edm_churnBetweenLevels_includesThem() {
    List<Level> levels = NoiseSpacing.karras().levels(LINEAR, 9, 5);
    double high = levels.get(1).sigma();
    double low = levels.get(3).sigma();
    SamplingPlan plan = Samplers.edm(5).churn(1).churnBetween(low, high).plan(TEN);
    for (int i = 0; i < 5; i++) {
      double lift = i >= 1 && i <= 3 ? 1.2 : 1;
      assertThat(plan.steps().get(2 * i).level().sigma())
          .as("level %d", i)
          .isCloseTo(lift * levels.get(i).sigma(), within(1e-12));
    }
    assertThat(plan.initialScale()).isEqualTo(1);
  }

  /** Also in the noise that a run starts with. */
  @Test
  void edm_churnNoise_scalesTheFreshNoiseAlone() {
    List<Level> levels = NoiseSpacing.karras().levels(LINEAR, 9, 5);
    SamplingPlan plan = Samplers.edm(5).churn(1).churnNoise(1.5).plan(TEN);
    for (int i = 0; i < 5; i++) {
      Level level = levels.get(i);
      double signal = 1 / Math.hypot(1, 1.2 * level.sigma());
      double fresh = 1.5 * signal * level.sigma() * Math.sqrt(1.2 * 1.2 - 1);
      if (i == 0) {
        assertThat(plan.initialScale())
            .isCloseTo(Math.hypot(signal / level.signal(), fresh), within(1e-12));
      } else {
        assertThat(plan.steps().get(2 * i - 1).noiseHigh()).isCloseTo(fresh, within(1e-12));
      }
    }
  }

  /** As in the code of diffusers: the order falls at the end of fewer than 15 steps. */
  @Test
  void multistep_orderAtTheEnd_dependsOnTheNumberOfSteps() {
    Diffusion diffusion = diffusion(Schedules.linear(1000), Prediction.EPSILON);
    DpmSolverSampler solver =
        Samplers.dpmSolverPlusPlus(14)
            .order(3)
            .endAtFirstTimestep(true)
            .spacing(TimestepSpacing.LINSPACE);
    assertThat(depthsAtTheEnd(solver.plan(diffusion))).containsExactly(1, 0);
    DpmSolverSampler more =
        Samplers.dpmSolverPlusPlus(15)
            .order(3)
            .endAtFirstTimestep(true)
            .spacing(TimestepSpacing.LINSPACE);
    assertThat(depthsAtTheEnd(more.plan(diffusion))).containsExactly(2, 2);
    assertThat(depthsAtTheEnd(more.eulerAtFinal(true).plan(diffusion))).containsExactly(2, 0);
    assertThat(depthsAtTheEnd(solver.lowerOrderFinal(false).plan(diffusion))).containsExactly(2, 2);
  }

  private static List<Integer> depthsAtTheEnd(SamplingPlan plan) {
    List<SamplingPlan.Step> rows = plan.steps();
    return rows.subList(rows.size() - 2, rows.size()).stream()
        .map(row -> row.past().size())
        .toList();
  }

  @Test
  void dpmSolver_leastSignal_isAThousandth() {
    for (double signal : new double[] {0.0011, 0.0009}) {
      double beta = 1 - Math.pow(signal, 2 / 100.0);
      Diffusion diffusion = diffusion(Schedules.constant(100, beta), Prediction.EPSILON);
      DpmSolverSampler solver = Samplers.dpmSolver(20).spacing(TimestepSpacing.LINSPACE);
      if (signal > 0.001) {
        assertThat(solver.plan(diffusion).steps()).hasSize(20);
      } else {
        assertRefused(
            () -> solver.plan(diffusion),
            "dpmSolver divides by the signal of its first level, which must be at least 0.001, but"
                + " timestep 99 has 0.00090; use dpmSolverPlusPlus, or leave out levels of next to"
                + " no signal by lambdaMin(-5.1)");
      }
    }
  }

  /** The worst row is named, wherever it stands. */
  @Test
  void warning_namesTheGreatestFactor() {
    SamplingPlan.Step great = new SamplingPlan.Step(new Level(7, 0.6, 0.8), 11, 0, 0, List.of(), 0);
    SamplingPlan.Step greater =
        new SamplingPlan.Step(new Level(5, 0.6, 0.8), 0, 0, -20, List.of(), 0);
    for (List<SamplingPlan.Step> rows : List.of(List.of(great, greater), List.of(greater, great))) {
      assertThat(new SamplingPlan(rows, SamplingPlan.Memory.X0, 1, Level.CLEAN).warning())
          .hasValueSatisfying(
              text ->
                  assertThat(text)
                      .startsWith(
                          "the step from timestep 5.000 multiplies the network's errors by up to"
                              + " 20, since"));
    }
  }

  @Test
  void edm_badChurn_isRefused() {
    assertRefused(
        () -> Samplers.edm(5).churn(-1), "churn must be finite and at least 0, but was -1.0");
    assertRefused(
        () -> Samplers.edm(5).churnNoise(Double.NaN),
        "churnNoise must be finite and at least 0, but was NaN");
    assertRefused(
        () -> Samplers.edm(5).churnBetween(2, 1),
        "churn must lie between levels with 0 <= min <= max, but they were 2.0 and 1.0");
    assertRefused(
        () ->
            Samplers.edm(5)
                .churn(1)
                .spacing(TimestepSpacing.TRAILING)
                .plan(diffusion(LINEAR, Prediction.PREVIOUS_MEAN)),
        "prediction PREVIOUS_MEAN cannot be used with churn, which asks the network off the"
            + " schedule's timesteps; use churn(0)");
  }

  /** On the digits such plans gave noise, and the others did not (docs/samplers.md). */
  @Test
  void plans_thatMultiplyErrors_sayso() {
    Diffusion linear = diffusion(Schedules.linear(1000), Prediction.EPSILON);
    Diffusion cosine = diffusion(Schedules.cosine(1000), Prediction.EPSILON);
    for (int steps : new int[] {8, 15, 50}) {
      for (Sampler sampler :
          List.of(
              Samplers.ddpm(steps),
              Samplers.ddim(steps),
              Samplers.ddim(steps).eta(1).spacing(TimestepSpacing.TRAILING),
              Samplers.dpmSolverPlusPlus(steps),
              Samplers.dpmSolverPlusPlus(steps).order(3),
              Samplers.dpmSolverPlusPlus(steps).stochastic(true),
              Samplers.uniPc(steps),
              Samplers.uniPc(steps).order(3),
              Samplers.euler(steps),
              Samplers.eulerAncestral(steps),
              Samplers.plms(steps),
              Samplers.heun(steps).spacing(NoiseSpacing.karras()).lambdaMin(-5.1))) {
        assertThat(sampler.plan(linear).warning()).as("%s", sampler).isEmpty();
        assertThat(sampler.plan(cosine).warning()).as("%s", sampler).isEmpty();
      }
      assertThat(Samplers.heun(steps).plan(linear).warning()).isEmpty();
      assertThat(Samplers.edm(steps).plan(linear).warning()).isEmpty();
      assertThat(Samplers.dpmSolver(steps).plan(linear).warning()).isEmpty();
    }
    assertThat(Samplers.heun(8).spacing(TimestepSpacing.TRAILING).plan(cosine).warning())
        .hasValue(
            "the step from timestep 874.0 multiplies the network's errors by up to 3.9e+02, since"
                + " the next level is far away; leave out levels of next to no signal"
                + " (lambdaMin=-5.1) and space them by karras, where the sampler does not yet, or"
                + " take more steps or another sampler");
  }
}
