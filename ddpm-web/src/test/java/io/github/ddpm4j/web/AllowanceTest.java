package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class AllowanceTest {

  @Test
  void take_burstThenRate_eachClientItsOwn() {
    AtomicLong clock = new AtomicLong();
    Allowance allowance = new Allowance(3, 2, clock::get);
    for (int i = 0; i < 3; i++) {
      assertThat(allowance.take("a")).isTrue();
    }
    assertThat(allowance.take("a")).isFalse();
    assertThat(allowance.take("b")).isTrue();
    clock.addAndGet(400_000_000);
    assertThat(allowance.take("a")).isFalse();
    clock.addAndGet(200_000_000);
    assertThat(allowance.take("a")).isTrue();
    assertThat(allowance.take("a")).isFalse();
    clock.addAndGet(60_000_000_000L);
    for (int i = 0; i < 3; i++) {
      assertThat(allowance.take("a")).isTrue();
    }
    assertThat(allowance.take("a")).isFalse();
  }

  @Test
  void take_manyClients_theOldestIsForgotten() {
    Allowance allowance = new Allowance(1, 0, () -> 0);
    assertThat(allowance.take("first")).isTrue();
    assertThat(allowance.take("first")).isFalse();
    for (int i = 0; i < 10_000; i++) {
      allowance.take("other" + i);
    }
    assertThat(allowance.take("first")).isTrue();
  }
}
