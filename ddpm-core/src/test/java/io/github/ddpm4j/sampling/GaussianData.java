package io.github.ddpm4j.sampling;

import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * What a plan makes of pure noise, or of noisy images, where the data are N(0, s²) and the network
 * is perfect. Everything is linear then, so that x and what is remembered are a sum of independent
 * draws, each with its factor: the deviation of the result is exact, whatever the plan looks back
 * at.
 */
final class GaussianData {

  private GaussianData() {}

  /** The deviation of what a plan makes of the noise that it starts from. */
  static double deviation(SamplingPlan plan, double dataDeviation) {
    return deviation(plan, dataDeviation, plan.initialScale());
  }

  /** The deviation of what a plan makes of noised data, which stand at its first level. */
  static double deviationFromData(SamplingPlan plan, double dataDeviation) {
    SamplingPlan.Step first = plan.steps().get(0);
    return deviation(
        plan, dataDeviation, Math.hypot(first.signal() * dataDeviation, first.noise()));
  }

  private static double deviation(SamplingPlan plan, double dataDeviation, double start) {
    int draws = plan.steps().size() + 1;
    double[] x = new double[draws];
    x[0] = start;
    List<double[]> past = new ArrayList<>();
    double variance = dataDeviation * dataDeviation;
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double total = row.signal() * row.signal() * variance + row.noise() * row.noise();
      double[] x0 = times(row.signal() * variance / total, x);
      double[] epsilon = times(row.noise() / total, x);
      double[] next = times(row.cX(), x);
      add(next, row.cX0(), x0);
      add(next, row.cEps(), epsilon);
      for (int k = 0; k < row.past().size(); k++) {
        add(next, row.past().get(k), past.get(k));
      }
      next[i + 1] += row.noiseHigh();
      past.add(0, plan.memory() == SamplingPlan.Memory.X0 ? x0 : epsilon);
      x = next;
    }
    double squares = 0;
    for (double factor : x) {
      squares += factor * factor;
    }
    return Math.sqrt(squares);
  }

  private static double[] times(double factor, double[] values) {
    double[] result = new double[values.length];
    add(result, factor, values);
    return result;
  }

  private static void add(double[] to, double factor, double[] values) {
    for (int i = 0; i < to.length; i++) {
      to[i] += factor * values[i];
    }
  }
}
