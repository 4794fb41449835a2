package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.training.Adam.EpsilonPlacement;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class AdamTest {

  private static final int STEPS = 100;
  private static final int SIZE = 50;

  static Stream<Adam> optimizers() {
    return Stream.of(
        Adam.PAPER,
        Adam.adamW(0.1),
        new Adam(0.8, 0.95, 1e-2, 0, EpsilonPlacement.BEFORE_CORRECTION),
        new Adam(0.8, 0.95, 1e-2, 0.05, EpsilonPlacement.AFTER_CORRECTION));
  }

  /** The update as the papers write it, in double, against the engine's over 100 steps. */
  @ParameterizedTest
  @MethodSource("optimizers")
  void step_followsThePaper(Adam adam) {
    Random random = new Random(1);
    double[] w = random.doubles(SIZE, -1, 1).toArray();
    double[] m = new double[SIZE];
    double[] v = new double[SIZE];
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = manager.create(floats(w)).duplicate();
      weight.setRequiresGradient(true);
      AdamState state = new AdamState(adam, List.of(weight), manager);
      for (int s = 1; s <= STEPS; s++) {
        double rate = 1e-2 / s;
        double scale = s % 2 == 0 ? 0.5 : 1;
        double[] g = random.doubles(SIZE, -0.1, 0.1).toArray();
        for (int i = 0; i < SIZE; i++) {
          double gradient = scale * (float) g[i];
          m[i] = adam.beta1() * m[i] + (1 - adam.beta1()) * gradient;
          v[i] = adam.beta2() * v[i] + (1 - adam.beta2()) * gradient * gradient;
          double mean = m[i] / (1 - Math.pow(adam.beta1(), s));
          double correction = 1 - Math.pow(adam.beta2(), s);
          w[i] -= rate * adam.weightDecay() * w[i];
          w[i] -=
              adam.epsilonPlacement() == EpsilonPlacement.AFTER_CORRECTION
                  ? rate * mean / (Math.sqrt(v[i] / correction) + adam.epsilon())
                  : rate * Math.sqrt(correction) * mean / (Math.sqrt(v[i]) + adam.epsilon());
        }
        try (NDArray gradient = manager.create(floats(g)).duplicate()) {
          state.step(List.of(gradient), rate, scale);
        }
      }
      Golden.assertClose(adam.toString(), Golden.values(weight), w, 2e-6);
    }
  }

  @Test
  void constructor_refusesWhatIsOutOfRange() {
    assertThatThrownBy(() -> new Adam(1, 0.9, 1e-8, 0, EpsilonPlacement.AFTER_CORRECTION))
        .hasMessage("beta1 must lie in [0, 1), but was 1.0");
    assertThatThrownBy(() -> new Adam(0.9, -0.1, 1e-8, 0, EpsilonPlacement.AFTER_CORRECTION))
        .hasMessage("beta2 must lie in [0, 1), but was -0.1");
    assertThatThrownBy(() -> new Adam(0.9, 0.9, 0, 0, EpsilonPlacement.AFTER_CORRECTION))
        .hasMessage("epsilon must be positive, but was 0.0");
    assertThatThrownBy(() -> Adam.adamW(-1))
        .hasMessage("weightDecay must be at least 0, but was -1.0");
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }
}
