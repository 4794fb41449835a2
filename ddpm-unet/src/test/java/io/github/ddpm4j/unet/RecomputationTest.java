package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What is recomputed changes memory and time, but neither losses nor gradients. */
class RecomputationTest {

  private static final int SIDE = 8;
  private static final int RECORDS = 12;
  private static final int STEPS = 4;

  record Case(Execution execution, Precision precision, int accumulation, Recomputation which) {}

  static Stream<Case> cases() {
    Recomputation all = Recomputation.everywhere();
    return Stream.of(
        new Case(Execution.COMPILED, Precision.FLOAT32, 1, all),
        new Case(Execution.COMPILED, Precision.FLOAT32, 2, Recomputation.levels(0)),
        new Case(Execution.COMPILED, Precision.BFLOAT16, 1, Recomputation.levels(1)),
        new Case(Execution.COMPILED, Precision.FLOAT16, 2, all),
        new Case(Execution.EAGER, Precision.FLOAT32, 1, Recomputation.levels(0)),
        new Case(Execution.EAGER, Precision.FLOAT32, 2, all));
  }

  /** Adam would hide a wrong scale of the gradient: its norm is compared, and the weights. */
  @ParameterizedTest
  @MethodSource("cases")
  void sameLossesNormsAndWeights(Case how) {
    Run plain = train(how, Recomputation.none());
    Run recomputed = train(how, how.which);

    double tolerance = how.precision == Precision.FLOAT32 ? 1e-5 : 2e-2;
    for (int i = 0; i < STEPS; i++) {
      assertThat(recomputed.losses.get(i))
          .isCloseTo(plain.losses.get(i), within(tolerance * plain.losses.get(i)));
      assertThat(recomputed.norms.get(i))
          .isCloseTo(plain.norms.get(i), within(tolerance * plain.norms.get(i)));
    }
    assertThat(plain.norms).allSatisfy(norm -> assertThat(norm).isPositive());
    plain.weights.forEach(
        (name, values) -> {
          // Adam's first steps have the size of the rate, however small the gradient.
          float[] own = recomputed.weights.get(name);
          double difference = 0;
          double size = 0;
          for (int i = 0; i < values.length; i++) {
            difference += Math.pow(own[i] - values[i], 2);
            size += Math.pow(values[i], 2);
          }
          assertThat(Math.sqrt(difference / (size + 1e-6)))
              .as(name)
              .isLessThan(how.precision == Precision.FLOAT32 ? 1e-3 : 3e-2);
        });
  }

  private record Run(List<Double> losses, List<Double> norms, Map<String, float[]> weights) {}

