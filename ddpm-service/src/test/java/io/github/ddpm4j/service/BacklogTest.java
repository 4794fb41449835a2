package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException.Reason;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class BacklogTest {

  private static final double MILLISECOND = 1e6;

  private final DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(Gate.open()).build();
  private final List<SamplingRun> runs = new ArrayList<>();
  private final Map<Integer, ServedModel> models = new HashMap<>();
  private long number;

  /** What is known of the time of a step fades meanwhile, and a little in each test. */
  @BeforeAll
  static void loadTheEngine() {
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
    ddpm.sampling().sampler(Samplers.ddim(1)).seed(1).generate(1).close();
  }

  @AfterEach
  void close() {
    runs.forEach(SamplingRun::close);
  }

  /** In a service whose image-steps take some time, for one worker. */
  private static Backlog backlog(int workers, double nanos) {
    Backlog backlog = new Backlog(1000, WhenFull.REFUSE, 1000, workers);
    backlog.expect(nanos);
    return backlog;
  }

  private Served served(Backlog backlog, String tenant, int steps, Duration deadline, int most) {
    SamplingRequest request = SamplingRequest.of(1, s -> s).tenant(tenant).deadline(deadline);
    return served(backlog, request, steps, models.computeIfAbsent(most, this::model));
  }

  private ServedModel model(int most) {
    return new ServedModel(List.of(ddpm), most);
  }

  private Served served(Backlog backlog, SamplingRequest request, int steps, ServedModel model) {
    SamplingRun run = ddpm.sampling().sampler(Samplers.ddim(steps)).seed(1).start(1);
    runs.add(run);
    return new Served(
        request,
        List.of(run),
        model,
        backlog.times(number++, request, run, model, System.nanoTime(), 1),
        Runnable::run,
        () -> {});
  }

  private static void add(Backlog backlog, Served served) throws InterruptedException {
    assertThat(backlog.add(served, false)).isEmpty();
  }

  /** What others ask in plenty takes half of the time, whenever it is due. */
  @Test
  void add_besideAFloodOfAnother_takesTwiceAsLong() throws Exception {
    Backlog backlog = backlog(1, MILLISECOND);
    for (int i = 0; i < 100; i++) {
      add(backlog, served(backlog, "flood", 200, Duration.ofHours(1), 1));
    }
    add(backlog, served(backlog, "other", 900, Duration.ofMillis(2500), 1));
    assertThatThrownBy(
            () -> add(backlog, served(backlog, "third", 900, Duration.ofMillis(2500), 1)))
        .isInstanceOfSatisfying(
            RequestRefusedException.class,
            refused -> assertThat(refused.reason()).isEqualTo(Reason.TOO_LATE))
        .hasMessageMatching(
            "the request would take about PT2\\.(6[5-9]\\d*|7)S from now, with what is ahead of it,"
                + " which is past its deadline of PT2\\.5S; allow more time, or ask for fewer"
                + " steps");
  }

  /** A request takes a step a call, and a call is of all that there is. */
  @Test
  void add_amongFullCalls_takesAsManyCallsAsSteps() throws Exception {
    Backlog backlog = backlog(1, 10 * MILLISECOND);
    for (int i = 0; i < 16; i++) {
      add(backlog, served(backlog, "me", 100, Duration.ofHours(1), 16));
    }
    assertThatThrownBy(() -> add(backlog, served(backlog, "me", 50, Duration.ofSeconds(2), 16)))
        .hasMessageMatching(
            "the request would take about PT(7\\.9\\d*|8)S from now, with what is ahead of it,"
                + " which is past its deadline of PT2S; allow more time, or ask for fewer steps");
    add(backlog, served(backlog, "me", 50, Duration.ofSeconds(9), 16));
  }

  /** Its calls have its own images alone. */
  @Test
  void add_aloneAmongFullCalls_takesItsOwn() throws Exception {
    Backlog backlog = backlog(1, 10 * MILLISECOND);
    for (int i = 0; i < 16; i++) {
      add(backlog, served(backlog, "me", 100, Duration.ofHours(1), 16));
    }
    SamplingRequest alone = SamplingRequest.of(1, s -> s).tenant("me").alone();
    add(backlog, served(backlog, alone.deadline(Duration.ofSeconds(1)), 50, models.get(16)));
  }

  /** Each model has times of its own. */
  @Test
  void add_afterCallsOfASlowModel_aFastOneIsFast() throws Exception {
    Backlog backlog = backlog(1, 0);
    ServedModel slow = model(1);
    ServedModel fast = model(1);
    backlog.took(fast, 1, (long) MILLISECOND);
    backlog.took(slow, 1, (long) (1000 * MILLISECOND));
    SamplingRequest second = SamplingRequest.of(1, s -> s).deadline(Duration.ofSeconds(1));
    add(backlog, served(backlog, second, 100, fast));
    assertThatThrownBy(() -> add(backlog, served(backlog, second, 2, slow)))
        .hasMessageMatching("the request would take about PT(1\\.9\\d*|2)S .*");
  }

  /** A device without a copy of its model takes none of it. */
  @Test
  void add_besideADeviceWithoutItsModel_countsItsOwnAlone() throws Exception {
    Backlog backlog = backlog(2, MILLISECOND);
    for (int i = 0; i < 2; i++) {
      add(backlog, served(backlog, "me", 900, Duration.ofHours(1), 1));
    }
    SamplingRequest urgent = SamplingRequest.of(1, s -> s).tenant("me").priority(-9);
    assertThatThrownBy(
            () ->
                add(
                    backlog,
                    served(backlog, urgent.deadline(Duration.ofSeconds(2)), 900, models.get(1))))
        .hasMessageMatching("the request would take about PT2\\.[67]\\d*S.*");
  }

  /** However full calls are now: what is there is soon done. */
  @Test
  void add_amongWhatIsSoonDone_takesNoMoreThanAll() throws Exception {
    Backlog backlog = backlog(1, 10 * MILLISECOND);
    for (int i = 0; i < 16; i++) {
      add(backlog, served(backlog, "me", 1, Duration.ofHours(1), 16));
    }
    add(backlog, served(backlog, "me", 50, Duration.ofSeconds(1), 16));
  }

  /** Of a model with one copy, whose worker has ended for good while another lives. */
  @Test
  void add_noWorkerCanTakeIt_refused() {
    Backlog backlog = backlog(2, MILLISECOND);
    assertThat(backlog.lost(0)).isEmpty();
    assertThatThrownBy(() -> add(backlog, served(backlog, "me", 1, Duration.ofHours(1), 16)))
        .isInstanceOfSatisfying(
            RequestRefusedException.class,
            refused -> assertThat(refused.reason()).isEqualTo(Reason.SHUT_DOWN))
        .hasMessage(
            "the workers of all copies of the model ended by errors, and none takes their places;"
                + " build the service anew");
    assertThat(backlog.status().isOpen()).isTrue();
  }
}
