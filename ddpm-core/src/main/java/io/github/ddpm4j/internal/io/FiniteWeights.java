package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.torch.GradMode;
import java.util.Map;

/** Whether the weights of a network are numbers, before they are written over good ones. */
public final class FiniteWeights {

  private FiniteWeights() {}

  /**
   * Refuses weights that hold NaN or infinity.
   *
   * @param weights arrays by name; those that hold no floats are left to the writer
   * @param insist how to have them written all the same, the end of the message
   * @throws IllegalStateException if one is not finite, naming it
   */
  public static void require(Map<String, NDArray> weights, String insist) {
    try (GradMode off = GradMode.off()) {
      weights.forEach(
          (name, weight) -> {
            if (!isFinite(weight)) {
              throw new IllegalStateException(
                  "weights must be finite to be saved, but "
                      + name
                      + " holds NaN or infinity, with which every prediction is NaN; go back to"
                      + " weights from before, or "
                      + insist);
            }
          });
    }
  }

  /** NaN makes both ends NaN, infinity one of them infinite. */
  private static boolean isFinite(NDArray weight) {
    if (weight.isEmpty() || !weight.getDataType().isFloating()) {
      return true;
    }
    try (NDArray least = weight.min();
        NDArray greatest = weight.max();
        NDArray lower = least.toType(DataType.FLOAT64, true);
        NDArray upper = greatest.toType(DataType.FLOAT64, true)) {
      return Double.isFinite(lower.getDouble()) && Double.isFinite(upper.getDouble());
    }
  }
}
