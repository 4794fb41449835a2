package io.github.ddpm4j.training;

import io.github.ddpm4j.internal.ops.Float32;

/**
 * The exponential moving average (EMA) of the weights, used for sampling.
 *
 * <pre>
 *   ā ← d ā + (1 − d) w,   d = min(decay, (1 + s) / (10 + s))   after step s, counted from 1
 * </pre>
 *
 * <p>The second term is the warm-up: without it, a decay of 0.9999 retains the random initial
 * weights for some 30,000 steps.
 *
 * @param decay the decay after warm-up, in [0, 1); 0 for no averaging
 * @param warmup whether the decay starts small and increases
 */
public record Ema(double decay, boolean warmup) {

  /** The decay of Ho et al. 2020: {@value}. */
  public static final double DEFAULT_DECAY = 0.9999;

  /**
   * Creates the settings.
   *
   * @param decay the decay after warm-up
   * @param warmup whether the decay starts small and increases
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1), or 1 in float32
   */
  public Ema {
    if (!(decay >= 0 && decay < 1)) {
      throw new IllegalArgumentException("EMA decay must lie in [0, 1), but was " + decay);
    }
    Float32.requireBelowOne("EMA decay", decay);
  }

  /**
   * An exponential moving average with warm-up.
   *
   * @param decay the decay after warm-up, in [0, 1)
   * @return the average
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1), or 1 in float32
   */
  public static Ema of(double decay) {
    return new Ema(decay, true);
  }

  /**
   * The decay after a step.
   *
   * @param step the number of completed steps, from 1
   * @return the factor of the previous average
   */
  public double decayAfter(long step) {
    return warmup ? Math.min(decay, (1.0 + step) / (10.0 + step)) : decay;
  }
}
