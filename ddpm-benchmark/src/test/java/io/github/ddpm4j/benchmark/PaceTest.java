package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Map;
import org.junit.jupiter.api.Test;

class PaceTest {

  private static final TickTimes BEFORE = new TickTimes(Map.of(1.0, 10e6, 2.0, 15e6));

  private long time;

  private Pace pace(boolean follows) {
    return new Pace(BEFORE, follows, () -> time);
  }

  /** Calls one after the other, each of two images. */
  private void call(Pace pace, int count, double nanos) {
    for (int i = 0; i < count; i++) {
      time += (long) nanos;
      pace.called(2, (long) nanos);
    }
  }

  @Test
  void now_callsAsBefore_isTheMachinesTime() {
    Pace pace = pace(true);
    call(pace, 100, 15e6);
    assertThat(pace.now()).isEqualTo(1.5e9);
    assertThat(pace.factor()).isEqualTo(1);
    assertThat(pace.real(1e6)).isEqualTo(1_000_000);
  }

  @Test
  void now_callsThatTakeTwice_goesHalfAsFast() {
    Pace pace = pace(true);
    call(pace, 300, 30e6);
    double before = pace.now();
    call(pace, 100, 30e6);
    assertThat(pace.now() - before).isCloseTo(1.5e9, within(1e3));
    assertThat(pace.factor()).isEqualTo(2);
    assertThat((double) pace.real(1e6)).isCloseTo(2e6, within(1e3));
    // Time passes between calls, too.
    before = pace.now();
    time += 1_000_000;
    assertThat(pace.now() - before).isCloseTo(5e5, within(1e3));
  }

  @Test
  void now_doesNotFollow_isTheMachinesTime() {
    Pace pace = pace(false);
    call(pace, 100, 30e6);
    assertThat(pace.now()).isEqualTo(3e9);
    assertThat(pace.factor()).isEqualTo(2);
  }
}
