package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TestInput;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.commons.rng.UniformRandomProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Training of the bound and of learned variances, compiled and operation by operation. */
class BoundTrainingTest {

  private static final Shape IMAGE = new Shape(2, 3, 4);
  private static final int PIXELS = 24;
  private static final int BATCH = 4;
  private static final int TIMESTEPS = 20;
  private static final long SEED = 3;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  record Case(Loss loss, Prediction prediction, Variance variance, int accumulation) {}

  static Stream<Case> cases() {
    return Stream.of(
        new Case(Losses.vlb(), Prediction.EPSILON, Variance.FIXED_LARGE, 1),
        new Case(Losses.vlb(), Prediction.PREVIOUS_MEAN, Variance.LEARNED_RANGE, 1),
        new Case(Losses.vlb(), Prediction.X0, Variance.LEARNED, 2),
        new Case(Losses.hybrid(), Prediction.EPSILON, Variance.LEARNED_RANGE, 1),
        new Case(Losses.hybrid(0.1), Prediction.VELOCITY, Variance.LEARNED, 2));
  }

  /** The first loss in float64, and twenty steps in both ways. */
  @ParameterizedTest
  @MethodSource("cases")
  void fit_compiledAndNot_areTheSame(Case c) {
    List<double[]> losses = new ArrayList<>();
    List<double[]> weights = new ArrayList<>();
    for (boolean compiled : new boolean[] {true, false}) {
      try (AffineDenoiser network = network(compiled, c.variance);
          TrainedModel result =
              training(network, c.prediction, c.variance)
                  .loss(c.loss)
                  .accumulation(c.accumulation)
                  .fit(data())) {
        losses.add(result.losses().toArray());
        weights.add(weights(network));
      }
    }
    try (AffineDenoiser network = network(true, c.variance)) {
      assertThat(weights.get(0)).isNotEqualTo(weights(network));
    }
    Golden.assertClose("losses", losses.get(0), losses.get(1), 2e-4);
    Golden.assertClose("weights", weights.get(0), weights.get(1), 2e-4);
    Golden.assertRelative(
        "the first loss", new double[] {losses.get(0)[0]}, new double[] {firstLoss(c)}, 2e-4);
  }

