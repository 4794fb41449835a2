package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;

/**
 * What was measured of pictures that are to be found: some of their pixels, a blurred or small
 * picture, or any other function of them, with noise.
 *
 * <pre>
 *   y = A(x_0) + n,    n ~ N(0, σ_y² I)
 * </pre>
 *
 * <pre>{@code
 * Measurement small = Measurement.of(Measurement.averages(4), y, 0.05); // y: (N, 1, 7, 7)
 * ddpm.sampling().clip(false).guidance(Guidance.posterior(small)).generate(n);
 * }</pre>
 *
 * <p>Immutable; it borrows y, which stays open until the runs end that it guides.
 *
 * @see Guidance#posterior
 * @see Guidance#dps
 */
public final class Measurement {

  /** A: what is measured of clean pictures, linear or not. */
  @FunctionalInterface
  public interface Operator {

    /**
     * Measures pictures. Called with gradients recorded, so the result must be computed from {@code
     * x0} by operations that DJL can differentiate. Numbers to multiply by are arrays: {@code
     * x0.mul(0.5)} points to memory that is gone when the gradient is due.
     *
     * @param x0 the pictures, shape (N, C, H, W), in the model's data range; not to be closed
     * @return what is measured of each, shape (N, …), in the type of {@code x0}
     */
    NDArray of(NDArray x0);
  }

  private final Operator operator;
  private final NDArray y;
  private final double deviation;

  private Measurement(Operator operator, NDArray y, double deviation) {
    this.operator = operator;
    this.y = y;
    this.deviation = deviation;
  }

  /**
   * A measurement.
   *
   * @param operator A
   * @param y what was measured, float32 or float64, shape (N, …) as A gives it, or (1, …) for all
   *     pictures; borrowed
   * @param deviation σ_y, above 0, in units of y. Exact measurements take a small one, such as 0.01
   * @return the measurement
   * @throws IllegalArgumentException if y is no batch of floats or not finite, or the deviation is
   *     not above 0 and finite
   */
  public static Measurement of(Operator operator, NDArray y, double deviation) {
    Objects.requireNonNull(operator, "operator");
    Given.open(y, "y");
    DataType type = y.getDataType();
    if ((type != DataType.FLOAT32 && type != DataType.FLOAT64) || y.getShape().dimension() < 2) {
      throw new IllegalArgumentException(
          "a measurement must be float32 or float64 of shape (N, …), but was "
              + type
              + " of shape "
              + y.getShape());
    }
    Images.requireFinite("the measurement", y);
    if (!(deviation > 0) || Double.isInfinite(deviation)) {
      throw new IllegalArgumentException(
          "the deviation of a measurement must be above 0 and finite, but was "
              + deviation
              + "; take 0.01 for one that is exact");
    }
    return new Measurement(operator, y, deviation);
  }

  /**
   * Measures some pixels: x_0 times the mask.
   *
   * @param mask 1 where a pixel is measured and 0 elsewhere, of a shape that multiplies (N, C, H,
   *     W); borrowed
   * @return A
   */
  public static Operator pixels(NDArray mask) {
    Given.open(mask, "mask");
    return x0 -> {
      try (NDArray own = Images.copy(x0.getManager(), mask, x0.getDataType())) {
        return x0.mul(own);
      }
    };
  }

  /**
   * Measures a small picture: the mean of each square of pixels.
   *
   * @param size the side of a square, which divides height and width
   * @return A, which gives (N, C, H / size, W / size)
   * @throws IllegalArgumentException if {@code size} is less than 1
   */
  public static Operator averages(int size) {
    if (size < 1) {
      throw new IllegalArgumentException(
          "the side of the squares that are averaged must be at least 1, but was " + size);
    }
    return x0 -> EagerOps.inference().averagePool(x0, size);
  }

  /**
   * Measures a blurred picture: along each axis the mean of the pixels around, with the weights of
   * a normal distribution. Pixels beyond the edge take no part, so that a flat picture stays as it
   * is.
   *
   * <pre>
   *   A(x)_i = Σ_j w_ij x_j,    w_ij ∝ exp(−(i − j)² / 2 s²),    Σ_j w_ij = 1
   * </pre>
   *
   * @param spread s, the standard deviation of the blur in pixels, above 0; of images, signals and
   *     volumes alike
   * @return A, which gives the shape that it is given
   * @throws IllegalArgumentException if {@code spread} is not above 0 and finite
   */
  public static Operator blur(double spread) {
    if (!(spread > 0) || Double.isInfinite(spread)) {
      throw new IllegalArgumentException(
          "the spread of a blur must be above 0 and finite, in pixels, but was " + spread);
    }
    Map<Integer, double[]> known = new ConcurrentHashMap<>();
    return x0 -> {
      NDArray blurred = x0;
      for (int axis = 2; axis < x0.getShape().dimension(); axis++) {
        int last = x0.getShape().dimension() - 1;
        int size = Math.toIntExact(x0.getShape().get(axis));
        double[] w = known.computeIfAbsent(size, n -> weights(n, spread));
        try (NDArray all = x0.getManager().create(w, new Shape(size, size));
            NDArray weights = all.toType(x0.getDataType(), true)) {
          blurred = blurred.swapAxes(axis, last).matMul(weights).swapAxes(axis, last);
        }
      }
      return blurred;
    };
  }

  /** w of a blur, of each pixel in a column. */
  private static double[] weights(int size, double spread) {
    double[] weights = new double[size * size];
    for (int i = 0; i < size; i++) {
      double sum = 0;
      for (int j = 0; j < size; j++) {
        double away = (i - j) / spread;
        weights[j * size + i] = Math.exp(-away * away / 2);
        sum += weights[j * size + i];
      }
      for (int j = 0; j < size; j++) {
        weights[j * size + i] /= sum;
      }
    }
    return weights;
  }

  double deviation() {
    return deviation;
  }

  NDArray y() {
    return y;
  }

  /** y of some of the images of a run. */
  NDArray rows(NDManager manager, long first, int images, DataType type) {
    return y.getShape().get(0) == 1
        ? Images.copy(manager, y, type).repeat(0, images)
        : Images.copy(manager, y, first, images, type);
  }

  /** A of pictures, checked. */
  NDArray measured(NDArray x0) {
    NDArray seen = Given.returned(operator.of(x0), "the operator of a measurement");
    Shape expected = new Shape(x0.getShape().get(0)).addAll(y.getShape().slice(1));
    if (!seen.getShape().equals(expected) || seen.getDataType() != x0.getDataType()) {
      throw new IllegalStateException(
          "the operator of a measurement must give what was measured, "
              + expected
              + " "
              + x0.getDataType()
              + ", of pictures "
              + x0.getShape()
              + ", but gave "
              + seen.getShape()
              + " "
              + seen.getDataType());
    }
    return seen;
  }

  /** Refuses a run of other pictures before its first step. */
  void requireFit(Shape images, DataType type, NDManager owner) {
    Given.open(y, "the measurement");
    long size = y.getShape().get(0);
    if (size != 1 && size != images.get(0)) {
      throw new IllegalArgumentException(
          "the measurement must be of 1 image or of all "
              + images.get(0)
              + " of the run, but is of "
              + size);
    }
    try (NDManager manager = owner.newSubManager()) {
      measured(manager.zeros(new Shape(1).addAll(images.slice(1)), type));
    } catch (IllegalStateException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  @Override
  public String toString() {
    return "Measurement[" + y.getShape() + ", deviation " + deviation + "]";
  }
}
