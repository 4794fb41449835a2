package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;

/**
 * The way between two arrays on the sphere through them (DDIM, section 5.3 and appendix D.5;
 * "slerp" of Shoemake 1985).
 *
 * @param angle θ between the two, from 0 to less than π
 */
public record SphericalPath(double angle) {

  /** Below this sine the way is taken as straight, or has no direction. */
  private static final double LEAST_SINE = 1e-6;

  /**
   * The way between two arrays.
   *
   * @param from where it begins
   * @param to where it ends, of as many numbers
   * @return the way
   * @throws IllegalArgumentException if one of them is 0, or they are opposite to each other
   */
  public static SphericalPath between(NDArray from, NDArray to) {
    return between(values(from), values(to));
  }

  /**
   * The way between two arrays of Java.
   *
   * @param a where it begins
   * @param b where it ends, of as many numbers
   * @return the way
   * @throws IllegalArgumentException if one of them is 0, or they are opposite to each other
   */
  public static SphericalPath between(double[] a, double[] b) {
    double norms = Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b));
    double cosine = Math.max(-1, Math.min(1, dot(a, b) / norms));
    double angle = Math.acos(cosine);
    if (norms == 0 || (cosine < 0 && Math.sin(angle) < LEAST_SINE)) {
      throw new IllegalArgumentException(
          "latents to interpolate between must be neither 0 nor opposite to each other, but "
              + (norms == 0 ? "one was 0" : "the angle between them was π")
              + "; take those of encode(...), or noise");
    }
    return new SphericalPath(angle);
  }

  /**
   * How much of the beginning there is at a point.
   *
   * @param fraction α, 0 at the beginning and 1 at the end
   * @return sin((1 − α) θ) / sin θ
   */
  public double fromWeight(double fraction) {
    return toWeight(1 - fraction);
  }

  /**
   * How much of the end there is at a point.
   *
   * @param fraction α, 0 at the beginning and 1 at the end
   * @return sin(α θ) / sin θ
   */
  public double toWeight(double fraction) {
    double sine = Math.sin(angle);
    return sine < LEAST_SINE ? fraction : Math.sin(fraction * angle) / sine;
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private static double[] values(NDArray array) {
    try (NDArray wide = array.toType(DataType.FLOAT64, true)) {
      return wide.toDoubleArray();
    }
  }
}
