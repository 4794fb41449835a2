package io.github.ddpm4j.report;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Values of the steps of a run, in stretches of equally many steps. Memory does not grow with the
 * steps: when a step lies beyond the {@value #MOST} stretches, neighbours are merged. The least and
 * the greatest value of each stretch are kept, so that no extreme is lost.
 */
final class Series {

  static final int MOST = 512;

  /** The moving mean is over this share of what is there, as in {@link LossPlot}. */
  private static final int WINDOWS = 50;

  private final double[] least = new double[MOST];
  private final double[] most = new double[MOST];
  private final double[] sums = new double[MOST];
  private final double[] stepSums = new double[MOST];
  private final long[] counts = new long[MOST];
  private long stepsEach = 1;

  /**
   * A stretch with at least one value.
   *
   * @param step the mean step of its values
   * @param least its least value
   * @param most its greatest value
   * @param mean the mean of its values
   */
  record Point(double step, double least, double most, double mean) {}

  /** Takes in a value of a step, from 1; a step may have several. Others than numbers are not. */
  void add(long step, double value) {
    if (!Double.isFinite(value)) {
      return;
    }
    while ((step - 1) / stepsEach >= MOST) {
      mergeNeighbours();
    }
    int i = (int) ((step - 1) / stepsEach);
    least[i] = counts[i] == 0 ? value : Math.min(least[i], value);
    most[i] = counts[i] == 0 ? value : Math.max(most[i], value);
    sums[i] += value;
    stepSums[i] += step;
    counts[i]++;
  }

  private void mergeNeighbours() {
    for (int i = 0; i < MOST / 2; i++) {
      int a = 2 * i;
      int b = a + 1;
      boolean onlyA = counts[b] == 0;
      boolean onlyB = counts[a] == 0;
      least[i] = onlyA ? least[a] : onlyB ? least[b] : Math.min(least[a], least[b]);
      most[i] = onlyA ? most[a] : onlyB ? most[b] : Math.max(most[a], most[b]);
      sums[i] = sums[a] + sums[b];
      stepSums[i] = stepSums[a] + stepSums[b];
      counts[i] = counts[a] + counts[b];
    }
    for (double[] values : new double[][] {least, most, sums, stepSums}) {
      Arrays.fill(values, MOST / 2, MOST, 0);
    }
    Arrays.fill(counts, MOST / 2, MOST, 0);
    stepsEach *= 2;
  }

  boolean isEmpty() {
    return count() == 0;
  }

  /** How many values there were. */
  long count() {
    return Arrays.stream(counts).sum();
  }

  /** The stretches that have values, in order. */
  List<Point> points() {
    return means(1);
  }

  /** The stretches, with the mean over those just before in place of their own. */
  List<Point> smoothed() {
    return means(window());
  }

  /** Over how many steps the moving mean is. */
  long smoothedOver() {
    return window() * stepsEach;
  }

  private int window() {
    int used = (int) Arrays.stream(counts).filter(count -> count > 0).count();
    return Math.max(1, used / WINDOWS);
  }

  private List<Point> means(int window) {
    List<Point> points = new ArrayList<>();
    for (int i = 0; i < MOST; i++) {
      if (counts[i] > 0) {
        double sum = 0;
        long count = 0;
        for (int j = Math.max(0, i - window + 1); j <= i; j++) {
          sum += sums[j];
          count += counts[j];
        }
        points.add(new Point(stepSums[i] / counts[i], least[i], most[i], sum / count));
      }
    }
    return points;
  }

  void save(DataOutput out) throws IOException {
    out.writeLong(stepsEach);
    for (int i = 0; i < MOST; i++) {
      out.writeLong(counts[i]);
      if (counts[i] > 0) {
        out.writeDouble(least[i]);
        out.writeDouble(most[i]);
        out.writeDouble(sums[i]);
        out.writeDouble(stepSums[i]);
      }
    }
  }

  /** Goes on from what was saved, in place of what is there. */
  void restore(DataInput in) throws IOException {
    stepsEach = in.readLong();
    for (int i = 0; i < MOST; i++) {
      counts[i] = in.readLong();
      boolean any = counts[i] > 0;
      least[i] = any ? in.readDouble() : 0;
      most[i] = any ? in.readDouble() : 0;
      sums[i] = any ? in.readDouble() : 0;
      stepSums[i] = any ? in.readDouble() : 0;
    }
  }
}
