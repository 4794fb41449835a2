package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.SamplingRun;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RequestOrderTest {

  private final DDPM ddpm = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
  private final ServedModel model = new ServedModel(List.of(ddpm), 4);
  private final List<SamplingRun> runs = new ArrayList<>();
  private long number;

  @AfterEach
  void close() {
    runs.forEach(SamplingRun::close);
  }

  private Served served(String tenant, int images, long due, ServedModel of) {
    return served(SamplingRequest.of(images, s -> s).tenant(tenant), images, 4, due, of);
  }

  private Served served(SamplingRequest request, int images, int batch, long due, ServedModel of) {
    SamplingRun run =
        ddpm.sampling().sampler(Samplers.ddim(2)).batchSize(batch).seed(1).start(images);
    runs.add(run);
    return new Served(
        request,
        List.of(run),
        of,
        new Served.Times(number++, 0, due, Long.MAX_VALUE),
        Runnable::run,
        () -> {});
  }

  private Served served(String tenant, int images, long due) {
    return served(tenant, images, due, model);
  }

  private static RequestOrder order(Served... all) {
    RequestOrder order = new RequestOrder(100);
    List.of(all).forEach(order::add);
    return order;
  }

  @Test
  void next_byDue_asManyAsFit() {
    Served a = served("t", 2, 30);
    Served b = served("t", 3, 10);
    Served c = served("t", 1, 40);
    Served d = served("t", 1, 10);
    // b is first; a does not fit beside it, d, of the same due but later, does.
    assertThat(order(a, b, c, d).next(0)).containsExactly(b, d);
    assertThat(order(a, c, d).next(0)).containsExactly(d, a, c);
    assertThat(order().next(0)).isEmpty();
  }

  @Test
  void next_aloneOrOfAnotherModel_apart() {
    Served a = served("t", 1, 1);
    Served other = served("t", 1, 2, new ServedModel(List.of(ddpm), 4));
    Served b = served("t", 1, 3);
    assertThat(order(a, other, b).next(0)).containsExactly(a, b);
    Served lone =
        new Served(
            SamplingRequest.of(1, s -> s).tenant("t").alone(),
            List.of(a.run()),
            model,
            new Served.Times(number++, 0, 0, Long.MAX_VALUE),
            Runnable::run,
            () -> {});
    assertThat(order(b, lone, other).next(0)).containsExactly(lone);
    Served later =
        new Served(
            lone.request(),
            List.of(a.run()),
            model,
            new Served.Times(number++, 0, 9, Long.MAX_VALUE),
            Runnable::run,
            () -> {});
    assertThat(order(b, later).next(0)).containsExactly(b);
  }

  /** Of each request it is the worker's own copy of the run that must go with the others'. */
  @Test
  void next_ofASecondWorker_joinsWhatItHasBegun() {
    DDPM second = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
    ServedModel both = new ServedModel(List.of(ddpm, second), 4);
    List<Served> two = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      List<SamplingRun> copies = new ArrayList<>();
      for (DDPM of : List.of(ddpm, second)) {
        copies.add(of.sampling().sampler(Samplers.ddim(2)).batchSize(4).seed(1).start(1));
      }
      runs.addAll(copies);
      two.add(
          new Served(
              SamplingRequest.of(1, s -> s),
              copies,
              both,
              new Served.Times(number++, 0, i, Long.MAX_VALUE),
              Runnable::run,
              () -> {}));
    }
    RequestOrder order = order(two.toArray(Served[]::new));
    two.get(0).begin(1, 0);
    assertThat(order.next(1)).containsExactlyElementsOf(two);
    assertThat(order.next(0)).containsExactly(two.get(1));
  }

  /** However many requests one of them has, and whenever they are due. */
  @Test
  void next_twoTenants_halfEach() {
    RequestOrder order = new RequestOrder(100);
    for (int i = 0; i < 20; i++) {
      order.add(served("many", 1, i));
    }
    order.add(served("few", 1, 1000));
    order.add(served("few", 1, 1001));
    Map<String, Integer> got = new HashMap<>();
    for (int tick = 0; tick < 30; tick++) {
      order.next(0).forEach(s -> got.merge(s.request().tenant(), 1, Integer::sum));
    }
    assertThat(got).containsEntry("few", 60).containsEntry("many", 60);
  }

  /** One that was away has no claim on what the others got meanwhile. */
  @Test
  void next_tenantThatComesLate_shareFromNowOn() {
    RequestOrder order = new RequestOrder(100);
    for (int i = 0; i < 8; i++) {
      order.add(served("old", 1, i));
    }
    for (int tick = 0; tick < 50; tick++) {
      order.next(0);
    }
    for (int i = 0; i < 8; i++) {
      order.add(served("new", 1, i));
    }
    Map<String, Integer> got = new HashMap<>();
    for (int tick = 0; tick < 10; tick++) {
      order.next(0).forEach(s -> got.merge(s.request().tenant(), 1, Integer::sum));
    }
    assertThat(got).containsEntry("old", 20).containsEntry("new", 20);
  }

  @Test
  void next_moreThanMayHoldMemory_waits() {
    RequestOrder order = new RequestOrder(3);
    Served a = served("t", 2, 1);
    Served b = served("t", 2, 2);
    Served c = served("t", 1, 3);
    order.add(a);
    order.add(b);
    order.add(c);
    assertThat(order.next(0)).containsExactly(a, c);
    a.begin(0, 0);
    c.begin(0, 0);
    assertThat(order.next(0)).containsExactly(a, c);
    order.remove(a);
    assertThat(order.next(0)).containsExactly(b, c);
    assertThat(order.size()).isEqualTo(2);
    assertThat(order.waiting()).isEqualTo(1);
    assertThat(order.least("t")).contains(b);
    assertThat(order.least("u")).isEmpty();
    assertThat(order.waitingByTenant()).containsExactly(Map.entry("t", 1L));
    assertThat(order.work(Served::work)).isEqualTo(6);
    assertThat(order.nextPredictions(model)).isEqualTo(3);
  }

  /** Its tenant's that are due before it, and as many of each other tenant. */
  @Test
  void workAhead_ownAndOthers() {
    RequestOrder order = order(served("t", 2, 1), served("t", 2, 3), served("u", 3, 9));
    assertThat(order.workAhead(served("t", 1, 2), Served::work)).isEqualTo(4 + 6);
    assertThat(order.workAhead(served("t", 1, 0), Served::work)).isEqualTo(2);
    assertThat(order.workAhead(served("v", 2, 0), Served::work)).isEqualTo(4 + 4);
    assertThat(order().workAhead(served("v", 2, 0), Served::work)).isZero();
  }

  /** Others have seen that it has begun. */
  @Test
  void least_givenBackByAWorker_makesNoRoom() {
    Served served = served("t", 1, 1);
    RequestOrder order = order(served);
    assertThat(order.least("t")).contains(served);
    served.begin(0, 0);
    served.leave();
    assertThat(order.waiting()).isEqualTo(1);
    assertThat(order.least("t")).isEmpty();
  }

  /** What was free when nobody else asked for it is no debt. */
  @Test
  void next_afterFreePlacesWereUsed_halfEach() {
    RequestOrder order = new RequestOrder(1000);
    ServedModel model = new ServedModel(List.of(ddpm), 8);
    order.add(served("modest", 1, 1, model));
    for (int i = 0; i < 4; i++) {
      order.add(served("eager", 1, 2, model));
    }
    for (int tick = 0; tick < 500; tick++) {
      assertThat(order.next(0)).hasSize(5);
    }
    for (int i = 0; i < 20; i++) {
      order.add(served("modest", 1, 10, model));
      order.add(served("eager", 1, 10, model));
    }
    Map<String, Integer> got = new HashMap<>();
    for (int tick = 0; tick < 40; tick++) {
      order.next(0).forEach(s -> got.merge(s.request().tenant(), 1, Integer::sum));
    }
    assertThat(got.get("eager")).isBetween(got.get("modest") - 16, got.get("modest") + 16);
  }

  /** A tenant that leaves after a large call and comes again has still got it. */
  @Test
  void next_tenantThatComesAndGoes_halfEach() {
    RequestOrder order = new RequestOrder(1000);
    ServedModel model = new ServedModel(List.of(ddpm), 8);
    SamplingRequest request = SamplingRequest.of(1, s -> s);
    for (int i = 0; i < 8; i++) {
      order.add(served(request.tenant("steady"), 1, 8, i, model));
    }
    Map<String, Integer> got = new HashMap<>();
    Served large = served(request.tenant("comes").alone(), 32, 32, 100, model);
    for (int tick = 0; tick < 90; tick++) {
      if (order.size() == 8) {
        large = served(request.tenant("comes").alone(), 32, 32, 100, model);
        order.add(large);
      }
      List<Served> step = order.next(0);
      step.forEach(s -> got.merge(s.request().tenant(), s.images(), Integer::sum));
      if (step.contains(large)) {
        order.remove(large);
      }
    }
    assertThat(got.get("comes")).isBetween(got.get("steady") - 32, got.get("steady") + 32);
  }

  /** Small requests always fill the memory that it needs; it is overtaken by two images at most. */
  @Test
  void next_tooLargeForTheMemoryThatIsLeft_isOvertakenByNoMoreThanItHas() {
    RequestOrder order = new RequestOrder(3);
    List<Served> small = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      small.add(served("t", 1, i));
      order.add(small.get(i));
    }
    order.next(0).forEach(one -> one.begin(0, 0));
    Served large = served("t", 2, 10);
    order.add(large);
    int overtook = 0;
    for (int tick = 0; !large.hasBegun() && tick < 30; tick++) {
      small.add(served("t", 1, 20 + tick));
      order.add(small.get(small.size() - 1));
      for (Served one : order.next(0)) {
        overtook += one.hasBegun() || one == large ? 0 : 1;
        one.begin(0, 0);
      }
      // One ends, and another comes: two are always there.
      Served first = small.stream().filter(Served::hasBegun).findFirst().orElse(large);
      small.remove(first);
      order.remove(first);
    }
    assertThat(large.hasBegun()).isTrue();
    assertThat(overtook).isEqualTo(2);
  }

  /** The images of its batches that are done are memory, too. */
  @Test
  void next_requestOfSeveralBatches_countsAllItsImages() {
    RequestOrder order = new RequestOrder(10);
    ServedModel model = new ServedModel(List.of(ddpm), 8);
    SamplingRequest request = SamplingRequest.of(1, s -> s);
    Served batches = served(request, 8, 4, 1, model);
    Served other = served(request, 3, 4, 2, model);
    order.add(batches);
    order.add(other);
    order.next(0).forEach(one -> one.begin(0, 0));
    assertThat(batches.hasBegun()).isTrue();
    assertThat(order.next(0)).containsExactly(batches);
    assertThat(other.hasBegun()).isFalse();
  }

  /** Two tenants whose single images always fill calls: the lone one of the second has its turn. */
  @Test
  void next_besideStreamsThatFillCalls_eachHasItsTurn() {
    ServedModel model = new ServedModel(List.of(ddpm), 8);
    ServedModel other = new ServedModel(List.of(ddpm), 8);
    SamplingRequest plain = SamplingRequest.of(1, s -> s);
    for (int who = 0; who < 2; who++) {
      String tenant = "tenant " + who;
      List<Served> heads =
          List.of(
              served(plain.tenant(tenant).alone(), 1, 8, 1, model),
              served(plain.tenant(tenant), 8, 8, 1, model),
              served(plain.tenant(tenant), 1, 8, 1, other));
      for (Served head : heads) {
        RequestOrder order = new RequestOrder(100);
        order.add(served(plain.tenant("tenant 0"), 1, 8, 2, model));
        order.add(served(plain.tenant("tenant 1"), 1, 8, 2, model));
        order.add(head);
        for (int i = 0; i < 8; i++) {
          order.add(served(plain.tenant("tenant 0"), 1, 8, 10 + i, model));
          order.add(served(plain.tenant("tenant 1"), 1, 8, 10 + i, model));
        }
        int turns = 0;
        for (int tick = 0; tick < 16; tick++) {
          turns += order.next(0).contains(head) ? 1 : 0;
        }
        assertThat(turns).as("%s", head.request().isAlone()).isGreaterThanOrEqualTo(4);
      }
    }
  }
}
