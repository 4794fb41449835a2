package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The network as a program against the same network operation by operation: what it predicts, what
 * it predicts in training with the same dropout, the gradient of every weight, and what training
 * makes of it.
 *
 * <p>In float32 the largest difference of an output, or of the gradient of one weight tensor, is at
 * most 1e-4 of the largest element of that output or that tensor's gradient. The bias of the keys
 * has no gradient but rounding, since softmax takes no notice of it: there the largest element of
 * all gradients is the measure. In bfloat16 cosines tell: at least 0.999 for outputs and for the
 * gradient of all weights together, and 0.998 for that of each weight that has at least 1/20 of its
 * norm.
 *
 * <p>The slow tests train every architecture for some steps, where the others train a few: that
 * what follows the gradient goes right for all.
 */
class CompiledParityTest {

  private static final double BOUND = 1e-4;
  private static final double LEAST_COSINE = 0.999;

  /** Gradients of a few numbers that nearly cancel keep fewer digits. */
  private static final double LEAST_COSINE_OF_LITTLE = 0.99;

  /** The share of the norm of the whole gradient from which a weight's gradient counts. */
  private static final double SHARE_THAT_COUNTS = 0.05;

  /** The weights whose gradient is rounding alone. */
  private static final String WITHOUT_GRADIENT = "to_k.bias";

  private static final long SEED = 17;

  /** By how much {@link #LINEAR} moves a weight, in units of its gradient. */
  private static final double MOVE = 1e4;

  /** Moves weights by {@link #MOVE} times their gradient, so that what training left tells it. */
  private static final AdamOptimizer LINEAR =
      new AdamOptimizer(0, 0, 1e6, 0, AdamOptimizer.EpsilonPlacement.AFTER_CORRECTION);

  /** The largest of each kind of difference, and the least of each kind of cosine. */
  private static final Map<String, String> worst = new LinkedHashMap<>();

  private static final Map<String, Double> figures = new LinkedHashMap<>();

  record Case(String name, UNetBuilder builder, int batch, int accumulation) {
    @Override
    public String toString() {
      return name + ", batch " + batch + ", accumulation " + accumulation;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("as the paper's", paper(), 3, 1),
        new Case("attention in the middle alone", paper().attentionAtLevels(), 3, 1),
        new Case("four heads", paper().heads(4), 3, 3),
        new Case("heads of 4 channels", paper().headChannels(4).attentionAtLevels(0, 1), 2, 1),
        new Case("odd channels", paper().levelChannels(9, 15).groups(3).heads(3), 3, 3),
        new Case("one group", paper().levelChannels(7, 5).groups(1), 1, 1),
        new Case("wide images", paper().image(3, 4, 12), 3, 1),
        new Case("tall images of one channel", paper().image(1, 12, 2), 2, 3),
        new Case(
            "padding on all sides", paper().downsamplePadding(DownsamplePadding.ALL_SIDES), 3, 1),
        new Case("another norm epsilon", paper().normEpsilon(1e-5), 3, 1),
        new Case("cosines first", paper().timeEmbedding(TimeOrder.COS_SIN, TimeDivisor.HALF), 3, 1),
        new Case(
            "cosines first, the paper's divisor",
            paper().timeEmbedding(TimeOrder.COS_SIN, TimeDivisor.HALF_MINUS_ONE).dropout(0),
            3,
            1),
        new Case(
            "the other divisor, without dropout",
            paper().timeEmbedding(TimeOrder.SIN_COS, TimeDivisor.HALF).dropout(0),
            1,
            3),
        new Case("three levels, much dropout", deep(), 2, 1),
        new Case("one level", paper().levelChannels(12).attentionAtLevels(0).heads(3), 3, 1),
        new Case("1,024 tokens", large(), 1, 1),
        new Case("classes", paper().classes(5), 3, 1),
        new Case("vectors", paper().vectorCondition(6), 3, 3),
        new Case("images", paper().imageCondition(2), 3, 1),
        new Case("its own estimate", paper().selfConditioning(), 3, 3),
        new Case("a variance", paper().learnedVariance(), 3, 1),
        new Case("contexts", paper().contextCondition(6).heads(2), 3, 3),
        new Case("contexts alone, linear layers, images of odd sizes", contexts(), 2, 1),
        new Case("every kind of condition", everyKind(), 3, 3),
        new Case("signals", paper().signal(2, 12), 3, 3),
        new Case(
            "signals of odd lengths, with others beside them",
            paper()
                .signal(2, 9)
                .downsamplePadding(DownsamplePadding.ALL_SIDES)
                .imageCondition(1)
                .selfConditioning(),
            3,
            3),
        new Case("volumes", paper().volume(1, 2, 4, 2), 2, 1),
        new Case("256 tokens and all but the paddings of images of one channel", gray(), 3, 3));
  }

