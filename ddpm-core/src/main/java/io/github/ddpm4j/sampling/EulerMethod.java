package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Euler's method for the probability-flow equation (Karras et al. 2022, algorithm 1 without line
 * 6).
 *
 * <p>In y = x / α, where dy/dσ = (y − x̂_0) / σ and σ is the ratio of noise to signal, a step to
 * the next level is
 *
 * <pre>
 *   y' = y + (σ' − σ) (y − x̂_0) / σ
 * </pre>
 *
 * <p>In x this is the step of DDIM.
 */
final class EulerMethod {

  private EulerMethod() {}

  static SamplingPlan plan(List<Level> levels) {
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i + 1 < levels.size(); i++) {
      rows.add(step(levels.get(i), levels.get(i + 1)));
    }
    Level end = levels.get(levels.size() - 1);
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.X0, end);
  }

  static SamplingPlan.Step step(Level from, Level to) {
    return new SamplingPlan.Step(
        from, to.noise() / from.noise(), to.signal() * (1 - from.ratioTo(to)), 0, List.of(), 0);
  }
}
