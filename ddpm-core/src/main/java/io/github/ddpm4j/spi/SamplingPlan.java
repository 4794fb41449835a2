package io.github.ddpm4j.spi;

import io.github.ddpm4j.schedule.Level;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.DoubleStream;

/**
 * The plan of a sampler: a table of {@link Step}s, executed by one short loop. Computed in {@code
 * double}, without tensors. Immutable and thread-safe.
 *
 * @param steps the rows, in the order of execution; at least one
 * @param memory the estimate that each network call stores for later rows
 * @param initialScale the scale of the initial noise, {@code initialScale · z} with z ~ N(0, I)
 * @param end the noise level of the result
 */
public record SamplingPlan(List<Step> steps, Memory memory, double initialScale, Level end) {

  /** The threshold above which a row's factor triggers a warning. */
  private static final double GREATEST_FACTOR = 10;

  /** The estimate that a network call stores for later rows. */
  public enum Memory {
    /** The estimate x̂_0, after clipping. */
    X0,
    /** The raw estimate ε̂, before clipping. */
    EPSILON
  }

  /**
   * Creates a plan and validates it.
   *
   * @param steps the rows
   * @param memory the estimate that each network call stores for later rows
   * @param initialScale the standard deviation of the initial noise
   * @param end the noise level of the result
   * @throws IllegalArgumentException if there are no rows, a row uses more stored estimates than
   *     there are rows before it, or the scale is negative or not finite
   */
  public SamplingPlan {
    Objects.requireNonNull(steps, "steps");
    Objects.requireNonNull(memory, "memory");
    Objects.requireNonNull(end, "end");
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
   * A plan whose initial noise has the spread of images at the level of its first row.
   *
   * @param steps the rows
   * @param memory the estimate that each network call stores for later rows
   * @param end the noise level of the result
   * @return a plan with the root of {@link Level#power} as its {@link #initialScale}, which is 1
   *     where the variance is preserved and where no signal is left
   * @throws IllegalArgumentException as the constructor
   */
  public static SamplingPlan fromNoise(List<Step> steps, Memory memory, Level end) {
    double scale = steps.isEmpty() ? 1 : Math.sqrt(steps.get(0).level().power());
    return new SamplingPlan(steps, memory, scale, end);
  }

  /**
   * The noise level of x after a row.
   *
   * @param row the row, from 0
   * @return the level at which the next row starts, or the level of the result
   */
  public Level levelAfter(int row) {
    return row + 1 < steps.size() ? steps.get(row + 1).level() : end;
  }

  /**
   * The number of stored estimates that the rows need.
   *
   * @return the greatest length of {@link Step#past()}
   */
  public int depth() {
    return steps.stream().mapToInt(step -> step.past().size()).max().orElse(0);
  }

  /**
   * A warning if a step of the plan strongly amplifies the network's error. Methods that step in σ
   * / α or in ε̂ take such steps between levels that are far apart, as at the noisy end of cosine
   * schedules, where almost no signal is left.
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
                        + " the next level is far away; leave out levels of next to no signal"
                        + " (lambdaMin=-5.1) and space them by karras, where the sampler does not"
                        + " yet, or take more steps or another sampler",
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
   * <p>v is the network's variance output, one number per pixel; a row whose two bounds are equal
   * has a fixed standard deviation and needs no v.
   *
   * <p>x̂_0 is the denoised estimate after clipping, ε̂ the raw estimate before it. A sampler that
   * recomputes ε̂ from the clipped x̂_0, ε̂ = (x − signal · x̂_0) / noise, folds this into {@code
   * cX} and {@code cX0}.
   *
   * @param level the noise level of x before the row, with the network's timestep
   * @param cX the factor of x
   * @param cX0 the factor of x̂_0
   * @param cEps the factor of ε̂
   * @param past the factors of the estimates stored one, two, … calls ago; at most as many as there
   *     are rows before
   * @param noiseLow the standard deviation of the added noise at v = −1; 0 for none
   * @param noiseHigh the standard deviation at v = 1; equal to {@code noiseLow} if the variance is
   *     fixed
   * @param noiseBeside the standard deviation of additional noise independent of v; 0 if the
   *     variance is fixed, as the bounds then include it
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
     * Creates a row and validates it.
     *
     * @param level the noise level of x before the row, with the network's timestep
     * @param cX the factor of x
     * @param cX0 the factor of x̂_0
     * @param cEps the factor of ε̂
     * @param past the factors of the stored estimates
     * @param noiseLow the standard deviation of the added noise at v = −1
     * @param noiseHigh the standard deviation at v = 1
     * @param noiseBeside the standard deviation of additional noise
     * @throws IllegalArgumentException if a number is not finite in float32, a level is negative,
     *     only one of the noise bounds is 0, or they are equal and there is additional noise
     */
    public Step {
      Objects.requireNonNull(level, "level");
      Objects.requireNonNull(past, "past");
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
     * Creates a row with noise of fixed standard deviation.
     *
     * @param level the noise level of x before the row, with the network's timestep
     * @param cX the factor of x
     * @param cX0 the factor of x̂_0
     * @param cEps the factor of ε̂
     * @param past the factors of the stored estimates
     * @param freshNoise the standard deviation of the added noise
     * @throws IllegalArgumentException if a number is not finite in float32 or a level is negative
     */
    public Step(
        Level level, double cX, double cX0, double cEps, List<Double> past, double freshNoise) {
      this(level, cX, cX0, cEps, past, freshNoise, freshNoise, 0);
    }

    /**
     * The network's timestep.
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
     * Whether the network's output determines the standard deviation of the noise.
     *
     * @return true if the bounds differ
     */
    public boolean learnsVariance() {
      return noiseLow != noiseHigh;
    }

    private static void requireFinite(String name, double value) {
      if (!Float.isFinite((float) value)) {
        throw new IllegalArgumentException(
            name + " of a sampling step must be finite in float32, but was " + value);
      }
    }

    private static void requireLevel(String name, double value) {
      if (!(value >= 0) || Float.isInfinite((float) value)) {
        throw new IllegalArgumentException(
            name
                + " of a sampling step must be at least 0 and finite in float32, but was "
                + value);
      }
    }
  }
}
