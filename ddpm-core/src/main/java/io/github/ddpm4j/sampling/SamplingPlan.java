package io.github.ddpm4j.sampling;

import java.util.List;

/**
 * A sampler, worked out: the table of {@link SamplingStep}s that one short loop executes. Made in
 * {@code double} with no tensor in sight; immutable, so it may be shared between threads.
 *
 * @param steps the rows, in the order of execution; at least one
 * @param memory what each call remembers for later rows
 * @param initialScale the start is {@code initialScale · z} with z ~ N(0, I)
 * @param finalSignal the factor of x_0 in the result
 * @param finalNoise the factor of ε in the result
 */
public record SamplingPlan(
    List<SamplingStep> steps,
    Memory memory,
    double initialScale,
    double finalSignal,
    double finalNoise) {

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
   * @param finalSignal the factor of x_0 in the result
   * @param finalNoise the factor of ε in the result
   * @throws IllegalArgumentException if there are no rows, a row looks further back than there are
   *     rows before it, or a scale or level is negative or not finite
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
    for (double value : new double[] {initialScale, finalSignal, finalNoise}) {
      if (!(value >= 0) || Double.isInfinite(value)) {
        throw new IllegalArgumentException(
            "initial scale and final levels of a sampling plan must be finite and at least 0, but"
                + " were "
                + initialScale
                + ", "
                + finalSignal
                + " and "
                + finalNoise);
      }
    }
  }

  /**
   * The factor of x_0 in x after a row.
   *
   * @param row the row, from 0
   * @return the signal level that the next row starts from, or the final one
   */
  public double signalAfter(int row) {
    return row + 1 < steps.size() ? steps.get(row + 1).signal() : finalSignal;
  }

  /**
   * The factor of ε in x after a row.
   *
   * @param row the row, from 0
   * @return the noise level that the next row starts from, or the final one
   */
  public double noiseAfter(int row) {
    return row + 1 < steps.size() ? steps.get(row + 1).noise() : finalNoise;
  }

  /**
   * How far back the rows look.
   *
   * @return the greatest length of {@link SamplingStep#past()}
   */
  public int depth() {
    return steps.stream().mapToInt(step -> step.past().size()).max().orElse(0);
  }
}
