package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.ProbabilityPath;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Heun's method with churn (Karras et al. 2022, algorithm 2): before each step, fresh noise raises
 * y = x / α to a higher noise level.
 *
 * <pre>
 *   γ  = min(S_churn / steps, √2 − 1) if S_min ≤ σ ≤ S_max, else 0
 *   σ̂  = (1 + γ) σ,    ŷ = y + √(σ̂² − σ²) S_noise z
 * </pre>
 *
 * <p>where the steps are those of a whole run from pure noise, also in a run that starts lower;
 * followed by a step of Heun's method ({@link Samplers#heun}) from ŷ. The noise is added by the
 * preceding row, or in the initial noise; a given x is not churned before the first step. For a
 * raised level beyond the schedule's last, the network receives the last timestep. Immutable.
 */
public final class EdmSampler extends LevelOptions<EdmSampler> {

  private static final double DEFAULT_NOISE = 1;
  private static final double MAX_GAMMA = Math.sqrt(2) - 1;

  private final double churn;
  private final double min;
  private final double max;
  private final double noise;

  private EdmSampler(LevelGrid grid, double churn, double min, double max, double noise) {
    super(grid);
    this.churn = churn;
    this.min = min;
    this.max = max;
    this.noise = noise;
  }

  static EdmSampler of(int steps) {
    return new EdmSampler(
        LevelGrid.of(steps, null, NoiseSpacing.karras(), false),
        0,
        0,
        Double.POSITIVE_INFINITY,
        DEFAULT_NOISE);
  }

  @Override
  EdmSampler with(LevelGrid changed) {
    return new EdmSampler(changed, churn, min, max, noise);
  }

  /**
   * The total amount of churn over all steps, S_churn.
   *
   * @param churn at least 0; the default is 0, which is Heun's method
   * @return a sampler with this churn
   * @throws IllegalArgumentException if {@code churn} is negative or not finite
   */
  public EdmSampler churn(double churn) {
    return new EdmSampler(grid(), requireFactor("churn", churn), min, max, noise);
  }

  /**
   * The range of noise levels in which churn is applied, S_min to S_max.
   *
   * @param min the minimum σ; the default is 0
   * @param max the maximum σ; the default is ∞
   * @return a sampler with these bounds
   * @throws IllegalArgumentException if not 0 ≤ min ≤ max
   */
  public EdmSampler churnBetween(double min, double max) {
    if (!(min >= 0 && min <= max)) {
      throw new IllegalArgumentException(
          "churn must lie between levels with 0 <= min <= max, but they were "
              + min
              + " and "
              + max);
    }
    return new EdmSampler(grid(), churn, min, max, noise);
  }

  /**
   * The standard deviation of the added noise, S_noise.
   *
   * @param scale at least 0; the default is 1. Slightly more compensates for lost detail
   * @return a sampler with this scale
   * @throws IllegalArgumentException if {@code scale} is negative or not finite
   */
  public EdmSampler churnNoise(double scale) {
    return new EdmSampler(grid(), churn, min, max, requireFactor("churnNoise", scale));
  }

  private static double requireFactor(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " must be finite and at least 0, but was " + value);
    }
    return value;
  }

  /** A given x stands at the level of the start: the first step is not preceded by churn. */
  @Override
  SamplingPlan plan(Diffusion diffusion, List<Level> levels, boolean fromNoise) {
    if (churn > 0 && diffusion.prediction() == Prediction.PREVIOUS_MEAN) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN cannot be used with churn, which asks the network off the"
              + " schedule's timesteps; use churn(0)");
    }
    int steps = levels.size() - 1;
    int stepsFromNoise = grid().stepsFromNoise(diffusion);
    ProbabilityPath path = diffusion.schedule().path();
    double initialScale = Math.sqrt(levels.get(0).power());
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      Level level = levels.get(i);
      Level from = i == 0 && !fromNoise ? level : lifted(diffusion, level, stepsFromNoise);
      if (!from.equals(level)) {
        double fresh = freshNoise(level, from);
        double scale = from.signal() / level.signal();
        if (i == 0) {
          initialScale = Math.hypot(scale * initialScale, fresh);
        } else {
          int last = rows.size() - 1;
          rows.set(last, liftedAfter(rows.get(last), scale, fresh));
        }
      }
      rows.addAll(HeunMethod.step(path, from, levels.get(i + 1)));
    }
    Level end = levels.get(steps);
    return new SamplingPlan(rows, SamplingPlan.Memory.X0, initialScale, end);
  }

  private Level lifted(Diffusion diffusion, Level level, int steps) {
    double sigma = level.sigma();
    boolean lifts = churn > 0 && sigma >= min && sigma <= max && Double.isFinite(sigma);
    double gamma = Math.min(churn / steps, MAX_GAMMA);
    return lifts ? Level.ofSigma(diffusion.schedule(), (1 + gamma) * sigma) : level;
  }

  /** α̂ √(σ̂² − σ²) S_noise. */
  private double freshNoise(Level level, Level lifted) {
    double ratio = level.sigma() / lifted.sigma();
    return lifted.noise() * Math.sqrt((1 - ratio) * (1 + ratio)) * noise;
  }

  /** The row with x scaled to the lifted level, and the noise that lifts it. */
  private static SamplingPlan.Step liftedAfter(
      SamplingPlan.Step row, double scale, double freshNoise) {
    return new SamplingPlan.Step(
        row.level(),
        scale * row.cX(),
        scale * row.cX0(),
        scale * row.cEps(),
        row.past().stream().map(factor -> scale * factor).toList(),
        freshNoise);
  }

  @Override
  public String toString() {
    SamplerText text =
        grid().text("edm").number("churn", churn, 0).number("churnNoise", noise, DEFAULT_NOISE);
    boolean bounded = min > 0 || max < Double.POSITIVE_INFINITY;
    return (bounded
            ? text.option(
                "churnBetween=" + SamplerText.number(min) + ".." + SamplerText.number(max))
            : text)
        .toString();
  }
}
