package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SamplersTest {

  private static final Diffusion TEN =
      new Diffusion(
          Schedules.linear(10), Prediction.EPSILON, Variance.FIXED_LARGE, DataRange.DEFAULT);

  private static double[] timesteps(Sampler sampler, int start) {
    return sampler.plan(TEN, start).steps().stream()
        .mapToDouble(SamplingPlan.Step::timestep)
        .toArray();
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  /* --- grids --- */

  /** The noise that a respaced plan adds is that of the betas that improved-diffusion rebuilds. */
  @Test
  void ddpm_goldenRespacings_betasAgree() {
    Golden respacings = Golden.load("improved_respace.json");
    for (String key : respacings.keys()) {
      int trainingSteps = Integer.parseInt(key.split("\\|", -1)[0]);
      int[] ascending = respacings.integers(key, "timesteps");
      int[] descending = new int[ascending.length];
      Arrays.setAll(descending, i -> ascending[ascending.length - 1 - i]);
      // its linear schedule reaches the same noise whatever the number of timesteps
      Diffusion diffusion =
          new Diffusion(
              Schedules.linear(trainingSteps, 0.1 / trainingSteps, 20.0 / trainingSteps),
              Prediction.EPSILON,
              Variance.FIXED_LARGE,
              DataRange.DEFAULT);
      List<SamplingPlan.Step> rows = Samplers.ddpm().timesteps(descending).plan(diffusion).steps();
      double[] betas = new double[rows.size()];
      for (int i = 0; i < betas.length; i++) {
        SamplingPlan.Step row = rows.get(betas.length - 1 - i);
        assertThat(row.timestep()).isEqualTo(ascending[i]);
        // the last step adds no noise: its beta is that from the clean image, which the reference
        // takes from ᾱ, whose digits end before those of the row's noise
        double first = 1 - diffusion.schedule().alphaBar(ascending[0]);
        betas[i] = i == 0 ? first : row.noiseHigh() * row.noiseHigh();
        if (i == 0) {
          assertThat(row.noise() * row.noise()).isCloseTo(first, withinPercentage(1e-9));
        }
      }
      Golden.assertRelative(key, betas, respacings.data(key, "new_betas_linear"), 1e-12);
    }
  }

  @Test
  void ddpm_timestepsGiven_areVisited() {
    assertThat(timesteps(Samplers.ddpm().timesteps(7, 4, 0), 10)).containsExactly(7, 4, 0);
    assertThat(timesteps(Samplers.ddpm(3).timesteps(9, 1), 10)).containsExactly(9, 1);
    assertThat(Samplers.ddpm().timesteps(9, 1)).hasToString("ddpm, timesteps=9 1");
    assertThatThrownBy(() -> Samplers.ddpm().timesteps(1, 9))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "timesteps must be strictly descending and at least 0, but entry 1 is 9 in [1, 9]");
  }

  @Test
  void plan_visitsTheTimestepsOfItsGrid() {
    assertThat(timesteps(Samplers.ddpm(), 10)).containsExactly(9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    assertThat(timesteps(Samplers.ddpm(3).spacing(TimestepSpacing.LEADING), 10))
        .containsExactly(6, 3, 0);
    assertThat(timesteps(Samplers.ddpm(3).spacing(TimestepSpacing.LINSPACE), 10))
        .containsExactly(9, 4, 0);
    assertThat(timesteps(Samplers.ddpm(3).spacing(TimestepSpacing.TRAILING), 10))
        .containsExactly(9, 6, 2);
    assertThat(timesteps(Samplers.ddim(3).spacing(TimestepSpacing.LEADING), 10))
        .containsExactly(6, 3, 0);
    assertThat(timesteps(Samplers.ddim(3).spacing(TimestepSpacing.TRAILING), 10))
        .containsExactly(9, 6, 2);
    assertThat(timesteps(Samplers.ddim(10), 10)).containsExactly(9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    assertThat(timesteps(Samplers.ddim(3).timesteps(8, 5, 1), 10)).containsExactly(8, 5, 1);
  }

  @Test
  void plan_startInTheMiddle_beginsThereAndGoesOnBelow() {
    assertThat(timesteps(Samplers.ddpm(3).spacing(TimestepSpacing.LEADING), 9))
        .containsExactly(9, 6, 3, 0);
    assertThat(timesteps(Samplers.ddim(3).timesteps(8, 5, 1), 9)).containsExactly(9, 8, 5, 1);
    assertThat(timesteps(Samplers.ddpm(), 3)).containsExactly(3, 2, 1, 0);
    DdimSampler leading = Samplers.ddim(3).spacing(TimestepSpacing.LEADING);
    assertThat(timesteps(Samplers.ddpm(3).spacing(TimestepSpacing.LEADING), 5))
        .containsExactly(5, 3, 0);
    assertThat(timesteps(leading, 6)).containsExactly(6, 3, 0);
    assertThat(timesteps(Samplers.ddim(3).spacing(TimestepSpacing.TRAILING), 1)).containsExactly(1);
    assertThat(timesteps(Samplers.ddim(3).timesteps(8, 5, 1), 4)).containsExactly(4, 1);
    assertThat(timesteps(leading, 0)).containsExactly(0);
  }

  @Test
  void plan_endsAtTheImage() {
    for (Sampler sampler : List.of(Samplers.ddpm(), Samplers.ddpm(3), Samplers.ddim(3).eta(1))) {
      SamplingPlan plan = sampler.plan(TEN);
      SamplingPlan.Step last = plan.steps().get(plan.steps().size() - 1);
      assertThat(plan.initialScale()).isEqualTo(1);
      assertThat(plan.end().signal()).isEqualTo(1);
      assertThat(plan.end().noise()).isEqualTo(0);
      assertThat(last.cX0()).as("cX0 of %s", sampler).isEqualTo(1);
      assertThat(last.cX()).as("cX of %s", sampler).isEqualTo(0);
      assertThat(last.cEps()).as("cEps of %s", sampler).isEqualTo(0);
      assertThat(last.noiseHigh()).as("noise of %s", sampler).isEqualTo(0);
    }
    SamplingPlan noisy = Samplers.ddim(3).endAtFirstTimestep(true).plan(TEN);
    assertThat(noisy.end().signal()).isCloseTo(TEN.schedule().signal(0), within(1e-15));
    assertThat(noisy.end().noise()).isCloseTo(TEN.schedule().noise(0), within(1e-15));
  }

  @Test
  void toString_saysWhatIsSampled() {
    assertThat(Samplers.ddpm()).hasToString("ddpm");
    assertThat(Samplers.ddpm(50)).hasToString("ddpm:50");
    assertThat(Samplers.ddpm(50).spacing(TimestepSpacing.TRAILING))
        .hasToString("ddpm:50, trailing");
    assertThat(Samplers.ddim(50)).hasToString("ddim:50");
    assertThat(Samplers.ddim(2).timesteps(7, 3).eta(0.5))
        .hasToString("ddim, timesteps=7 3, eta=0.5");
    assertThat(Samplers.ddim(5).rawEpsilon(true).endAtFirstTimestep(true))
        .hasToString("ddim:5, rawEpsilon, endAtFirstTimestep");
  }

  @Test
  void sampler_keepsItsListOfTimesteps() {
    int[] list = {5, 2};
    Sampler sampler = Samplers.ddim(2).timesteps(list);
    list[0] = 9;
    assertThat(timesteps(sampler, 10)).containsExactly(5, 2);
  }

  /* --- what can go wrong --- */

  @ParameterizedTest
  @ValueSource(ints = {0, -1})
  void steps_lessThanOne_areRefused(int steps) {
    assertRefused(() -> Samplers.ddpm(steps), "steps must be at least 1, but was " + steps);
    assertRefused(() -> Samplers.ddim(steps), "steps must be at least 1, but was " + steps);
  }

  @Test
  void steps_moreThanTimesteps_areRefused() {
    String message = "steps must be at least 1 and at most the schedule's 10 timesteps, but was 11";
    assertRefused(() -> Samplers.ddpm(11).plan(TEN), message);
    assertRefused(() -> Samplers.ddim(11).plan(TEN, 3), message);
  }

  @ParameterizedTest
  @ValueSource(doubles = {2, -0.1, Double.NaN})
  void eta_outsideItsRange_isRefused(double eta) {
    assertRefused(() -> Samplers.ddim(5).eta(eta), "eta must lie in [0, 1], but was " + eta);
  }

  @Test
  void timesteps_thatAreNoDescendingList_areRefused() {
    DdimSampler ddim = Samplers.ddim(5);
    assertRefused(() -> ddim.timesteps(), "timesteps must not be empty; name at least one");
    assertRefused(
        () -> ddim.timesteps(5, 7, 1),
        "timesteps must be strictly descending and at least 0, but entry 1 is 7 in [5, 7, 1]");
    assertRefused(
        () -> ddim.timesteps(5, 5),
        "timesteps must be strictly descending and at least 0, but entry 1 is 5 in [5, 5]");
    assertRefused(
        () -> ddim.timesteps(5, -1),
        "timesteps must be strictly descending and at least 0, but entry 1 is -1 in [5, -1]");
    assertRefused(
        () -> ddim.timesteps(10, 5).plan(TEN),
        "timesteps must lie in [0, 10), but the first is 10");
  }

  @Test
  void zeroTerminalSnr_needsToBeginAtTheLastTimestep() {
    Diffusion zeroSnr =
        new Diffusion(
            Schedules.zeroTerminalSnr(Schedules.linear(10)),
            Prediction.VELOCITY,
            Variance.FIXED_SMALL,
            DataRange.DEFAULT);
    String message =
        "the timesteps begin at 8, but with a schedule of zero terminal SNR pure noise stands at"
            + " timestep 9 alone; use TimestepSpacing.TRAILING, or a list that begins there";
    for (Sampler sampler :
        List.of(
            Samplers.ddim(5).spacing(TimestepSpacing.LEADING),
            Samplers.ddpm(5).spacing(TimestepSpacing.LEADING),
            Samplers.ddim(2).timesteps(8, 3))) {
      assertRefused(() -> sampler.plan(zeroSnr), message);
      assertThat(sampler.plan(zeroSnr, 8).steps().get(0).timestep()).isEqualTo(8);
    }
    assertThat(Samplers.ddim(2).timesteps(9, 3).plan(zeroSnr).steps()).hasSize(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 11})
  void start_outsideTheSchedule_isRefused(int start) {
    String message =
        "start timestep must lie in [0, 10], where 10 stands for pure noise, but was "
            + start
            + "; choose one of these, 10 for a whole run";
    assertRefused(() -> Samplers.ddpm().plan(TEN, start), message);
    assertRefused(() -> Samplers.ddim(5).plan(TEN, start), message);
  }

  @Test
  void spacing_ofEveryTimestep_isRefused() {
    assertThatThrownBy(() -> Samplers.ddpm().spacing(TimestepSpacing.TRAILING))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "spacing has no meaning for ddpm(), which visits every timestep; use ddpm(steps)");
  }

  /* --- rows and plans --- */

  private static SamplingPlan.Step row(double... values) {
    return new SamplingPlan.Step(
        new Level(values[0], values[1], values[2]),
        values[3],
        values[4],
        values[5],
        List.of(),
        values[6],
        values[7],
        values.length > 8 ? values[8] : 0);
  }

  @Test
  void step_badNumbers_areRefused() {
    String[] names = {"cX", "cX0", "cEps", "noiseLow", "noiseHigh", "noiseBeside"};
    List<String> levels = List.of("noiseLow", "noiseHigh", "noiseBeside");
    for (int i = 0; i < names.length; i++) {
      String rule =
          levels.contains(names[i]) ? "at least 0 and finite in float32" : "finite in float32";
      for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY, 1e39}) {
        double[] values = new double[3 + names.length];
        values[1] = 1;
        values[3 + i] = bad;
        assertRefused(
            () -> row(values),
            names[i] + " of a sampling step must be " + rule + ", but was " + bad);
      }
      double[] negative = new double[3 + names.length];
      negative[1] = 1;
      negative[3 + i] = -1;
      if (levels.contains(names[i])) {
        assertRefused(
            () -> row(negative),
            names[i]
                + " of a sampling step must be at least 0 and finite in float32, but was -1.0");
      } else {
        assertThat(row(negative)).isNotNull();
      }
    }
    assertRefused(
        () -> new SamplingPlan.Step(Level.CLEAN, 0, 0, 0, List.of(Double.NaN), 0),
        "past of a sampling step must be finite in float32, but was NaN");
    String bounds =
        "noiseLow and noiseHigh of a sampling step must be ascending and both 0 or neither, but"
            + " were ";
    assertRefused(() -> row(0, 1, 0, 0, 1, 0, 0.5, 0.25), bounds + "0.5 and 0.25");
    assertRefused(() -> row(0, 1, 0, 0, 1, 0, 0, 0.25), bounds + "0.0 and 0.25");
    assertRefused(
        () -> row(0, 1, 0, 0, 1, 0, 0.25, 0.25, 0.5),
        "noiseBeside of a sampling step is for learned variances, but was 0.5 where noiseLow and"
            + " noiseHigh are 0.25; make it part of these");
    assertThat(row(0, 1, 0, 0, 1, 0, 0.25, 0.5, 0.5).noiseBeside()).isEqualTo(0.5);
    assertThat(row(0, 1, 0, 0, 1, 0, 0.25, 0.5).learnsVariance()).isTrue();
    assertThat(row(0, 1, 0, 0, 1, 0, 0.5, 0.5).learnsVariance()).isFalse();
  }

  @Test
  void plan_badTables_areRefused() {
    SamplingPlan.Step plain = row(0, 1, 0, 0, 1, 0, 0, 0);
    SamplingPlan.Step back =
        new SamplingPlan.Step(new Level(0, 1, 0), 0, 1, 0, List.of(0.5, 0.5), 0);
    assertRefused(
        () -> new SamplingPlan(List.of(), SamplingPlan.Memory.X0, 1, Level.CLEAN),
        "a sampling plan needs at least one step, but has none");
    assertRefused(
        () -> new SamplingPlan(List.of(plain, back), SamplingPlan.Memory.X0, 1, Level.CLEAN),
        "step 1 of a sampling plan can look back at most 1 calls, but looks back 2");
    assertThat(
            new SamplingPlan(List.of(plain, plain, back), SamplingPlan.Memory.X0, 1, Level.CLEAN)
                .depth())
        .isEqualTo(2);
    assertRefused(
        () -> new SamplingPlan(List.of(plain), SamplingPlan.Memory.X0, Double.NaN, Level.CLEAN),
        "the initial scale of a sampling plan must be finite and at least 0, but was NaN");
    assertThat(
            new SamplingPlan(List.of(plain), SamplingPlan.Memory.X0, 0, Level.CLEAN).initialScale())
        .isZero();
  }

  /** The last row goes to timestep 0, and no further: σ² = η² (1 − ᾱ_0)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_0). */
  @Test
  void ddim_toTheFirstTimestep_hasTheFreshNoiseOfThatJump() {
    List<SamplingPlan.Step> rows =
        Samplers.ddim(4).eta(0.5).endAtFirstTimestep(true).timesteps(9, 6, 3).plan(TEN).steps();
    double first = TEN.schedule().alphaBar(0);
    double last = TEN.schedule().alphaBar(3);
    assertThat(rows.get(2).noiseHigh())
        .isCloseTo(0.5 * Math.sqrt((1 - first) / (1 - last) * (1 - last / first)), within(1e-12));
  }
}
