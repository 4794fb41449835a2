package io.github.ddpm4j.internal.average;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PowerFitTest {

  private static final double EXACT = 1e-12;

  /** The paper's numbers, to its two digits after the point, and the ends in closed form. */
  @ParameterizedTest
  @CsvSource({"0.05, 16.97, 0.005", "0.1, 6.94, 0.005", "0.28867513459481287, 0, 1e-12"})
  void gammaOf_isThePapers(double width, double gamma, double tolerance) {
    assertThat(PowerProfile.gammaOf(width)).isCloseTo(gamma, within(tolerance));
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-4, 0.01, 0.05, 0.1, 0.2, 0.28, PowerProfile.WIDEST})
  void gammaOf_hasThatWidth(double width) {
    PowerProfile profile = PowerProfile.of(width, 1);
    double mean = quadrature(tau -> tau * at(profile, tau), 1);
    double square = quadrature(tau -> tau * tau * at(profile, tau), 1);
    assertThat(Math.sqrt(square - mean * mean)).isCloseTo(width, within(1e-8));
    double g = profile.gamma();
    assertThat(Math.sqrt(g + 1) / ((g + 2) * Math.sqrt(g + 3)))
        .isCloseTo(width, within(EXACT * width));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -0.1, 0.2887, 1, Double.NaN})
  void gammaOf_outsideItsRange_isRefused(double width) {
    assertThatThrownBy(() -> PowerProfile.gammaOf(width))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the width of an average must lie in (0, 0.28867513459481287], but was " + width);
  }

  /** The decays of an average multiply to the integrals of the profile over the steps. */
  @ParameterizedTest
  @CsvSource({"0.05, 1", "0.1, 1", "0.2, 5"})
  void decay_givesTheProfile(double width, int every) {
    double gamma = PowerProfile.gammaOf(width);
    int end = 101;
    for (int i = 1; i <= end; i += every) {
      double weight = 1 - PowerProfile.decay(gamma, i, every);
      for (int j = i + every; j <= end; j += every) {
        weight *= PowerProfile.decay(gamma, j, every);
      }
      double integral =
          (Math.pow(i, gamma + 1) - Math.pow(Math.max(0, i - every), gamma + 1))
              / Math.pow(end, gamma + 1);
      assertThat(weight).isCloseTo(integral, within(EXACT));
    }
  }

  @ParameterizedTest
  @CsvSource({"0.05, 10, 0.1, 10", "0.05, 7, 0.1, 10", "0.05, 10, 0.1, 7", "0.2, 3, 0.2, 9"})
  void inner_isTheIntegral(double width, double end, double otherWidth, double otherEnd) {
    PowerProfile one = PowerProfile.of(width, end);
    PowerProfile other = PowerProfile.of(otherWidth, otherEnd);
    double integral = quadrature(tau -> at(one, tau) * at(other, tau), Math.min(end, otherEnd));
    assertThat(one.inner(other)).isCloseTo(integral, within(1e-7 * integral));
    assertThat(other.inner(one)).isEqualTo(one.inner(other));
  }

  @Test
  void trackedProfile_comesBackAlone() {
    List<PowerProfile> tracked = tracked(20);
    for (int i = 0; i < tracked.size(); i++) {
      PowerFit fit = PowerFit.of(tracked.get(i), tracked);
      for (int j = 0; j < tracked.size(); j++) {
        assertThat(fit.coefficients()[j]).isCloseTo(i == j ? 1 : 0, within(1e-9));
      }
      assertThat(fit.error()).isLessThan(1e-6);
    }
  }

  /**
   * No other sum is nearer: the residual is at right angles to all profiles before the sum is made
   * 1, and the error is what quadrature gives.
   */
  @ParameterizedTest
  @ValueSource(doubles = {0.03, 0.075, 0.15, 0.25})
  void otherProfile_isTheLeastSquares(double width) {
    List<PowerProfile> tracked = tracked(8);
    PowerProfile wanted = PowerProfile.of(width, 8);
    PowerFit fit = PowerFit.of(wanted, tracked);
    double sum = 0;
    for (double coefficient : fit.coefficients()) {
      sum += coefficient;
    }
    assertThat(sum).isCloseTo(1, within(EXACT));

    double square = 0;
    for (int unit = 0; unit < 8; unit++) {
      // Piece by piece: profiles end at whole steps.
      int from = unit;
      square +=
          quadrature(
              tau -> {
                double rest = at(wanted, from + tau);
                for (int j = 0; j < tracked.size(); j++) {
                  boolean ended = tracked.get(j).end() <= from;
                  rest -= ended ? 0 : fit.coefficients()[j] * at(tracked.get(j), from + tau);
                }
                return rest * rest;
              },
              1);
    }
    assertThat(fit.error()).isCloseTo(Math.sqrt(square / wanted.inner(wanted)), within(1e-6));

    double[] free = fit.coefficients().clone();
    double scale = leastScale(wanted, tracked, free);
    for (PowerProfile profile : tracked) {
      double product = profile.inner(wanted);
      for (int j = 0; j < free.length; j++) {
        product -= scale * free[j] * profile.inner(tracked.get(j));
      }
      assertThat(product / Math.sqrt(profile.inner(profile) * wanted.inner(wanted)))
          .isCloseTo(0, within(1e-9));
    }
  }

  /** The factor that takes the coefficients back to those of the least squares. */
  private static double leastScale(PowerProfile wanted, List<PowerProfile> tracked, double[] x) {
    double above = 0;
    double below = 0;
    for (int i = 0; i < x.length; i++) {
      above += x[i] * tracked.get(i).inner(wanted);
      for (int j = 0; j < x.length; j++) {
        below += x[i] * x[j] * tracked.get(i).inner(tracked.get(j));
      }
    }
    return above / below;
  }

  @Test
  void alike_isRefused() {
    PowerProfile one = PowerProfile.of(0.1, 5);
    assertThatThrownBy(() -> PowerFit.of(PowerProfile.of(0.2, 5), List.of(one, one)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "two of the 2 averages are alike to rounding, so that their sum is not determined;"
                + " take some of them away");
  }

  private static List<PowerProfile> tracked(int snapshots) {
    List<PowerProfile> tracked = new ArrayList<>();
    for (int step = 1; step <= snapshots; step++) {
      tracked.add(PowerProfile.of(0.05, step));
      tracked.add(PowerProfile.of(0.10, step));
    }
    return tracked;
  }

  private static double at(PowerProfile p, double tau) {
    return tau > p.end() ? 0 : (p.gamma() + 1) * Math.pow(tau / p.end(), p.gamma()) / p.end();
  }

  /** Simpson's rule over [0, end], on a grid that is finer towards the end. */
  private static double quadrature(DoubleUnaryOperator f, double end) {
    int n = 40_000;
    double sum = 0;
    for (int i = 0; i <= n; i++) {
      double u = (double) i / n;
      // τ = end (1 − (1 − u)³): dτ = 3 end (1 − u)² du
      double value = f.applyAsDouble(end * (1 - Math.pow(1 - u, 3))) * 3 * end * (1 - u) * (1 - u);
      sum += value * (i == 0 || i == n ? 1 : i % 2 == 1 ? 4 : 2);
    }
    return sum / (3.0 * n);
  }
}
