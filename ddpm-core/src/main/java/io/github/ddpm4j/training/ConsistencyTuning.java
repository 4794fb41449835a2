package io.github.ddpm4j.training;

import java.util.Locale;

/**
 * How a trained model becomes one that draws in one or two calls: consistency tuning (Geng et al.
 * 2024, "Consistency Models Made Easy"). Immutable.
 *
 * <pre>{@code
 * ddpm.consistencyTuning(ConsistencyTuning.usual().stages(6)).steps(2_000).fit(data)
 * }</pre>
 *
 * <p>The model's denoised estimate x̂_0, whatever the network predicts, is read as f(x, t): the end
 * of the way of the probability flow through x, and no longer the mean of all images that x may
 * come from. t is the ratio of noise to signal, x_t = x_0 + t ε. As in Karras et al. 2022, f =
 * c_skip · x_t + c_out · output, with the factors of {@link
 * io.github.ddpm4j.prediction.Prediction#x0}. The loss compares two levels of an image with the
 * same noise and the same dropout masks:
 *
 * <pre>
 *   L = E d(f(x_t, t), sg f(x_r, r)) / (t − r)       sg: without gradient;   f(x, 0) = x
 *   r = t (1 − n(t) / q^s), at least 0;    n(t) = 1 + k / (1 + exp(b t))      s = 1, …, stages
 * </pre>
 *
 * <p>d is the loss of the run, by default the pseudo-Huber loss, whose slope has the paper's
 * adaptive weight 1 / √(‖Δ‖² + c²). A loss of {@link io.github.ddpm4j.loss.Loss.Input} gets f(x_t,
 * t) as the output, and is refused if it asks for a coefficient. In the first stages r is 0 nearly
 * everywhere, and the target the image itself, so that tuning goes on from what the network has
 * learned. A level r below the schedule's first timestep is 0. A prediction that exists at whole
 * timesteps alone is asked at the nearest of them.
 *
 * <p>c_out is what f has of the network's errors. For a prediction of the noise it is t, at the end
 * of a cosine schedule 20,000; for {@link io.github.ddpm4j.prediction.Prediction#edm} it is at most
 * σ_data. So levels are capped at {@link #sigmaMax()}, where the sampler of the result starts.
 *
 * <p>Levels, images and f are float32. Of a network that computes in bfloat16 or float16, the two
 * outputs differ also by its rounding, which adds to the loss the more, the nearer the levels are:
 * in bfloat16 less than a fifth up to the sixth stage, and up to as much again at the tenth. A run
 * refuses q^stages above 2¹⁰ in bfloat16 and 2¹³ in float16, where it would be most of the loss.
 *
 * <p>With a {@link #guidance()} w other than 1, the result draws in one call what classifier-free
 * guidance draws in two (Luo et al. 2023, "Latent Consistency Models", section 4.2). What x_r is
 * made of moves along the difference of the two predictions of a frozen copy of the network, the
 * teacher, both limited to the data range:
 *
 * <pre>
 *   x_r = x_0 + (1 − r/t) (w − 1) (x̂_0(x_t | c) − x̂_0(x_t)) + r ε
 * </pre>
 *
 * <p>so that the conditional part stays the unbiased one of the data, without a teacher. The copy
 * takes the memory of the weights once more, and each step two calls of it.
 *
 * @param q by what the distance of the levels is divided from one stage to the next, more than 1
 * @param k how much greater the distance is at small levels, at least 0
 * @param b how fast that ends as t grows, at least 0
 * @param stages the number of stages, at least 1
 * @param doubling the steps of a stage, at least 1, the last of which takes the rest of the run; 0
 *     divides the run evenly
 * @param sigmaMax the greatest level, noise / signal, positive and finite
 * @param guidance w, finite; 1 is none
 * @see io.github.ddpm4j.DDPM#consistencyTuning(ConsistencyTuning)
 */
