package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import com.google.gson.JsonParser;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.service.SamplingRequest;
import io.github.ddpm4j.service.SamplingService;
import io.github.ddpm4j.service.ServiceListener;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the server remembers, and for how long. */
@Timeout(60)
class DrawingsTest {

  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private final AtomicInteger mostInACall = new AtomicInteger();
  private final Semaphore calls = new Semaphore(Integer.MAX_VALUE / 2);
  private final SamplingService service =
      SamplingService.builder()
          .model("slow", TestModels.classes(calls))
          .model("portraits", TestModels.attributes())
          .model("bright", TestModels.bright())
          .model("broken", TestModels.broken())
          .model("large", TestModels.large())
          .mostImages(4)
          .listener(
              new ServiceListener() {
                @Override
                public void called(int requests, int images, Duration took) {
                  mostInACall.accumulateAndGet(images, Math::max);
                }
              })
          .build();

  @AfterEach
  void close() {
    calls.release(1_000_000);
    service.close();
  }

  private static DrawRequest request(String model, int steps, DrawRequest.@Nullable Hole hole) {
    return new DrawRequest(model, "", "ddim", steps, 1, 7, 1, hole);
  }

  /** All events from now on. */
  private static List<Drawing.Event> follow(Drawing drawing) throws InterruptedException {
    List<Drawing.Event> events = new ArrayList<>();
    int next = 0;
    Optional<Drawing.Event> event = drawing.event(next, PATIENCE);
    while (event.isPresent()) {
      events.add(event.get());
      next = event.get().number() + 1;
      event = drawing.event(next, PATIENCE);
    }
    assertThat(drawing.hasEnded()).isTrue();
    return events;
  }

  private static Drawing drawn(Drawings drawings) throws InterruptedException {
    Drawing drawing = drawings.begin(request("portraits", 1, null), "me");
    assertThat(follow(drawing)).last().extracting(Drawing.Event::name).isEqualTo("done");
    drawings.trim(); // as it does by itself just after the last event
    return drawing;
  }

  private static void isForgotten(Drawings drawings, Drawing drawing) {
    assertThatThrownBy(() -> drawings.get(drawing.id()))
        .isInstanceOf(RefusalException.class)
        .hasMessage("there is no such drawing, or it was forgotten");
  }

  /** Small ones come out of the noise together. */
  @Test
  void begin_manyLargePictures_asManyAtATimeAsTheServiceTakes() throws Exception {
    Drawings drawings = new Drawings(service);
    follow(drawings.begin(new DrawRequest("large", "", "ddim", 2, 1, 7, 6, null), "me"));
    assertThat(mostInACall).hasValue(4);
    follow(drawings.begin(new DrawRequest("portraits", "", "ddim", 2, 1, 7, 6, null), "me"));
    assertThat(mostInACall).hasValue(6);
  }

  /** Nobody pressed Stop. */
  @Test
  void begin_theServiceEnds_saysSo() throws Exception {
    Drawings drawings = new Drawings(service);
    calls.drainPermits();
    Drawing drawing = drawings.begin(request("slow", 4, null), "me");
    Thread closing = new Thread(service::close);
    closing.start();
    while (service.status().isOpen()) {
      Thread.sleep(1);
    }
    calls.release(1_000_000);
    closing.join();
    assertThat(follow(drawing))
        .last()
        .extracting(Drawing.Event::data)
        .isEqualTo("{\"message\":\"The server ended before it was done.\"}");
  }

  @Test
  void begin_oneMoreThanMost_forgetsTheOldestThatHasEnded() throws Exception {
    Drawings drawings = new Drawings(service);
    calls.drainPermits();
    List<Drawing> begun = new ArrayList<>();
    for (int i = 0; i <= Drawings.MOST; i++) {
      begun.add(drawings.begin(request("slow", 1, null), "me"));
    }
    for (Drawing one : begun) { // all are under way
      assertThat(drawings.get(one.id())).isSameAs(one);
    }
    calls.release(1_000_000);
    for (Drawing one : begun) {
      follow(one);
    }
    begun.add(drawn(drawings));
    isForgotten(drawings, begun.get(0));
    isForgotten(drawings, begun.get(1));
    for (Drawing one : begun.subList(2, begun.size())) {
      assertThat(drawings.get(one.id())).isSameAs(one);
      assertThat(one.event(0, Duration.ZERO)).isPresent();
    }
  }

  @Test
  void bytes_beyondTheBudget_theStepsOfTheOldestGoFirst() throws Exception {
    Drawing alone = drawn(new Drawings(service));
    long step = alone.event(0, Duration.ZERO).orElseThrow().data().length();
    assertThat(step).isGreaterThan(100);
    long pictures = alone.picture(0).orElseThrow().bytes();
    assertThat(pictures).isGreaterThan(4 * 3 * 6 * 8);
    assertThat(alone.bytes()).isGreaterThan(step + pictures);

    Drawings drawings = new Drawings(service, Map.of(), 2 * alone.bytes() - step / 2);
    Drawing first = drawn(drawings);
    assertThat(follow(first)).extracting(Drawing.Event::name).containsExactly("step", "done");
    assertThat(first.bytes()).isEqualTo(alone.bytes());
    Drawing second = drawn(drawings);
    assertThat(follow(second)).extracting(Drawing.Event::name).containsExactly("step", "done");
    Drawing.Event left = first.event(0, Duration.ZERO).orElseThrow();
    assertThat(left.name()).isEqualTo("done");
    assertThat(left.number()).isEqualTo(1);
    assertThat(first.bytes()).isEqualTo(alone.bytes() - step);
    assertThat(drawings.get(first.id()).picture(0)).isPresent();
  }

