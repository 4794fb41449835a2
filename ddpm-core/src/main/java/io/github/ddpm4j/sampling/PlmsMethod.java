package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Pseudo linear multistep (Liu et al. 2022, section 3.3, eq. 12), begun as diffusers does with
 * {@code skip_prk_steps=True}: the first step is taken, looked at from its end and taken again.
 *
 * <p>With e_k the network's ε̂ of k calls ago, the answer of the second call left out,
 *
 * <pre>
 *   ε' = e_0 (first step),  (e_0 + e_1) / 2 (first step again, where e_0 is the second answer),
 *        (3 e_0 − e_1) / 2,  (23 e_0 − 16 e_1 + 5 e_2) / 12,  then
 *        (55 e_0 − 59 e_1 + 37 e_2 − 9 e_3) / 24
 *   x' = α_t/α_s · x + (σ_t − α_t/α_s σ_s) ε'                  (eq. 11, which is the step of DDIM)
 * </pre>
 *
 * <p>One network call more than steps, unless there is one step alone.
 */
final class PlmsMethod {

  private PlmsMethod() {}

  static SamplingPlan plan(List<Level> levels) {
    Level first = levels.get(0);
    if (first.signal() == 0) {
      throw new IllegalArgumentException(
          "plms needs some signal in its first level, but timestep "
              + (int) first.timestep()
              + " has none; use dpmSolverPlusPlus");
    }
    int steps = levels.size() - 1;
    List<SamplingPlan.Step> rows = new ArrayList<>(steps + 1);
    rows.add(row(first, levels.get(1), 1));
    if (steps > 1) {
      rows.add(again(first, levels.get(1)));
    }
    for (int i = 1; i < steps; i++) {
      Level from = levels.get(i);
      Level to = levels.get(i + 1);
      rows.add(
          switch (i) {
            case 1 -> row(from, to, 3.0 / 2, 0, -1.0 / 2);
            case 2 -> row(from, to, 23.0 / 12, -16.0 / 12, 0, 5.0 / 12);
            case 3 -> row(from, to, 55.0 / 24, -59.0 / 24, 37.0 / 24, 0, -9.0 / 24);
            default -> row(from, to, 55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24);
          });
    }
    Level end = levels.get(steps);
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.EPSILON, end);
  }

  private static double ofEpsilon(Level from, Level to) {
    return to.noise() - to.signal() / from.signal() * from.noise();
  }

  private static SamplingPlan.Step row(Level from, Level to, double... weights) {
    double factor = ofEpsilon(from, to);
    List<Double> past = new ArrayList<>();
    for (int k = 1; k < weights.length; k++) {
      past.add(factor * weights[k]);
    }
    return new SamplingPlan.Step(
        from, to.signal() / from.signal(), 0, factor * weights[0], past, 0);
  }

  /** The first step again: what the mean of both answers changes in its result. */
  private static SamplingPlan.Step again(Level from, Level to) {
    double half = 0.5 * ofEpsilon(from, to);
    return new SamplingPlan.Step(to, 1, 0, half, List.of(-half), 0);
  }
}
