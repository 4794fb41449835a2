package io.github.ddpm4j.internal.average;

/**
 * How much the weights of each moment count in an average that grows with training (Karras et al.
 * 2024, "Analyzing and improving the training dynamics of diffusion models", section 3.1).
 *
 * <pre>
 *   p(τ) = (γ + 1) τ^γ / t^(γ + 1)      0 ≤ τ ≤ t, 0 after it
 * </pre>
 *
 * <p>Where the weights stand still within a step, as they do, the average that {@link #decay} keeps
 * is the integral of that profile times the weights, without an error: the decays multiply to
 *
 * <pre>
 *   (1 − β_i) Π_{i &lt; j ≤ t} β_j = (i^(γ + 1) − (i − 1)^(γ + 1)) / t^(γ + 1) = ∫_{i − 1}^{i} p
 * </pre>
 *
 * @param gamma γ, at least 0
 * @param end t, the number of steps that are averaged, positive
 */
public record PowerProfile(double gamma, double end) {

  /** The width of the uniform average, γ = 0, 1 / √12: {@value}. */
  public static final double WIDEST = 0.28867513459481287;

  /**
   * The profile of a width.
   *
   * @param width σ_rel in (0, {@value #WIDEST}]
   * @param end the number of steps that are averaged
   * @return the profile
   * @throws IllegalArgumentException if the width is out of range
   */
  public static PowerProfile of(double width, double end) {
    return new PowerProfile(gammaOf(width), end);
  }

  /**
   * γ of a width: the greatest root of γ³ + 7γ² + (16 − σ_rel⁻²)γ + 12 − σ_rel⁻² = 0 (algorithm 2),
   * by Newton's method from above, where the cubic is convex and grows.
   *
   * <pre>
   *   σ_rel = √(γ + 1) / ((γ + 2) √(γ + 3))
   * </pre>
   *
   * @param width σ_rel, the standard deviation of the profile as a share of its length, in (0,
   *     {@value #WIDEST}]
   * @return γ, at least 0
   * @throws IllegalArgumentException if the width is out of range
   */
  public static double gammaOf(double width) {
    if (!(width > 0 && width <= WIDEST)) {
      throw new IllegalArgumentException(
          "the width of an average must lie in (0, " + WIDEST + "], but was " + width);
    }
    double t = 1 / (width * width);
    double gamma = 1 / width;
    double before = Double.POSITIVE_INFINITY;
    while (gamma < before) {
      before = gamma;
      double value = ((gamma + 7) * gamma + 16 - t) * gamma + 12 - t;
      gamma -= value / ((3 * gamma + 14) * gamma + 16 - t);
    }
    return Math.max(0, before);
  }

  /**
   * The factor of the previous average.
   *
   * <pre>
   *   β = (1 − n / t)^(γ + 1)      n steps since the last time; 0 for t ≤ n
   * </pre>
   *
   * @param gamma γ
   * @param step t, the number of completed steps, from 1
   * @param steps n, at least 1
   * @return in [0, 1)
   */
  public static double decay(double gamma, double step, double steps) {
    return Math.pow(Math.max(0, 1 - steps / step), gamma + 1);
  }

  /**
   * The inner product with another profile.
   *
   * <pre>
   *   ∫ p_1 p_2 = (γ_1 + 1)(γ_2 + 1) / (γ_1 + γ_2 + 1) · (t_1 / t_2)^γ_2 / t_2      for t_1 ≤ t_2
   * </pre>
   *
   * @param other the other
   * @return the product, positive
   */
  public double inner(PowerProfile other) {
    PowerProfile shorter = end <= other.end ? this : other;
    PowerProfile longer = end <= other.end ? other : this;
    return (gamma + 1)
        * (other.gamma + 1)
        / (gamma + other.gamma + 1)
        * Math.pow(shorter.end / longer.end, longer.gamma)
        / longer.end;
  }
}
