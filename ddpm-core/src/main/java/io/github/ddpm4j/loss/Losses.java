package io.github.ddpm4j.loss;

import io.github.ddpm4j.ops.Ops;

/** The training objectives. */
public final class Losses {

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
   * The mean absolute error of the prediction. It minds large errors less than {@link #simple()}
   * does; its minimum is the median of what the network may predict, not the mean, so samples drawn
   * from it are not exact even for a perfect network.
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
   * The loss of Huber (1964), quadratic for errors e up to δ and linear beyond:
   *
   * <pre>
   *   ½ e²              |e| ≤ δ
   *   δ (|e| − ½ δ)     |e| > δ       as a mean over the pixels
   * </pre>
   *
   * With δ above all errors it is half of {@link #simple()}.
   *
   * @param delta δ, where the loss becomes linear, positive and finite
   * @return the loss
   * @throws IllegalArgumentException if {@code delta} is not positive and finite
   */
  public static Loss huber(double delta) {
    if (!(delta > 0) || Double.isInfinite(delta)) {
      throw new IllegalArgumentException(
          "delta must be positive and finite, but was "
              + delta
              + "; use l1() for a loss that is linear everywhere, simple() for a quadratic one");
    }
    return new HuberLoss(delta);
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
      // With q = min(|e|, δ): ½ q² + δ (|e| − q)
      T error = ops.abs(ops.subtract(output, target));
      T quadratic = ops.atMost(error, delta);
      T linear = ops.subtract(error, quadratic);
      return ops.meanPerImage(
          ops.add(ops.scale(ops.square(quadratic), 0.5), ops.scale(linear, delta)));
    }

    @Override
    public String toString() {
      return "huber(" + delta + ")";
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
