package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser.Pass;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Measurement;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet.Execution;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What lies in front of the network learns too: the gradient of every array that goes in, against
 * central differences of the same computation.
 */
class InputGradientTest {

  private static final int N = 3;
  private static final int SIDE = 4;

  /** Of central differences in float32: rounding over the step, and the third derivative. */
  private static final double STEP = 2e-2;

  private static final double TOLERANCE = 5e-3;

  private static final Pass PASS = new Pass(7, 2);

  /** What makes a loss of the inputs. */
  private interface Computation {
    NDArray loss(UNet network, Map<String, NDArray> inputs);
  }

  private final NDManager manager = NDManager.newBaseManager();
  private final Random random = new Random(3);
  private final Map<String, NDArray> inputs = new LinkedHashMap<>();

  @BeforeEach
  void makeInputs() {
    inputs.put("x", uniform(new Shape(N, 1, SIDE, SIDE), 0.9));
    inputs.put("noise", uniform(new Shape(N, 1, SIDE, SIDE), 1.5));
    inputs.put("vectors", uniform(new Shape(N, 5), 1));
    inputs.put("images", uniform(new Shape(N, 2, SIDE, SIDE), 1));
    inputs.put("estimates", uniform(new Shape(N, 1, SIDE, SIDE), 1));
  }

  @AfterEach
  void close() {
    manager.close();
  }

  private NDArray uniform(Shape shape, double limit) {
    double[] values = random.doubles(shape.size(), -limit, limit).toArray();
    return manager.create(values, shape).toType(DataType.FLOAT32, false).duplicate();
  }

  /** A network all of whose weights matter. */
  private UNet network(Execution execution) {
    UNet unet =
        UNet.builder()
            .image(1, SIDE, SIDE)
            .levelChannels(4, 8)
            .groups(2)
            .attentionAtLevels(1)
            .residualBlocks(1)
            .dropout(0.1)
            .classes(3)
            .vectorCondition(5)
            .imageCondition(2)
            .selfConditioning()
            .seed(1)
            .execution(execution)
            .build();
    try (GradMode off = GradMode.off()) {
      unet.weights().values().forEach(w -> w.addi(uniform(w.getShape(), 0.3)));
    }
    return unet;
  }

  private static Condition condition(Map<String, NDArray> in) {
    return given(in).and(Condition.previousX0(in.get("estimates")));
  }

  /** What a run is given, which makes estimates itself. */
  private static Condition given(Map<String, NDArray> in) {
    return Condition.labels(0, Condition.ABSENT, 2)
        .and(Condition.vectors(in.get("vectors")))
        .and(Condition.images(in.get("images")));
  }

  /** Of pieces of several arrays, with rows that occur twice or not at all. */
  private static Condition pieces(Map<String, NDArray> in) {
    Condition all = condition(in);
    return all.select(1, 2).concat(all.select(1).dropped());
  }

  private static NDArray weighted(NDArray prediction) {
    int size = Math.toIntExact(prediction.size());
    float[] weights = new float[size];
    IntStream.range(0, size).forEach(i -> weights[i] = (float) Math.sin(i + 1));
    NDArray factors = prediction.getManager().create(weights, prediction.getShape()).duplicate();
    return prediction.square().add(prediction).mul(factors).sum();
  }

  private static NDArray training(UNet network, Map<String, NDArray> in, Condition condition) {
    return network.predictForTraining(in.get("x"), Levels.at(40, 340, 640), condition, PASS);
  }

