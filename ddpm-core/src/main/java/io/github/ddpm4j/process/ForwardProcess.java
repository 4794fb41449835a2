package io.github.ddpm4j.process;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Objects;

/**
 * The forward (noising) process q and its posterior, with an individual timestep per image.
 *
 * <p>Images are {@code float32} or {@code float64} arrays of shape (N, …), with at least two
 * dimensions; timesteps are 0-based as in {@link Schedule}. Results have the shape, dtype and
 * device of the first argument and are attached to its manager; temporaries are freed, and no
 * argument is modified or closed. Every method that takes arrays throws
 *
 * <ul>
 *   <li>{@link IllegalArgumentException} if the arrays differ in shape, dtype or device, are not
 *       batches of floats, or {@code t} does not have one entry per image;
 *   <li>{@link IndexOutOfBoundsException} if a timestep is outside the schedule.
 * </ul>
 *
 * Immutable and thread-safe.
 */
public interface ForwardProcess {

  /**
   * The forward process of a schedule.
   *
   * @param schedule the schedule
   * @return the process
   */
  static ForwardProcess of(Schedule schedule) {
    Objects.requireNonNull(schedule, "schedule");
    return new GaussianForwardProcess(schedule);
  }

  /**
   * The schedule of this process.
   *
   * @return the schedule
   */
  Schedule schedule();

  /**
   * Samples q(x_t | x_0): t + 1 noising steps at once.
   *
   * <pre>
   *   x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · ε                                   (Ho et al. 2020, eq. 4)
   * </pre>
   *
   * @param x0 the clean images
   * @param t the timestep per image
   * @param noise ε, a draw of N(0, 1) of the shape of {@code x0}
   * @return x_t
   */
  NDArray sample(NDArray x0, int[] t, NDArray noise);

  /**
   * Samples q(x_t | x_{t−1}): the single noising step to t.
   *
   * <pre>
   *   x_t = √(1 − β_t) · x_{t−1} + √β_t · ε                                (Ho et al. 2020, eq. 2)
   * </pre>
   *
   * @param previous x_{t−1}; the clean images for t = 0
   * @param t the timestep after the step, per image
   * @param noise ε, a draw of N(0, 1) of the shape of {@code previous}
   * @return x_t
   */
  NDArray step(NDArray previous, int[] t, NDArray noise);

  /**
   * The mean of q(x_{t−1} | x_t, x_0).
   *
   * <pre>
   *   μ̃_t = [β_t √ᾱ_{t−1} / (1 − ᾱ_t)] x_0 + [(1 − ᾱ_{t−1}) √α_t / (1 − ᾱ_t)] x_t      (eq. 7)
   * </pre>
   *
   * @param x0 the clean images
   * @param xt the noisy images
   * @param t the timestep per image
   * @return μ̃_t; x_0 for t = 0
   */
  NDArray posteriorMean(NDArray x0, NDArray xt, int[] t);

  /**
   * The variance β̃_t of q(x_{t−1} | x_t, x_0) (eq. 7).
   *
   * @param t the timestep
   * @return β̃_t; 0 for t = 0
   * @throws IndexOutOfBoundsException if {@code t} is outside the schedule
   */
  double posteriorVariance(int t);

  /**
   * The velocity of the path from x_0 to noise (Salimans and Ho 2022, section 4).
   *
   * <pre>
   *   v_t = √ᾱ_t · ε − √(1 − ᾱ_t) · x_0
   * </pre>
   *
   * @param x0 the clean images
   * @param noise ε, of the shape of {@code x0}
   * @param t the timestep per image
   * @return v_t
   */
  NDArray velocity(NDArray x0, NDArray noise, int[] t);
}
