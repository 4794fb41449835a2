package io.github.ddpm4j.training;

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
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The noise of a batch, given to its images. */
class NoiseAssignmentTest {

  private static final Shape IMAGE = new Shape(1, 3, 3);
  private static final int PIXELS = 9;
  private static final int SIZE = 12;
  private static final int BATCH = 6;
  private static final long SEED = 5;

  @TempDir private Path temporary;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** Images of which no two are alike; image i is of the class i % 2. */
  private ArrayDataset data(boolean labels) {
    Random random = new Random(1);
    float[] values = new float[SIZE * PIXELS];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    ArrayDataset.Builder builder =
        new ArrayDataset.Builder()
            .setData(manager.create(values, new Shape(SIZE).addAll(IMAGE)))
            .setSampling(1, false);
    int[] classes = IntStream.range(0, SIZE).map(i -> i % 2).toArray();
    return (labels ? builder.optLabels(manager.create(classes)) : builder).build();
  }

  private static AffineDenoiser affine(boolean compiled) {
    float[] scale = new float[PIXELS];
    float[] shift = new float[PIXELS];
    Arrays.fill(scale, 0.4f);
    Arrays.fill(shift, 0.1f);
    return new AffineDenoiser(compiled, IMAGE, scale, shift, 0.2f);
  }

  private static Training training(TrainableDenoiser network) {
    return DDPM.builder()
        .denoiser(network)
        .build()
        .training()
        .batchSize(BATCH)
        .steps(4)
        .learningRate(0.01)
        .seed(SEED)
        .anyRange();
  }