  static List<Arguments> computations() {
    Map<String, Computation> all = new LinkedHashMap<>();
    all.put("predictForTraining", (unet, in) -> weighted(training(unet, in, condition(in))));
    all.put("selected rows", (unet, in) -> weighted(training(unet, in, pieces(in))));
    all.put(
        "answer",
        (unet, in) -> {
          NoiseLevels levels = Levels.at(40, 340, 640);
          NDArray epsilon = training(unet, in, condition(in));
          Answer answer =
              Answer.of(
                  Prediction.EPSILON,
                  DDPM.builder().build().schedule(),
                  in.get("x"),
                  levels,
                  epsilon);
          return weighted(answer.x0()).add(weighted(answer.velocity()));
        });
    all.put(
        "block",
        (unet, in) -> {
          NDManager owner = in.get("x").getManager();
          NDList arrays =
              new NDList(
                  in.get("x"),
                  owner.create(new float[] {40, 340, 640}),
                  owner.create(new float[] {0, -1, 2}),
                  in.get("vectors"),
                  in.get("images"),
                  in.get("estimates"));
          // Its dropout is that of its number, so a new network is asked each time.
          try (UNet fresh = unet.copy()) {
            return weighted(fresh.forward(new ParameterStore(owner, false), arrays, true).head());
          }
        });
    all.put(
        "loss",
        (unet, in) -> {
          DDPM ddpm = DDPM.builder().denoiser(unet).build();
          NoiseLevels levels = NoiseLevels.of(ddpm.schedule(), 40, 340, 640);
          return ddpm.loss(
              Losses.simple(), in.get("x"), levels, in.get("noise"), condition(in), PASS);
        });
    all.put(
        "loss at levels of its own",
        (unet, in) ->
            DDPM.builder()
                .prediction(Prediction.edm(0.5))
                .denoiser(unet)
                .build()
                .loss(Losses.simple(), in.get("x"), condition(in), PASS));
    List<Arguments> cases = new ArrayList<>();
    all.forEach(
        (name, computation) -> {
          for (Execution execution : Execution.values()) {
            cases.add(Arguments.of(name, execution, computation));
          }
        });
    return cases;
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("computations")
  void gradient_everyInput_asCentralDifferences(
      String name, Execution execution, Computation computation) {
    try (UNet network = network(execution)) {
      inputs.values().forEach(input -> input.setRequiresGradient(true));
      Map<String, double[]> gradients = new LinkedHashMap<>();
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray loss = computation.loss(network, inputs);
        // What autograd remembers must not lie in memory that Java may take back.
        System.gc();
        collector.backward(loss);
      }
      inputs.forEach((input, array) -> gradients.put(input, doubles(array.getGradient())));
      inputs.values().forEach(input -> input.setRequiresGradient(false));
      if (!name.equals("loss")) {
        // Noise is drawn, or is not asked for.
        assertThat(gradients.remove("noise")).containsOnly(0);
      }
      gradients.forEach(
          (input, gradient) -> {
            double[] direction = random.doubles(gradient.length, -1, 1).toArray();
            double expected = slope(network, computation, input, direction);
            double actual = 0;
            for (int i = 0; i < direction.length; i++) {
              actual += gradient[i] * direction[i];
            }
            assertThat(actual)
                .as("%s in the direction of a difference of %s", input, expected)
                .isNotZero()
                .isCloseTo(expected, within(TOLERANCE * (0.1 + Math.abs(expected))));
          });
    }
  }

  private double slope(UNet network, Computation computation, String input, double[] direction) {
    double[] losses = new double[2];
    for (int side = 0; side < 2; side++) {
      try (NDManager pass = manager.newSubManager();
          GradMode off = GradMode.off()) {
        Map<String, NDArray> moved = new LinkedHashMap<>();
        inputs.forEach(
            (name, array) -> {
              NDArray copy = array.duplicate();
              copy.attach(pass);
              moved.put(name, copy);
            });
        double step = side == 0 ? -STEP : STEP;
        float[] shift = new float[direction.length];
        IntStream.range(0, shift.length).forEach(i -> shift[i] = (float) (step * direction[i]));
        NDArray array = moved.get(input);
        array.addi(pass.create(shift, array.getShape()));
        losses[side] = computation.loss(network, moved).getFloat();
      }
    }
    return (losses[1] - losses[0]) / (2 * STEP);
  }

  private static double[] doubles(NDArray array) {
    float[] values = array.toFloatArray();
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }

