package io.github.ddpm4j.schedule;

/**
 * The pairs of signal and noise that a noisy image {@code x = signal · x_0 + noise · ε} passes
 * through on its way to pure noise (Lipman et al. 2023, "Flow matching for generative modeling",
 * section 4.1). A ratio of the two and the path together say both.
 *
 * @see Schedule#path
 */
public enum ProbabilityPath {
  /** signal² + noise² = 1, as in Ho et al. 2020: data of unit variance keep theirs. */
  VARIANCE_PRESERVING {
    @Override
    double signal(double sigma) {
      return 1 / Math.hypot(1, sigma);
    }

    @Override
    public double straightScale(Level level) {
      return level.signal();
    }
  },

  /**
   * signal + noise = 1, as in flow matching and rectified flow (Lipman et al. 2023, eq. 20; Liu et
   * al. 2023, eq. 1): x is on the straight line from image to noise.
   */
  LINEAR {
    @Override
    double signal(double sigma) {
      return 1 / (1 + sigma);
    }

    @Override
    public double straightScale(Level level) {
      return level.signal() + level.noise();
    }
  };

  /** The signal where noise / signal = σ; 0 for infinity. */
  abstract double signal(double sigma);

  /**
   * The factor c for which x / c of a fixed x_0 and ε moves along a straight line: methods that
   * average slopes do so there.
   *
   * @param level a level of this path
   * @return the signal of {@link #VARIANCE_PRESERVING}, so that x / c = x_0 + σ ε (Karras et al.
   *     2022); signal + noise, which is 1, of {@link #LINEAR}
   */
  public abstract double straightScale(Level level);
}
