package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.internal.torch.GradMode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.UnaryOperator;

/** The gradient of a loss against central differences, in float64. */
final class GradientCheck {

  /** A loss of some values, computed in a manager. */
  @FunctionalInterface
  interface Loss {
    NDArray of(Map<String, NDArray> values, NDManager pass);
  }

  private final NDManager manager;
  private final Map<String, NDArray> values;
  private final Loss loss;
  private final double step;
  private final Random random = new Random(5);
  private final Map<String, double[]> gradients = new LinkedHashMap<>();

  /**
   * @param values what the loss is differentiated by, in float64, in memory of its own
   * @param step that of the differences
   */
  GradientCheck(NDManager manager, Map<String, NDArray> values, double step, Loss loss) {
    this.manager = manager;
    this.values = values;
    this.loss = loss;
    this.step = step;
    values.values().forEach(value -> value.setRequiresGradient(true));
    try (GradientCollector collector = Engine.getInstance().newGradientCollector();
        NDManager pass = manager.newSubManager()) {
      NDArray result = loss.of(values, pass);
      // What autograd remembers must not lie in memory that Java may take back.
      System.gc();
      collector.backward(result);
      values.forEach((name, value) -> gradients.put(name, value.getGradient().toDoubleArray()));
    }
    values.values().forEach(value -> value.setRequiresGradient(false));
  }

  /** The derivatives by each value. */
  Map<String, double[]> gradients() {
    return gradients;
  }

  /** Along one direction through weight and bias of each layer, and through each input. */
  void requireCloseByLayer(double tolerance) {
    requireClose(tolerance, name -> name.replaceFirst("\\.[^.]*$", ""));
  }

  /**
   * Along one direction through all values that get the same name; a difference of a layer that has
   * next to no influence counts less.
   */
  void requireClose(double tolerance, UnaryOperator<String> group) {
    Map<String, List<String>> groups = new LinkedHashMap<>();
    values
        .keySet()
        .forEach(
            name -> groups.computeIfAbsent(group.apply(name), n -> new ArrayList<>()).add(name));
    groups.forEach(
        (title, names) -> {
          Map<String, double[]> direction = new LinkedHashMap<>();
          names.forEach(name -> direction.put(name, random.doubles(size(name), -1, 1).toArray()));
          requireClose(title, direction, tolerance);
        });
  }

  private int size(String name) {
    return Objects.requireNonNull(gradients.get(name)).length;
  }

  private void requireClose(String what, Map<String, double[]> direction, double tolerance) {
    double[] actual = new double[1];
    direction.forEach(
        (name, along) -> {
          double[] gradient = Objects.requireNonNull(gradients.get(name));
          for (int i = 0; i < along.length; i++) {
            actual[0] += gradient[i] * along[i];
          }
        });
    double expected = slope(direction);
    assertThat(Math.abs(actual[0] - expected) / (1e-2 + Math.abs(expected)))
        .as("%s: %s and %s", what, actual[0], expected)
        .isLessThan(tolerance);
  }

  private double slope(Map<String, double[]> direction) {
    double[] losses = new double[2];
    try (GradMode off = GradMode.off()) {
      Objects.requireNonNull(off);
      for (int side = 0; side < 2; side++) {
        double signed = side == 0 ? -step : step;
        try (NDManager pass = manager.newSubManager()) {
          Map<String, NDArray> moved = new LinkedHashMap<>(values);
          direction.forEach(
              (name, along) ->
                  moved.computeIfPresent(
                      name,
                      (key, value) -> {
                        double[] all = value.toDoubleArray();
                        for (int i = 0; i < all.length; i++) {
                          all[i] += signed * along[i];
                        }
                        return pass.create(all, value.getShape());
                      }));
          losses[side] = loss.of(moved, pass).getDouble();
        }
      }
    }
    return (losses[1] - losses[0]) / (2 * step);
  }
}
