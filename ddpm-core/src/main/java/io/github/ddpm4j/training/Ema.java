package io.github.ddpm4j.training;

import io.github.ddpm4j.internal.average.PowerProfile;
import io.github.ddpm4j.internal.ops.Float32;
import java.util.Locale;

/**
 * The exponential moving average (EMA) of the weights, used for sampling. Immutable.
 *
 * <pre>
 *   ā ← d ā + (1 − d) w      after step s, counted from 1
 * </pre>
 *
 * <p>How the decay d depends on the step:
 *
 * <table>
 * <caption>Forms of the average</caption>
 * <tr><th>form</th><th>d after step s</th><th>as in</th></tr>
 * <tr><td>{@link #of}</td><td>min(decay, (1 + s) / (10 + s))</td><td>TensorFlow, diffusers</td></tr>
 * <tr><td>{@link #constant}</td><td>decay</td><td>the authors' code</td></tr>
 * <tr><td>{@link #inverseGamma}</td><td>min(decay, 1 − (1 + (s − 1) / γ)<sup>−p</sup>)</td>
 *     <td>diffusers, denoising_diffusion_pytorch</td></tr>
 * <tr><td>{@link #halfLife}</td><td>2<sup>−n / min(h, r · N)</sup>, n images a step, N before it</td>
 *     <td>Karras et al. 2022</td></tr>
 * <tr><td>{@link #powerFunction}</td><td>(1 − k / s)<sup>γ + 1</sup>, every k steps</td>
 *     <td>Karras et al. 2024</td></tr>
 * </table>
 *
 * <p>Without a warm-up, a decay of 0.9999 retains the random initial weights for some 30,000 steps.
 */
public final class Ema {

  /** The decay of Ho et al. 2020: {@value}. */
  public static final double DEFAULT_DECAY = 0.9999;

  /** The share of the images so far that limits the half-life in Karras et al. 2022: {@value}. */
  public static final double RAMP_UP = 0.05;

  /** d as a function of the step, of the images of a step, and of the steps since the last time. */
  private interface Curve {
    double decay(long step, double images, int steps);
  }

  private final Curve curve;
  private final String text;
  private final int every;
  private final long after;

  private Ema(Curve curve, String text, int every, long after) {
    this.curve = curve;
    this.text = text;
    this.every = every;
    this.after = after;
  }

  private static Ema of(Curve curve, String text, Object... numbers) {
    return new Ema(curve, String.format(Locale.ROOT, text, numbers), 1, 0);
  }

  /**
   * An exponential moving average with warm-up.
   *
   * @param decay the decay after warm-up, in [0, 1); 0 for no averaging
   * @return d = min(decay, (1 + s) / (10 + s))
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1), or 1 in float32
   */
  public static Ema of(double decay) {
    requireDecay(decay);
    return of((s, images, k) -> Math.min(decay, (1.0 + s) / (10.0 + s)), "warm-up to %s", decay);
  }

  /**
   * An exponential moving average without warm-up.
   *
   * @param decay the decay, in [0, 1); 0 for no averaging
   * @return d = decay
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1), or 1 in float32
   */
  public static Ema constant(double decay) {
    requireDecay(decay);
    return of((s, images, k) -> decay, "%s", decay);
  }

  /**
   * An exponential moving average with a warm-up by a power of the step.
   *
   * @param decay the greatest decay, in [0, 1)
   * @param gamma γ, positive; 1 in most code
   * @param power p, positive; 2/3 for runs of a million steps, 3/4 for fewer
   * @return d = min(decay, 1 − (1 + (s − 1) / γ)^−p), so that the first step copies the weights
   * @throws IllegalArgumentException if an argument is out of range
   */
  public static Ema inverseGamma(double decay, double gamma, double power) {
    requireDecay(decay);
    requirePositive("gamma", gamma);
    requirePositive("power", power);
    return of(
        (s, images, k) -> Math.min(decay, 1 - Math.pow(1 + (s - 1) / gamma, -power)),
        "inverse gamma %2$s, power %3$s, to %1$s",
        decay,
        gamma,
        power);
  }