  @Test
  void bytes_beyondTheBudgetWithoutSteps_theLatestStays() throws Exception {
    Drawings drawings = new Drawings(service, Map.of(), 1);
    Drawing first = drawn(drawings);
    assertThat(drawings.get(first.id()).picture(0)).isPresent();
    Drawing second = drawn(drawings);
    isForgotten(drawings, first);
    assertThat(drawings.get(second.id()).picture(0)).isPresent();
    assertThat(second.event(0, Duration.ZERO).orElseThrow().name()).isEqualTo("done");
  }

  @Test
  void bytes_beyondTheBudgetUnderWay_theLatestStepStays() throws Exception {
    calls.drainPermits();
    Drawing drawing = new Drawings(service, Map.of(), 1).begin(request("slow", 5, null), "me");
    for (int i = 0; i < 3; i++) {
      calls.release();
      assertThat(drawing.event(i, PATIENCE)).isPresent();
    }
    // When the third is there, the first was dropped.
    assertThat(drawing.event(0, Duration.ZERO).orElseThrow().number()).isPositive();
    calls.release(1_000_000);
    assertThat(follow(drawing)).last().extracting(Drawing.Event::name).isEqualTo("done");
  }

  /** What failed is in the log; its message may be of a library, or none. */
  @Test
  void failure_ofTheNetwork_isToldInWords() throws Exception {
    Drawing drawing = new Drawings(service).begin(request("broken", 2, null), "me");
    Drawing.Event last = follow(drawing).get(0);
    assertThat(last.name()).isEqualTo("failed");
    assertThat(last.data())
        .isEqualTo("{\"message\":\"It failed; the log of the server says why.\"}");
  }

  /** Which a drawing would keep beyond what is counted of it. */
  @Test
  void drawing_thatHasEnded_letsGoOfWhatBeganIt() throws Exception {
    Object source = new Object();
    WeakReference<Object> held = new WeakReference<>(source);
    Drawing drawing = holding(source);
    assertThat(follow(drawing)).last().extracting(Drawing.Event::name).isEqualTo("done");
    source = null;
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (held.get() != null && System.nanoTime() < end) {
      System.gc();
      Thread.sleep(20);
    }
    assertThat(held.get()).isNull();
    drawing.cancel();
    assertThat(drawing.picture(0)).isPresent();
  }

  private Drawing holding(Object source) throws InterruptedException {
    SamplingRequest request =
        SamplingRequest.starting(
                s -> {
                  assertThat(source).isNotNull();
                  return s.sampler(Samplers.ddim(2)).seed(1).start(1);
                })
            .model("portraits");
    PageModel model = new Drawings(service).models().get("portraits");
    return new Drawing(
        "id", "portraits", model, 1, service.submit(request), NDManager.newBaseManager(), () -> {});
  }

  /** Files of pictures are cut to the range, and so is what is kept of them. */
  @Test
  void fill_aPictureBeyondTheRange_keepsWhatItsFileShows() throws Exception {
    Drawings drawings = new Drawings(service);
    Drawing from = drawings.begin(request("bright", 2, null), "me");
    assertThat(follow(from)).last().extracting(Drawing.Event::name).isEqualTo("done");
    assertThat(from.picture(0).orElseThrow().values()[0]).isGreaterThan(2);
    Drawing filled =
        drawings.begin(request("bright", 2, new DrawRequest.Hole(from.id(), 0, "ff00")), "me");
    assertThat(follow(filled)).last().extracting(Drawing.Event::name).isEqualTo("done");
    assertThat(filled.picture(0).orElseThrow().values()[0]).isEqualTo(1);
  }

  /** Filling in takes steps again. */
  @Test
  void frames_areFew_alsoOfWhatIsFilledIn() throws Exception {
    Drawings drawings = new Drawings(service);
    String mask = "f".repeat(6) + "0".repeat(6);
    Drawing from = drawn(drawings);
    Drawing filled =
        drawings.begin(request("portraits", 40, new DrawRequest.Hole(from.id(), 0, mask)), "me");
    int steps = 0;
    int every = 0;
    for (Drawing.Event event : follow(filled)) {
      if (!event.isLast()) {
        var data = JsonParser.parseString(event.data()).getAsJsonObject();
        steps = data.get("steps").getAsInt();
        every = (steps + 49) / 50;
        int step = data.get("step").getAsInt();
        assertThat(step == steps || step % every == 0).as("step %d of %d", step, steps).isTrue();
      }
    }
    assertThat(steps).isGreaterThan(80);
    assertThat(every).isGreaterThan(1);
  }
}
