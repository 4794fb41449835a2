package io.github.ddpm4j.training;

/**
 * The exponential moving average of the weights that images are drawn with.
 *
 * <pre>
 *   ā ← d ā + (1 − d) w,   d = min(decay, (1 + s) / (10 + s))   after step s, counted from 1
 * </pre>
 *
 * <p>The second term is the warm-up: without it a decay of 0.9999 remembers the random initial
 * weights for some 30,000 steps.
 *
 * @param decay the decay once warmed up, in [0, 1); 0 for no averaging
 * @param warmup whether the decay grows from small values
 */
public record Ema(double decay, boolean warmup) {

  /** The decay of Ho et al. 2020: {@value}. */
  public static final double DEFAULT_DECAY = 0.9999;

  /**
   * Checks the decay.
   *
   * @param decay the decay once warmed up
   * @param warmup whether the decay grows from small values
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1)
   */
  public Ema {
    if (!(decay >= 0 && decay < 1)) {
      throw new IllegalArgumentException("EMA decay must lie in [0, 1), but was " + decay);
    }
  }

  /**
   * An average with warm-up.
   *
   * @param decay the decay once warmed up, in [0, 1)
   * @return the average
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1)
   */
  public static Ema of(double decay) {
    return new Ema(decay, true);
  }

  /**
   * The decay after a step.
   *
   * @param step the number of steps done, from 1
   * @return the factor of the old average
   */
  public double decayAfter(long step) {
    return warmup ? Math.min(decay, (1.0 + step) / (10.0 + step)) : decay;
  }
}
