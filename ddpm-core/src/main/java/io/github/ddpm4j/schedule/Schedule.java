package io.github.ddpm4j.schedule;

import java.util.Map;

/**
 * The noise schedule of a diffusion process: the factors of image and noise at each timestep, the
 * variances β<sub>t</sub> of the noising steps, and the quantities derived from them, in {@code
 * double}.
 *
 * <p><b>Index convention.</b> Throughout this library {@code t} runs from 0 to {@code timesteps() -
 * 1}, and {@code t = 0} means one noising step. The paper's t is larger by one.
 *
 * <pre>
 *   α_t  = 1 − β_t
 *   ᾱ_t  = Π_{s≤t} α_s,   ᾱ_{−1} = 1
 *   β̃_t  = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)                                (Ho et al. 2020, eq. 7)
 *   μ̃_t  = [β_t √ᾱ_{t−1} / (1 − ᾱ_t)] x_0 + [(1 − ᾱ_{t−1}) √α_t / (1 − ᾱ_t)] x_t      (eq. 7)
 * </pre>
 *
 * <p>These are the equations of a schedule that preserves the variance, as all do but {@link
 * Schedules#flow}. On every {@linkplain #path() path}, with a = signal and s = noise (Kingma et al.
 * 2021, "Variational diffusion models", eq. 1, 2, 22 and 26):
 *
 * <pre>
 *   x_t  = a_t x_0 + s_t ε
 *   ᾱ_t  = a_t²,    α_t = ᾱ_t / ᾱ_{t−1},    β_t = s_t² − α_t s_{t−1}²
 *   β̃_t  = β_t s_{t−1}² / s_t²
 *   μ̃_t  = [β_t a_{t−1} / s_t²] x_0 + [s_{t−1}² √α_t / s_t²] x_t
 * </pre>
 *
 * <p>Immutable and thread-safe. Every accessor that takes {@code t} throws {@link
 * IndexOutOfBoundsException} if it is outside {@code [0, timesteps())}, with the value and the
 * range in the message.
 *
 * @see Schedules
 */
public interface Schedule {

  /**
   * The number of noising steps T.
   *
   * @return T, at least 1
   */
  int timesteps();

  /**
   * The variance β<sub>t</sub> of one noising step.
   *
   * @param t the step, 0-based
   * @return β<sub>t</sub>, in (0, 1); 1 only as the last entry of a schedule that ends without
   *     signal
   */
  double beta(int t);

  /**
   * The squared signal factor of one noising step, α<sub>t</sub> = ᾱ<sub>t</sub> / ᾱ<sub>t−1</sub>;
   * 1 − β<sub>t</sub> where the variance is preserved.
   *
   * @param t the step, 0-based
   * @return α<sub>t</sub>
   */
  double alpha(int t);

  /**
   * The squared signal factor of the first t + 1 noising steps, ᾱ<sub>t</sub> (eq. 4).
   *
   * @param t the step, 0-based
   * @return ᾱ<sub>t</sub>, strictly decreasing in t
   */
  double alphaBar(int t);

  /**
   * The squared signal factor before step t, ᾱ<sub>t−1</sub>; 1 for t = 0.
   *
   * @param t the step, 0-based
   * @return ᾱ<sub>t−1</sub>
   */
  double alphaBarPrevious(int t);

  /**
   * The factor of x_0 in x_t, √ᾱ<sub>t</sub>.
   *
   * @param t the step, 0-based
   * @return √ᾱ<sub>t</sub>
   */
  double signal(int t);

  /**
   * The factor of the noise in x_t, √(1 − ᾱ<sub>t</sub>) where the variance is preserved.
   *
   * @param t the step, 0-based
   * @return the factor, strictly increasing in t
   */
  double noise(int t);

  /**
   * The signal-to-noise ratio signal² / noise², ᾱ<sub>t</sub> / (1 − ᾱ<sub>t</sub>) where the
   * variance is preserved.
   *
   * @param t the step, 0-based
   * @return the ratio, strictly decreasing in t
   */
  double snr(int t);

  /**
   * The variance β̃<sub>t</sub> of q(x_{t−1} | x_t, x_0) (eq. 7); 0 for t = 0.
   *
   * @param t the step, 0-based
   * @return β̃<sub>t</sub>
   */
  double posteriorVariance(int t);

  /**
   * The clipped log variance ln β̃<sub>t</sub>: as in the authors' code, the infinite value at t =
   * 0 is replaced by that at t = 1. A one-step schedule has no t = 1 and gives ln β<sub>0</sub>.
   *
   * @param t the step, 0-based
   * @return the clipped log variance, always finite
   */
  double posteriorLogVarianceClipped(int t);

  /**
   * The factor of x_0 in the posterior mean μ̃<sub>t</sub> (eq. 7).
   *
   * @param t the step, 0-based
   * @return the factor; exactly 1 for t = 0
   */
  double posteriorMeanX0(int t);

  /**
   * The factor of x_t in the posterior mean μ̃<sub>t</sub> (eq. 7).
   *
   * @param t the step, 0-based
   * @return the factor; 0 for t = 0
   */
  double posteriorMeanXt(int t);

  /**
   * The path on which levels between the timesteps lie.
   *
   * @return {@link ProbabilityPath#VARIANCE_PRESERVING}, but {@link ProbabilityPath#LINEAR} for
   *     {@link Schedules#flow}
   */
  default ProbabilityPath path() {
    return ProbabilityPath.VARIANCE_PRESERVING;
  }

  /**
   * The timestep, possibly fractional, of a given noise level. It is interpolated linearly in ln σ
   * between neighbouring timesteps, where σ = noise / signal, and clamped to the first and the
   * last.
   *
   * @param sigma σ, at least 0; infinity for no signal
   * @return the timestep, in [0, T − 1]
   * @throws IllegalArgumentException if {@code sigma} is negative or NaN
   */
  default double timestepOf(double sigma) {
    if (!(sigma >= 0)) {
      throw new IllegalArgumentException("sigma must be at least 0, but was " + sigma);
    }
    double logSigma = Math.log(sigma);
    int low = 0;
    int high = timesteps() - 1;
    if (logSigma <= logSigma(low)) {
      return low;
    }
    if (logSigma >= logSigma(high)) {
      return high;
    }
    while (high - low > 1) {
      int middle = (low + high) / 2;
      if (logSigma(middle) <= logSigma) {
        low = middle;
      } else {
        high = middle;
      }
    }
    double below = logSigma(low);
    double above = logSigma(high);
    return Double.isInfinite(above) ? low : low + (logSigma - below) / (above - below);
  }

  private double logSigma(int t) {
    return Math.log(noise(t)) - Math.log(signal(t));
  }

  /**
   * The description of this schedule, as stored in model files: the key {@code type} names the
   * factory, the other keys its arguments. {@link Schedules#of(Map)} recreates the schedule from
   * it.
   *
   * @return an unmodifiable map of strings, numbers, lists of numbers and nested maps of this kind,
   *     in a stable order
   */
  Map<String, Object> describe();
}
