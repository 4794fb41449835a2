package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition.Kind;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * The gradient of every weight and of every input against central differences, in float64 and with
 * dropout.
 */
class GradientCheckTest {

  private static final double STEP = 1e-5;
  private static final String X = "x";
  private static final String TIME = "sinusoids";

  private final UNetConfig config =
      UNet.builder()
          .image(2, 4, 8)
          .levelChannels(4, 8)
          .groups(2)
          .attentionAtLevels(0)
          .heads(2)
          .residualBlocks(1)
          .dropout(0.2)
          .classes(2)
          .vectorCondition(3)
          .imageCondition(2)
          .selfConditioning()
          .config();
  private final Network network = new Network(config);
  private final Random random = new Random(5);

  @Test
  void gradient_everyWeightAndInput_asCentralDifferences() {
    try (NDManager manager = NDManager.newBaseManager()) {
      Map<String, NDArray> weights = new LinkedHashMap<>();
      for (ParameterSpec spec : network.parameters()) {
        weights.put(spec.name(), gaussian(manager, spec.shape(), 0.5));
      }
      weights.put(X, gaussian(manager, new Shape(2, 2, 4, 8), 1));
      weights.put(TIME, manager.create(sinusoids(), new Shape(2, 4)).duplicate());
      weights.put(Kind.VECTORS.name(), gaussian(manager, new Shape(2, 3), 1));
      weights.put(Kind.IMAGES.name(), gaussian(manager, new Shape(2, 2, 4, 8), 1));
      weights.put(Kind.PREVIOUS_X0.name(), gaussian(manager, new Shape(2, 2, 4, 8), 1));
      NDArray target = gaussian(manager, new Shape(2, 2, 4, 8), 1);

      Map<String, double[]> gradients = new LinkedHashMap<>();
      weights.values().forEach(weight -> weight.setRequiresGradient(true));
      try (GradientCollector collector = Engine.getInstance().newGradientCollector();
          NDManager pass = manager.newSubManager()) {
        NDArray loss = loss(weights, target, pass);
        // What autograd remembers must not lie in memory that Java may take back.
        System.gc();
        collector.backward(loss);
        weights.forEach(
            (name, weight) -> gradients.put(name, weight.getGradient().toDoubleArray()));
      }
      weights.values().forEach(weight -> weight.setRequiresGradient(false));

      double worst = 0;
      String where = "";
      try (GradMode off = GradMode.off()) {
        Objects.requireNonNull(off);
        for (Map.Entry<String, NDArray> entry : weights.entrySet()) {
          double[] gradient = Objects.requireNonNull(gradients.get(entry.getKey()));
          // One direction through all elements, and one element.
          for (double[] direction : directions(gradient.length)) {
            double expected = slope(manager, weights, entry.getValue(), direction, target);
            double actual = 0;
            for (int i = 0; i < direction.length; i++) {
              actual += gradient[i] * direction[i];
            }
            double difference = Math.abs(actual - expected) / (1e-2 + Math.abs(expected));
            if (difference > worst) {
              worst = difference;
              where = entry.getKey() + ": " + actual + " and " + expected;
            }
          }
        }
      }
      System.out.printf(
          Locale.ROOT, "gradient check: largest relative difference %.2g (%s)%n", worst, where);
      assertThat(network.parameters().size()).isEqualTo(weights.size() - 5).isGreaterThan(60);
      assertThat(worst).as(where).isLessThan(1e-6);
      // Softmax takes no notice of the bias of the keys.
      gradients.keySet().removeIf(name -> name.endsWith("to_k.bias"));
      assertThat(gradients).allSatisfy((name, gradient) -> assertThat(matters(gradient)).isTrue());
    }
  }

  private static boolean matters(double[] gradient) {
    for (double g : gradient) {
      if (g != 0) {
        return true;
      }
    }
    return false;
  }

  private double slope(
      NDManager manager,
      Map<String, NDArray> weights,
      NDArray weight,
      double[] direction,
      NDArray target) {
    double[] before = weight.toDoubleArray();
    double[] losses = new double[2];
    for (int side = 0; side < 2; side++) {
      double[] moved = before.clone();
      for (int i = 0; i < moved.length; i++) {
        moved[i] += (side == 0 ? -STEP : STEP) * direction[i];
      }
      try (NDManager pass = manager.newSubManager()) {
        weight.set(new NDIndex(":"), pass.create(moved, weight.getShape()));
        losses[side] = loss(weights, target, pass).getDouble();
      }
    }
    try (NDArray old = manager.create(before, weight.getShape())) {
      weight.set(new NDIndex(":"), old);
    }
    return (losses[1] - losses[0]) / (2 * STEP);
  }

  private double[] sinusoids() {
    return network.timeEmbedding().sinusoids(new double[] {3, 700});
  }

  private NDArray loss(Map<String, NDArray> values, NDArray target, NDManager pass) {
    EagerOps ops = EagerOps.training(11, 3);
    Weights<NDArray> of = name -> Objects.requireNonNull(values.get(name), name);
    Map<Kind, NDArray> conditions = new EnumMap<>(Kind.class);
    // The second image has no class.
    conditions.put(Kind.LABELS, pass.create(new double[] {1, 2}).duplicate());
    for (Kind kind : new Kind[] {Kind.VECTORS, Kind.IMAGES, Kind.PREVIOUS_X0}) {
      conditions.put(kind, of.get(kind.name()));
    }
    NDArray y =
        network.forward(ops, of, new Inputs<>(in(pass, of.get(X)), of.get(TIME), conditions));
    return ops.meanPerImage(ops.square(ops.subtract(y, target))).sum();
  }

  /** A view, so that what is computed from it belongs to the pass. */
  private static NDArray in(NDManager pass, NDArray array) {
    NDArray view = array.reshape(array.getShape());
    view.attach(pass);
    return view;
  }

  private double[][] directions(int length) {
    double[] all = random.doubles(length, -1, 1).toArray();
    double[] one = new double[length];
    one[random.nextInt(length)] = 1;
    return new double[][] {all, one};
  }

  private NDArray gaussian(NDManager manager, Shape shape, double sd) {
    double[] values = random.doubles(shape.size(), -1.7 * sd, 1.7 * sd).toArray();
    return manager.create(values, shape).duplicate();
  }
}
