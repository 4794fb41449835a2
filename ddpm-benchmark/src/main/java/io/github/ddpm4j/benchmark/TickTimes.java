package io.github.ddpm4j.benchmark;

import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Times of calls of the network by the mean number of images in a call. Between numbers that were
 * measured, and beyond them, it goes on in a straight line.
 */
final class TickTimes {

  private final double[] images;
  private final double[] nanos;

  /**
   * @param times the mean time in nanoseconds by the mean number of images; at least one
   */
  TickTimes(Map<Double, Double> times) {
    if (times.isEmpty()) {
      throw new IllegalArgumentException("times of ticks need at least one, but there are none");
    }
    SortedMap<Double, Double> sorted = new TreeMap<>(times);
    images = sorted.keySet().stream().mapToDouble(Double::doubleValue).toArray();
    nanos = sorted.values().stream().mapToDouble(Double::doubleValue).toArray();
  }

  /** The time of a call of as many images, in nanoseconds. */
  double nanos(int count) {
    if (images.length == 1) {
      return nanos[0];
    }
    int above = 1;
    while (above < images.length - 1 && images[above] < count) {
      above++;
    }
    int below = above - 1;
    double share = (count - images[below]) / (images[above] - images[below]);
    return Math.max(0, nanos[below] + share * (nanos[above] - nanos[below]));
  }

  @Override
  public String toString() {
    return IntStream.range(0, images.length)
        .mapToObj(i -> String.format(Locale.ROOT, "%.1f: %.2f ms", images[i], nanos[i] / 1e6))
        .collect(Collectors.joining(", "));
  }
}
