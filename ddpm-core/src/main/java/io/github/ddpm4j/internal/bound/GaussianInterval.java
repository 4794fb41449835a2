package io.github.ddpm4j.internal.bound;

import io.github.ddpm4j.spi.Ops;

/**
 * The logarithm of the chance that a standard Gaussian falls into an interval, with digits wherever
 * the interval lies, in float32 too: no difference of nearly equal numbers is taken.
 *
 * <pre>
 *   ln ∫ₐᵇ φ(z) dz,    φ(z) = exp(−z² / 2) / √(2π)
 * </pre>
 *
 * <p>An interval that is wide and does not lie far out has a difference of error functions that do
 * not cancel. Elsewhere the density at a is taken out, and what is left is summed at the {@value
 * #NODES} nodes of Gauss and Legendre, all of whose terms are positive:
 *
 * <pre>
 *   −a² / 2 − ln √(2π) + ln L + ln Σᵢ wᵢ exp(−L uᵢ (a + L uᵢ / 2)),    L = min(b − a, 7 − a / 2)
 * </pre>
 *
 * <p>What lies beyond L and what the sum leaves out are together below 10⁻¹³ of the chance, for a
 * up to 7; beyond 8 the density at 8 is taken.
 */
final class GaussianInterval {

  private static final int NODES = 16;

  /** Up to here the error functions of a wide interval differ. */
  private static final double NEAR = 2;

  /** An interval above this width is wide. */
  private static final double WIDE = 1;

  /** The sum is for intervals from here … */
  private static final double LEAST_FROM = -WIDE;

  /** … to here, where a chance is below 10⁻¹⁵. */
  private static final double GREATEST_FROM = 8;

  /** The sum covers this length, less half of a. */
  private static final double LENGTH = 7;

  /** Keeps the logarithm finite where the error functions are not used. */
  private static final double TINY = 1e-12;

  private static final double LOG_ROOT_TWO_PI = 0.5 * Math.log(2 * Math.PI);

  /** The nodes in (0, 1) and their weights, whose sum is 1. */
  private static final double[] PLACES = new double[NODES];

  private static final double[] WEIGHTS = new double[NODES];

  static {
    for (int i = 0; i < NODES; i++) {
      // Newton's steps towards a root x of the Legendre polynomial P
      double x = Math.cos(Math.PI * (i + 0.75) / (NODES + 0.5));
      double derivative = 0;
      for (int step = 0; step < 10; step++) {
        double before = 1;
        double p = x;
        for (int k = 2; k <= NODES; k++) {
          double next = ((2 * k - 1) * x * p - (k - 1) * before) / k;
          before = p;
          p = next;
        }
        derivative = NODES * (x * p - before) / (x * x - 1);
        x -= p / derivative;
      }
      PLACES[i] = (1 + x) / 2;
      WEIGHTS[i] = 1 / ((1 - x * x) * derivative * derivative);
    }
  }

  private GaussianInterval() {}

  /**
   * The logarithm of the chance of each interval.
   *
   * @param ops the operations
   * @param from a, with |a| ≤ b
   * @param to b, which may be as large as a number can be
   * @param width b − a, exact where b and a nearly agree, of the shape of {@code from}
   * @param <T> what the operations work on
   * @return ln of the chance; below −34 anything below −34
   */
  static <T> T logChance(Ops<T> ops, T from, T to, T width) {
    T summed = sum(ops, ops.atMost(ops.atLeast(from, LEAST_FROM), GREATEST_FROM), width);
    T difference = ops.subtract(ofRoot(ops, to), ofRoot(ops, from));
    T direct = ops.log(ops.atLeast(ops.scale(difference, 0.5), TINY));
    return ops.whereAbove(from, NEAR, summed, ops.whereAbove(width, WIDE, direct, summed));
  }

  /** erf(z / √2). */
  private static <T> T ofRoot(Ops<T> ops, T z) {
    return ops.erf(ops.scale(z, Math.sqrt(0.5)));
  }

  private static <T> T sum(Ops<T> ops, T from, T width) {
    T reach = ops.shift(ops.scale(from, -0.5), LENGTH);
    T length = ops.whereAbove(ops.subtract(width, reach), 0, reach, width);
    T sum = term(ops, from, length, 0);
    for (int i = 1; i < NODES; i++) {
      sum = ops.add(sum, term(ops, from, length, i));
    }
    T density = ops.shift(ops.scale(ops.square(from), -0.5), -LOG_ROOT_TWO_PI);
    return ops.add(ops.add(density, ops.log(length)), ops.log(sum));
  }

  /** wᵢ exp(−L uᵢ (a + L uᵢ / 2)). */
  private static <T> T term(Ops<T> ops, T from, T length, int i) {
    T middle = ops.add(from, ops.scale(length, PLACES[i] / 2));
    T exponent = ops.scale(ops.multiply(length, middle), -PLACES[i]);
    return ops.scale(ops.exp(exponent), WEIGHTS[i]);
  }
}
