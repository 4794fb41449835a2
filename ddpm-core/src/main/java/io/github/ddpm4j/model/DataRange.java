package io.github.ddpm4j.model;

/**
 * The range of the values of clean images. The paper uses [−1, 1]. Sampling clips x̂_0 to the
 * range, training checks its data against it, and its ends are black and white when tensors become
 * pictures.
 *
 * @param min the least value
 * @param max the greatest value
 */
public record DataRange(double min, double max) {

  /** The paper's range, [−1, 1]. */
  public static final DataRange DEFAULT = new DataRange(-1, 1);

  /**
   * Creates a range.
   *
   * @param min the least value
   * @param max the greatest value
   * @throws IllegalArgumentException unless both ends are finite and {@code min < max}
   */
  public DataRange {
    if (!Double.isFinite(min) || !Double.isFinite(max) || min >= max) {
      throw new IllegalArgumentException(
          "data range must have finite ends with min < max, but was [" + min + ", " + max + "]");
    }
  }

  @Override
  public String toString() {
    return "[" + min + ", " + max + "]";
  }
}
