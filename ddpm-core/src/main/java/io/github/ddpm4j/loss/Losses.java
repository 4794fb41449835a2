package io.github.ddpm4j.loss;

import io.github.ddpm4j.internal.bound.VariationalBound;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.ops.Float32;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.spi.Ops;

/** Factories for training objectives. */
public final class Losses {

  /** λ of Nichol and Dhariwal 2021, section 3.1. */
  private static final double HYBRID_WEIGHT = 0.001;

  /** The least c of {@link #pseudoHuber}, whose square float32 holds beside errors: {@value}. */
  static final double LEAST_PSEUDO_HUBER = 1e-8;

  private Losses() {}

  /**
   * The paper's objective, the mean squared error of the prediction (Ho et al. 2020, eq. 14):
   *
   * <pre>
   *   L_simple = E_{t, x_0, ε} ‖ε − ε_θ(√ᾱ_t x_0 + √(1 − ᾱ_t) ε, t)‖²   as a mean over the pixels
   * </pre>
   *
   * @return the loss
   */
  public static Loss simple() {
    return new SimpleLoss();
  }

  /**
   * The mean absolute error of the prediction. It is less sensitive to large errors than {@link
   * #simple()}, but its minimizer is the conditional median of the target, not the mean, so
   * sampling is not exact even with a perfect network.
   *
   * <pre>
   *   L_1 = E_{t, x_0, ε} |target − output|   as a mean over the pixels
   * </pre>
   *
   * @return the loss
   */
  public static Loss l1() {
    return new AbsoluteLoss();
  }

  /**
   * The Huber loss (Huber 1964), quadratic for errors e up to δ and linear beyond:
   *
   * <pre>
   *   ½ e²              |e| ≤ δ
   *   δ (|e| − ½ δ)     |e| > δ       as a mean over the pixels
   * </pre>
   *
   * With δ above all errors it is half of {@link #simple()}.
   *
   * @param delta δ, the error above which the loss is linear, finite and at least the smallest
   *     float32 with all its digits, 1.2e-38
   * @return the loss
   * @throws IllegalArgumentException if {@code delta} is less or not finite
   */
  public static Loss huber(double delta) {
    if (!(delta >= Float.MIN_NORMAL) || Double.isInfinite(delta)) {
      throw new IllegalArgumentException(
          "delta must be at least "
              + Float.MIN_NORMAL
              + " and finite, but was "
              + delta
              + "; use l1() for a loss that is linear everywhere, simple() for a quadratic one");
    }
    return new HuberLoss(delta);
  }

  /**
   * The pseudo-Huber loss of the whole image (Charbonnier et al. 1997; for consistency models Song
   * and Dhariwal 2024, section 3.3), quadratic for errors far below c and linear beyond:
   *
   * <pre>
   *   √(MSE + c²) − c         MSE = ‖target − output‖² / D,   D pixels times channels
   * </pre>
   *
   * <p>The paper has ‖·‖² and 0.00054 √D in place of the mean and c, which is √D times as much. Its
   * slope weighs an image by 1 / √(MSE + c²).
   *
   * @param c the root of the mean squared error from which on the loss is linear, at least {@value
   *     #LEAST_PSEUDO_HUBER} and finite
   * @return the loss
   * @throws IllegalArgumentException if {@code c} is less or not finite
   */
  public static Loss pseudoHuber(double c) {
    if (!(c >= LEAST_PSEUDO_HUBER) || c > Float.MAX_VALUE) {
      throw new IllegalArgumentException(
          "c must be at least "
              + LEAST_PSEUDO_HUBER
              + " and finite in float32, but was "
              + c
              + "; use simple() for a loss that is quadratic everywhere");
    }
    return new PseudoHuberLoss(c);
  }

  /**
   * The variational bound on the negative log likelihood in bits per dimension, without its
   * constant term (Ho et al. 2020, eq. 5). Each image contributes the term of its timestep, times
   * T, so that the mean over uniformly drawn timesteps is the sum.
   *
   * <pre>
   *   T · L_t     L_t = KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t)) for t above 0
   *               L_0 = −log₂ p(x_0 | x_1), for pictures of 8 bits
   * </pre>
   *
   * <p>It trains the prediction and, if learned, the variance. The terms vary so widely that it
   * works better with {@link TimestepSampler#lossSecondMoment()} (Nichol and Dhariwal 2021, section
   * 3.3). x̂_0 is not clipped. It needs integer timesteps, which rules out {@link
   * TimestepSampler#logNormal}.
   *
   * @return the loss
   */
  public static Loss vlb() {
    return new BoundLoss();
  }

  /**
   * The hybrid objective, which trains the prediction by {@link #simple()} and a learned variance
   * by the bound (Nichol and Dhariwal 2021, section 3.1). The gradient of the bound is stopped at
   * the prediction.
   *
   * <pre>
   *   L_simple + λ · Σ_t L_t,   λ = 0.001;   T · λ · L_t for an image at timestep t
   * </pre>
   *
   * @return the loss
   */
  public static Loss hybrid() {
    return hybrid(HYBRID_WEIGHT);
  }

