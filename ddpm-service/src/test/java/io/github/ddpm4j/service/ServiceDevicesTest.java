package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.service.RequestRefusedException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A service with copies of a model on two devices, which are both the processor here. */
@Timeout(60)
class ServiceDevicesTest {

  private static final int STEPS = 4;

  private static DDPM ddpm(Gate gate) {
    return DDPM.builder().timesteps(10).denoiser(gate).build();
  }

  private static SamplingService.Builder service(Gate one, Gate other) {
    return SamplingService.builder()
        .model(SamplingService.DEFAULT_MODEL, List.of(ddpm(one), ddpm(other)));
  }

  private static SamplingRequest request(int seed) {
    return SamplingRequest.of(1, s -> s.sampler(Samplers.ddim(STEPS).eta(1)).seed(seed));
  }

  private static float[] values(Samples samples) {
    try (samples;
        NDManager manager = NDManager.newBaseManager()) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertAsAlone(ServedRequest served, int seed) {
    float[] alone =
        values(
            ddpm(Gate.open())
                .sampling()
                .sampler(Samplers.ddim(STEPS).eta(1))
                .seed(seed)
                .generate(1));
    assertThat(values(served.result().join()))
        .as("request %s", seed)
        .containsExactly(alone, within(1e-6f));
  }

  @Test
  void submit_twoCopies_bothDrawAtOnce() throws Exception {
    Gate one = Gate.closed();
    Gate other = Gate.closed();
    try (SamplingService service = service(one, other).mostImages(1).build()) {
      List<ServedRequest> served = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        served.add(service.submit(request(i)));
      }
      one.begun.acquire();
      other.begun.acquire(); // both are in a call
      assertThat(service.status().running()).isEqualTo(2);
      assertThat(service.status().waiting()).isEqualTo(4);
      one.open.release(100);
      other.open.release(100);
      for (int i = 0; i < 6; i++) {
        assertAsAlone(served.get(i), i);
      }
      // A request stays where it began: each device has made whole ones.
      assertThat(one.calls.size() % STEPS).isZero();
      assertThat(one.calls.size() + other.calls.size()).isEqualTo(6 * STEPS);
    }
  }