  private static UNetBuilder paper() {
    return UNet.builder()
        .image(3, 8, 8)
        .levelChannels(8, 16)
        .groups(4)
        .attentionAtLevels(1)
        .residualBlocks(2)
        .dropout(0.1)
        .seed(3);
  }

  private static UNetBuilder deep() {
    return paper()
        .image(2, 8, 12)
        .levelChannels(6, 10, 14)
        .groups(2)
        .residualBlocks(1)
        .dropout(0.4);
  }

  private static UNetBuilder large() {
    return paper().image(3, 32, 32).levelChannels(8, 8).attentionAtLevels(0).residualBlocks(1);
  }

  private static UNetBuilder everyKind() {
    return paper()
        .image(2, 4, 12)
        .classes(3)
        .vectorCondition(4)
        .imageCondition(1)
        .selfConditioning()
        .learnedVariance();
  }

  private static UNetBuilder contexts() {
    return paper()
        .image(2, 7, 10)
        .levelChannels(8, 24)
        .residualBlocks(1)
        .downsamplePadding(DownsamplePadding.ALL_SIDES)
        .contextCondition(6)
        .layout(
            UNetLayout.paper().with(new UNetLayout.Transformers(List.of(), true, List.of(1), 2)));
  }

  private static UNetBuilder gray() {
    return paper()
        .image(1, 16, 16)
        .levelChannels(12, 24)
        .attentionAtLevels(0, 1)
        .downsamplePadding(DownsamplePadding.ALL_SIDES)
        .normEpsilon(1e-5)
        .timeEmbedding(TimeOrder.COS_SIN, TimeDivisor.HALF)
        .residualBlocks(1);
  }

  @AfterAll
  static void report() {
    worst.values().forEach(System.out::println);
  }

  /* ---------------- Calls ---------------- */

