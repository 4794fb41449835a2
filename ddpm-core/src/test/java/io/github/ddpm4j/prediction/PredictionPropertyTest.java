package io.github.ddpm4j.prediction;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

class PredictionPropertyTest {

  @Provide
  Arbitrary<Prediction> predictions() {
    List<Prediction> all = new ArrayList<>(Prediction.plain());
    all.add(Prediction.edm(0.5));
    return Arbitraries.of(all);
  }

  private static final List<Schedule> SCHEDULES =
      List.of(
          Schedules.linear(1000),
          Schedules.cosine(1000),
          Schedules.sigmoidJabri(1000),
          Schedules.scaledLinear(1000),
          Schedules.flow(1001, 3));

  /** Everything is linear in (x_0, ε), so two of them will do. */
  @Property
  void forms_targetAndBack_giveImageAndNoise(
      @ForAll("predictions") Prediction prediction,
      @ForAll @IntRange(min = 0, max = 4) int which,
      @ForAll @IntRange(min = 0, max = 999) int t) {
    Schedule schedule = SCHEDULES.get(which);
    double signal = schedule.signal(t);
    double noise = schedule.noise(t);
    for (double[] pair : new double[][] {{0.8, -1.7}, {-0.3, 2.9}}) {
      double x = signal * pair[0] + noise * pair[1];
      double output =
          apply(prediction.target(schedule, new Level(t, signal, noise)), pair[0], pair[1]);
      assertInverse(prediction.x0(schedule, new Level(t, signal, noise)), x, output, pair[0]);
      assertInverse(prediction.epsilon(schedule, new Level(t, signal, noise)), x, output, pair[1]);
    }
  }

  /** The two halves of one output make x again: signal · x̂_0 + noise · ε̂ = x. */
  @Property
  void forms_anyOutput_splitX(
      @ForAll("predictions") Prediction prediction,
      @ForAll @IntRange(min = 0, max = 4) int which,
      @ForAll @IntRange(min = 0, max = 999) int t) {
    Schedule schedule = SCHEDULES.get(which);
    double signal = schedule.signal(t);
    double noise = schedule.noise(t);
    LinearForm x0 = prediction.x0(schedule, new Level(t, signal, noise));
    LinearForm epsilon = prediction.epsilon(schedule, new Level(t, signal, noise));
    double scale = 1 + Math.abs(signal * x0.second()) + Math.abs(signal * x0.first());
    assertThat(Math.abs(signal * x0.first() + noise * epsilon.first() - 1))
        .isLessThan(1e-14 * scale);
    assertThat(Math.abs(signal * x0.second() + noise * epsilon.second())).isLessThan(1e-14 * scale);
  }

  private static double apply(LinearForm form, double a, double b) {
    return form.first() * a + form.second() * b;
  }

  /** Up to rounding of the two terms, which may be large and cancel. */
  private static void assertInverse(LinearForm form, double x, double output, double expected) {
    double scale = 1 + Math.abs(form.first()) + Math.abs(form.second() * (1 + Math.abs(output)));
    assertThat(Math.abs(apply(form, x, output) - expected)).isLessThan(1e-13 * scale);
  }
}
