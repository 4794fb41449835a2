package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Ancestral sampling with Euler steps, as k-diffusion has it: down past the next level, and up
 * again with fresh noise.
 *
 * <p>In y = x / α, with σ the ratio of noise to signal,
 *
 * <pre>
 *   σ_up² = σ'² (σ² − σ'²) / σ²,    σ_down² = σ'² − σ_up²,  so σ_down = σ'² / σ
 *   y'    = y + (σ_down − σ) (y − x̂_0) / σ + σ_up z
 * </pre>
 *
 * <p>In x this is the step of DDPM with the small variance.
 */
final class EulerAncestralMethod {

  private EulerAncestralMethod() {}

  static SamplingPlan plan(List<Level> levels) {
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i + 1 < levels.size(); i++) {
      Level from = levels.get(i);
      Level to = levels.get(i + 1);
      double ratio = from.ratioTo(to); // σ' / σ
      rows.add(
          new SamplingPlan.Step(
              from,
              to.noise() / from.noise() * ratio, // α' / α · σ_down / σ
              to.signal() * (1 - ratio * ratio),
              0,
              List.of(),
              to.noise() * Math.sqrt(1 - ratio * ratio))); // α' σ_up
    }
    Level end = levels.get(levels.size() - 1);
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.X0, end);
  }
}
