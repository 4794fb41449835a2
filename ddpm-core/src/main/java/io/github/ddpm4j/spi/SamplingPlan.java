package io.github.ddpm4j.spi;

import io.github.ddpm4j.schedule.Level;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.DoubleStream;

/**
 * A sampler, worked out: the table of {@link Step}s that one short loop executes. Made in {@code
 * double} with no tensor in sight; immutable, so it may be shared between threads.
 *
 * @param steps the rows, in the order of execution; at least one
 * @param memory what each call remembers for later rows
 * @param initialScale the start is {@code initialScale · z} with z ~ N(0, I)
 * @param end how noisy the result is
 */
public record SamplingPlan(List<Step> steps, Memory memory, double initialScale, Level end) {

  /** Beyond this a factor of a row is warned of. */
  private static final double GREATEST_FACTOR = 10;

  /** What a network call leaves behind for the rows after it. */
  public enum Memory {
    /** The estimate x̂_0, after clipping. */
    X0,
    /** The raw estimate ε̂, before clipping. */
    EPSILON
  }

  /**
   * Checks the plan.
   *
   * @param steps the rows
   * @param memory what each call remembers for later rows
   * @param initialScale the standard deviation of the start
   * @param end how noisy the result is
   * @throws IllegalArgumentException if there are no rows, a row looks further back than there are
   *     rows before it, or the scale is negative or not finite
   */
  public SamplingPlan {
    steps = List.copyOf(steps);
    if (steps.isEmpty()) {
      throw new IllegalArgumentException("a sampling plan needs at least one step, but has none");
    }
    for (int i = 0; i < steps.size(); i++) {
      int depth = steps.get(i).past().size();
      if (depth > i) {
        throw new IllegalArgumentException(
            "step "
                + i
                + " of a sampling plan can look back at most "
                + i
                + " calls, but looks back "
                + depth);
      }
    }
    if (!(initialScale >= 0) || Double.isInfinite(initialScale)) {
      throw new IllegalArgumentException(
          "the initial scale of a sampling plan must be finite and at least 0, but was "
              + initialScale);
    }
  }

  /**
   * How noisy x is after a row.
   *
   * @param row the row, from 0
   * @return the level that the next row starts from, or that of the result
   */
  public Level levelAfter(int row) {
    return row + 1 < steps.size() ? steps.get(row + 1).level() : end;
  }

  /**
   * How far back the rows look.
   *
   * @return the greatest length of {@link Step#past()}
   */
  public int depth() {
    return steps.stream().mapToInt(step -> step.past().size()).max().orElse(0);
  }

  /**
   * What makes the plan a bad one, if anything does: a step that multiplies what the network is
   * wrong by. Methods that step in σ / α or in ε̂ take such steps where levels lie far apart, as at
   * the end of cosine schedules, where there is next to no signal.
   *
   * @return the warning, or empty
   */
  public Optional<String> warning() {
    return steps.stream()
        .filter(row -> greatestFactor(row) > GREATEST_FACTOR)
        .max(Comparator.comparingDouble(SamplingPlan::greatestFactor))
        .map(
            row ->
                String.format(
                    Locale.ROOT,
                    "the step from timestep %.4g multiplies the network's errors by up to %.2g, since"
                        + " the next level is far away; leave out levels of next to no signal by"
                        + " lambdaMin(-5.1), space them by NoiseSpacing.karras(), or take more"
                        + " steps or another sampler",
                    row.timestep(),
                    greatestFactor(row)));
  }

  private static double greatestFactor(Step row) {
    return DoubleStream.concat(
            DoubleStream.of(row.cX(), row.cX0(), row.cEps()),
            row.past().stream().mapToDouble(Double::doubleValue))
        .map(Math::abs)
        .max()
        .getAsDouble();
  }

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
   * <p>x̂_0 is the estimate after clipping, ε̂ the raw one before it. A sampler that derives ε̂
   * anew from the clipped x̂_0, ε̂ = (x − signal · x̂_0) / noise, has that folded into {@code cX}
   * and {@code cX0}.
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
  public record Step(
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
    public Step {
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
    public Step(
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
}
