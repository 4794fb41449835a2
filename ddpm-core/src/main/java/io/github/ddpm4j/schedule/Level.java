package io.github.ddpm4j.schedule;

/**
 * A noise level: the signal and noise factors of a noisy image, and the timestep that represents
 * it.
 *
 * <pre>
 *   x = signal · x_0 + noise · ε                                        (Ho et al. 2020, eq. 4)
 * </pre>
 *
 * <p>On a schedule they are {@link Schedule#signal} and {@link Schedule#noise}; between and beyond
 * its timesteps, the two factors alone define the level. The timestep is only passed to the network
 * and never used in arithmetic.
 *
 * @param timestep the timestep, 0-based, possibly fractional
 * @param signal the factor of x_0, at least 0
 * @param noise the factor of ε, at least 0
 */
public record Level(double timestep, double signal, double noise) {

  /** By how much signal² + noise² may differ from 1 where rounding alone makes the difference. */
  private static final double ROUNDING = 1e-12;

  /** A clean image: signal 1, noise 0. */
  public static final Level CLEAN = new Level(0, 1, 0);

  /**
   * Creates a level.
   *
   * @param timestep the timestep
   * @param signal the factor of x_0
   * @param noise the factor of ε
   * @throws IllegalArgumentException if a number is not finite, signal or noise is negative, or
   *     both are 0
   */
  public Level {
    if (!Double.isFinite(timestep)) {
      throw new IllegalArgumentException("timestep must be finite, but was " + timestep);
    }
    if (!(signal >= 0 && noise >= 0 && signal + noise > 0)
        || Double.isInfinite(signal)
        || Double.isInfinite(noise)) {
      throw new IllegalArgumentException(
          "signal and noise must be finite, at least 0 and not both 0, but were "
              + signal
              + " and "
              + noise);
    }
  }

  /**
   * The level of a timestep of a schedule.
   *
   * @param schedule the schedule
   * @param t the timestep, 0-based
   * @return the level with the schedule's signal and noise
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  public static Level of(Schedule schedule, int t) {
    return new Level(t, schedule.signal(t), schedule.noise(t));
  }

  /**
   * The noisiest level of a schedule, that of its last timestep.
   *
   * @param schedule the schedule
   * @return the level of T − 1
   */
  public static Level last(Schedule schedule) {
    return of(schedule, schedule.timesteps() - 1);
  }

  /**
   * The level where noise / signal = σ, on the schedule's {@linkplain Schedule#path() path}. Its
   * timestep is interpolated linearly in ln σ = −λ between those of the schedule and clamped to [0,
   * T − 1].
   *
   * @param schedule the schedule
   * @param sigma σ, at least 0; infinity for no signal
   * @return the level, with the timestep of {@link Schedule#timestepOf}
   * @throws IllegalArgumentException if {@code sigma} is negative or NaN
   */
  public static Level ofSigma(Schedule schedule, double sigma) {
    double timestep = schedule.timestepOf(sigma);
    double signal = schedule.path().signal(sigma);
    return new Level(timestep, signal, sigma == Double.POSITIVE_INFINITY ? 1 : sigma * signal);
  }

  /**
   * Half the logarithm of the signal-to-noise ratio, λ = ln(signal / noise).
   *
   * @return λ; infinity at zero noise, −infinity at zero signal
   */
  public double lambda() {
    return Math.log(signal) - Math.log(noise);
  }

  /**
   * The noise-to-signal ratio σ = noise / signal.
   *
   * @return σ; infinity at zero signal
   */
  public double sigma() {
    return noise / signal;
  }

  /**
   * The ratio of another level's σ to this one's; well defined even if this level has zero signal.
   *
   * @param other the other level
   * @return σ′ / σ
   */
  public double ratioTo(Level other) {
    return other.noise * signal / (other.signal * noise);
  }

  /**
   * The mean square of a pixel at this level where that of clean images is 1.
   *
   * @return signal² + noise²; exactly 1 where that is 1 but for rounding
   */
  public double power() {
    double power = signal * signal + noise * noise;
    return Math.abs(power - 1) <= ROUNDING ? 1 : power;
  }

  /**
   * The variance of the noising step that leads to this level from a less noisy one (Kingma et al.
   * 2021, "Variational diffusion models", eq. 2). With s for this level and c for the other,
   *
   * <pre>
   *   q(x_s | x_c) = N(r · x_c, v),    r = signal_s / signal_c,    v = noise_s² − r² noise_c²
   * </pre>
   *
   * <p>which is 1 − ᾱ_s / ᾱ_c where the variance is preserved.
   *
   * @param cleaner the level before the step, with some signal
   * @return v; negative if the other level is the noisier one
   */
  public double varianceFrom(Level cleaner) {
    // A difference of squares, whose factors keep their digits.
    double here = noise * cleaner.signal;
    double there = signal * cleaner.noise;
    return (here - there) * (here + there) / (cleaner.signal * cleaner.signal);
  }

  /**
   * The same level at the nearest whole timestep.
   *
   * @return a level with this signal and noise
   */
  public Level atWholeTimestep() {
    return new Level(Math.rint(timestep), signal, noise);
  }
}
