package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import io.github.ddpm4j.benchmark.QueueModel.Setup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The simulated service against queues whose waits are known in closed form. */
class QueueModelTest {

  private static final double MILLI = 1e6;

  /** A tick of a millisecond, of however many images. */
  private static final TickTimes FLAT = new TickTimes(Map.of(1.0, MILLI));

  /** Poisson arrivals of requests of one number of steps. */
  private static List<Arrival> arrivals(int count, double perSecond, int steps) {
    SplittableRandom random = new SplittableRandom(7);
    List<Arrival> all = new ArrayList<>();
    double at = 0;
    for (int i = 0; i < count; i++) {
      at -= Math.log(1 - random.nextDouble()) / perSecond;
      all.add(new Arrival(i, (long) (1e9 * at), steps, 1));
    }
    return all;
  }

  private static double mean(Outcome outcome) {
    return Arrays.stream(outcome.took()).filter(time -> time >= 0).average().orElseThrow() / MILLI;
  }

  private static Setup one(int batch, int queue) {
    return new Setup(1, batch, queue, 1024);
  }

  /** M/D/1: the mean wait is ρ / (2 (1 − ρ)) service times (Pollaczek 1930, Khinchine 1932). */
  @ParameterizedTest
  @CsvSource({"0.3, 1", "0.6, 1", "0.8, 1", "0.6, 5"})
  void run_oneImageACall_waitsOfMD1(double load, int steps) {
    List<Arrival> arrivals = arrivals(200_000, load * 1000 / steps, steps);
    Outcome outcome = QueueModel.run(one(1, 1_000_000), FLAT, arrivals);
    double expected = steps * (1 + load / (2 * (1 - load)));
    assertThat(mean(outcome)).isCloseTo(expected, within(0.03 * expected));
    assertThat(outcome.refused()).isZero();
    assertThat(outcome.rate()).isCloseTo(1000 * load, within(20 * load));
  }

  /** M/D/1 with one place to wait: 1 − 1 / (ρ + e^−ρ) of the requests are lost. */
  @ParameterizedTest
  @CsvSource({"0.5", "1", "2"})
  void run_onePlaceToWait_lossOfMD12(double load) {
    Outcome outcome = QueueModel.run(one(1, 1), FLAT, arrivals(200_000, load * 1000, 1));
    double expected = 1 - 1 / (load + Math.exp(-load));
    assertThat(outcome.refused() / 200_000.0).isCloseTo(expected, within(0.005));
  }

  /** With room for all in each call, a request waits for the end of a call and no longer. */
  @Test
  void run_roomForAll_waitsForOneTick() {
    Outcome outcome = QueueModel.run(one(1000, 1000), FLAT, arrivals(50_000, 5000, 10));
    assertThat(Arrays.stream(outcome.took()).min().orElseThrow()).isGreaterThanOrEqualTo(10e6);
    assertThat(Arrays.stream(outcome.took()).max().orElseThrow()).isLessThan(11e6 + 1);
    assertThat(mean(outcome)).isCloseTo(10.5, within(0.02));
  }

  /** As many devices as requests: nobody waits, since an idle device takes a request at once. */
  @Test
  void run_moreDevicesThanRequests_nobodyWaits() {
    Outcome outcome = QueueModel.run(new Setup(60, 1, 10, 10), FLAT, arrivals(5000, 500, 20));
    assertThat(Arrays.stream(outcome.took()).min().orElseThrow()).isCloseTo(20e6, within(1.0));
    assertThat(Arrays.stream(outcome.took()).max().orElseThrow()).isCloseTo(20e6, within(1.0));
  }

  /** M/D/2 at ρ = 0.5: the mean wait is 0.1767 service times (Crommelin 1932). */
  @Test
  void run_twoDevices_waitsOfMD2() {
    Outcome outcome =
        QueueModel.run(new Setup(2, 1, 1_000_000, 1), FLAT, arrivals(200_000, 1000, 1));
    assertThat(mean(outcome)).isCloseTo(1.1767, within(0.02));
  }

