package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.training.AdamOptimizer.EpsilonPlacement;
import org.junit.jupiter.api.Test;

class AdamOptimizerTest {

  @Test
  void constructor_refusesWhatIsOutOfRange() {
    assertThatThrownBy(() -> new AdamOptimizer(1, 0.9, 1e-8, 0, EpsilonPlacement.AFTER_CORRECTION))
        .hasMessage("beta1 must lie in [0, 1), but was 1.0");
    assertThatThrownBy(
            () -> new AdamOptimizer(0.9, -0.1, 1e-8, 0, EpsilonPlacement.AFTER_CORRECTION))
        .hasMessage("beta2 must lie in [0, 1), but was -0.1");
    assertThatThrownBy(() -> new AdamOptimizer(0.9, 0.9, 0, 0, EpsilonPlacement.AFTER_CORRECTION))
        .hasMessage("epsilon must be positive, but was 0.0");
    assertThatThrownBy(() -> AdamOptimizer.adamW(-1))
        .hasMessage("weightDecay must be at least 0, but was -1.0");
  }
}
