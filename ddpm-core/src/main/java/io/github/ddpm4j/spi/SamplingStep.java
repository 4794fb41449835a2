package io.github.ddpm4j.spi;

import io.github.ddpm4j.schedule.Level;
import java.util.List;

/**
 * One row of a {@link SamplingPlan}: one network call and the linear update after it.
 *
 * <pre>
 *   x' = cX · x + cX0 · x̂_0 + cEps · ε̂ + Σ_k past[k−1] · (remembered k calls ago) + s · z,    z ~ N(0, I)
 *   s² = (noiseLow^(1 − f) · noiseHigh^f)² + noiseBeside²,    f = (v + 1) / 2
 * </pre>
 *
 * <p>v is what the network says of the variance, one number per pixel; a row whose two bounds are
 * equal has a fixed deviation and needs no v.
 *
 * <p>x̂_0 is the estimate after clipping, ε̂ the raw one before it. A sampler that derives ε̂ anew
 * from the clipped x̂_0, ε̂ = (x − signal · x̂_0) / noise, has that folded into {@code cX} and
 * {@code cX0}.
 *
 * @param level how noisy x is before the row, and the timestep that the network is asked about
 * @param cX the factor of x
 * @param cX0 the factor of x̂_0
 * @param cEps the factor of ε̂
 * @param past the factors of what was remembered one, two, … calls ago; at most as many as rows
 *     came before
 * @param noiseLow the standard deviation of the noise that is added where v = −1; 0 for none
 * @param noiseHigh the same where v = 1; equal to {@code noiseLow} where the variance is fixed
 * @param noiseBeside the standard deviation of noise beside it that v has no part in; 0 where the
 *     variance is fixed, where it is part of the bounds
 */
public record SamplingStep(
    Level level,
    double cX,
    double cX0,
    double cEps,
    List<Double> past,
    double noiseLow,
    double noiseHigh,
    double noiseBeside) {

  /**
   * Checks the row.
   *
   * @param level how noisy x is before the row, and the timestep that the network is asked about
   * @param cX the factor of x
   * @param cX0 the factor of x̂_0
   * @param cEps the factor of ε̂
   * @param past the factors of what was remembered
   * @param noiseLow the least standard deviation of the noise that is added
   * @param noiseHigh the greatest
   * @param noiseBeside that of the noise beside it
   * @throws IllegalArgumentException if a number is not finite, a level is negative, only one of
   *     the bounds of the noise is 0, or they are equal and there is noise beside them
   */
  public SamplingStep {
    past = List.copyOf(past);
    requireFinite("cX", cX);
    requireFinite("cX0", cX0);
    requireFinite("cEps", cEps);
    past.forEach(factor -> requireFinite("past", factor));
    requireLevel("noiseLow", noiseLow);
    requireLevel("noiseHigh", noiseHigh);
    requireLevel("noiseBeside", noiseBeside);
    if (noiseLow > noiseHigh || (noiseLow == 0) != (noiseHigh == 0)) {
      throw new IllegalArgumentException(
          "noiseLow and noiseHigh of a sampling step must be ascending and both 0 or neither, but"
              + " were "
              + noiseLow
              + " and "
              + noiseHigh);
    }
    if (noiseLow == noiseHigh && noiseBeside != 0) {
      throw new IllegalArgumentException(
          "noiseBeside of a sampling step is for learned variances, but was "
              + noiseBeside
              + " where noiseLow and noiseHigh are "
              + noiseLow
              + "; make it part of these");
    }
  }

  /**
   * A row whose noise has a fixed deviation.
   *
   * @param level how noisy x is before the row, and the timestep that the network is asked about
   * @param cX the factor of x
   * @param cX0 the factor of x̂_0
   * @param cEps the factor of ε̂
   * @param past the factors of what was remembered
   * @param freshNoise the standard deviation of the noise that is added
   * @throws IllegalArgumentException if a number is not finite or a level is negative
   */
  public SamplingStep(
      Level level, double cX, double cX0, double cEps, List<Double> past, double freshNoise) {
    this(level, cX, cX0, cEps, past, freshNoise, freshNoise, 0);
  }

  /**
   * What the network is asked about.
   *
   * @return the timestep of the level, possibly fractional
   */
  public double timestep() {
    return level.timestep();
  }

  /**
   * The factor of x_0 in x before the row.
   *
   * @return the signal of the level
   */
  public double signal() {
    return level.signal();
  }

  /**
   * The factor of ε in x before the row.
   *
   * @return the noise of the level
   */
  public double noise() {
    return level.noise();
  }

  /**
   * Whether the deviation of the noise is the network's to say.
   *
   * @return true if the bounds differ
   */
  public boolean learnsVariance() {
    return noiseLow != noiseHigh;
  }

  private static void requireFinite(String name, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(
          name + " of a sampling step must be finite, but was " + value);
    }
  }

  private static void requireLevel(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          name + " of a sampling step must be finite and at least 0, but was " + value);
    }
  }
}
