package io.github.ddpm4j.internal.ops;

/**
 * What float32, in which weights are trained, makes of numbers that are given as {@code double}.
 */
public final class Float32 {

  /** The least number whose square is normal in float32: {@value}. */
  private static final double LEAST_WITH_SQUARE = 1.0842021724855044e-19;

  /** The greatest number below 1: {@value}. */
  private static final double BELOW_ONE = 1 - 0x1p-24;

  private Float32() {}

  /**
   * Refuses what float32 turns into 0, into a number with few digits, or into infinity.
   *
   * @param name what messages call the number
   * @param value a positive number
   * @return the number
   * @throws IllegalArgumentException unless it is normal in float32
   */
  public static double requireNormal(String name, double value) {
    if (value < Float.MIN_NORMAL || value > Float.MAX_VALUE) {
      throw new IllegalArgumentException(
          name
              + " must lie between "
              + Float.MIN_NORMAL
              + " and "
              + Float.MAX_VALUE
              + ", since weights are trained in float32, but was "
              + value);
    }
    return value;
  }

  /**
   * Refuses what float32 turns into 0 or infinity, but not 0 itself.
   *
   * @param name what messages call the number
   * @param value a number that is at least 0
   * @return the number
   * @throws IllegalArgumentException unless it is 0 or normal in float32
   */
  public static double requireZeroOrNormal(String name, double value) {
    return value == 0 ? value : requireNormal(name + ", unless it is 0,", value);
  }

  /**
   * Refuses a number whose square float32 turns into 0; infinity passes.
   *
   * @param name what messages call the number
   * @param value a positive number
   * @return the number
   * @throws IllegalArgumentException if its square is not normal in float32
   */
  public static double requireSquare(String name, double value) {
    if (value < LEAST_WITH_SQUARE) {
      throw new IllegalArgumentException(
          name
              + " must be at least "
              + LEAST_WITH_SQUARE
              + ", whose square float32 can hold, but was "
              + value);
    }
    return value;
  }

  /**
   * Refuses a decay that float32 rounds to 1, which would never let go of the old value.
   *
   * @param name what messages call the number
   * @param value a number in [0, 1)
   * @return the number
   * @throws IllegalArgumentException if it is 1 in float32
   */
  public static double requireBelowOne(String name, double value) {
    if ((float) value >= 1) {
      throw new IllegalArgumentException(
          name
              + " must be at most "
              + BELOW_ONE
              + ", the float32 number below 1, but was "
              + value);
    }
    return value;
  }
}