  /** The losses that a run is told decide its timesteps; the same run does it again. */
  @Test
  void fit_timestepsByTheirLosses_isRepeatable() {
    List<double[]> losses = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      try (AffineDenoiser network = network(true, Variance.LEARNED_RANGE);
          TrainedModel result =
              training(network, Prediction.EPSILON, Variance.LEARNED_RANGE)
                  .loss(Losses.vlb())
                  .steps(60)
                  .timestepSampler(TimestepSampler.lossSecondMoment(1, 0.001))
                  .fit(data())) {
        losses.add(result.losses().toArray());
      }
    }
    assertThat(losses.get(0)).containsExactly(losses.get(1));
  }

  @Test
  void fit_lossThatTrainsNoVariance_isRefused() {
    try (AffineDenoiser network = network(true, Variance.LEARNED_RANGE)) {
      assertThatThrownBy(
              () -> training(network, Prediction.EPSILON, Variance.LEARNED_RANGE).fit(data()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "variance LEARNED_RANGE is not trained by loss simple, which looks at the prediction"
                  + " alone; use Losses.hybrid() or Losses.vlb(), or a network without"
                  + " learnedVariance()");
    }
  }

  @Test
  void fit_hybridOfAFixedVariance_isRefused() {
    try (AffineDenoiser network = network(true, Variance.FIXED_LARGE)) {
      assertThatThrownBy(
              () ->
                  training(network, Prediction.EPSILON, Variance.FIXED_LARGE)
                      .loss(Losses.hybrid())
                      .fit(data()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "loss hybrid(0.001) trains a variance that is learned, but that of the model is"
                  + " fixed; build DDPM with variance(Variance.LEARNED_RANGE), or use"
                  + " Losses.simple()");
    }
  }

  @Test
  void fit_boundBetweenTimesteps_isRefused() {
    try (AffineDenoiser network = network(true, Variance.FIXED_LARGE)) {
      assertThatThrownBy(
              () ->
                  training(network, Prediction.EPSILON, Variance.FIXED_LARGE)
                      .loss(Losses.vlb())
                      .timestepSampler(TimestepSampler.logNormal(-1.2, 1.2))
                      .fit(data()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith(
              "the loss asks for FIRST, which belongs to a step of the schedule, timesteps 0 to 19, but"
                  + " an image stands at ");
    }
  }

  private static Training training(
      AffineDenoiser network, Prediction prediction, Variance variance) {
    return DDPM.builder()
        .timesteps(TIMESTEPS)
        .prediction(prediction)
        .variance(variance)
        .denoiser(network)
        .build()
        .training()
        .batchSize(BATCH)
        .steps(20)
        .learningRate(0.003)
        .seed(SEED);
  }

  private static float[] values(int seed, double scale) {
    Random random = new Random(seed);
    float[] values = new float[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
      values[i] = (float) (scale * (2 * random.nextDouble() - 1));
    }
    return values;
  }

  private static AffineDenoiser network(boolean compiled, Variance variance) {
    return new AffineDenoiser(
        compiled,
        DataType.FLOAT32,
        IMAGE,
        variance.isLearned(),
        values(2, 0.5),
        values(3, 0.5),
        0.3f);
  }

  private ArrayDataset data() {
    float[] images = new float[BATCH * PIXELS];
    for (int i = 0; i < BATCH; i++) {
      System.arraycopy(values(1, 1), 0, images, i * PIXELS, PIXELS);
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(images, new Shape(BATCH).addAll(IMAGE)))
        .setSampling(1, false)
        .build();
  }

  private static double[] weights(AffineDenoiser network) {
    List<Double> all = new ArrayList<>();
    for (String name : network.weights().keySet()) {
      for (float value : network.values(name)) {
        all.add((double) value);
      }
    }
    return all.stream().mapToDouble(Double::doubleValue).toArray();
  }

  /** What the first step must give, from what the network says and what is drawn. */
  private double firstLoss(Case c) {
    Schedule schedule = Schedules.linear(TIMESTEPS);
    Diffusion diffusion = new Diffusion(schedule, c.prediction, c.variance, DataRange.DEFAULT);
    double sum = 0;
    for (int pass = 0; pass < c.accumulation; pass++) {
      UniformRandomProvider draw =
          CounterRandom.of(SEED, CounterRandom.Stream.TIMESTEPS).at(pass, 0);
      int[] t = new int[BATCH];
      Arrays.setAll(t, i -> draw.nextInt(TIMESTEPS));
      NDArray noise =
          ((NoiseSource)
                  (place, which, into) ->
                      CounterRandom.of(SEED, CounterRandom.Stream.TRAINING_NOISE)
                          .normal(which, place, into))
              .array(manager, 0, pass, new Shape(BATCH).addAll(IMAGE), DataType.FLOAT64);
      NDArray x0 =
          manager
              .create(values(1, 1), new Shape(1).addAll(IMAGE))
              .toType(DataType.FLOAT64, false)
              .repeat(0, BATCH);
      NDArray xt = ForwardProcess.of(schedule).sample(x0, t, noise);
      Shape pixels = new Shape(1).addAll(IMAGE);
      double[] shift = Arrays.stream(t).mapToDouble(i -> 0.3f * i / 1000).toArray();
      NDArray output =
          xt.mul(manager.create(values(2, 0.5), pixels))
              .add(manager.create(values(3, 0.5), pixels))
              .add(PerImage.column(xt, shift));
      Map<Coefficient, NDArray> columns = new EnumMap<>(Coefficient.class);
      for (Coefficient coefficient : Coefficient.values()) {
        double[] each =
            Arrays.stream(t)
                .mapToDouble(i -> coefficient.at(diffusion, Level.of(schedule, i)))
                .toArray();
        columns.put(coefficient, PerImage.column(xt, each));
      }
      sum +=
          c.loss
              .perImage(
                  EagerOps.inference(),
                  new TestInput<>(
                      diffusion,
                      output,
                      c.prediction.target(schedule, NoiseLevels.of(schedule, t), x0, noise),
                      c.variance.isLearned()
                          ? Optional.of(EagerOps.inference().scale(output, 0.5))
                          : Optional.empty(),
                      x0,
                      xt,
                      xt,
                      columns))
              .mean()
              .getDouble();
    }
    return sum / c.accumulation;
  }
}
