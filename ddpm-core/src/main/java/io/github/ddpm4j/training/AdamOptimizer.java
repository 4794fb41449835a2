package io.github.ddpm4j.training;

import io.github.ddpm4j.internal.ops.Float32;
import java.util.Objects;

/**
 * Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
 *
 * <pre>
 *   m ← β1 m + (1 − β1) g,   v ← β2 v + (1 − β2) g²
 *   w ← w − η λ w                                                       (decoupled weight decay)
 *   w ← w − η √(1 − β2ˢ) / (1 − β1ˢ) · m / (√v + ε')                        (s counts from 1)
 *   ε' = ε   as the paper's authors train (TensorFlow),   ε' = ε √(1 − β2ˢ)   as in PyTorch
 * </pre>
 *
 * @param beta1 the decay of the first moment, in [0, 1)
 * @param beta2 the decay of the second moment, in [0, 1)
 * @param epsilon ε, which keeps the denominator away from zero, positive
 * @param weightDecay the decoupled weight decay λ, at least 0
 * @param epsilonPlacement where ε is added
 */
public record AdamOptimizer(
    double beta1,
    double beta2,
    double epsilon,
    double weightDecay,
    EpsilonPlacement epsilonPlacement) {

  /** The place of ε in the update; it matters only while √v is of similar size. */
  public enum EpsilonPlacement {
    /** Added to the second moment before bias correction, as TensorFlow does. */
    BEFORE_CORRECTION,
    /** Added after bias correction, as PyTorch does. */
    AFTER_CORRECTION
  }

  /** The optimizer of Ho et al. 2020: β1 = 0.9, β2 = 0.999, ε = 1e-8 before correction. */
  public static final AdamOptimizer PAPER =
      new AdamOptimizer(0.9, 0.999, 1e-8, 0, EpsilonPlacement.BEFORE_CORRECTION);

  /**
   * Creates the settings.
   *
   * @param beta1 the decay of the first moment
   * @param beta2 the decay of the second moment
   * @param epsilon ε, which keeps the denominator away from zero
   * @param weightDecay the decoupled weight decay λ
   * @param epsilonPlacement where ε is added
   * @throws IllegalArgumentException if an argument is out of range, or float32, in which weights
   *     are trained, rounds a decay to 1, or another argument that is not 0 to 0 or infinity
   */
  public AdamOptimizer {
    Objects.requireNonNull(epsilonPlacement, "epsilonPlacement");
    requireDecay("beta1", beta1);
    requireDecay("beta2", beta2);
    if (!(epsilon > 0) || Double.isInfinite(epsilon)) {
      throw new IllegalArgumentException("epsilon must be positive, but was " + epsilon);
    }
    if (!(weightDecay >= 0) || Double.isInfinite(weightDecay)) {
      throw new IllegalArgumentException("weightDecay must be at least 0, but was " + weightDecay);
    }
    Float32.requireNormal("epsilon", epsilon);
    Float32.requireZeroOrNormal("weightDecay", weightDecay);
  }

  /**
   * AdamW with PyTorch's conventions.
   *
   * @param weightDecay the decoupled weight decay, at least 0
   * @return β1 = 0.9, β2 = 0.999, ε = 1e-8 after correction, and this decay
   */
  public static AdamOptimizer adamW(double weightDecay) {
    return new AdamOptimizer(0.9, 0.999, 1e-8, weightDecay, EpsilonPlacement.AFTER_CORRECTION);
  }

  /**
   * ε for PyTorch's form of the update, which divides by √(1 − β2ˢ) before adding ε.
   *
   * @param step the step s, from 1
   * @return ε'
   */
  public double correctedEpsilon(long step) {
    return switch (epsilonPlacement) {
      case AFTER_CORRECTION -> epsilon;
      case BEFORE_CORRECTION -> epsilon / Math.sqrt(1 - Math.pow(beta2, (double) step));
    };
  }

  private static void requireDecay(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(name + " must lie in [0, 1), but was " + value);
    }
    Float32.requireBelowOne(name, value);
  }
}
