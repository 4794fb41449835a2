package io.github.ddpm4j.prediction;

import io.github.ddpm4j.schedule.Schedule;

/**
 * The variance of the reverse process p(x_{t−1} | x_t). Two are fixed (Ho et al. 2020, section
 * 3.2): the lower and the upper bound for data of unit variance. Two are learned (Nichol and
 * Dhariwal 2021, section 3.1): the network then has 2C output channels, and the second half, v,
 * parameterizes the variance of each pixel.
 *
 * <p>In a plan that skips timesteps, the variance of one noising step becomes that of the whole
 * jump from ᾱ′ (less noisy) to ᾱ:
 *
 * <pre>
 *   β′ = 1 − ᾱ / ᾱ′
 * </pre>
 */
public enum Variance {
  /**
   * β̃, the variance of q(x_{t−1} | x_t, x_0): right for data that is a single point.
   *
   * <pre>
   *   σ² = β′ (1 − ᾱ′) / (1 − ᾱ)
   * </pre>
   */
  FIXED_SMALL {
    @Override
    double ofJump(double beta, double alphaBar, double alphaBarPrevious) {
      return beta * (1 - alphaBarPrevious) / (1 - alphaBar);
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
   *   σ² = β′
   * </pre>
   */
  FIXED_LARGE {
    @Override
    double ofJump(double beta, double alphaBar, double alphaBarPrevious) {
      return beta;
    }

    @Override
    public double logVariance(Schedule schedule, int t) {
      double beta = schedule.beta(t);
      return t == 0 ? schedule.posteriorLogVarianceClipped(0) : StrictMath.log(beta);
    }
  },

  /**
   * The network predicts the log variance directly: ln σ² = v. For a jump over several timesteps, v
   * is the log variance of the jump.
   */
  LEARNED {
    @Override
    double ofJump(double beta, double alphaBar, double alphaBarPrevious) {
      throw notFixed(this);
    }

    @Override
    public double leastVariance(double beta, double alphaBar, double alphaBarPrevious) {
      requireJump(beta, alphaBar, alphaBarPrevious);
      return 1 / Math.E;
    }

    @Override
    public double greatestVariance(double beta, double alphaBar, double alphaBarPrevious) {
      requireJump(beta, alphaBar, alphaBarPrevious);
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
    double ofJump(double beta, double alphaBar, double alphaBarPrevious) {
      throw notFixed(this);
    }

    @Override
    public double leastVariance(double beta, double alphaBar, double alphaBarPrevious) {
      return FIXED_SMALL.variance(beta, alphaBar, alphaBarPrevious);
    }

    @Override
    public double greatestVariance(double beta, double alphaBar, double alphaBarPrevious) {
      return FIXED_LARGE.variance(beta, alphaBar, alphaBarPrevious);
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
      return StrictMath.log(schedule.beta(t));
    }
  };

  abstract double ofJump(double beta, double alphaBar, double alphaBarPrevious);

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
   * @param beta β′, in (0, 1]
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²
   * @throws IllegalArgumentException if an argument is out of range
   */
  public double leastVariance(double beta, double alphaBar, double alphaBarPrevious) {
    return variance(beta, alphaBar, alphaBarPrevious);
  }

  /**
   * The variance of a jump at v = 1, or the fixed variance.
   *
   * @param beta β′, in (0, 1]
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²
   * @throws IllegalArgumentException if an argument is out of range
   */
  public double greatestVariance(double beta, double alphaBar, double alphaBarPrevious) {
    return variance(beta, alphaBar, alphaBarPrevious);
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
    return ofJump(schedule.beta(t), schedule.alphaBar(t), schedule.alphaBarPrevious(t));
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
   * #variance(double, double, double)} with the schedule's own β is more accurate: here, the
   * smaller β′, the more digits it loses to cancellation.
   *
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²; 0 for {@link #FIXED_SMALL} when {@code alphaBarPrevious} is 1
   * @throws IllegalArgumentException if the levels are out of range
   * @throws IllegalStateException if the variance is learned
   */
  public double variance(double alphaBar, double alphaBarPrevious) {
    requireLevels(alphaBar, alphaBarPrevious);
    return ofJump(1 - alphaBar / alphaBarPrevious, alphaBar, alphaBarPrevious);
  }

  /**
   * The variance of a jump with a given β′.
   *
   * @param beta β′, in (0, 1]
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²; 0 for {@link #FIXED_SMALL} when {@code alphaBarPrevious} is 1
   * @throws IllegalArgumentException if an argument is out of range
   * @throws IllegalStateException if the variance is learned
   */
  public double variance(double beta, double alphaBar, double alphaBarPrevious) {
    requireJump(beta, alphaBar, alphaBarPrevious);
    return ofJump(beta, alphaBar, alphaBarPrevious);
  }

  /** Lets the schedule reject an out-of-range step. */
  private static void requireOn(Schedule schedule, int t) {
    double unused = schedule.beta(t);
  }

  private static void requireJump(double beta, double alphaBar, double alphaBarPrevious) {
    if (!(beta > 0 && beta <= 1)) {
      throw new IllegalArgumentException("beta must be above 0 and at most 1, but was " + beta);
    }
    requireLevels(alphaBar, alphaBarPrevious);
  }

  private static IllegalStateException notFixed(Variance variance) {
    return new IllegalStateException(
        "variance "
            + variance
            + " is the network's to say; leastVariance and greatestVariance are what v = -1 and v ="
            + " 1 stand for");
  }

  private static void requireLevels(double alphaBar, double alphaBarPrevious) {
    if (!(alphaBar >= 0 && alphaBar < alphaBarPrevious && alphaBarPrevious <= 1)) {
      throw new IllegalArgumentException(
          "alphaBar must be at least 0 and less than alphaBarPrevious, which is at most 1, but they"
              + " were "
              + alphaBar
              + " and "
              + alphaBarPrevious
              + "; a reverse step goes from the noisier level to the less noisy one");
    }
  }
}