  @Test
  void run_shortBesideLong_shortOvertakes() {
    List<Arrival> arrivals = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      arrivals.add(new Arrival(i, i, Arrivals.MANY, 1));
    }
    arrivals.add(new Arrival(4, 200_000_000, Arrivals.FEW, 1));
    Outcome outcome = QueueModel.run(one(1, 10), FLAT, arrivals);
    assertThat(outcome.took()[4]).isCloseTo(10e6, within(1e6));
    assertThat(outcome.nanos()).isEqualTo(410e6);
  }

  /** Each ends once, is refused or served, and the same comes of the same. */
  @Test
  void run_overload_conservesAndRepeats() {
    TickTimes times = new TickTimes(Map.of(1.0, 2 * MILLI, 8.0, 4 * MILLI));
    List<Arrival> arrivals = Arrivals.poisson(20_000, 1.5 * 2000 / Arrivals.STEPS, 3);
    for (int devices = 1; devices <= 3; devices++) {
      Setup setup = new Setup(devices, 8, 50, 1024);
      Outcome outcome = QueueModel.run(setup, times, arrivals);
      int served =
          outcome.latencies(true).millis().length + outcome.latencies(false).millis().length;
      assertThat(served + outcome.refused()).isEqualTo(20_000);
      assertThat(outcome.rate()).isLessThan(devices * 2000.0);
      if (devices == 1) {
        assertThat(outcome.refused()).isBetween(6000L, 7500L);
        assertThat(outcome.rate()).isGreaterThan(0.98 * 2000);
      } else {
        assertThat(outcome.refused()).isZero();
      }
      for (Arrival arrival : arrivals) {
        double time = outcome.took()[arrival.number()];
        assertThat(time == -1 || time >= arrival.steps() * 2 * MILLI).isTrue();
      }
      assertThat(QueueModel.run(setup, times, arrivals).took()).isEqualTo(outcome.took());
    }
  }

  /**
   * Guided ones have two images in each call: two of them beside a plain one do not fit into four.
   */
  @Test
  void run_guided_takesTwoPlaces() {
    List<Arrival> arrivals =
        List.of(
            new Arrival(0, 0, 10, 2),
            new Arrival(1, 1, 10, 1),
            new Arrival(2, 1, 10, 2),
            new Arrival(3, 1, 10, 1));
    Outcome outcome = QueueModel.run(one(3, 10), FLAT, arrivals);
    assertThat(outcome.took()).containsExactly(30e6, 11e6 - 1, 21e6 - 1, 11e6 - 1);
    assertThat(outcome.waits().millis()).containsExactly(0, 1 - 1e-6, 1 - 1e-6, 11 - 1e-6);
    assertThat(outcome.rate()).isEqualTo(60 / 0.03);
  }

  @Test
  void run_fewMayBeResident_othersWait() {
    // The first begins before the second is there.
    List<Arrival> arrivals = List.of(new Arrival(0, 0, 10, 1), new Arrival(1, 0, 10, 1));
    assertThat(QueueModel.run(new Setup(1, 8, 2, 1), FLAT, arrivals).took())
        .containsExactly(10e6, 20e6);
    assertThat(QueueModel.run(new Setup(1, 8, 2, 2), FLAT, arrivals).took())
        .containsExactly(10e6, 11e6);
  }

  @Test
  void nanos_betweenAndBeyond_onALine() {
    TickTimes times = new TickTimes(Map.of(2.0, 10.0, 4.0, 14.0, 8.0, 30.0));
    assertThat(times.nanos(2)).isEqualTo(10);
    assertThat(times.nanos(3)).isEqualTo(12);
    assertThat(times.nanos(6)).isEqualTo(22);
    assertThat(times.nanos(1)).isEqualTo(8);
    assertThat(times.nanos(16)).isEqualTo(62);
    assertThat(FLAT.nanos(7)).isEqualTo(MILLI);
    assertThatThrownBy(() -> new TickTimes(Map.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("times of ticks need at least one, but there are none");
  }
}