  /** An encoder of one's own before the condition, which is trained by the loss of the model. */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void encoder_beforeTheCondition_learns(Execution execution) {
    try (UNet network = network(execution)) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      NDArray encoder = uniform(new Shape(2, 5), 1);
      encoder.setRequiresGradient(true);
      NDArray features = uniform(new Shape(N, 2), 1);
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        Map<String, NDArray> in = new LinkedHashMap<>(inputs);
        in.put("vectors", features.matMul(encoder));
        collector.backward(
            ddpm.loss(
                Losses.simple(),
                in.get("x"),
                NoiseLevels.of(ddpm.schedule(), 40, 340, 640),
                in.get("noise"),
                condition(in),
                PASS));
      }
      assertThat(encoder.getGradient().abs().max().getFloat()).isGreaterThan(1e-4f);
    }
  }

  /**
   * Guidance by a score of x̂_0, which asks the network itself. With one step, x̂_0 moves by s ·
   * noise² / signal · ∇_x score.
   */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void guidance_scoreOfTheNetwork_gradientThroughIt(Execution execution) {
    double beta = 0.3;
    try (UNet network = network(execution)) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.ofBetas(beta)).denoiser(network).build();
      Guidance.LogProbability score =
          (x, levels) -> {
            NDArray epsilon = network.predictForTraining(x, levels, condition(inputs), PASS);
            NDArray x0 = Answer.of(Prediction.EPSILON, ddpm.schedule(), x, levels, epsilon).x0();
            return x0.reshape(N, -1).square().sum(new int[] {1}).mul(-0.5);
          };
      NDArray x = inputs.get("noise");
      double[] free = drawn(ddpm, Guidance.none(), x);
      double[] guided = drawn(ddpm, Guidance.classifier(score, 2), x);
      double[] direction = random.doubles(free.length, -1, 1).toArray();
      double actual = 0;
      for (int i = 0; i < free.length; i++) {
        actual += direction[i] * (guided[i] - free[i]) / (2 * beta / Math.sqrt(1 - beta));
      }
      double expected =
          slope(
              network,
              (unet, in) ->
                  score.of(in.get("noise"), NoiseLevels.of(ddpm.schedule(), 0, 0, 0)).sum(),
              "noise",
              direction);
      assertThat(actual).isNotZero().isCloseTo(expected, within(TOLERANCE * Math.abs(expected)));
    }
  }

  /**
   * Asked without dropout while gradients are recorded, the network says what it says otherwise,
   * and its weights get no gradients. DPS with one step moves the images by the gradient through
   * it.
   */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void dps_throughTheNetwork_movesByTheGradient(Execution execution) {
    double beta = 0.3;
    try (UNet network = network(execution)) {
      DDPM ddpm = DDPM.builder().schedule(Schedules.ofBetas(beta)).denoiser(network).build();
      NDArray x = inputs.get("noise");
      NDArray y = uniform(new Shape(N, SIDE * SIDE), 1);
      double[] free = drawn(ddpm, Guidance.none(), x);
      Measurement all = Measurement.of(x0 -> x0.reshape(-1, SIDE * SIDE), y, 1);
      double[] guided = drawn(ddpm, Guidance.dps(all, 2), x);
      double[] direction = random.doubles(free.length, -1, 1).toArray();
      double actual = 0;
      for (int i = 0; i < free.length; i++) {
        actual -= direction[i] * (guided[i] - free[i]) / 2;
      }
      NoiseLevels levels = NoiseLevels.of(ddpm.schedule(), 0, 0, 0);
      double expected =
          slope(
              network,
              (unet, in) ->
                  ddpm.model()
                      .ask(in.get("noise"), levels, given(in))
                      .x0()
                      .reshape(N, -1)
                      .sub(y)
                      .norm(new int[] {1})
                      .sum(),
              "noise",
              direction);
      assertThat(actual).isNotZero().isCloseTo(expected, within(TOLERANCE * Math.abs(expected)));
      network
          .weights()
          .forEach(
              (name, weight) ->
                  assertThat(weight.getGradient().abs().max().getFloat()).as(name).isZero());
    }
  }

  private double[] drawn(DDPM ddpm, Guidance guidance, NDArray x) {
    try (Samples samples =
        ddpm.sampling()
            .sampler(Samplers.ddim(1))
            .condition(given(inputs))
            .guidance(guidance)
            .clip(false)
            .denoise(x, 0)) {
      return doubles(samples.toNDArray(manager));
    }
  }
}