  private static Run train(Case how, Recomputation recomputation) {
    List<Double> losses = new ArrayList<>();
    List<Double> norms = new ArrayList<>();
    Map<String, float[]> weights = new LinkedHashMap<>();
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(how)) {
      Training training =
          DDPM.builder()
              .timesteps(100)
              .denoiser(network)
              .build()
              .training()
              .batchSize(3)
              .accumulation(how.accumulation)
              .steps(STEPS)
              .seed(5)
              .recomputation(recomputation)
              .listener(
                  event -> {
                    losses.add(event.loss());
                    norms.add(event.gradientNorm());
                  });
      if (network.config().contextCondition() > 0) {
        training.condition(
            (images, labels) ->
                Condition.labels(labels.head())
                    .and(
                        Condition.contexts(
                            labels.head().reshape(-1, 1, 1).tile(new long[] {1, 3, 4}))));
      }
      try (TrainedModel trained = training.fit(images(manager))) {
        assertThat(trained.losses().steps()).isEqualTo(STEPS);
      }
      network.weights().forEach((name, weight) -> weights.put(name, floats(weight)));
    }
    return new Run(losses, norms, weights);
  }

  private static float[] floats(NDArray array) {
    try (NDArray copy = array.duplicate()) {
      return copy.toFloatArray();
    }
  }

  /** With transformers where steps accumulate, and self-attention elsewhere. */
  private static UNet network(Case how) {
    UNetBuilder builder =
        UNet.builder()
            .image(2, SIDE, SIDE)
            .baseChannels(8)
            .groups(4)
            .channelMultipliers(1, 2)
            .residualBlocks(1)
            .attentionAt(4)
            .classes(3)
            .dropout(0.2)
            .seed(1)
            .execution(how.execution)
            .precision(how.precision);
    return (how.accumulation > 1 ? builder.contextCondition(4) : builder).build();
  }

  private static ArrayDataset images(NDManager manager) {
    Random random = new Random(3);
    float[] values = new float[RECORDS * 2 * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    float[] labels = new float[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
      labels[i] = i % 3;
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(RECORDS, 2, SIDE, SIDE)))
        .optLabels(manager.create(labels))
        .setSampling(1, false)
        .build();
  }

  /** One weight a pixel, written as a whole, in parts, or with something between the parts. */
  private static final class Scale implements ScriptedDenoiser {
    private final NDManager manager = NDManager.newBaseManager();
    private final NDArray weight = manager.ones(new Shape(1));
    private final String form;
    private final boolean compiled;

    Scale(String form, boolean compiled) {
      this.form = form;
      this.compiled = compiled;
      weight.setRequiresGradient(true);
    }

    @Override
    public <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions) {
      T in = ops.enter(x);
      T own = weights.get(0);
      return ops.leave(
          switch (form) {
            case "whole" -> ops.multiply(in, own);
            case "between" -> {
              T first =
                  ops.recomputable(0, List.of(in), values -> ops.multiply(values.get(0), own));
              yield ops.recomputable(
                  0, List.of(ops.silu(first)), values -> ops.square(values.get(0)));
            }
            case "past" -> {
              T first =
                  ops.recomputable(0, List.of(in), values -> ops.multiply(values.get(0), own));
              T second = ops.recomputable(0, List.of(first), values -> ops.square(values.get(0)));
              yield ops.add(first, second);
            }
            default -> throw new IllegalStateException(form);
          });
    }

    @Override
    public boolean isCompiled() {
      return compiled;
    }

    @Override
    public double[] levelFeatures(NoiseLevels levels) {
      return new double[levels.size()];
    }

    @Override
    public Map<String, NDArray> weights() {
      return Map.of("weight", weight);
    }

    @Override
    public Scale copy() {
      return new Scale(form, compiled);
    }

    @Override
    public String type() {
      return "scale";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }

    @Override
    public void close() {
      manager.close();
    }
  }

  @Test
  void aNetworkThatIsNotInPartsIsRefused() {
    for (boolean compiled : new boolean[] {true, false}) {
      assertThatThrownBy(() -> trainScale("whole", compiled))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "recomputation needs a network that is written in parts by ops.recomputable(…), but"
                  + " this one has none; train without recomputation, or put every layer into a"
                  + " part");
      assertThatThrownBy(() -> trainScale("between", compiled))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "a part that may be recomputed must take results of other such parts, or inputs of"
                  + " the network, so that its gradient reaches them; put what lies between into a"
                  + " part");
    }
  }

  /** A result that is used past the parts would lose its gradient there. */
  @Test
  void aResultThatIsUsedPastThePartsIsRefused() {
    assertThatThrownBy(() -> trainScale("past", true))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("a part that may be recomputed must take results of other such");
  }

  private static void trainScale(String form, boolean compiled) {
    try (NDManager manager = NDManager.newBaseManager();
        Scale network = new Scale(form, compiled)) {
      DDPM.builder()
          .timesteps(10)
          .denoiser(network)
          .build()
          .training()
          .batchSize(2)
          .steps(1)
          .recomputation(Recomputation.everywhere())
          .fit(images(manager))
          .close();
    }
  }

  @Test
  void levelsMustBeThere() {
    assertThatThrownBy(Recomputation::levels)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "levels must be one or more numbers of at least 0, but were []; use"
                + " Recomputation.none() for none");
    assertThat(Recomputation.levels(2, 0)).hasToString("levels [0, 2]");
    assertThat(Recomputation.everywhere()).hasToString("everywhere");
    assertThat(Recomputation.none()).hasToString("none");
  }
}
