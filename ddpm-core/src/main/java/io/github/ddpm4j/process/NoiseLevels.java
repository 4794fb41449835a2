package io.github.ddpm4j.process;

import io.github.ddpm4j.schedule.Schedule;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * How noisy each image of a batch is: {@code x = signal · x_0 + noise · ε}, and the timestep that
 * the network is asked about. One entry per image, so that one call can serve images that stand at
 * different steps of different runs.
 *
 * <p>Timesteps may be fractional; they are what the network embeds and take part in no arithmetic.
 * Immutable.
 */
public final class NoiseLevels {

  private final double[] timesteps;
  private final double[] signals;
  private final double[] noises;

  private NoiseLevels(double[] timesteps, double[] signals, double[] noises) {
    this.timesteps = timesteps;
    this.signals = signals;
    this.noises = noises;
  }

  /**
   * Levels given outright.
   *
   * @param timesteps the timestep per image, 0-based, possibly fractional
   * @param signals the factor of x_0 per image, in [0, 1]
   * @param noises the factor of ε per image, at least 0
   * @return the levels; the arrays are copied
   * @throws IllegalArgumentException if the arrays are empty, differ in length or hold a value that
   *     is not finite
   */
  public static NoiseLevels of(double[] timesteps, double[] signals, double[] noises) {
    if (timesteps.length == 0
        || timesteps.length != signals.length
        || timesteps.length != noises.length) {
      throw new IllegalArgumentException(
          "noise levels need one timestep, signal and noise per image, but there are "
              + timesteps.length
              + ", "
              + signals.length
              + " and "
              + noises.length);
    }
    requireFinite("timestep", timesteps);
    requireFinite("signal", signals);
    requireFinite("noise", noises);
    return new NoiseLevels(timesteps.clone(), signals.clone(), noises.clone());
  }

  /**
   * The levels of q(x_t | x_0) for one timestep per image.
   *
   * @param schedule the schedule
   * @param t the timestep per image, 0-based
   * @return signal √ᾱ<sub>t</sub> and noise √(1 − ᾱ<sub>t</sub>) per image
   * @throws IndexOutOfBoundsException if a timestep is outside the schedule
   * @throws IllegalArgumentException if {@code t} is empty
   */
  public static NoiseLevels of(Schedule schedule, int... t) {
    return of(
        Arrays.stream(t).asDoubleStream().toArray(),
        Arrays.stream(t).mapToDouble(schedule::signal).toArray(),
        Arrays.stream(t).mapToDouble(schedule::noise).toArray());
  }

  /**
   * Levels between the timesteps of a schedule, with signal² + noise² = 1.
   *
   * @param schedule the schedule
   * @param sigmas σ = noise / signal per image, at least 0; infinity for no signal
   * @return the levels, with the timesteps of {@link Schedule#timestepOf}
   * @throws IllegalArgumentException if there is no value, or one is negative or NaN
   */
  public static NoiseLevels ofSigmas(Schedule schedule, double... sigmas) {
    double[] timesteps = new double[sigmas.length];
    double[] signals = new double[sigmas.length];
    double[] noises = new double[sigmas.length];
    for (int i = 0; i < sigmas.length; i++) {
      timesteps[i] = schedule.timestepOf(sigmas[i]);
      signals[i] = 1 / Math.hypot(1, sigmas[i]);
      noises[i] = sigmas[i] == Double.POSITIVE_INFINITY ? 1 : sigmas[i] * signals[i];
    }
    return of(timesteps, signals, noises);
  }

  /**
   * The levels of several batches, one after the other.
   *
   * @param batches the levels of each, at least one
   * @return the levels of all images
   * @throws IllegalArgumentException if there is no batch
   */
  public static NoiseLevels concat(List<NoiseLevels> batches) {
    return of(
        all(batches, levels -> levels.timesteps),
        all(batches, levels -> levels.signals),
        all(batches, levels -> levels.noises));
  }

  private static double[] all(List<NoiseLevels> batches, Function<NoiseLevels, double[]> values) {
    return batches.stream().map(values).flatMapToDouble(Arrays::stream).toArray();
  }

  /**
   * The number of images.
   *
   * @return the number of images, at least 1
   */
  public int size() {
    return timesteps.length;
  }

  /**
   * The timestep that the network is asked about for one image.
   *
   * @param image the index in the batch
   * @return the timestep, possibly fractional
   */
  public double timestep(int image) {
    return timesteps[image];
  }

  /**
   * The factor of x_0 in one image.
   *
   * @param image the index in the batch
   * @return the signal level
   */
  public double signal(int image) {
    return signals[image];
  }

  /**
   * The factor of ε in one image.
   *
   * @param image the index in the batch
   * @return the noise level
   */
  public double noise(int image) {
    return noises[image];
  }

  @Override
  public String toString() {
    return "NoiseLevels[timesteps=" + Arrays.toString(timesteps) + "]";
  }

  private static void requireFinite(String name, double[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Double.isFinite(values[i])) {
        throw new IllegalArgumentException(
            name + " of image " + i + " must be finite, but was " + values[i]);
      }
    }
  }
}
