package io.github.ddpm4j.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WeightingTest {

  private static final Schedule SCHEDULE = Schedules.linear(1000);
  private static final Offset<Double> CLOSE = within(1e-8);

  private static double factor(Weighting weighting, Prediction prediction, int t) {
    return weighting.factor(prediction, SCHEDULE, Level.of(SCHEDULE, t));
  }

  @Test
  void uniform_anyPrediction_is1() {
    for (Prediction prediction : predictions()) {
      assertThat(factor(Weighting.uniform(), prediction, 400)).isEqualTo(1);
    }
  }

  /** What lucidrains' code and diffusers' scripts have at γ = 5. */
  @ParameterizedTest
  @CsvSource({
    "100, 0.58570851, 5, 0.52429205",
    "250, 1, 1.08952805, 0.52142303",
    "500, 1, 0.08435955, 0.07779666"
  })
  void minSnr_ofThePeers_equal(int t, double epsilon, double x0, double velocity) {
    Weighting weighting = Weighting.minSnr(5);
    assertThat(factor(weighting, Prediction.EPSILON, t)).isCloseTo(epsilon, CLOSE);
    assertThat(factor(weighting, Prediction.X0, t)).isCloseTo(x0, CLOSE);
    assertThat(factor(weighting, Prediction.VELOCITY, t)).isCloseTo(velocity, CLOSE);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 100, 250, 500, 999})
  void p2_everyPrediction_asItsFormula(int t) {
    double snr = SCHEDULE.snr(t);
    double expected = 1 / Math.pow(1.5 + snr, 0.5);
    Weighting weighting = Weighting.p2(1.5, 0.5);
    assertThat(factor(weighting, Prediction.EPSILON, t) / expected).isCloseTo(1, CLOSE);
    assertThat(factor(weighting, Prediction.X0, t) / (expected * snr)).isCloseTo(1, CLOSE);
    assertThat(factor(weighting, Prediction.VELOCITY, t) / (expected * snr / (snr + 1)))
        .isCloseTo(1, CLOSE);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 100, 250, 500, 999})
  void truncatedSnr_everyPrediction_asItsFormula(int t) {
    double snr = SCHEDULE.snr(t);
    Weighting weighting = Weighting.truncatedSnr();
    assertThat(factor(weighting, Prediction.X0, t) / Math.max(snr, 1)).isCloseTo(1, CLOSE);
    assertThat(factor(weighting, Prediction.EPSILON, t) / Math.max(1, 1 / snr)).isCloseTo(1, CLOSE);
    assertThat(factor(weighting, Prediction.VELOCITY, t) / (Math.max(snr, 1) / (snr + 1)))
        .isCloseTo(1, CLOSE);
  }

  /** One image, one error of x̂_0: the weighted loss is the same whatever the network predicts. */
  @ParameterizedTest
  @ValueSource(ints = {1, 100, 250, 500, 999})
  void anyWeighting_sameErrorOfX0_sameLossForEveryPrediction(int t) {
    double error = 0.3;
    for (Weighting weighting :
        List.of(Weighting.minSnr(5), Weighting.p2(1, 1), Weighting.truncatedSnr())) {
      double expected = factor(weighting, Prediction.X0, t) * error * error;
      for (Prediction prediction : predictions()) {
        LinearForm x0 = prediction.x0(SCHEDULE, Level.of(SCHEDULE, t));
        double ofOutput = error / x0.second();
        assertThat(factor(weighting, prediction, t) * ofOutput * ofOutput / expected)
            .as("%s of %s", weighting, prediction)
            .isCloseTo(1, CLOSE);
      }
    }
  }

  private static List<Prediction> predictions() {
    return Stream.concat(Prediction.plain().stream(), Stream.of(Prediction.edm(0.5))).toList();
  }

  @Test
  void names_areThoseOfTheFactories() {
    assertThat(
            List.of(
                Weighting.uniform(),
                Weighting.minSnr(5),
                Weighting.p2(1, 0.5),
                Weighting.truncatedSnr()))
        .map(Object::toString)
        .containsExactly("uniform", "minSnr(5.0)", "p2(1.0, 0.5)", "truncatedSnr");
    assertThat(Weighting.uniform()).isEqualTo(Weighting.uniform());
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
  void minSnr_gammaOutside_isRefused(double gamma) {
    assertThatThrownBy(() -> Weighting.minSnr(gamma))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("gamma must be positive and finite, but was " + gamma + "; the paper uses 5");
  }

  @Test
  void p2_outside_isRefused() {
    assertThatThrownBy(() -> Weighting.p2(0, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("k must be positive and finite, but was 0.0; the paper uses 1");
    assertThatThrownBy(() -> Weighting.p2(1, -1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("gamma must be at least 0 and finite, but was -1.0; the paper uses 0.5 and 1");
  }
}
