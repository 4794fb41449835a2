package io.github.ddpm4j.internal.bound;

import io.github.ddpm4j.spi.Ops;

/**
 * The terms of the variational bound on the negative log likelihood (Ho et al. 2020, eq. 5), per
 * image, as a mean over the values of the image, in bits:
 *
 * <pre>
 *   L_T   = KL(q(x_T | x_0) ‖ N(0, I))                                 {@link #prior}
 *   L_t   = KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t))               {@link #kl}
 *   L_0   = −log₂ p(x_0 | x_1)                                         {@link #decoder}
 * </pre>
 *
 * <p>with the paper's t, which is one more than the library's. All are written against {@link Ops},
 * so that they run on arrays and inside programs that are compiled, with gradients. Means and log
 * variances have the shape (N, C, H, W), or (N, 1, 1, 1) where one number stands for an image.
 *
 * <p>L_0 needs to know what values pictures can have: {@value #DEFAULT_LEVELS} levels over the data
 * range, evenly, or another number. The chance of a level is that of its interval of the Gaussian,
 * and of the outer levels that of all beyond (eq. 13). Chances are taken as 10⁻¹² at least, as in
 * the authors' code, so that a value costs 39.9 bits at most. Immutable.
 */
public final class VariationalBound {

  /** The levels of a picture of 8 bits: {@value}. */
  public static final int DEFAULT_LEVELS = 256;

  /** The least chance of a level. */
  private static final double LEAST_CHANCE = 1e-12;

  /** Further than any Gaussian reaches, in deviations. */
  private static final double BEYOND = 100;

  /**
   * How near to an end of the range a value counts as the outer level, in half ranges; less where
   * levels are denser.
   */
  private static final double EDGE = 1e-3;

  private final double min;
  private final double max;
  private final int levels;
  private final boolean approximate;

  private VariationalBound(double min, double max, int levels, boolean approximate) {
    this.min = min;
    this.max = max;
    this.levels = levels;
    this.approximate = approximate;
  }

  /**
   * The bound for pictures of 8 bits.
   *
   * @param min the value of the lowest level
   * @param max the value of the highest level
   * @return the bound, whose Gaussian integral is exact
   * @throws IllegalArgumentException unless both are finite and {@code min < max}
   */
  public static VariationalBound over(double min, double max) {
    if (!Double.isFinite(min) || !Double.isFinite(max) || min >= max) {
      throw new IllegalArgumentException(
          "the range of the levels must have finite ends with min < max, but was ["
              + min
              + ", "
              + max
              + "]");
    }
    return new VariationalBound(min, max, DEFAULT_LEVELS, false);
  }

  /**
   * The same bound for pictures of another number of levels.
   *
   * @param count how many values a pixel can have
   * @return a bound for these levels
   * @throws IllegalArgumentException if {@code count} is less than 2
   */
  public VariationalBound levels(int count) {
    if (count < 2) {
      throw new IllegalArgumentException(
          "levels must be at least 2, but was " + count + "; pictures of 8 bits have 256");
    }
    return new VariationalBound(min, max, count, approximate);
  }

  /**
   * The number of levels of a pixel.
   *
   * @return at least 2
   */
  public int levels() {
    return levels;
  }

  /**
   * The same bound with the approximation that the code of the paper and its successors have in
   * place of the Gaussian integral, to compare with their figures:
   *
   * <pre>
   *   Φ(z) ≈ ½ (1 + tanh(√(2/π) (z + 0.044715 z³)))
   * </pre>
   *
   * @return a bound with this approximation
   */
  public VariationalBound withApproximateIntegral() {
    return new VariationalBound(min, max, levels, true);
  }

  /**
   * The divergence of two diagonal Gaussians.
   *
   * <pre>
   *   KL(N(μ₁, σ₁²) ‖ N(μ₂, σ₂²)) = ½ [(μ₁ − μ₂)² / σ₂² + σ₁²/σ₂² − 1 − ln σ₁²/σ₂²] / ln 2
   * </pre>
   *
   * @param ops the operations
   * @param mean μ₁
   * @param logVariance ln σ₁²
   * @param otherMean μ₂
   * @param otherLogVariance ln σ₂²
   * @param <T> what the operations work on
   * @return bits per value of each image, shape (N)
   */
  public static <T> T kl(Ops<T> ops, T mean, T logVariance, T otherMean, T otherLogVariance) {
    T logRatio = ops.subtract(logVariance, otherLogVariance);
    // e^r − 1 − r, whose digits matter most where r is small
    T spread = ops.subtract(ops.expm1(logRatio), logRatio);
    T distance =
        ops.multiply(
            ops.square(ops.subtract(mean, otherMean)), ops.exp(ops.scale(otherLogVariance, -1)));
    return ops.scale(ops.meanPerImage(ops.add(distance, spread)), 0.5 / Math.log(2));
  }

  /**
   * What is left of the images after the last noising step, against none.
   *
   * <pre>
   *   L_T = KL(N(√ᾱ x_0, 1 − ᾱ) ‖ N(0, 1)) = ½ [ᾱ x_0² − ᾱ − ln(1 − ᾱ)] / ln 2
   * </pre>
   *
   * <p>A schedule that does not preserve the variance ends in pure noise, where ᾱ is 0 and this
   * too.
   *
   * @param ops the operations
   * @param x0 the clean images, shape (N, C, H, W)
   * @param alphaBar ᾱ of the last timestep, in [0, 1)
   * @param <T> what the operations work on
   * @return bits per value of each image, shape (N)
   * @throws IllegalArgumentException if {@code alphaBar} is out of its range
   */
  public static <T> T prior(Ops<T> ops, T x0, double alphaBar) {
    if (!(alphaBar >= 0 && alphaBar < 1)) {
      throw new IllegalArgumentException(
          "alphaBar of the last timestep must be at least 0 and less than 1, but was " + alphaBar);
    }
    double bits = 0.5 / Math.log(2);
    return ops.shift(
        ops.scale(ops.meanPerImage(ops.square(x0)), bits * alphaBar),
        bits * (-alphaBar - Math.log1p(-alphaBar)));
  }