public record ConsistencyTuning(
    double q, double k, double b, int stages, int doubling, double sigmaMax, double guidance) {

  /** The paper's q: {@value}. */
  public static final double DEFAULT_Q = 2;

  /** The paper's k: {@value}. */
  public static final double DEFAULT_K = 8;

  /** The paper's b: {@value}. */
  public static final double DEFAULT_B = 1;

  /** The number of stages: {@value}. */
  public static final int DEFAULT_STAGES = 8;

  /** The paper's greatest level: {@value}. */
  public static final double DEFAULT_SIGMA_MAX = 80;

  /** c of the pseudo-Huber loss, the default of a run: {@value}, of Song and Dhariwal 2024. */
  public static final double DEFAULT_HUBER = 0.00054;

  /** The mean of ln t, the default of a run: {@value}, the paper's. */
  public static final double DEFAULT_MEAN = -1.1;

  /** The standard deviation of ln t, the default of a run: {@value}, the paper's. */
  public static final double DEFAULT_DEVIATION = 2;

  /** The default learning rate of a run: {@value}, the paper's. */
  public static final double DEFAULT_LEARNING_RATE = 1e-4;

  /** From here on float32 does not tell the two levels apart. */
  private static final double GREATEST_DIVISOR = 1 << 20;

  /**
   * Creates the settings.
   *
   * @param q by what the distance of the levels is divided
   * @param k how much greater the distance is at small levels
   * @param b how fast that ends
   * @param stages the number of stages
   * @param doubling the steps of a stage; 0 divides the run evenly
   * @param sigmaMax the greatest level
   * @param guidance w
   * @throws IllegalArgumentException if a setting is out of its range, or q^stages above 2²⁰, where
   *     float32 does not tell the two levels apart
   */
  public ConsistencyTuning {
    if (!(q > 1) || Double.isInfinite(q)) {
      throw new IllegalArgumentException("q must be more than 1 and finite, but was " + q);
    }
    requireAtLeastZero("k", k);
    requireAtLeastZero("b", b);
    if (stages < 1) {
      throw new IllegalArgumentException("stages must be at least 1, but was " + stages);
    }
    if (!(Math.pow(q, stages) <= GREATEST_DIVISOR)) {
      throw new IllegalArgumentException(
          "q to the power of stages must be at most 2^20, beyond which float32 does not tell the"
              + " two levels apart, but was "
              + q
              + " to the power of "
              + stages
              + "; use fewer stages");
    }
    if (doubling < 0) {
      throw new IllegalArgumentException(
          "doubling must be at least 1 step, or 0 to divide the run evenly, but was " + doubling);
    }
    if (!(sigmaMax > 0) || Double.isInfinite(sigmaMax)) {
      throw new IllegalArgumentException(
          "sigmaMax must be positive and finite, but was " + sigmaMax);
    }
    if (!Double.isFinite(guidance)) {
      throw new IllegalArgumentException("guidance must be finite, but was " + guidance);
    }
  }

  private static void requireAtLeastZero(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " must be finite and at least 0, but was " + value);
    }
  }

  /**
   * The paper's settings for CIFAR-10, over {@value #DEFAULT_STAGES} stages that divide the run
   * evenly, without guidance.
   *
   * @return the settings
   */
  public static ConsistencyTuning usual() {
    return new ConsistencyTuning(
        DEFAULT_Q, DEFAULT_K, DEFAULT_B, DEFAULT_STAGES, 0, DEFAULT_SIGMA_MAX, 1);
  }

  /**
   * How the distance of the two levels depends on level and stage.
   *
   * @param q by what it is divided from one stage to the next, more than 1
   * @param k how much greater it is at small levels, at least 0; 0 for the same ratio r / t at all
   * @param b how fast that ends, at least 0
   * @return new settings
   * @throws IllegalArgumentException if a number is out of its range
   */
  public ConsistencyTuning ratio(double q, double k, double b) {
    return new ConsistencyTuning(q, k, b, stages, doubling, sigmaMax, guidance);
  }

  /**
   * The number of stages. More come nearer to the exact function, but learn it more slowly.
   *
   * @param count at least 1
   * @return new settings
   * @throws IllegalArgumentException if {@code count} is less than 1 or q^count too large
   */
  public ConsistencyTuning stages(int count) {
    return new ConsistencyTuning(q, k, b, count, doubling, sigmaMax, guidance);
  }

  /**
   * The steps of a stage. A run that is to be resumed with another number of steps needs them.
   *
   * @param steps at least 1; 0, the default, divides the run evenly
   * @return new settings
   * @throws IllegalArgumentException if {@code steps} is negative
   */
  public ConsistencyTuning doubling(int steps) {
    return new ConsistencyTuning(q, k, b, stages, steps, sigmaMax, guidance);
  }

  /**
   * The greatest level, where the sampler of the result starts.
   *
   * @param sigma noise / signal, positive and finite; large against the deviation of the data
   * @return new settings
   * @throws IllegalArgumentException if {@code sigma} is not positive and finite
   */
  public ConsistencyTuning sigmaMax(double sigma) {
    return new ConsistencyTuning(q, k, b, stages, doubling, sigma, guidance);
  }

  /**
   * Builds classifier-free guidance in.
   *
   * @param scale w, as that of {@code Guidance.classifierFree}: 1, the default, is none
   * @return new settings
   * @throws IllegalArgumentException if {@code scale} is not finite
   */
  public ConsistencyTuning guidance(double scale) {
    return new ConsistencyTuning(q, k, b, stages, doubling, sigmaMax, scale);
  }

  /**
   * The same settings with the steps of a stage worked out.
   *
   * @param steps the steps of the run, at least 1
   * @return settings whose {@link #doubling()} is at least 1
   */
  public ConsistencyTuning over(int steps) {
    return doubling > 0 ? this : doubling((steps + stages - 1) / stages);
  }

  /**
   * The stage of a step.
   *
   * @param step the number of steps done before; {@link #doubling()} must be known
   * @return from 1 to {@link #stages()}
   * @throws IllegalStateException if {@link #doubling()} is 0; call {@link #over} first
   */
  public int stage(long step) {
    if (doubling == 0) {
      throw new IllegalStateException(
          "the stage of a step needs the steps of a stage; call over(steps) or doubling(steps)");
    }
    return (int) Math.min(stages, 1 + step / doubling);
  }

  /**
   * The level that a level is compared with.
   *
   * @param t noise / signal, positive
   * @param stage from 1 to {@link #stages()}
   * @return r, at least 0 and less than t
   */
  public double earlier(double t, int stage) {
    double n = 1 + k / (1 + Math.exp(b * t));
    return Math.max(0, t * (1 - n / Math.pow(q, stage)));
  }

  /** The settings, as model files and checkpoints say them. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "q=%s, k=%s, b=%s, stages=%d, doubling=%d, sigmaMax=%s, guidance=%s",
        q,
        k,
        b,
        stages,
        doubling,
        sigmaMax,
        guidance);
  }
}
