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
