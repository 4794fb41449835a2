package io.github.ddpm4j.prediction;

import io.github.ddpm4j.schedule.Schedule;

/**
 * The variance of the reverse process p(x_{t−1} | x_t). Two are fixed (Ho et al. 2020, section
 * 3.2): the lower and the upper bound for data of unit variance. Two are learned (Nichol and
 * Dhariwal 2021, section 3.1): the network then has 2C output channels, of which the second half,
 * v, says the variance of each pixel.
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
    public double logVariance(Schedule schedule, int t) {
      return schedule.posteriorLogVarianceClipped(t);
    }
  },

  /**
   * β, the variance of the noising step: right for data that is N(0, 1). The paper's choice for
   * CIFAR-10.
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
   * The network says the logarithm of the variance outright: ln σ² = v. Of a jump over several
   * timesteps it says that of the jump.
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
   * The network says where between the two fixed variances it is (eq. 15 there), v = −1 for {@link
   * #FIXED_SMALL} and 1 for {@link #FIXED_LARGE}:
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
   * Whether the network says the variance, in a second half of its output channels.
   *
   * @return true for {@link #LEARNED} and {@link #LEARNED_RANGE}
   */
  public boolean isLearned() {
    return this == LEARNED || this == LEARNED_RANGE;
  }

  /**
   * The variance of a jump where v = −1; the only one if the variance is fixed. Between the two, ln
   * σ² goes linearly with v, and goes on beyond them.
   *
   * @param beta β′, in (0, 1]
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²
   * @throws IllegalArgumentException if an argument is out of its range
   */
  public double leastVariance(double beta, double alphaBar, double alphaBarPrevious) {
    return variance(beta, alphaBar, alphaBarPrevious);
  }

  /**
   * The variance of a jump where v = 1; the only one if the variance is fixed.
   *
   * @param beta β′, in (0, 1]
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²
   * @throws IllegalArgumentException if an argument is out of its range
   */
  public double greatestVariance(double beta, double alphaBar, double alphaBarPrevious) {
    return variance(beta, alphaBar, alphaBarPrevious);
  }

  /**
   * The variance of one step of the schedule.
   *
   * @param schedule the schedule
   * @param t the step, 0-based
   * @return σ²; for t = 0, where samplers add no noise, 0 and β_0
   * @throws IllegalStateException if the variance is learned
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public double variance(Schedule schedule, int t) {
    return ofJump(schedule.beta(t), schedule.alphaBar(t), schedule.alphaBarPrevious(t));
  }

  /**
   * ln σ² of one step of the schedule, with its value at t = 0 as the authors' code has it: that of
   * {@link #FIXED_SMALL} at t = 1, for both. It is what likelihoods use, where the variance at t =
   * 0 counts and must not be 0.
   *
   * @param schedule the schedule
   * @param t the step, 0-based
   * @return ln σ², always finite
   * @throws IllegalStateException if the variance is learned
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public abstract double logVariance(Schedule schedule, int t);

  /**
   * ln σ² of one step of the schedule where v = −1; the only one if the variance is fixed. Between
   * the two, ln σ² goes linearly with v. As in {@link #logVariance} it is finite at t = 0.
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
   * ln σ² of one step of the schedule where v = 1; the only one if the variance is fixed. Of {@link
   * #LEARNED_RANGE} it is ln β<sub>t</sub>, at t = 0 too, as in the authors' code.
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
   * The variance of a jump between any two levels. Where the levels are neighbours on a schedule,
   * {@link #variance(double, double, double)} with the schedule's own β is more accurate: β′ loses
   * as many digits here as β′ is small.
   *
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²; 0 for {@link #FIXED_SMALL} when {@code alphaBarPrevious} is 1
   * @throws IllegalArgumentException if the levels are out of their ranges
   * @throws IllegalStateException if the variance is learned
   */
  public double variance(double alphaBar, double alphaBarPrevious) {
    requireLevels(alphaBar, alphaBarPrevious);
    return ofJump(1 - alphaBar / alphaBarPrevious, alphaBar, alphaBarPrevious);
  }

  /**
   * The variance of a jump whose β′ is known.
   *
   * @param beta β′, in (0, 1]
   * @param alphaBar ᾱ before the jump, in [0, {@code alphaBarPrevious})
   * @param alphaBarPrevious ᾱ′ after the jump, in (0, 1]
   * @return σ²; 0 for {@link #FIXED_SMALL} when {@code alphaBarPrevious} is 1
   * @throws IllegalArgumentException if an argument is out of its range
   * @throws IllegalStateException if the variance is learned
   */
  public double variance(double beta, double alphaBar, double alphaBarPrevious) {
    requireJump(beta, alphaBar, alphaBarPrevious);
    return ofJump(beta, alphaBar, alphaBarPrevious);
  }

  /** The schedule refuses a step that is not its own. */
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
