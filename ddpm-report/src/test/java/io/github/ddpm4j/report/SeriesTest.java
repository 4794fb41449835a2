package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.util.List;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class SeriesTest {

  @Test
  void add_fewSteps_keepsEachOfThem() {
    Series series = new Series();
    for (int step = 1; step <= Series.MOST; step++) {
      series.add(step, step * step);
    }
    List<Series.Point> points = series.points();
    assertThat(points).hasSize(Series.MOST);
    assertThat(points.get(6)).isEqualTo(new Series.Point(7, 49, 49, 49));
    assertThat(series.smoothedOver()).isEqualTo(10);
    // The mean of squares from 503 to 512.
    assertThat(series.smoothed().get(511).mean())
        .isCloseTo(
            DoubleStream.iterate(503, k -> k + 1).limit(10).map(k -> k * k).sum() / 10,
            within(1e-9));
    assertThat(series.smoothed().get(1).mean()).isEqualTo(2.5);
  }

  @Test
  void add_aMillionSteps_keepsExtremesAndMeansInLittleMemory() {
    Series series = new Series();
    double sum = 0;
    for (int step = 1; step <= 1_000_000; step++) {
      double value = step == 123_457 ? 99 : step == 765_432 ? -7 : step % 10;
      sum += value;
      series.add(step, value);
    }
    List<Series.Point> points = series.points();
    assertThat(points).hasSizeBetween(Series.MOST / 2 - 24, Series.MOST);
    assertThat(points.stream().mapToDouble(Series.Point::most).max()).hasValue(99);
    assertThat(points.stream().mapToDouble(Series.Point::least).min()).hasValue(-7);
    Series.Point spike =
        points.stream().filter(point -> point.most() == 99).findAny().orElseThrow();
    assertThat(spike.step()).isCloseTo(123_457, within(2048.0));
    assertThat(points.stream().filter(point -> point.most() > 9)).hasSize(1);
    // Stretches of 2,048 steps, the last of fewer.
    double inAll = 0;
    for (Series.Point point : points) {
      long first = Math.round((point.step() - 1) / 2048 - 0.5) * 2048;
      inAll += point.mean() * Math.min(2048, 1_000_000 - first);
    }
    assertThat(inAll).isCloseTo(sum, within(1e-3));
    assertThat(series.count()).isEqualTo(1_000_000);
  }

  /** Gaps, steps with several values, and what is no number. */
  @Test
  void add_unevenly_isTheSameInAnyStretches() {
    Series series = new Series();
    series.add(3, 1);
    series.add(3, 4);
    series.add(700, Double.NaN);
    series.add(700, Double.POSITIVE_INFINITY);
    series.add(900, 6);
    assertThat(series.points())
        .containsExactly(new Series.Point(3, 1, 4, 2.5), new Series.Point(900, 6, 6, 6));
    series.add(511 * 1024L + 1, 8);
    assertThat(series.points())
        .containsExactly(
            new Series.Point((3 + 3 + 900) / 3.0, 1, 6, 11 / 3.0),
            new Series.Point(511 * 1024 + 1, 8, 8, 8));
  }

  @Test
  void restore_goesOnInTheSameNumbers() throws IOException {
    Series series = new Series();
    for (int step = 1; step <= 1500; step++) {
      series.add(step, Math.sin(step));
    }
    Series later = new Series();
    later.add(1, 5);
    Words.read(Words.of(series::save), later::restore);
    assertThat(later.points()).isEqualTo(series.points());
    series.add(3000, 2);
    later.add(3000, 2);
    assertThat(later.smoothed()).isEqualTo(series.smoothed());
  }
}
