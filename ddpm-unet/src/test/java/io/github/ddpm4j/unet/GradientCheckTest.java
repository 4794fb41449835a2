package io.github.ddpm4j.unet;

import static io.github.ddpm4j.unet.UNetLayout.WidthChange.LAST_BLOCK_UP;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.unet.UNetLayout.Activation;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Block;
import io.github.ddpm4j.unet.UNetLayout.Blocks;
import io.github.ddpm4j.unet.UNetLayout.ClassPlace;
import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Frequencies;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Outer;
import io.github.ddpm4j.unet.UNetLayout.Resampling;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The gradient of every weight and of every input against central differences, in float64 and with
 * dropout.
 */
class GradientCheckTest {

  private static final double STEP = 1e-5;
  private static final String X = "x";
  private static final String TIME = "times";

  private final Random random = new Random(5);

  /** The paper's layout with every condition, and layouts that have each other option. */
  static Stream<UNetBuilder> networks() {
    UNetBuilder small =
        UNet.builder()
            .image(2, 4, 8)
            .levelChannels(4, 8)
            .groups(2)
            .attentionAtLevels(0)
            .heads(2)
            .residualBlocks(1)
            .dropout(0.2)
            .classes(2);
    UNetBuilder full =
        small.config().toBuilder().vectorCondition(3).imageCondition(2).selfConditioning();
    UNetLayout lucidrains =
        UNetLayout.lucidrains(List.of(0))
            // Without a norm at the end a loss of 10^7 would hide small differences.
            .with(new Block(Time.SCALE_SHIFT, Order.CONVOLUTION_FIRST, Norm.RMS, 0.25))
            .with(new Attention(Blocks.LAST, AttentionNorm.ALL, true, false, List.of(0), 3, 2))
            .with(
                new Embedding(
                    6, 5, Activation.GELU, Frequencies.TIME_AND_FOURIER, ClassPlace.BEFORE, true));
    UNetLayout residual =
        UNetLayout.edmSong()
            .with(
                new Block(Time.SCALE_SHIFT, Order.NORM_FIRST, Norm.GROUP_OF_FOUR, Math.sqrt(0.5)));
    UNetLayout layers =
        UNetLayout.labml(6)
            .with(new Block(Time.ADD, Order.CONVOLUTION_FIRST, Norm.GROUP, 0.5))
            .with(new Resampling(Down.MEAN, Up.TRANSPOSED_4X4, false));
    UNetLayout linear =
        UNetLayout.paper().with(new UNetLayout.Transformers(List.of(2, 1), true, List.of(), 2));
    UNetLayout contextOnly =
        UNetLayout.paper().with(new UNetLayout.Transformers(List.of(), false, List.of(0), 2));
    return Stream.of(
        full,
        small.config().toBuilder().contextCondition(5).layout(linear),
        small.config().toBuilder().contextCondition(3).layout(contextOnly),
        small.config().toBuilder().layout(lucidrains),
        small.config().toBuilder().layout(residual),
        small.config().toBuilder().layout(layers.with(new Outer(6, false, LAST_BLOCK_UP, 3))),
        full.config().toBuilder().signal(2, 8),
        small.config().toBuilder()
            .signal(2, 8)
            .layout(lucidrains.with(new Resampling(Down.CONVOLUTION_4X4, Up.CONVOLUTION, false))),
        small.config().toBuilder()
            .volume(2, 2, 4, 2)
            .layout(layers.with(new Outer(6, false, LAST_BLOCK_UP, 3))));
  }

  @ParameterizedTest
  @MethodSource("networks")
  void gradient_everyWeightAndInput_asCentralDifferences(UNetBuilder builder) {
    Network network = new Network(builder.config());
    try (NDManager manager = NDManager.newBaseManager()) {
      Map<String, NDArray> weights = new LinkedHashMap<>();
      for (ParameterSpec spec : network.parameters()) {
        weights.put(spec.name(), gaussian(manager, spec.shape(), 0.5));
      }
      Shape images = new Shape(2).addAll(network.config().imageShape());
      weights.put(X, gaussian(manager, images, 1));
      int parts = network.timeEmbedding().inputs();
      double[] times = network.timeEmbedding().inputs(new double[] {3, parts > 1 ? 700 : -0.4});
      weights.put(TIME, manager.create(times, new Shape(2, parts)).duplicate());
      for (Kind kind : arrays(network)) {
        Shape row = network.config().conditionShape(kind);
        Shape shape =
            kind == Kind.CONTEXTS
                ? new Shape(2, 3, network.config().contextCondition())
                : new Shape(2).addAll(row);
        weights.put(kind.name(), gaussian(manager, shape, 1));
      }
      int inputs = weights.size() - network.parameters().size();
      NDArray target = gaussian(manager, images, 1);

      GradientCheck check =
          new GradientCheck(
              manager, weights, STEP, (values, pass) -> loss(network, values, target, pass));
      check.requireClose(1e-6, name -> name);
      assertThat(network.parameters().size()).isEqualTo(weights.size() - inputs).isGreaterThan(60);
      // Softmax takes no notice of the bias of the keys.
      Map<String, double[]> gradients = check.gradients();
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

  /** Those of the network's conditions that are differentiated. */
  private static List<Kind> arrays(Network network) {
    return network.config().conditionKinds().stream().filter(kind -> kind != Kind.LABELS).toList();
  }

  private NDArray loss(
      Network network, Map<String, NDArray> values, NDArray target, NDManager pass) {
    EagerOps ops = EagerOps.training(11, 3);
    Weights<NDArray> of = name -> Objects.requireNonNull(values.get(name), name);
    Map<Kind, NDArray> conditions = new EnumMap<>(Kind.class);
    // The second image has no class.
    conditions.put(Kind.LABELS, pass.create(new double[] {1, 2}).duplicate());
    for (Kind kind : arrays(network)) {
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

  private NDArray gaussian(NDManager manager, Shape shape, double sd) {
    double[] values = random.doubles(shape.size(), -1.7 * sd, 1.7 * sd).toArray();
    return manager.create(values, shape).duplicate();
  }
}
