package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.unet.Fixture.Tensor;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The network against those of other libraries with random weights, element by element: outputs
 * that the libraries' own code made. The fixtures, and the script that made them, are in
 * src/test/resources/peers.
 */
class PeerParityTest {

  static List<String> names() {
    return PeerNetworks.NAMES;
  }

  @ParameterizedTest
  @MethodSource("names")
  void predict_weightsOfAPeer_sameOutput(String name) throws IOException {
    Map<String, Tensor> peer = PeerNetworks.read(name);
    Tensor input = take(peer, "input");
    Tensor output = take(peer, "output");
    Tensor raw = peer.remove("raw");
    @Nullable Tensor sigmas = peer.remove("sigmas");
    @Nullable Tensor labels = peer.remove("labels");
    @Nullable Tensor previous = peer.remove("previous_x0");
    double[] timesteps =
        sigmas == null
            ? doubles(take(peer, "timesteps"))
            : IntStream.range(0, 2)
                .mapToDouble(i -> Math.log(sigmas.values().get(i)) / 4)
                .toArray();
    float[] expected = (raw == null ? output : raw).values().array();
    Map<String, Tensor> weights = PeerNetworks.weights(name, peer);
    try (UNet unet = PeerNetworks.builder(name).build();
        NDManager manager = NDManager.newBaseManager()) {
      assertThat(shapes(unet)).isEqualTo(shapes(weights));
      Fixture.fill(unet, weights);
      NDArray x = array(manager, input);
      Condition condition = Condition.none();
      if (labels != null) {
        condition =
            Condition.labels(
                IntStream.range(0, 2).map(i -> (int) labels.values().get(i)).toArray());
      }
      if (previous != null) {
        condition = Condition.previousX0(array(manager, previous));
      }
      for (Execution execution : Execution.values()) {
        unet.runAs(execution, Precision.FLOAT32);
        NDArray actual = unet.predict(x, Levels.at(timesteps), condition);
        assertSame(name + " " + execution, actual.toFloatArray(), expected);
      }
      try (UNet copy = unet.copy()) {
        NDArray actual = copy.predict(x, Levels.at(timesteps), condition);
        assertSame(name + " copied", actual.toFloatArray(), expected);
      }
    }
  }

  private static Tensor take(Map<String, Tensor> tensors, String name) {
    return Objects.requireNonNull(tensors.remove(name), name);
  }

  private static double[] doubles(Tensor tensor) {
    float[] values = tensor.values().array();
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }

  private static NDArray array(NDManager manager, Tensor tensor) {
    return manager.create(tensor.values().array(), tensor.shape());
  }

  private static Map<String, Shape> shapes(UNet unet) {
    Map<String, Shape> shapes = new HashMap<>();
    unet.weights().forEach((name, weight) -> shapes.put(name, weight.getShape()));
    return shapes;
  }

  private static Map<String, Shape> shapes(Map<String, Tensor> weights) {
    Map<String, Shape> shapes = new HashMap<>();
    weights.forEach((name, tensor) -> shapes.put(name, tensor.shape()));
    return shapes;
  }

  /** |Δ| at most 1e-4 · (1 + |expected|). */
  private static void assertSame(String what, float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      worst = Math.max(worst, difference / (1 + Math.abs(expected[i])));
    }
    System.out.printf(Locale.ROOT, "%s: largest difference %.2g of 1 + |x|%n", what, worst);
    assertThat(worst).as(what).isLessThanOrEqualTo(1e-4);
  }
}