  /** The mean of squares, noting clean and noisy images and the noise that is to be told. */
  private static final class Noting implements Loss {
    private final List<float[]> images = new ArrayList<>();
    private final List<float[]> noise = new ArrayList<>();

    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      images.add(((NDArray) input.x0()).toFloatArray());
      noise.add(((NDArray) input.target()).toFloatArray());
      return perImage(ops, input.output(), input.target());
    }
  }

  private Noting noted(Training training, TrainableDenoiser network, boolean labels) {
    Noting loss = new Noting();
    try (network;
        TrainedModel trained = training.loss(loss).fit(data(labels))) {
      assertThat(trained.losses().steps()).isEqualTo(4);
    }
    // The first is the trial of the loss on two images.
    loss.images.removeIf(batch -> batch.length != BATCH * PIXELS);
    loss.noise.removeIf(batch -> batch.length != BATCH * PIXELS);
    return loss;
  }

  private static double[][] drawn(int pass) {
    double[][] noise = new double[BATCH][PIXELS];
    for (int i = 0; i < BATCH; i++) {
      CounterRandom.of(SEED, CounterRandom.Stream.TRAINING_NOISE).normal(pass, i, noise[i]);
    }
    return noise;
  }

  /** Which draw each image has. */
  private static int[] order(float[] noise, double[][] drawn) {
    int[] order = new int[BATCH];
    for (int i = 0; i < BATCH; i++) {
      int image = i;
      order[i] =
          IntStream.range(0, BATCH)
              .filter(k -> noise[image * PIXELS] == (float) drawn[k][0])
              .findFirst()
              .orElseThrow();
      for (int p = 0; p < PIXELS; p++) {
        assertThat(noise[i * PIXELS + p]).isEqualTo((float) drawn[order[i]][p]);
      }
    }
    assertThat(Arrays.stream(order).sorted().toArray())
        .containsExactly(IntStream.range(0, BATCH).toArray());
    return order;
  }

  private static double distance(float[] images, double[][] drawn, int... order) {
    double sum = 0;
    for (int i = 0; i < BATCH; i++) {
      for (int p = 0; p < PIXELS; p++) {
        sum += Math.pow(images[i * PIXELS + p] - drawn[order[i]][p], 2);
      }
    }
    return sum;
  }

  /** The least over all orders that a rule allows. */
  private static double least(float[] images, double[][] drawn, int[][] allowed, int... order) {
    if (order.length == BATCH) {
      return distance(images, drawn, order);
    }
    double best = Double.POSITIVE_INFINITY;
    for (int k : allowed[order.length]) {
      if (Arrays.stream(order).noneMatch(taken -> taken == k)) {
        int[] longer = Arrays.copyOf(order, order.length + 1);
        longer[order.length] = k;
        best = Math.min(best, least(images, drawn, allowed, longer));
      }
    }
    return best;
  }

  private static int[][] allowed(int... group) {
    int[][] allowed = new int[BATCH][];
    for (int i = 0; i < BATCH; i++) {
      int own = group[i];
      allowed[i] = IntStream.range(0, BATCH).filter(k -> group[k] == own).toArray();
    }
    return allowed;
  }

  @Test
  void fit_optimal_hasTheLeastDistanceOfAllOrders() {
    AffineDenoiser network = affine(false);
    Noting noted =
        noted(training(network).noiseAssignment(NoiseAssignment.optimal()), network, false);
    assertThat(noted.noise).hasSize(4);
    int moved = 0;
    for (int pass = 0; pass < 4; pass++) {
      double[][] drawn = drawn(pass);
      int[] order = order(noted.noise.get(pass), drawn);
      float[] images = noted.images.get(pass);
      assertThat(distance(images, drawn, order))
          .isCloseTo(least(images, drawn, allowed(0, 0, 0, 0, 0, 0)), within(1e-5));
      moved += IntStream.range(0, BATCH).filter(i -> order[i] != i).count() > 0 ? 1 : 0;
    }
    assertThat(moved).isPositive();
  }

  @Test
  void fit_inGroups_hasTheLeastDistanceWithinEach() {
    AffineDenoiser network = affine(false);
    Noting noted =
        noted(
            training(network).noiseAssignment(NoiseAssignment.optimal().inGroups(4)),
            network,
            false);
    for (int pass = 0; pass < 4; pass++) {
      double[][] drawn = drawn(pass);
      float[] images = noted.images.get(pass);
      assertThat(distance(images, drawn, order(noted.noise.get(pass), drawn)))
          .isCloseTo(least(images, drawn, allowed(0, 0, 0, 0, 1, 1)), within(1e-5));
    }
  }

  /** The class counts even where the network is not told of it. */
  @ParameterizedTest
  @ValueSource(doubles = {0, 0.5})
  void fit_byClass_hasTheLeastDistanceWithinEach(double dropout) {
    Classes network = new Classes(EnumSet.of(Kind.LABELS));
    Noting noted =
        noted(
            training(network)
                .conditionDropout(dropout)
                .noiseAssignment(NoiseAssignment.optimal().byClass()),
            network,
            true);
    for (int pass = 0; pass < 4; pass++) {
      double[][] drawn = drawn(pass);
      float[] images = noted.images.get(pass);
      int[] classes = classes(images);
      assertThat(Arrays.stream(classes).distinct().count()).isEqualTo(2);
      assertThat(distance(images, drawn, order(noted.noise.get(pass), drawn)))
          .isCloseTo(least(images, drawn, allowed(classes)), within(1e-5));
    }
  }

  /** The class of each image of a batch, by what it looks like. */
  private int[] classes(float[] images) {
    ArrayDataset data = data(false);
    int[] classes = new int[BATCH];
    for (int i = 0; i < BATCH; i++) {
      int image = i;
      classes[i] =
          IntStream.range(0, SIZE)
                  .filter(
                      k ->
                          data.get(manager, k).getData().head().toFloatArray()[0]
                              == images[image * PIXELS])
                  .findFirst()
                  .orElseThrow()
              % 2;
    }
    return classes;
  }

  /** What x_t is made of has the assigned noise, and its own perturbation on top. */
  @Test
  void fit_perturbedInput_isThatOfTheAssignedNoise() {
    List<double[]> seen = new ArrayList<>();
    Classes network =
        new Classes(EnumSet.noneOf(Kind.class)) {
          @Override
          public NDArray predictForTraining(
              NDArray x, NoiseLevels levels, Condition condition, Pass pass) {
            seen.add(
                IntStream.range(0, levels.size())
                    .mapToDouble(i -> x.toFloatArray()[i * PIXELS])
                    .toArray());
            seen.add(levels.each(level -> level.signal()));
            seen.add(levels.each(level -> level.noise()));
            return super.predictForTraining(x, levels, condition, pass);
          }
        };
    Noting noted =
        noted(
            training(network).inputPerturbation(0.5).noiseAssignment(NoiseAssignment.optimal()),
            network,
            false);
    double[] further = new double[PIXELS];
    for (int pass = 0; pass < 4; pass++) {
      int[] order = order(noted.noise.get(pass), drawn(pass));
      for (int i = 0; i < BATCH; i++) {
        CounterRandom.of(SEED, CounterRandom.Stream.INPUT_PERTURBATION)
            .normal(pass, order[i], further);
        double x0 = noted.images.get(pass)[i * PIXELS];
        double epsilon = noted.noise.get(pass)[i * PIXELS];
        double expected =
            seen.get(3 * pass + 1)[i] * x0
                + seen.get(3 * pass + 2)[i] * (epsilon + 0.5 * further[0]);
        assertThat(seen.get(3 * pass)[i]).isCloseTo(expected, within(1e-5));
      }
    }
  }

  /** The mean of squares, noting what is compared. */
  private static final class Comparing implements Loss {
    private final List<float[]> outputs = new ArrayList<>();
    private final List<float[]> targets = new ArrayList<>();

    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      if (output instanceof NDArray values && values.getShape().get(0) == BATCH) {
        outputs.add(values.toFloatArray());
        targets.add(((NDArray) target).toFloatArray());
      }
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }
  }

  /**
   * Of a network that says 0 of the noise, x̂_0 is x_0 + t ε; compared with it is x_0 + t ε / 2, so
   * that both have the same x_0 and the same assigned ε.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void fit_tunedForConsistency_bothLevelsHaveTheAssignedNoise(int accumulation) {
    Comparing comparing = new Comparing();
    List<Double> eager = tuned(false, accumulation, comparing);
    assertThat(comparing.outputs).hasSize(4 * accumulation);
    for (int pass = 0; pass < 4 * accumulation; pass++) {
      double[][] drawn = drawn(pass);
      float[] images = new float[BATCH * PIXELS];
      float[] noise = new float[BATCH * PIXELS]; // t ε
      for (int k = 0; k < noise.length; k++) {
        float output = comparing.outputs.get(pass)[k];
        float target = comparing.targets.get(pass)[k];
        images[k] = 2 * target - output;
        noise[k] = 2 * (output - target);
      }
      int[] order = new int[BATCH];
      for (int i = 0; i < BATCH; i++) {
        int image = i;
        order[i] =
            IntStream.range(0, BATCH)
                .filter(k -> cosine(noise, image, drawn[k]) > 1 - 1e-5)
                .findFirst()
                .orElseThrow();
      }
      assertThat(distance(images, drawn, order))
          .isCloseTo(least(images, drawn, allowed(0, 0, 0, 0, 0, 0)), within(1e-3));
    }
    List<Double> compiled = tuned(true, accumulation, new Comparing());
    for (int step = 0; step < 4; step++) {
      assertThat(compiled.get(step) / eager.get(step)).isCloseTo(1, within(1e-4));
    }
  }

  private List<Double> tuned(boolean compiled, int accumulation, Loss loss) {
    List<Double> losses = new ArrayList<>();
    try (AffineDenoiser network =
            new AffineDenoiser(compiled, IMAGE, new float[PIXELS], new float[PIXELS], 0);
        TrainedModel trained =
            DDPM.builder()
                .denoiser(network)
                .build()
                .consistencyTuning(ConsistencyTuning.usual().ratio(2, 0, 1).stages(1))
                .timestepSampler(TimestepSampler.logNormal(0.3, 0.1))
                .loss(loss)
                .noiseAssignment(NoiseAssignment.optimal())
                .batchSize(BATCH)
                .accumulation(accumulation)
                .steps(4)
                .learningRate(1e-9)
                .seed(SEED)
                .anyRange()
                .listener(event -> losses.add(event.loss()))
                .fit(data(false))) {
      assertThat(trained.losses().steps()).isEqualTo(4);
    }
    return losses;
  }

  private static double cosine(float[] noise, int image, double[] drawn) {
    double product = 0;
    double one = 0;
    double other = 0;
    for (int p = 0; p < PIXELS; p++) {
      double value = noise[image * PIXELS + p];
      product += value * drawn[p];
      one += value * value;
      other += drawn[p] * drawn[p];
    }
    return product / Math.sqrt(one * other);
  }

  private float[] trained(boolean compiled, int accumulation, NoiseAssignment assignment) {
    try (AffineDenoiser network = affine(compiled);
        TrainedModel trained =
            training(network)
                .accumulation(accumulation)
                .noiseAssignment(assignment)
                .fit(data(false))) {
      assertThat(trained.losses().steps()).isEqualTo(4);
      return network.values("scale").clone();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void fit_compiledAndEager_areTheSame(int accumulation) {
    float[] compiled = trained(true, accumulation, NoiseAssignment.optimal());
    float[] eager = trained(false, accumulation, NoiseAssignment.optimal());
    assertThat(compiled).containsExactly(eager, within(2e-6f));
    assertThat(compiled).isEqualTo(trained(true, accumulation, NoiseAssignment.optimal()));
    assertThat(compiled).isNotEqualTo(trained(true, accumulation, NoiseAssignment.independent()));
  }

  @Test
  void fit_resumed_isTheSameToTheBit() {
    float[] whole = trained(true, 2, NoiseAssignment.optimal());
    Path folder = temporary.resolve("run");
    try (AffineDenoiser network = affine(true);
        TrainedModel half =
            training(network)
                .accumulation(2)
                .noiseAssignment(NoiseAssignment.optimal())
                .checkpoints(Checkpoints.in(folder).everySteps(2))
                .listener(
                    event -> {
                      if (event.step() == 2) {
                        event.stop();
                      }
                    })
                .fit(data(false))) {
      assertThat(half.losses().steps()).isEqualTo(2);
      assertThat(half.raw().provenance()).containsEntry("noiseAssignment", "optimal");
    }
    try (AffineDenoiser network = affine(true);
        TrainedModel rest =
            training(network)
                .accumulation(2)
                .noiseAssignment(NoiseAssignment.optimal())
                .checkpoints(Checkpoints.in(folder).everySteps(2))
                .listener(event -> {})
                .resume()
                .fit(data(false))) {
      assertThat(rest.losses().steps()).isEqualTo(4);
      assertThat(network.values("scale")).isEqualTo(whole);
    }
    try (AffineDenoiser network = affine(true)) {
      assertThatThrownBy(
              () ->
                  training(network)
                      .accumulation(2)
                      .checkpoints(Checkpoints.in(folder).everySteps(2))
                      .listener(event -> {})
                      .resume()
                      .fit(data(false)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the checkpoint is that of another run: noiseAssignment was optimal and is"
                  + " independent; set the run as it was, or train without resume()");
    }
  }

  private void assertRefused(Set<Kind> kinds, NoiseAssignment assignment, String message) {
    try (Classes network = new Classes(kinds)) {
      assertThatThrownBy(
              () ->
                  training(network)
                      .condition((images, labels) -> Condition.labels(labels.head()))
                      .noiseAssignment(assignment)
                      .fit(data(true)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(message);
    }
  }

  @Test
  void fit_noiseThatTellsOfTheCondition_isRefused() {
    NoiseAssignment optimal = NoiseAssignment.optimal();
    assertRefused(
        EnumSet.of(Kind.LABELS, Kind.PREVIOUS_X0),
        optimal,
        "noiseAssignment was optimal, by which the noise would tell of the labels that the network"
            + " is conditioned on, and samples come from another distribution; assign within"
            + " classes by byClass()");
    assertRefused(
        EnumSet.of(Kind.LABELS, Kind.IMAGES),
        optimal.byClass(),
        "noiseAssignment was optimal by class, by which the noise would tell of the labels and"
            + " images that the network is conditioned on, and samples come from another"
            + " distribution; leave it out");
    try (AffineDenoiser network = affine(true)) {
      assertThatThrownBy(() -> training(network).noiseAssignment(optimal.byClass()).fit(data(true)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "noiseAssignment was optimal by class, but the network has no classes; leave"
                  + " byClass() out");
    }
  }

  @Test
  void settings_sayWhatTheyAre() {
    NoiseAssignment optimal = NoiseAssignment.optimal();
    assertThat(NoiseAssignment.independent()).hasToString("independent");
    assertThat(optimal).hasToString("optimal");
    assertThat(optimal.inGroups(64)).hasToString("optimal in groups of 64");
    assertThat(optimal.byClass().inGroups(2)).hasToString("optimal in groups of 2 by class");
    assertThatThrownBy(() -> optimal.inGroups(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("groups must have at least 2 images, but had 1");
    assertThatThrownBy(() -> NoiseAssignment.independent().byClass())
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("byClass has no meaning for independent noise; use NoiseAssignment.optimal()");
    assertThatThrownBy(() -> NoiseAssignment.independent().inGroups(4))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("inGroups has no meaning for independent noise; use NoiseAssignment.optimal()");
  }

  /** A network that takes conditions and makes nothing of them. */
  private static class Classes implements TrainableDenoiser {
    private final TinyDenoiser network = new TinyDenoiser(3, 0, 1);
    private final Set<Kind> kinds;

    Classes(Set<Kind> kinds) {
      this.kinds = kinds;
    }

    @Override
    public Set<Kind> conditionKinds() {
      return kinds;
    }

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      return network.predict(x, levels, condition);
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, Pass pass) {
      return network.predictForTraining(x, levels, condition, pass);
    }

    @Override
    public Map<String, NDArray> weights() {
      return network.weights();
    }

    @Override
    public TinyDenoiser copy() {
      return network.copy();
    }

    @Override
    public String type() {
      return network.type();
    }

    @Override
    public Map<String, Object> describe() {
      return network.describe();
    }

    @Override
    public void close() {
      network.close();
    }
  }
}
