package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LossHistoryTest {

  private final LossHistory history = new LossHistory(new double[] {4, 2, 1});

  @Test
  void loss_countsFromOne() {
    assertThat(history.steps()).isEqualTo(3);
    assertThat(history.loss(1)).isEqualTo(4);
    assertThat(history.loss(3)).isEqualTo(1);
  }

  @Test
  void mean_isOfTheLastSteps() {
    assertThat(history.mean(1)).isEqualTo(1);
    assertThat(history.mean(2)).isEqualTo(1.5);
    assertThat(history.mean(100)).isEqualTo(7.0 / 3);
    assertThat(new LossHistory(new double[0]).mean(5)).isNaN();
  }

  @Test
  void toArray_isACopy() {
    history.toArray()[0] = 7;
    assertThat(history.toArray()).containsExactly(4, 2, 1);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 4})
  void loss_ofNoStep_isRefused(int step) {
    assertThatThrownBy(() -> history.loss(step))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("step must lie in [1, 3], but was " + step);
  }

  @Test
  void mean_ofNoSteps_isRefused() {
    assertThatThrownBy(() -> history.mean(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("window must be at least 1, but was 0");
  }

  @Test
  void skipped_areKnownAndLeftOutOfTheMean() {
    LossHistory some = new LossHistory(new double[] {4, Double.NaN, 2, 1e30}, new int[] {4, 2});
    assertThat(some.skipped()).containsExactly(2, 4);
    assertThat(some.isSkipped(2)).isTrue();
    assertThat(some.isSkipped(3)).isFalse();
    assertThat(some.mean(4)).isEqualTo(3);
    assertThat(some.mean(2)).isEqualTo(2);
    assertThat(some.mean(1)).isNaN();
    assertThat(some).hasToString("4 steps, 2 of them skipped, mean loss of the last 100: 3.0");
    assertThatThrownBy(() -> some.isSkipped(5))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("step must lie in [1, 4], but was 5");
    assertThatThrownBy(() -> new LossHistory(new double[1], new int[] {0}))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("step must lie in [1, 1], but was 0");
  }
}