  private static float[] predict(UNet unet, NDManager manager, int n) {
    return unet.predict(images(unet, manager, n, 1), levels(n), condition(unet, manager, n))
        .toFloatArray();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void predict_compiled_outputsAndGradientsAsEager(Case c) {
    try (NDManager manager = NDManager.newBaseManager();
        UNet compiled = busy(c.builder);
        UNet eager = compiled.copy().runAs(Execution.EAGER, Precision.FLOAT32);
        UNet half = compiled.copy().runAs(Execution.COMPILED, Precision.BFLOAT16)) {
      float[] prediction = predict(eager, manager, c.batch);
      assertThat(largest(prediction)).isGreaterThan(0.1);
      bounded(c, "output", difference(predict(compiled, manager, c.batch), prediction));
      similar(c, "output", cosine(predict(half, manager, c.batch), prediction));

      Pass expected = pass(eager, c.batch);
      if (c.builder.config().dropout() > 0) {
        assertThat(difference(expected.output, prediction)).isGreaterThan(0.01);
      }
      Pass actual = pass(compiled, c.batch);
      bounded(c, "output in training", difference(actual.output, expected.output));
      assertGradients(c, "gradient by a collector", actual.gradients, expected.gradients);
      Pass rough = pass(half, c.batch);
      similar(c, "output in training", cosine(rough.output, expected.output));
      assertCosines(c, "gradient by a collector", rough.gradients, expected.gradients);
    }
  }

  private static final class Pass {
    private final float[] output;
    private final Map<String, float[]> gradients;

    Pass(float[] output, Map<String, float[]> gradients) {
      this.output = output;
      this.gradients = gradients;
    }
  }

  private static Pass pass(UNet unet, int n) {
    try (NDManager manager = NDManager.newBaseManager();
        GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray output =
          unet.predictForTraining(
              images(unet, manager, n, 1),
              levels(n),
              condition(unet, manager, n),
              new TrainableDenoiser.Pass(SEED, 5));
      collector.backward(output.sub(random(manager, output.getShape(), 2)).square().mean());
      Map<String, float[]> gradients = new LinkedHashMap<>();
      unet.weights()
          .forEach(
              (name, weight) -> {
                try (NDArray gradient = weight.getGradient()) {
                  gradients.put(name, gradient.toFloatArray());
                }
              });
      return new Pass(output.toFloatArray(), gradients);
    }
  }

  /* ---------------- Training ---------------- */

  @ParameterizedTest
  @MethodSource("cases")
  void fit_compiled_gradientsOfAStepAsEager(Case c) {
    try (UNet compiled = busy(c.builder);
        UNet eager = compiled.copy().runAs(Execution.EAGER, Precision.FLOAT32);
        UNet half = compiled.copy().runAs(Execution.COMPILED, Precision.BFLOAT16);
        UNet narrow = compiled.copy().runAs(Execution.COMPILED, Precision.FLOAT16)) {
      Map<String, float[]> expected = gradientsOfAStep(c, eager);
      assertGradients(c, "gradient of a step", gradientsOfAStep(c, compiled), expected);
      assertCosines(c, "gradient of a step", gradientsOfAStep(c, half), expected);
      if (c.accumulation > 1) {
        assertCosines(c, "gradient of a step", gradientsOfAStep(c, narrow), expected);
      }
    }
  }

  private static Map<String, float[]> gradientsOfAStep(Case c, UNet unet) {
    Map<String, float[]> before = weights(unet);
    fit(c, unet, 1, LINEAR, LINEAR.epsilon() * MOVE, Double.POSITIVE_INFINITY);
    Map<String, float[]> gradients = weights(unet);
    gradients.forEach(
        (name, values) -> {
          float[] start = Objects.requireNonNull(before.get(name));
          for (int i = 0; i < values.length; i++) {
            values[i] = (float) (((double) start[i] - values[i]) / MOVE);
          }
        });
    return gradients;
  }

  /**
   * What follows the gradient (clipping, optimizer, average) does not look at the architecture: a
   * case of each kind of batch, accumulation and condition, and one whose tensors are odd.
   */
  static Stream<Case> casesOfSteps() {
    Set<String> names =
        Set.of(
            "as the paper's", "odd channels", "one group", "a variance", "every kind of condition");
    List<Case> cases = cases().filter(c -> names.contains(c.name)).toList();
    assertThat(cases).hasSameSizeAs(names);
    return cases.stream();
  }

  @ParameterizedTest
  @MethodSource("casesOfSteps")
  void fit_compiledForSomeSteps_lossesAndWeightsAsEager(Case c) {
    assertSomeSteps(c);
  }

  @ParameterizedTest
  @Tag("slow")
  @MethodSource("cases")
  void fit_compiledForSomeSteps_everyCase_lossesAndWeightsAsEager(Case c) {
    assertSomeSteps(c);
  }

  /**
   * Losses and gradient norms to 1e-4 of themselves; weights and averages to 1e-3 of the largest
   * way that an element of the tensor went. The epsilon keeps elements whose gradient is rounding
   * from moving as far as the others, as Adam otherwise makes them.
   */
  private static void assertSomeSteps(Case c) {
    AdamOptimizer adam =
        new AdamOptimizer(0.9, 0.99, 1e-3, 0.01, AdamOptimizer.EpsilonPlacement.AFTER_CORRECTION);
    try (UNet compiled = busy(c.builder);
        UNet eager = compiled.copy().runAs(Execution.EAGER, Precision.FLOAT32)) {
      Map<String, float[]> start = weights(compiled);
      History actual = fit(c, compiled, 4, adam, 1e-3, 1);
      History expected = fit(c, eager, 4, adam, 1e-3, 1);
      for (int step = 0; step < 4; step++) {
        bounded(c, "loss", relative(actual.losses.get(step), expected.losses.get(step)));
        bounded(c, "gradient norm", relative(actual.norms.get(step), expected.norms.get(step)));
      }
      assertWays(c, "weights", weights(compiled), weights(eager), start);
      assertWays(c, "averages", actual.averages, expected.averages, start);
    }
  }

  private record History(List<Double> losses, List<Double> norms, Map<String, float[]> averages) {}

  private static History fit(
      Case c, UNet unet, int steps, AdamOptimizer adam, double learningRate, double clip) {
    List<Double> norms = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager();
        TrainedModel result =
            training(unet)
                .batchSize(c.batch)
                .accumulation(c.accumulation)
                .steps(steps)
                .optimizer(adam)
                .learningRate(learningRate)
                .gradientClip(clip)
                .seed(SEED)
                .listener(
                    event -> {
                      losses.add(event.loss());
                      norms.add(event.gradientNorm());
                    })
                .fit(dataset(unet, manager))) {
      return new History(losses, norms, weights((UNet) result.ddpm().denoiser().orElseThrow()));
    }
  }

