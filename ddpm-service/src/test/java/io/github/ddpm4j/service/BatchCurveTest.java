package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.service.BatchCurve.Point;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class BatchCurveTest {

  @Test
  void knee_fewestImagesNearTheBest() {
    assertThat(curve(10, 18, 30, 31, 31.5).knee()).isEqualTo(4);
    assertThat(curve(10, 9.7).knee()).isEqualTo(1);
    assertThat(curve(10, 20, 40).knee()).isEqualTo(4);
    assertThat(curve(7).knee()).isEqualTo(1);
    assertThat(curve(10, 18)).hasToString("1: 10.0/s, 2: 18.0/s");
  }

  @Test
  void measure_goesOnPastADip() {
    assertThat(measured(34.7, 33.9, 49.4, 59.4, 55.2, 56, 60)).isEqualTo(6);
    assertThat(measured(10, 9.5, 9.9, 40)).isEqualTo(3);
    assertThat(measured(10, 8.9, 40)).isEqualTo(2);
    assertThat(measured(1, 2, 3, 4, 5, 6, 7, 8, 9)).isEqualTo(7);
  }

  /** The sizes that are measured of these rates. */
  private static int measured(double... rates) {
    return BatchCurve.measure(
            images -> new Point(images, rates[Integer.numberOfTrailingZeros(images)]))
        .points()
        .size();
  }

  /** As the calls of a service are counted. */
  @Test
  void measure_guided_countsWhatIsAsked() {
    Guidance guidance = Guidance.towards(Condition.labels(0), 2);
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
    BatchCurve curve = BatchCurve.measure(ddpm, s -> s.guidance(guidance), Duration.ofMillis(1));
    assertThat(curve.points().get(0).images()).isEqualTo(2);
    assertThat(curve.points().get(1).images()).isEqualTo(4);
  }

  /** Of one step, which the first run takes while it compiles. */
  @Test
  void measure_runsOfAStep_asManyAsItTakes() {
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(Gate.open()).build();
    BatchCurve curve =
        BatchCurve.measure(ddpm, s -> s.sampler(Samplers.ddim(1)), Duration.ofMillis(1));
    assertThat(curve.points())
        .allSatisfy(point -> assertThat(point.rate()).isPositive().isFinite());
  }

  private static BatchCurve curve(double... rates) {
    List<Point> points =
        java.util.stream.IntStream.range(0, rates.length)
            .mapToObj(i -> new Point(1 << i, rates[i]))
            .toList();
    return new BatchCurve(points);
  }
}
