package io.github.ddpm4j.prediction;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Objects;

/**
 * The variance of the reverse process p(x_{t−1} | x_t). Two are fixed (Ho et al. 2020, section
 * 3.2): the lower and the upper bound for data of unit variance. Two are learned (Nichol and
 * Dhariwal 2021, section 3.1): the network then has 2C output channels, and the second half, v,
 * parameterizes the variance of each pixel.
 *
 * <p>In a plan that skips timesteps, the variance of one noising step becomes that of the whole
 * jump from the less noisy level to the other, β′ ({@link Level#varianceFrom}). With a for signal,
 * s for noise, and a dash for the less noisy level:
 *
 * <pre>
 *   β′ = s² − (a / a′)² s′²                     1 − ᾱ / ᾱ′ where the variance is preserved
 * </pre>
 */
public enum Variance {
  /**
   * β̃, the variance of q(x_{t−1} | x_t, x_0): right for data that is a single point.
   *
   * <pre>
   *   σ² = β′ s′² / s²                          β′ (1 − ᾱ′) / (1 − ᾱ) where it is preserved
   * </pre>
   */
  FIXED_SMALL {
    @Override
    double ofJump(double beta, Level level, Level previous) {
      return beta * (previous.noise() * previous.noise()) / (level.noise() * level.noise());
    }

    @Override
    public double variance(Schedule schedule, int t) {
      return schedule.posteriorVariance(t);
    }

    @Override
    public double logVariance(Schedule schedule, int t) {
      return schedule.posteriorLogVarianceClipped(t);
    }
  },

  /**
   * β, the variance of the noising step: optimal for data distributed as N(0, 1). The paper's
   * choice for CIFAR-10.
   *
   * <pre>
   *   σ² = β′ (a′² + s′²) / (a² + s²)           β′ where it is preserved
   * </pre>
   */
  FIXED_LARGE {
    @Override
    double ofJump(double beta, Level level, Level previous) {
      return beta * previous.power() / level.power();
    }

    @Override
    public double logVariance(Schedule schedule, int t) {
      double variance = variance(schedule, t);
      return t == 0 ? schedule.posteriorLogVarianceClipped(0) : StrictMath.log(variance);
    }
  },

  /**
   * The network predicts the log variance directly: ln σ² = v. For a jump over several timesteps, v
   * is the log variance of the jump.
   */
  LEARNED {
    @Override
    double ofJump(double beta, Level level, Level previous) {
      throw notFixed(this);
    }

    @Override
    public double leastVariance(double beta, Level level, Level previous) {
      requireJump(beta, level, previous);
      return 1 / Math.E;
    }

    @Override
    public double greatestVariance(double beta, Level level, Level previous) {
      requireJump(beta, level, previous);
      return Math.E;
    }

    @Override
    public double logVariance(Schedule schedule, int t) {
      throw notFixed(this);
    }

    @Override
    public double leastLogVariance(Schedule schedule, int t) {
      requireOn(schedule, t);
      return -1;
    }

    @Override
    public double greatestLogVariance(Schedule schedule, int t) {
      requireOn(schedule, t);
      return 1;
    }
  },

  /**
   * The network interpolates between the two fixed variances in log space (eq. 15 there), from v =
   * −1 for {@link #FIXED_SMALL} to v = 1 for {@link #FIXED_LARGE}:
   *
   * <pre>
   *   ln σ² = f ln β′ + (1 − f) ln β̃′,    f = (v + 1) / 2
   * </pre>
   */
  LEARNED_RANGE {
    @Override
    double ofJump(double beta, Level level, Level previous) {
      throw notFixed(this);
    }

    @Override
    public double leastVariance(double beta, Level level, Level previous) {
      return FIXED_SMALL.variance(beta, level, previous);
    }

    @Override
    public double greatestVariance(double beta, Level level, Level previous) {
      return FIXED_LARGE.variance(beta, level, previous);
    }

    @Override
    public double logVariance(Schedule schedule, int t) {
      throw notFixed(this);
    }

    @Override
    public double leastLogVariance(Schedule schedule, int t) {
      return schedule.posteriorLogVarianceClipped(t);
    }

    @Override
    public double greatestLogVariance(Schedule schedule, int t) {
      return StrictMath.log(FIXED_LARGE.variance(schedule, t));
    }
  };

  abstract double ofJump(double beta, Level level, Level previous);

  /**
   * Whether the network predicts the variance, in the second half of its output channels.
   *
   * @return true for {@link #LEARNED} and {@link #LEARNED_RANGE}
   */
  public boolean isLearned() {
    return this == LEARNED || this == LEARNED_RANGE;
  }