  /** With what the network can be conditioned on, and some of it dropped. */
  private static Training training(UNet unet) {
    boolean learned = unet.predictsVariance();
    Training training =
        DDPM.builder()
            .variance(learned ? Variance.LEARNED_RANGE : Variance.FIXED_LARGE)
            .denoiser(unet)
            .build()
            .training()
            .loss(learned ? Losses.hybrid() : Losses.simple());
    Set<Kind> kinds = EnumSet.noneOf(Kind.class);
    kinds.addAll(unet.conditionKinds());
    kinds.remove(Kind.PREVIOUS_X0);
    if (kinds.isEmpty()) {
      return training;
    }
    training.conditionDropout(0.3);
    return kinds.equals(EnumSet.of(Kind.LABELS))
        ? training
        : training.condition(
            (images, labels) -> {
              int n = (int) images.getShape().get(0);
              return condition(unet, kinds, images.getManager(), n).select(shifted(labels.head()));
            });
  }

  /** An order of the images that depends on the labels. */
  private static int[] shifted(NDArray labels) {
    float[] values = labels.toFloatArray();
    int[] rows = new int[values.length];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = (int) (i + values[i]) % rows.length;
    }
    return rows;
  }

  private static Dataset dataset(UNet unet, NDManager manager) {
    ArrayDataset.Builder builder =
        new ArrayDataset.Builder()
            .setData(images(unet, manager, 7, 3).clip(-1, 1))
            .setSampling(1, false);
    if (!unet.conditionKinds().isEmpty()) {
      builder.optLabels(manager.create(new float[] {0, 1, 2, 0, 1, 2, 0}));
    }
    return builder.build();
  }

  private static void assertWays(
      Case c,
      String what,
      Map<String, float[]> actual,
      Map<String, float[]> expected,
      Map<String, float[]> start) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet());
    expected.forEach(
        (name, values) -> {
          double way = largest(minus(values, Objects.requireNonNull(start.get(name))));
          double off = largest(minus(Objects.requireNonNull(actual.get(name)), values));
          if (name.endsWith(WITHOUT_GRADIENT)) {
            return;
          }
          assertThat(way).as(name).isPositive();
          record(c, what + ", of their way", off / way, name, false);
          assertThat(off / way).as("%s of %s, %s: of its way", what, name, c).isLessThan(1e-3);
        });
  }

  /* ---------------- Measures ---------------- */

  private static void assertGradients(
      Case c, String what, Map<String, float[]> actual, Map<String, float[]> expected) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet()).hasSizeGreaterThan(60);
    double whole =
        expected.values().stream().mapToDouble(CompiledParityTest::largest).max().orElse(0);
    assertThat(whole).isPositive();
    expected.forEach(
        (name, values) -> {
          double off = largest(minus(Objects.requireNonNull(actual.get(name)), values));
          if (name.endsWith(WITHOUT_GRADIENT)) {
            assertThat(off / whole).as("%s of %s, %s", what, name, c).isLessThan(BOUND / 10);
          } else {
            double relative = off / largest(values);
            record(c, what, relative, name, false);
            assertThat(relative).as("%s of %s, %s", what, name, c).isLessThanOrEqualTo(BOUND);
          }
        });
  }

  /** All weights together, and each by itself. */
  private static void assertCosines(
      Case c, String what, Map<String, float[]> actual, Map<String, float[]> expected) {
    double[] all = new double[3];
    expected.forEach(
        (name, values) -> {
          double[] products = products(Objects.requireNonNull(actual.get(name)), values);
          for (int i = 0; i < all.length; i++) {
            all[i] += products[i];
          }
        });
    similar(c, what + ", all weights", cosine(all));
    expected.forEach(
        (name, values) -> {
          double[] products = products(Objects.requireNonNull(actual.get(name)), values);
          if (!name.endsWith(WITHOUT_GRADIENT)) {
            boolean counts = Math.sqrt(products[2] / all[2]) >= SHARE_THAT_COUNTS;
            String which = counts ? ", a weight that counts" : ", a weight that counts little";
            record(c, what + which, cosine(products), name, true);
            assertThat(cosine(products))
                .as("%s of %s, %s: cosine in bfloat16", what, name, c)
                .isGreaterThanOrEqualTo(counts ? LEAST_COSINE : LEAST_COSINE_OF_LITTLE);
          }
        });
  }

  private static void bounded(Case c, String what, double difference) {
    record(c, what, difference, "", false);
    assertThat(difference).as("%s, %s: relative difference", what, c).isLessThanOrEqualTo(BOUND);
  }

  private static void similar(Case c, String what, double cosine) {
    record(c, what, cosine, "", true);
    assertThat(cosine)
        .as("%s, %s: cosine in bfloat16", what, c)
        .isGreaterThanOrEqualTo(LEAST_COSINE);
  }

  private static void record(Case c, String what, double value, String name, boolean cosine) {
    String key = what + (cosine ? ", cosine in bfloat16" : ", relative difference in float32");
    Double before = figures.get(key);
    if (before == null || (cosine ? value < before : value > before)) {
      figures.put(key, value);
      worst.put(
          key,
          String.format(
              Locale.ROOT, cosine ? "%s: %.6f (%s) %s" : "%s: %.2g (%s) %s", key, value, c, name));
    }
  }

  private static double relative(double actual, double expected) {
    return Math.abs(actual - expected) / Math.abs(expected);
  }

  private static double difference(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    return largest(minus(actual, expected)) / largest(expected);
  }

  private static float[] minus(float[] a, float[] b) {
    float[] difference = new float[a.length];
    for (int i = 0; i < a.length; i++) {
      difference[i] = a[i] - b[i];
    }
    return difference;
  }

  private static double largest(float[] values) {
    double largest = 0;
    for (float value : values) {
      assertThat(value).isFinite();
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  private static double cosine(float[] a, float[] b) {
    return cosine(products(a, b));
  }

  private static double cosine(double[] products) {
    return products[0] / Math.sqrt(products[1] * products[2]);
  }

  /** a · b, a · a and b · b. */
  private static double[] products(float[] a, float[] b) {
    assertThat(a).hasSameSizeAs(b);
    double[] products = new double[3];
    for (int i = 0; i < a.length; i++) {
      products[0] += (double) a[i] * b[i];
      products[1] += (double) a[i] * a[i];
      products[2] += (double) b[i] * b[i];
    }
    return products;
  }

  /* ---------------- Networks and images ---------------- */

  /** A network none of whose weights is zero. */
  private static UNet busy(UNetBuilder builder) {
    UNet unet = builder.build();
    Random random = new Random(5);
    unet.weights()
        .forEach(
            (name, weight) -> {
              float[] values = weight.toFloatArray();
              for (int i = 0; i < values.length; i++) {
                values[i] += (float) (0.15 * random.nextGaussian());
              }
              weight.set(values);
            });
    return unet;
  }

  private static Map<String, float[]> weights(UNet network) {
    Map<String, float[]> values = new LinkedHashMap<>();
    network.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  /** Every kind that the network can be conditioned on, of which the second image lacks some. */
  private static Condition condition(UNet unet, NDManager manager, int n) {
    return condition(unet, unet.conditionKinds(), manager, n);
  }

  private static Condition condition(UNet unet, Set<Kind> kinds, NDManager manager, int n) {
    Condition condition = Condition.none();
    for (Kind kind : kinds) {
      Shape shape = new Shape(n).addAll(unet.config().conditionShape(kind));
      condition =
          condition.and(
              switch (kind) {
                case LABELS -> Condition.labels(IntStream.range(0, n).map(i -> 2 - i).toArray());
                case VECTORS -> Condition.vectors(random(manager, shape, 4));
                case IMAGES -> Condition.images(random(manager, shape, 5));
                case CONTEXTS -> contexts(unet, manager, n);
                case PREVIOUS_X0 -> Condition.previousX0(random(manager, shape, 6));
              });
    }
    return condition.dropped(image -> image == 1);
  }

  private static Condition contexts(UNet unet, NDManager manager, int n) {
    Shape shape = new Shape(n, 5, unet.config().contextCondition());
    return Condition.contexts(random(manager, shape, 7), random(manager, shape, 8));
  }

  private static NDArray images(UNet unet, NDManager manager, int n, long seed) {
    return random(manager, new Shape(n).addAll(unet.config().imageShape()), seed);
  }

  private static NDArray random(NDManager manager, Shape shape, long seed) {
    Random random = new Random(seed);
    float[] values = new float[Math.toIntExact(shape.size())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return manager.create(values, shape).duplicate();
  }

  private static NoiseLevels levels(int n) {
    double[] t = new double[n];
    for (int i = 0; i < n; i++) {
      t[i] = 3 + 331 * i;
    }
    return Levels.at(t);
  }
}
