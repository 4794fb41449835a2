package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class RepeatsTest {

  @Test
  void add_warmUps_doNotCount() {
    Repeats repeats = new Repeats(2, 3, 0);
    assertThat(repeats.add(100)).isTrue();
    assertThat(repeats.add(90)).isTrue();
    assertThat(repeats.add(1)).isTrue();
    assertThat(repeats.add(2)).isTrue();
    assertThat(repeats.add(3)).isFalse();
    assertThat(repeats.spread()).isEqualTo(Spread.of(1, 2, 3));
  }

  /** Half a second of warm-up and a second that counts: three runs of 300 ms are not enough. */
  @Test
  void add_shortRuns_untilTheTimeIsUp() {
    Repeats repeats = new Repeats(1, 2, 1);
    assertThat(repeats.add(300)).isTrue();
    assertThat(repeats.add(300)).isTrue();
    for (int i = 0; i < 3; i++) {
      assertThat(repeats.add(300)).isTrue();
    }
    assertThat(repeats.add(300)).isFalse();
    assertThat(repeats.spread().count()).isEqualTo(4);
  }

  @Test
  void time_runs_warmUpsAndCounted() {
    AtomicInteger runs = new AtomicInteger();
    Spread spread = new Repeats(2, 5, 0).time(runs::incrementAndGet).spread();
    assertThat(runs).hasValue(7);
    assertThat(spread.count()).isEqualTo(5);
    assertThat(spread.min()).isNotNegative();
  }
}
