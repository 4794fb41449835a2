package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.unet.Fixture.Tensor;
import java.io.IOException;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The gradients of networks of other libraries at the weights that those made, against central
 * differences in float64.
 */
class PeerGradientTest {

  private static final String X = "x";

  static List<String> names() {
    return PeerNetworks.NAMES;
  }

  @ParameterizedTest
  @MethodSource("names")
  void gradient_weightsOfAPeer_asCentralDifferences(String name) throws IOException {
    Network network = new Network(PeerNetworks.builder(name).config());
    Map<String, Tensor> peer = PeerNetworks.read(name);
    for (String other : List.of("input", "output", "raw", "sigmas", "labels", "previous_x0")) {
      peer.remove(other);
    }
    peer.remove("timesteps");
    Random random = new Random(7);
    try (NDManager manager = NDManager.newBaseManager()) {
      Map<String, NDArray> values = new LinkedHashMap<>();
      PeerNetworks.weights(name, peer)
          .forEach((key, tensor) -> values.put(key, wide(manager, tensor)));
      int weights = values.size();
      Shape shape = new Shape(2, 3, 8, 8);
      values.put(X, gaussian(manager, random, shape));
      if (network.config().conditionKinds().contains(Kind.PREVIOUS_X0)) {
        values.put(Kind.PREVIOUS_X0.name(), gaussian(manager, random, shape));
      }
      double[] levels = network.timeEmbedding().inputs(new double[] {3.5, 20});
      NDArray times = manager.create(levels, new Shape(2, levels.length / 2));
      NDArray target =
          gaussian(manager, random, new Shape(2, network.config().outputChannels(), 8, 8));

      GradientCheck check =
          new GradientCheck(
              manager,
              values,
              1e-5,
              (of, pass) -> loss(network, of, in(pass, times), in(pass, target), pass));

      assertThat(weights).isEqualTo(network.parameters().size());
      check.requireCloseByLayer(1e-5);
    }
  }

  private static NDArray loss(
      Network network, Map<String, NDArray> of, NDArray times, NDArray target, NDManager pass) {
    EagerOps ops = EagerOps.inference();
    Map<Kind, NDArray> conditions = new EnumMap<>(Kind.class);
    conditions.put(Kind.LABELS, pass.create(new double[] {1, 4}));
    of.forEach(
        (name, value) -> {
          if (name.equals(Kind.PREVIOUS_X0.name())) {
            conditions.put(Kind.PREVIOUS_X0, value);
          }
        });
    NDArray x = in(pass, Objects.requireNonNull(of.get(X)));
    NDArray y =
        network.forward(
            ops,
            name -> Objects.requireNonNull(of.get(name), name),
            new Inputs<>(x, times, conditions));
    return ops.meanPerImage(ops.square(ops.subtract(y, target))).sum();
  }

  /** A view, so that what is computed from it belongs to the pass. */
  private static NDArray in(NDManager pass, NDArray array) {
    NDArray view = array.reshape(array.getShape());
    view.attach(pass);
    return view;
  }

  private static NDArray wide(NDManager manager, Tensor tensor) {
    float[] narrow = tensor.values().array();
    double[] all = new double[narrow.length];
    for (int i = 0; i < all.length; i++) {
      all[i] = narrow[i];
    }
    return manager.create(all, tensor.shape()).duplicate();
  }

  private static NDArray gaussian(NDManager manager, Random random, Shape shape) {
    double[] all = random.doubles(shape.size(), -1.7, 1.7).toArray();
    return manager.create(all, shape).duplicate();
  }
}
