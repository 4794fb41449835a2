package io.github.ddpm4j.evaluation;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Euclidean distances between features, exact: by differences, row by row, never all at once. */
final class Neighbours {

  private Neighbours() {}

  /** The distance of each row to its k-th nearest other one. */
  static double[] radii(double[][] rows, int k) {
    return IntStream.range(0, rows.length)
        .parallel()
        .mapToDouble(
            i -> {
              double[] squares = squares(rows[i], rows);
              squares[i] = Double.POSITIVE_INFINITY;
              Arrays.sort(squares);
              return Math.sqrt(squares[k - 1]);
            })
        .toArray();
  }

  /** Whether each row lies in the ball of a centre. */
  static boolean[] inBalls(double[][] rows, double[][] centres, double[] radii) {
    boolean[] inside = new boolean[rows.length];
    IntStream.range(0, rows.length)
        .parallel()
        .forEach(
            i -> {
              for (int j = 0; j < centres.length && !inside[i]; j++) {
                inside[i] = Math.sqrt(square(rows[i], centres[j])) <= radii[j];
              }
            });
    return inside;
  }

  /** The distance of each row to the nearest of others. */
  static double[] nearest(double[][] rows, double[][] others) {
    return IntStream.range(0, rows.length)
        .parallel()
        .mapToDouble(
            i ->
                Math.sqrt(
                    Arrays.stream(squares(rows[i], others)).min().orElse(Double.POSITIVE_INFINITY)))
        .toArray();
  }

  /** The index of the nearest of others, of the first where several are. */
  static int[] nearestIndices(double[][] rows, double[][] others) {
    return IntStream.range(0, rows.length)
        .parallel()
        .map(
            i -> {
              double[] squares = squares(rows[i], others);
              int nearest = 0;
              for (int j = 1; j < squares.length; j++) {
                nearest = squares[j] < squares[nearest] ? j : nearest;
              }
              return nearest;
            })
        .toArray();
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int half = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  private static double[] squares(double[] row, double[][] others) {
    double[] squares = new double[others.length];
    for (int j = 0; j < others.length; j++) {
      squares[j] = square(row, others[j]);
    }
    return squares;
  }

  private static double square(double[] x, double[] y) {
    double sum = 0;
    for (int k = 0; k < x.length; k++) {
      double difference = x[k] - y[k];
      sum += difference * difference;
    }
    return sum;
  }
}