  /**
   * An exponential moving average of a half-life in images, so that it does not depend on the batch
   * size (Karras et al. 2022, appendix F.2; 500,000 images for CIFAR-10).
   *
   * @param images h, the images after which a weight counts half, positive
   * @return d = 2^(−n / min(h, {@value #RAMP_UP} · N)) for n images a step and N images before it,
   *     so that the first step copies the weights
   * @throws IllegalArgumentException if {@code images} is not positive and finite
   */
  public static Ema halfLife(double images) {
    requirePositive("images", images);
    return of(
        (s, ofStep, k) -> Math.pow(0.5, ofStep / Math.min(images, RAMP_UP * (s - 1) * ofStep)),
        "half-life of %s images",
        images);
  }

  /**
   * An average whose length is a fixed share of the run so far, whatever the number of steps
   * (Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models",
   * section 3.1). The weights of step τ count as τ^γ.
   *
   * <pre>
   *   σ_rel = √(γ + 1) / ((γ + 2) √(γ + 3))      γ = 6.94 for 0.1, 16.97 for 0.05
   * </pre>
   *
   * @param width σ_rel, the standard deviation of that profile as a share of the run, in (0,
   *     0.2886], where the greatest is the uniform average
   * @return d = (1 − k / s)^(γ + 1), k steps after the last time, so that the first step copies the
   *     weights
   * @throws IllegalArgumentException if {@code width} is out of range
   * @see io.github.ddpm4j.PostHocEma
   */
  public static Ema powerFunction(double width) {
    double gamma = PowerProfile.gammaOf(width);
    return of(
        (s, images, k) -> PowerProfile.decay(gamma, (double) s, k),
        "power function of width %s",
        width);
  }

  /**
   * Averages at every k-th step only: after steps 1, 1 + k, 1 + 2k and so on, as
   * denoising_diffusion_pytorch does with k = 10. The decay is that of the step; a power function
   * keeps its width.
   *
   * @param steps k, at least 1
   * @return a new average
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Ema every(int steps) {
    if (steps < 1) {
      throw new IllegalArgumentException("every must be at least 1 step, but was " + steps);
    }
    return new Ema(curve, text, steps, after);
  }

  /**
   * Copies the weights until some steps are done, and counts the steps of the warm-up from then on.
   *
   * @param steps at least 0; 100 in denoising_diffusion_pytorch
   * @return a new average
   * @throws IllegalArgumentException if {@code steps} is negative
   */
  public Ema after(long steps) {
    if (steps < 0) {
      throw new IllegalArgumentException("after must be at least 0 steps, but was " + steps);
    }
    return new Ema(curve, text, every, steps);
  }

  /**
   * The decay after a step.
   *
   * @param step the number of completed steps, from 1
   * @param images the number of images of a step; only {@link #halfLife} depends on it
   * @return the factor of the previous average: 0 where the weights are copied, 1 where nothing is
   *     averaged
   */
  public double decayAfter(long step, double images) {
    if ((step - 1) % every != 0) {
      return 1;
    }
    return step <= after ? 0 : curve.decay(step - after, images, every);
  }

  private static void requireDecay(double decay) {
    if (!(decay >= 0 && decay < 1)) {
      throw new IllegalArgumentException("EMA decay must lie in [0, 1), but was " + decay);
    }
    Float32.requireBelowOne("EMA decay", decay);
  }

  private static void requirePositive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          "EMA " + name + " must be positive and finite, but was " + value);
    }
  }

  /** The form with its numbers, as model files say it. */
  @Override
  public String toString() {
    return text
        + (every > 1 ? ", every " + every + " steps" : "")
        + (after > 0 ? ", after " + after + " steps" : "");
  }
}