  /**
   * The hybrid objective with a given weight of the bound.
   *
   * @param lambda λ, the factor of the sum over all timesteps, positive and finite
   * @return the loss
   * @throws IllegalArgumentException if {@code lambda} is not positive and finite, in float32 too
   */
  public static Loss hybrid(double lambda) {
    if (!(lambda > 0) || Double.isInfinite(lambda)) {
      throw new IllegalArgumentException(
          "lambda must be positive and finite, but was " + lambda + "; the paper uses 0.001");
    }
    return new HybridLoss(Float32.requireNormal("lambda", lambda));
  }

  /** L_t or L_0 of each image, in bits per dimension. */
  private static <T> T bound(Ops<T> ops, Loss.Input<T> input, T output) {
    DataRange range = input.dataRange();
    VariationalBound bound =
        range.isPerChannel()
            ? VariationalBound.over(-1, 1)
            : VariationalBound.over(range.min(), range.max());
    return bound(ops, input, output, bound);
  }

  static <T> T bound(Ops<T> ops, Loss.Input<T> input, T output, VariationalBound bound) {
    T x0 =
        ops.add(
            ops.multiply(input.xt(), input.coefficient(Coefficient.X0_OF_XT)),
            ops.multiply(output, input.coefficient(Coefficient.X0_OF_OUTPUT)));
    T logVariance = input.coefficient(Coefficient.LOG_VARIANCE);
    if (input.variance().isPresent()) {
      T ofV = input.coefficient(Coefficient.LOG_VARIANCE_OF_V);
      logVariance = ops.add(ops.multiply(input.variance().get(), ofV), logVariance);
    }
    T truth = input.x0();
    T first = input.coefficient(Coefficient.FIRST);
    T posteriorLogVariance = input.coefficient(Coefficient.POSTERIOR_LOG_VARIANCE);
    DataRange range = input.dataRange();
    if (range.isPerChannel()) {
      // No bit depends on the scale of a channel: all goes to [−1, 1].
      truth = ChannelRanges.toUnit(ops, truth, first, range);
      x0 = ChannelRanges.toUnit(ops, x0, first, range);
      posteriorLogVariance =
          ChannelRanges.logVarianceOfUnit(ops, posteriorLogVariance, truth, first, range);
      logVariance = ChannelRanges.logVarianceOfUnit(ops, logVariance, truth, first, range);
    }
    // Both means hold the same multiple of x_t, which is left out: its factor is 0 at timestep 0.
    T factor = input.coefficient(Coefficient.POSTERIOR_X0);
    return bound.term(
        ops,
        ops.meanPerImage(first),
        truth,
        ops.multiply(truth, factor),
        posteriorLogVariance,
        ops.multiply(x0, factor),
        logVariance);
  }

  private record BoundLoss() implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      throw needsMore(this);
    }

    @Override
    public <T> T perImage(Ops<T> ops, Loss.Input<T> input) {
      return ops.scale(bound(ops, input, input.output()), input.timesteps());
    }

    @Override
    public boolean trainsVariance() {
      return true;
    }

    @Override
    public String toString() {
      return "vlb";
    }
  }

  private record HybridLoss(double lambda) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      throw needsMore(this);
    }

    @Override
    public <T> T perImage(Ops<T> ops, Loss.Input<T> input) {
      if (input.variance().isEmpty()) {
        throw new IllegalArgumentException(
            "loss "
                + this
                + " trains a variance that is learned, but that of the model is fixed; build DDPM"
                + " with variance(Variance.LEARNED_RANGE), or use Losses.simple()");
      }
      T simple = simple().perImage(ops, input.output(), input.target());
      T bound = bound(ops, input, ops.detach(input.output()));
      return ops.add(simple, ops.scale(bound, lambda * input.timesteps()));
    }

    @Override
    public boolean trainsVariance() {
      return true;
    }

    @Override
    public String toString() {
      return "hybrid(" + lambda + ")";
    }
  }

  private static UnsupportedOperationException needsMore(Loss loss) {
    return new UnsupportedOperationException(
        "loss "
            + loss
            + " needs the images and their timesteps, not output and target alone; use"
            + " training().loss(...), or ddpm.bitsPerDim() to evaluate the bound");
  }

  private record AbsoluteLoss() implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.abs(ops.subtract(output, target)));
    }

    @Override
    public String toString() {
      return "l1";
    }
  }

  private record HuberLoss(double delta) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      // q (|e| − ½ q) with q = min(|e|, δ), which has neither a large δ nor a difference of two
      T error = ops.abs(ops.subtract(output, target));
      T capped = ops.atMost(error, delta);
      return ops.meanPerImage(ops.multiply(capped, ops.subtract(error, ops.scale(capped, 0.5))));
    }

    @Override
    public String toString() {
      return "huber(" + delta + ")";
    }
  }

  private record PseudoHuberLoss(double c) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      // c (√(1 + MSE / c²) − 1), which has no difference of two numbers that are nearly the same
      T relative = ops.square(ops.scale(ops.subtract(output, target), 1 / c));
      T root = ops.scale(ops.log(ops.shift(ops.meanPerImage(relative), 1)), 0.5);
      return ops.scale(ops.expm1(root), c);
    }

    @Override
    public String toString() {
      return "pseudoHuber(" + c + ")";
    }
  }

  private static final class SimpleLoss implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }

    @Override
    public String toString() {
      return "simple";
    }
  }
}
