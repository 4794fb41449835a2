package io.github.ddpm4j.spark.examples;

import java.util.List;
import java.util.Locale;
import org.apache.commons.math3.stat.regression.OLSMultipleLinearRegression;

/**
 * How long a round takes.
 *
 * <pre>
 *   T = a + w (b + s H) + c n,    w = ⌈n / executors⌉
 * </pre>
 *
 * @param job a, of a job of Spark
 * @param task b, of a worker's part beside its steps
 * @param step s, of a step
 * @param worker c, of what the driver does for a worker
 */
record RoundTimes(double job, double task, double step, double worker) {

  private static final int STEPS = 500;
  private static final double GIGABIT = 1e9 / 8;

  /**
   * A round that was measured.
   *
   * @param executors the executors, of one core each
   * @param workers n
   * @param steps H
   * @param seconds T
   */
  record Point(int executors, int workers, int steps, double seconds) {

    int turns() {
      return (workers + executors - 1) / executors;
    }

    /** Whether it checks the model, and has no part in it. */
    boolean isCheck() {
      return steps == 40 || (workers == 4 && executors == 2);
    }
  }

  /** Least squares of the relative errors of all but the points that check it. */
  static RoundTimes of(List<Point> points) {
    List<Point> fitted = points.stream().filter(p -> !p.isCheck()).toList();
    double[] ones = new double[fitted.size()];
    double[][] terms = new double[fitted.size()][];
    for (int i = 0; i < ones.length; i++) {
      Point p = fitted.get(i);
      ones[i] = 1;
      terms[i] =
          new double[] {
            1 / p.seconds(),
            p.turns() / p.seconds(),
            (double) p.turns() * p.steps() / p.seconds(),
            p.workers() / p.seconds()
          };
    }
    OLSMultipleLinearRegression squares = new OLSMultipleLinearRegression();
    squares.setNoIntercept(true);
    squares.newSampleData(ones, terms);
    double[] found = squares.estimateRegressionParameters();
    return new RoundTimes(found[0], found[1], found[2], found[3]);
  }

  double seconds(Point of) {
    return job + of.turns() * (task + step * of.steps()) + worker * of.workers();
  }

  void print(List<Point> points, long weights) {
    System.out.printf(
        Locale.ROOT,
        "T = %.3f + turns (%.3f + %.5f H) + %.4f n seconds; %,d weights%n%n",
        job,
        task,
        step,
        worker,
        weights);
    System.out.println("| executors | workers | steps | measured s | model s | off | |");
    System.out.println("|--:|--:|--:|--:|--:|--:|---|");
    for (Point p : points) {
      System.out.printf(
          Locale.ROOT,
          "| %d | %d | %d | %.3f | %.3f | %+.0f %% | %s |%n",
          p.executors(),
          p.workers(),
          p.steps(),
          p.seconds(),
          seconds(p),
          100 * (seconds(p) / p.seconds() - 1),
          p.isCheck() ? "check" : "fitted");
    }
    System.out.printf(
        Locale.ROOT,
        "%n| machines | s a round of %d steps | of which steps | weights over a gigabit, s | steps"
            + " a second |%n",
        STEPS);
    System.out.println("|--:|--:|--:|--:|--:|");
    for (int machines : new int[] {1, 8, 16, 32, 64}) {
      Point p = new Point(machines, machines, STEPS, Double.NaN);
      // The driver sends the weights to one, and Spark's peers to each other; all send theirs back.
      double network = (1 + machines) * weights * Float.BYTES / GIGABIT;
      double all = seconds(p) + network;
      System.out.printf(
          Locale.ROOT,
          "| %d | %.2f | %.0f %% | %.3f | %.0f |%n",
          machines,
          all,
          100 * step * STEPS / all,
          network,
          machines * STEPS / all);
    }
  }
}
