package io.github.ddpm4j.evaluation;

import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;
import java.util.StringTokenizer;

/**
 * Losses of a run by quarter of the schedule, in windows of equally many steps. Memory does not
 * grow with the steps: once there are {@value #MOST} windows, neighbours are merged.
 */
final class LossWindows {

  static final int QUARTERS = 4;
  static final int MOST = 64;

  /** Sums over some steps, by quarter. */
  static final class Window {
    private final double[] sums = new double[QUARTERS];
    private final double[] squares = new double[QUARTERS];
    private final long[] images = new long[QUARTERS];
    private long steps;

    void add(int quarter, double loss) {
      sums[quarter] += loss;
      squares[quarter] += loss * loss;
      images[quarter]++;
    }

    void add(Window other) {
      for (int q = 0; q < QUARTERS; q++) {
        sums[q] += other.sums[q];
        squares[q] += other.squares[q];
        images[q] += other.images[q];
      }
      steps += other.steps;
    }

    long steps() {
      return steps;
    }

    long images(int quarter) {
      return images[quarter];
    }

    double mean(int quarter) {
      return sums[quarter] / images[quarter];
    }

    /** The variance of the mean. */
    double varianceOfMean(int quarter) {
      double mean = mean(quarter);
      double variance = Math.max(0, squares[quarter] / images[quarter] - mean * mean);
      return variance / Math.max(1, images[quarter] - 1);
    }
  }

  private final List<Window> windows = new ArrayList<>();
  private long stepsPerWindow = 1;

  /** Takes a step in. */
  void add(Window step) {
    step.steps = 1;
    if (windows.isEmpty() || last().steps == stepsPerWindow) {
      if (windows.size() == MOST) {
        mergeNeighbours();
      }
      windows.add(new Window());
    }
    last().add(step);
  }

  /** Writes all windows, in words. */
  void save(StringJoiner words) {
    words.add(Long.toString(stepsPerWindow)).add(Integer.toString(windows.size()));
    for (Window window : windows) {
      words.add(Long.toString(window.steps));
      for (int q = 0; q < QUARTERS; q++) {
        words.add(Double.toString(window.sums[q])).add(Double.toString(window.squares[q]));
        words.add(Long.toString(window.images[q]));
      }
    }
  }

  /** Goes on from what was written, in place of what is there. */
  void restore(StringTokenizer words) {
    windows.clear();
    stepsPerWindow = Long.parseLong(words.nextToken());
    int size = Integer.parseInt(words.nextToken());
    for (int i = 0; i < size; i++) {
      Window window = new Window();
      window.steps = Long.parseLong(words.nextToken());
      for (int q = 0; q < QUARTERS; q++) {
        window.sums[q] = Double.parseDouble(words.nextToken());
        window.squares[q] = Double.parseDouble(words.nextToken());
        window.images[q] = Long.parseLong(words.nextToken());
      }
      windows.add(window);
    }
  }

  private Window last() {
    return windows.get(windows.size() - 1);
  }

  private void mergeNeighbours() {
    for (int i = 0; i < MOST / 2; i++) {
      windows.get(i).add(windows.remove(i + 1));
    }
    stepsPerWindow *= 2;
  }

  /** The fourth of the windows that ends {@code fourthsBefore} fourths before the end. */
  Window fourth(int fourthsBefore) {
    int length = windows.size() / 4;
    int end = windows.size() - fourthsBefore * length;
    Window sum = new Window();
    windows.subList(end - length, end).forEach(sum::add);
    return sum;
  }
}
