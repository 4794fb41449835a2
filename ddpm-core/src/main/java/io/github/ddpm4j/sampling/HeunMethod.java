package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.ProbabilityPath;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Heun's method for the probability-flow equation (Karras et al. 2022, algorithm 1), of order 2.
 *
 * <p>In y = x / α, with σ the ratio of noise to signal, a step to the next level is
 *
 * <pre>
 *   d  = (y − x̂_0) / σ            y* = y + (σ' − σ) d
 *   d' = (y* − x̂_0*) / σ'         y' = y + (σ' − σ) (d + d') / 2
 * </pre>
 *
 * <p>Two network calls each, but one for the step to the image: 2 · steps − 1 in all. As d = (y* −
 * x̂_0) / σ' too, the second row is y' = y* + ½ (σ / σ' − 1) (x̂_0* − x̂_0). From a level without
 * signal, σ = ∞, the step is the plain transfer with one call.
 *
 * <p>On the {@linkplain ProbabilityPath#LINEAR linear path} of flow matching y is x itself, whose
 * slope is ε̂ − x̂_0: with y = A x_0 + B ε for x / c, on either path, c of {@link
 * ProbabilityPath#straightScale},
 *
 * <pre>
 *   y' = y* + ½ (A' − A − (B' − B) A' / B') (x̂_0* − x̂_0)
 * </pre>
 *
 * <p>The average of slopes fails between levels whose σ lie orders of magnitude apart, as the first
 * of a cosine schedule do: there, leave them out with {@code lambdaMin(−5.1)}, and spread the
 * levels by {@link NoiseSpacing#karras()}.
 */
final class HeunMethod {

  private HeunMethod() {}

  static SamplingPlan plan(ProbabilityPath path, List<Level> levels) {
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i + 1 < levels.size(); i++) {
      rows.addAll(step(path, levels.get(i), levels.get(i + 1)));
    }
    Level end = levels.get(levels.size() - 1);
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.X0, end);
  }

  /** One row, or two where the second level has noise, and the first a place on the line. */
  static List<SamplingPlan.Step> step(ProbabilityPath path, Level from, Level to) {
    SamplingPlan.Step euler = EulerMethod.step(from, to);
    double fromScale = path.straightScale(from);
    double toScale = path.straightScale(to);
    if (fromScale == 0 || to.noise() == 0) {
      return List.of(euler);
    }
    double ofX0 = to.signal() / toScale - from.signal() / fromScale;
    double ofEpsilon = to.noise() / toScale - from.noise() / fromScale;
    double half = 0.5 * toScale * (ofX0 - ofEpsilon * to.signal() / to.noise());
    SamplingPlan.Step correction = new SamplingPlan.Step(to, 1, half, 0, List.of(-half), 0);
    return List.of(euler, correction);
  }
}
