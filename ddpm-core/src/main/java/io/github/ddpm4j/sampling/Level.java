package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Schedule;

/**
 * A level of noise, x = signal · x_0 + noise · ε, and the timestep that the network is asked there.
 */
record Level(double timestep, double signal, double noise) {

  /** The image. */
  static final Level CLEAN = new Level(0, 1, 0);

  /** The level of a timestep of the schedule. */
  static Level of(Schedule schedule, int t) {
    return new Level(t, schedule.signal(t), schedule.noise(t));
  }

  /**
   * The level where noise / signal = sigma, with signal² + noise² = 1. Its timestep lies between
   * those of the schedule as ln σ = −λ lies between theirs, and stays in [0, T − 1].
   */
  static Level at(Schedule schedule, double sigma) {
    double signal = 1 / Math.hypot(1, sigma);
    return new Level(schedule.timestepOf(sigma), signal, sigma * signal);
  }

  /** Half the logarithm of the signal-to-noise ratio, λ = ln(signal / noise). */
  double lambda() {
    return Math.log(signal) - Math.log(noise);
  }

  /** The noise for a signal of 1, σ = noise / signal. */
  double sigma() {
    return noise / signal;
  }

  /** σ of the other level divided by σ of this one; well defined without signal here. */
  double ratioTo(Level other) {
    return other.noise * signal / (other.signal * noise);
  }

  Level atWholeTimestep() {
    return new Level(Math.rint(timestep), signal, noise);
  }
}
