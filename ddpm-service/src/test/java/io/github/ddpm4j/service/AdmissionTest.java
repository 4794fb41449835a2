package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.SamplingRun;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Who may take a place in the queue. */
class AdmissionTest {

  private final DDPM ddpm = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
  private final ServedModel model = new ServedModel(List.of(ddpm), 4);
  private final SamplingRun run = ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).start(1);
  private final RequestOrder order = new RequestOrder(100);
  private long number;

  @AfterEach
  void close() {
    run.close();
  }

  private Served served(String tenant, long due) {
    return new Served(
        SamplingRequest.of(1, s -> s).tenant(tenant),
        List.of(run),
        model,
        new Served.Times(number++, 0, due, Long.MAX_VALUE),
        Runnable::run,
        () -> {});
  }

  private Served add(String tenant, long due) {
    Served served = served(tenant, due);
    order.add(served);
    return served;
  }

  @Test
  void hasRoom_oneTenant_allPlaces() {
    Admission admission = new Admission(4, order);
    for (int i = 0; i < 4; i++) {
      admission.ask("a", 0);
      assertThat(admission.hasRoom("a")).isTrue();
      add("a", i);
    }
    assertThat(admission.hasRoom("a")).isFalse();
    assertThat(admission.told("a"))
        .isEqualTo(
            "the service has 4 requests that wait, as many as may; ask again later, or set"
                + " queue(n)");
  }

  /** One that comes when another has filled the queue gets the next places, up to its share. */
  @Test
  void hasRoom_fullOfAnothers_theNextPlacesUpToAShare() {
    Admission admission = new Admission(4, order);
    admission.ask("a", 0);
    for (int i = 0; i < 4; i++) {
      add("a", i);
    }
    admission.ask("b", 0);
    assertThat(admission.hasRoom("b")).isFalse();
    for (int i = 0; i < 2; i++) {
      order.remove(order.least("a").orElseThrow());
      assertThat(admission.hasRoom("a")).isFalse();
      assertThat(admission.hasRoom("b")).isTrue();
      if (i == 0) {
        assertThat(admission.told("a"))
            .isEqualTo(
                "the service has 3 requests of tenant a that wait, and keeps the free ones of 4"
                    + " places for tenants that have fewer; ask again later, or set queue(n)");
      }
      add("b", i);
    }
    order.remove(order.least("a").orElseThrow());
    assertThat(admission.hasRoom("a")).isTrue();
    assertThat(admission.hasRoom("b")).isFalse(); // that place is the other's
  }

  @Test
  void hasRoom_anotherThatAskedLongAgo_isForgotten() {
    Admission admission = new Admission(2, order);
    admission.ask("b", 0);
    admission.ask("a", 1);
    add("a", 1);
    assertThat(admission.hasRoom("a")).isFalse();
    admission.ask("a", Admission.LATELY.toNanos() + 2);
    assertThat(admission.hasRoom("a")).isTrue();
  }

  @Test
  void yielding_belowItsShare_ofWhoHasMost_elseOfItsOwn() {
    Admission admission = new Admission(4, order);
    admission.ask("a", 0);
    admission.ask("b", 0);
    add("a", 1);
    Served second = add("a", 2);
    Served third = add("a", 3);
    Served own = add("b", 50);
    assertThat(admission.yielding(served("b", 100))).contains(third);
    assertThat(admission.yielding(served("a", 0))).contains(third);
    assertThat(admission.yielding(served("a", 9))).isEmpty();
    order.remove(third);
    add("b", 60);
    assertThat(admission.yielding(served("b", 55)))
        .map(Served::times)
        .map(Served.Times::due)
        .contains(60L);
    assertThat(admission.yielding(served("b", 70))).isEmpty();
    assertThat(admission.yielding(served("c", 70))).contains(second);
    assertThat(own.hasBegun()).isFalse();
  }
}
