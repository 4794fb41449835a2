package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The driver's part of a round by hand. */
class OuterStepTest {

  @Test
  void average_isTheMean() {
    float[] weights = {1, 2, 0.1f};
    float[] velocity = new float[3];
    OuterStep.average()
        .take(weights, velocity, List.of(new float[] {2, 0, 0.3f}, new float[] {4, 1, 0.5f}));
    assertThat(weights).containsExactly(3, 0.5f, (float) ((0.3f + (double) 0.5f) / 2));
    assertThat(velocity).containsOnly(0);
  }

  /** One worker's weights come back as they are, whatever their bits. */
  @Test
  void average_ofOne_isExact() {
    float[] weights = {1e-8f, 3, -0.7f, Float.MIN_VALUE};
    float[] worker = {0.3f, -1e-7f, 0.1f, 1};
    OuterStep.average().take(weights, new float[4], List.of(worker));
    assertThat(weights).containsExactly(worker);
  }

  /** Δ = 2, then Δ = 1 from where the first step went: η = 0.5, μ = 0.5. */
  @Test
  void nesterov_isThatOfPyTorch() {
    OuterStep outer = new OuterStep(0.5, 0.5);
    float[] weights = {1};
    float[] velocity = new float[1];
    // g = −2: v = −2, step g + μ v = −3, θ = 1 + 1.5
    outer.take(weights, velocity, List.of(new float[] {3}));
    assertThat(weights).containsExactly(2.5f);
    assertThat(velocity).containsExactly(-2);
    // g = −1: v = −1 − 1 = −2, step −2, θ = 2.5 + 1
    outer.take(weights, velocity, List.of(new float[] {3.5f}));
    assertThat(weights).containsExactly(3.5f);
    assertThat(velocity).containsExactly(-2);
    assertThat(OuterStep.diloco()).isEqualTo(new OuterStep(0.7, 0.9));
  }

  @Test
  void arguments_areChecked() {
    assertThatThrownBy(() -> new OuterStep(0, 0))
        .hasMessage("learningRate must be positive, but was 0.0");
    assertThatThrownBy(() -> new OuterStep(1, 1))
        .hasMessage("momentum must lie in [0, 1), but was 1.0");
  }
}