  /**
   * The variance of a jump at v = −1, or the fixed variance. ln σ² is linear in v between −1 and 1,
   * and extrapolates beyond.
   *
   * @param beta β′, the variance of the noising step that the jump goes back, in (0, 1]
   * @param level the level before the jump
   * @param previous the level after the jump, a less noisy one
   * @return σ²
   * @throws IllegalArgumentException if an argument is out of range
   */
  public double leastVariance(double beta, Level level, Level previous) {
    return variance(beta, level, previous);
  }

  /**
   * The variance of a jump at v = 1, or the fixed variance.
   *
   * @param beta β′, the variance of the noising step that the jump goes back, in (0, 1]
   * @param level the level before the jump
   * @param previous the level after the jump, a less noisy one
   * @return σ²
   * @throws IllegalArgumentException if an argument is out of range
   */
  public double greatestVariance(double beta, Level level, Level previous) {
    return variance(beta, level, previous);
  }

  /**
   * The variance of one step of the schedule.
   *
   * @param schedule the schedule
   * @param t the step, 0-based
   * @return σ²; for t = 0, where samplers add no noise, 0 for {@link #FIXED_SMALL} and β_0 for
   *     {@link #FIXED_LARGE}
   * @throws IllegalStateException if the variance is learned
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public double variance(Schedule schedule, int t) {
    return ofJump(
        schedule.beta(t), Level.of(schedule, t), t == 0 ? Level.CLEAN : Level.of(schedule, t - 1));
  }

  /**
   * The log variance ln σ² of one step of the schedule. As in the authors' code, the value at t = 0
   * is that of {@link #FIXED_SMALL} at t = 1, for both fixed variances. Used for likelihoods, where
   * the variance at t = 0 matters and must not be 0.
   *
   * @param schedule the schedule
   * @param t the step, 0-based
   * @return ln σ², always finite
   * @throws IllegalStateException if the variance is learned
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public abstract double logVariance(Schedule schedule, int t);

  /**
   * The log variance ln σ² of one step of the schedule at v = −1, or the fixed one. ln σ² is linear
   * in v between −1 and 1. As in {@link #logVariance} it is finite at t = 0.
   *
   * @param schedule the schedule
   * @param t the step, 0-based
   * @return ln σ²
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public double leastLogVariance(Schedule schedule, int t) {
    return logVariance(schedule, t);
  }

  /**
   * The log variance ln σ² of one step of the schedule at v = 1, or the fixed one. For {@link
   * #LEARNED_RANGE} it is ln β<sub>t</sub>, including at t = 0, as in the authors' code.
   *
   * @param schedule the schedule
   * @param t the step, 0-based
   * @return ln σ²
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public double greatestLogVariance(Schedule schedule, int t) {
    return logVariance(schedule, t);
  }

  /**
   * The variance of a jump between any two levels. If the levels are adjacent on a schedule, {@link
   * #variance(double, Level, Level)} with the schedule's own β is more accurate: here, the smaller
   * β′, the more digits it loses to cancellation.
   *
   * @param level the level before the jump
   * @param previous the level after the jump, a less noisy one
   * @return σ²; 0 for {@link #FIXED_SMALL} when {@code previous} is clean
   * @throws IllegalArgumentException if the levels are out of range
   * @throws IllegalStateException if the variance is learned
   */
  public double variance(Level level, Level previous) {
    Objects.requireNonNull(previous, "previous");
    return variance(level.varianceFrom(previous), level, previous);
  }

  /**
   * The variance of a jump with a given β′.
   *
   * @param beta β′, the variance of the noising step that the jump goes back, in (0, 1]
   * @param level the level before the jump
   * @param previous the level after the jump, a less noisy one
   * @return σ²; 0 for {@link #FIXED_SMALL} when {@code previous} is clean
   * @throws IllegalArgumentException if an argument is out of range
   * @throws IllegalStateException if the variance is learned
   */
  public double variance(double beta, Level level, Level previous) {
    requireJump(beta, level, previous);
    return ofJump(beta, level, previous);
  }

  /** Lets the schedule reject an out-of-range step. */
  private static void requireOn(Schedule schedule, int t) {
    double unused = schedule.beta(t);
  }

  private static void requireJump(double beta, Level level, Level previous) {
    if (!(previous.signal() > 0 && level.ratioTo(previous) <= 1)) {
      throw new IllegalArgumentException(
          "a reverse step goes from the noisier level to the less noisy one, but sigma was "
              + level.sigma()
              + " before and "
              + previous.sigma()
              + " after it");
    }
    if (!(beta > 0 && beta <= 1)) {
      throw new IllegalArgumentException("beta must be above 0 and at most 1, but was " + beta);
    }
  }

  private static IllegalStateException notFixed(Variance variance) {
    return new IllegalStateException(
        "variance "
            + variance
            + " is the network's to say; leastVariance and greatestVariance are what v = -1 and v ="
            + " 1 stand for");
  }
}