  /**
   * What the exact levels of the images cost once the mean and the variance are known.
   *
   * <pre>
   *   L_0 = −log₂ [Φ((x_0 + δ − μ) / σ) − Φ((x_0 − δ − μ) / σ)]           (eq. 13)
   * </pre>
   *
   * <p>where δ is half the distance of two levels, 1/255 in [−1, 1]. The chance has its digits as
   * far as the least one, in float32 too; the approximate integral is a plain difference, which
   * loses them where the chance is small.
   *
   * @param ops the operations
   * @param x0 the clean images, whose values are levels, shape (N, C, H, W)
   * @param mean μ, shape of {@code x0}
   * @param logVariance ln σ²
   * @param <T> what the operations work on
   * @return bits per value of each image, shape (N)
   */
  public <T> T decoder(Ops<T> ops, T x0, T mean, T logVariance) {
    return ops.scale(ops.meanPerImage(logChance(ops, x0, mean, logVariance)), -1 / Math.log(2));
  }

  /** The logarithm of the chance of each value. */
  <T> T logChance(Ops<T> ops, T x0, T mean, T logVariance) {
    T centred = ops.subtract(x0, mean);
    T perDeviation = ops.exp(ops.scale(logVariance, -0.5));
    return approximate
        ? approximateLogChance(ops, x0, centred, perDeviation)
        : ops.atLeast(exactLogChance(ops, x0, centred, perDeviation), Math.log(LEAST_CHANCE));
  }

  /** The Gaussian is even: the nearer end of each interval is turned to the left. */
  private <T> T exactLogChance(Ops<T> ops, T x0, T centred, T perDeviation) {
    T distance = byLevel(ops, x0, ops.scale(centred, -1), ops.abs(centred), centred);
    T one = ops.shift(ops.scale(x0, 0), 1);
    T beyond = ops.scale(one, BEYOND);
    T to = ops.multiply(ops.shift(distance, half()), perDeviation);
    T width = ops.multiply(one, ops.scale(perDeviation, 2 * half()));
    return GaussianInterval.logChance(
        ops,
        ops.multiply(ops.shift(distance, -half()), perDeviation),
        byLevel(ops, x0, beyond, to, beyond),
        byLevel(ops, x0, beyond, width, beyond));
  }

  /** With the reference code's operations, so that its figures can be had to the last digit. */
  private <T> T approximateLogChance(Ops<T> ops, T x0, T centred, T perDeviation) {
    T below = tanhIntegral(ops, ops.multiply(ops.shift(centred, -half()), perDeviation));
    T upTo = tanhIntegral(ops, ops.multiply(ops.shift(centred, half()), perDeviation));
    T beyond = ops.shift(ops.scale(below, -1), 1);
    T chance = byLevel(ops, x0, upTo, ops.subtract(upTo, below), beyond);
    return ops.log(ops.atLeast(chance, LEAST_CHANCE));
  }

  /** Half the distance of two levels. */
  private double half() {
    return (max - min) / (levels - 1) / 2;
  }

  /** One thing for the lowest level, another for those between, another for the highest. */
  private <T> T byLevel(Ops<T> ops, T x0, T lowest, T between, T highest) {
    double edge = Math.min(half(), EDGE * (max - min) / 2);
    return ops.whereAbove(x0, max - edge, highest, ops.whereAbove(x0, min + edge, between, lowest));
  }

  /** Φ(z), nearly. */
  private static <T> T tanhIntegral(Ops<T> ops, T z) {
    T cubic = ops.add(z, ops.scale(ops.multiply(ops.square(z), z), 0.044715));
    T half = ops.tanh(ops.scale(cubic, Math.sqrt(2 / Math.PI)));
    return ops.scale(ops.shift(half, 1), 0.5);
  }

  /**
   * L_0 of the images that stand at the first timestep and L_t of the others, for batches of
   * different timesteps.
   *
   * @param ops the operations
   * @param first 1 for each image whose timestep is 0 and 0 for the others, shape (N)
   * @param x0 the clean images, shape (N, C, H, W)
   * @param posteriorMean μ̃ of q(x_{t−1} | x_t, x_0), shape of {@code x0}
   * @param posteriorLogVariance ln β̃ of it, clipped at timestep 0
   * @param mean what the network takes μ to be, shape of {@code x0}
   * @param logVariance ln σ² of the reverse process
   * @param <T> what the operations work on
   * @return bits per value of each image, shape (N)
   */
  public <T> T term(
      Ops<T> ops, T first, T x0, T posteriorMean, T posteriorLogVariance, T mean, T logVariance) {
    return ops.whereAbove(
        first,
        0.5,
        decoder(ops, x0, mean, logVariance),
        kl(ops, posteriorMean, posteriorLogVariance, mean, logVariance));
  }

  @Override
  public String toString() {
    return "VariationalBound["
        + levels
        + " levels over ["
        + min
        + ", "
        + max
        + "]"
        + (approximate ? ", approximate integral" : "")
        + "]";
  }
}
