package io.github.ddpm4j.spi;

import io.github.ddpm4j.schedule.Level;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.DoubleStream;

/**
 * A sampler, worked out: the table of {@link SamplingStep}s that one short loop executes. Made in
 * {@code double} with no tensor in sight; immutable, so it may be shared between threads.
 *
 * @param steps the rows, in the order of execution; at least one
 * @param memory what each call remembers for later rows
 * @param initialScale the start is {@code initialScale · z} with z ~ N(0, I)
 * @param end how noisy the result is
 */
public record SamplingPlan(
    List<SamplingStep> steps, Memory memory, double initialScale, Level end) {

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
   * @return the greatest length of {@link SamplingStep#past()}
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

  private static double greatestFactor(SamplingStep row) {
    return DoubleStream.concat(
            DoubleStream.of(row.cX(), row.cX0(), row.cEps()),
            row.past().stream().mapToDouble(Double::doubleValue))
        .map(Math::abs)
        .max()
        .getAsDouble();
  }
}