  @Test
  void submit_oneNetworkFails_theOtherBeginsAnew() throws Exception {
    Gate broken = Gate.open();
    broken.failures.set(Integer.MAX_VALUE);
    try (SamplingService service = service(broken, Gate.open()).mostImages(4).build()) {
      List<ServedRequest> served = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        served.add(service.submit(request(i)));
      }
      for (int i = 0; i < 30; i++) {
        assertAsAlone(served.get(i), i);
      }
    }
  }

  /** It is tried on each device once. */
  @Test
  void submit_bothNetworksFail_endsWithTheFailure() throws Exception {
    Gate one = Gate.open();
    Gate other = Gate.open();
    one.failures.set(1);
    other.failures.set(1);
    try (SamplingService service = service(one, other).mostImages(4).build()) {
      ServedRequest failed = service.submit(request(1));
      assertThatThrownBy(() -> failed.result().join())
          .hasMessageContaining("the network failed on purpose");
      assertThat(one.calls.size() + other.calls.size()).isEqualTo(2);
      assertAsAlone(service.submit(request(2)), 2);
    }
  }

  /** Before a call of a network there is nobody whose fault an error is. */
  private static final class Deadly implements Runnable {

    private final AtomicInteger deaths = new AtomicInteger();

    @Override
    public void run() {
      if (deaths.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
        throw new AssertionError("a worker dies on purpose");
      }
    }
  }

  @Test
  void submit_workersDie_othersTakeTheirPlaces() throws Exception {
    Gate one = Gate.closed();
    Gate other = Gate.closed();
    Deadly deadly = new Deadly();
    try (SamplingService service = service(one, other).mostImages(1).beforeCalls(deadly).build()) {
      ServedRequest first = service.submit(request(1));
      ServedRequest second = service.submit(request(2));
      ServedRequest third = service.submit(request(3));
      one.begun.acquire();
      other.begun.acquire();
      deadly.deaths.set(1);
      one.open.release(100); // the first worker dies, with a request that has taken a step
      other.open.release(100);
      assertAsAlone(first, 1);
      assertAsAlone(second, 2);
      assertAsAlone(third, 3);
      assertThat(one.calls.size() + other.calls.size()).isEqualTo(3 * STEPS + 1);
      for (int seed = 4; seed < 8; seed++) {
        deadly.deaths.set(2); // on the one device and then on the other
        ServedRequest last = service.submit(request(seed));
        assertThatThrownBy(() -> last.result().join())
            .hasMessageContaining("a worker dies on purpose");
        assertAsAlone(service.submit(request(seed)), seed);
      }
      assertThat(service.status().isOpen()).isTrue();
    }
  }

  /** Its own requests end with the error; those that wait are drawn. */
  @Test
  void submit_theOnlyWorkerDies_anotherTakesItsPlace() throws Exception {
    Gate gate = Gate.closed();
    Deadly deadly = new Deadly();
    try (SamplingService service =
        SamplingService.of(ddpm(gate)).mostImages(1).beforeCalls(deadly).build()) {
      ServedRequest begun = service.submit(request(1));
      gate.begun.acquire();
      ServedRequest waiting = service.submit(request(2));
      deadly.deaths.set(1);
      gate.open.release(100);
      assertThatThrownBy(() -> begun.result().join())
          .hasMessageContaining("a worker dies on purpose");
      assertAsAlone(waiting, 2);
      assertAsAlone(service.submit(request(3)), 3);
    }
  }

  /** Workers that cannot make a single call any more end for good, and the service with them. */
  @Test
  void submit_workersThatAlwaysDie_endTheService() throws Exception {
    Deadly deadly = new Deadly();
    deadly.deaths.set(Integer.MAX_VALUE);
    Gate gate = Gate.open();
    try (SamplingService service = service(gate, gate).mostImages(1).beforeCalls(deadly).build()) {
      int failed = 0;
      while (true) {
        try {
          ServedRequest request = service.submit(request(1));
          assertThatThrownBy(() -> request.result().join())
              .hasMessageContaining("a worker dies on purpose");
          failed++;
        } catch (RequestRefusedException e) {
          assertThat(e.reason()).isEqualTo(Reason.SHUT_DOWN);
          break;
        }
      }
      assertThat(failed).isBetween(8, 32);
      assertThat(service.awaitEnd(Duration.ofSeconds(20))).isTrue();
    }
  }

  @Test
  void replace_onBothDevices_noneIsLost() throws Exception {
    Gate one = Gate.closed();
    Gate other = Gate.closed();
    Gate fresh = Gate.open();
    Gate fresher = Gate.open();
    List<DDPM> before = List.of(ddpm(one), ddpm(other));
    try (SamplingService service =
        SamplingService.builder().model("m", before).mostImages(1).build()) {
      ServedRequest first = service.submit(request(1).model("m"));
      ServedRequest second = service.submit(request(2).model("m"));
      one.begun.acquire();
      other.begun.acquire();
      List<DDPM> after = List.of(ddpm(fresh), ddpm(fresher));
      CompletableFuture<List<DDPM>> unused = service.replace("m", after);
      assertThat(service.models()).containsExactly(Map.entry("m", after.get(0)));
      ServedRequest next = service.submit(request(3).model("m"));
      one.open.release(100);
      assertThat(unused).isNotDone();
      other.open.release(100);
      assertAsAlone(first, 1);
      assertAsAlone(second, 2);
      assertAsAlone(next, 3);
      assertThat(unused.get(20, TimeUnit.SECONDS)).isEqualTo(before);
      assertThat(one.calls.size() + other.calls.size()).isEqualTo(2 * STEPS);
      assertThat(fresh.calls.size() + fresher.calls.size()).isEqualTo(STEPS);
      assertThatThrownBy(() -> service.replace("m", ddpm(fresh)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "model m must be replaced by a copy for each device that it is on, that is 2, but"
                  + " there were 1");
    }
  }

  @Test
  void model_withoutACopy_refused() {
    assertThatThrownBy(() -> SamplingService.builder().model("m", List.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("model m needs at least one copy, but has 0");
  }
}
