package io.github.ddpm4j.internal.bound;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The terms against improved-diffusion's own numbers, against closed forms, and compiled. */
class VariationalBoundTest {

  private static final Golden steps = Golden.load("improved_steps.json");
  private static final Golden inputs = Golden.load("ddpm_steps.json").at("inputs");
  private static final Shape IMAGES = new Shape(2, 3, 4, 4);
  private static final VariationalBound PEERS =
      VariationalBound.over(-1, 1).withApproximateIntegral();

  private final EagerOps ops = EagerOps.inference();
  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  static Stream<String> cases() {
    return steps.keys().stream().filter(key -> key.contains("|t="));
  }

  @Test
  void cases_areAllThere() {
    assertThat(cases()).hasSize(66);
  }

  /** Mean and log variance at the given sample, and the term at q(x_t | x_0), of every case. */
  @ParameterizedTest
  @MethodSource("cases")
  void term_goldenStep_agrees(String key) {
    String[] parts = key.split("\\|");
    Schedule schedule = schedule(parts[0]);
    Variance variance = Variance.valueOf(parts[1]);
    // the reference code clips no mean that the network says outright
    boolean clip = parts[3].equals("clip=True") && !parts[2].equals("PREVIOUS_X");
    int t = Integer.parseInt(parts[4].substring(2));
    int[] each = {t, t};
    ForwardProcess process = ForwardProcess.of(schedule);
    NDArray x0 = input("x0");
    NDArray sample = input("sample");
    NDArray mean = mean(process, prediction(parts[2]), clip, sample, each);
    double least = variance.leastLogVariance(schedule, t);
    double greatest = variance.greatestLogVariance(schedule, t);
    NDArray v = variance.isLearned() ? input("learned_v") : manager.zeros(IMAGES, DataType.FLOAT64);
    NDArray logVariance = v.mul((greatest - least) / 2).add((greatest + least) / 2);
    NDArray xt = process.sample(x0, each, input("noise"));
    double clipped = schedule.posteriorLogVarianceClipped(t);
    NDArray term =
        PEERS.term(
            ops,
            manager.full(new Shape(2), t == 0 ? 1 : 0, DataType.FLOAT64),
            x0,
            process.posteriorMean(x0, xt, each),
            manager.create(new double[] {clipped, clipped}, new Shape(2, 1, 1, 1)),
            mean(process, prediction(parts[2]), clip, xt, each),
            logVariance);

    Golden.assertClose(key + " mean", Golden.values(mean), steps.data(key, "mean"), 1e-12);
    Golden.assertClose(
        key + " log variance",
        variance.isLearned() ? Golden.values(logVariance) : new double[] {least, least, least},
        steps.data(key, "log_variance"),
        1e-12);
    assertThat(term.getShape()).isEqualTo(new Shape(2));
    // where both means nearly agree their difference has few digits left, in the reference too
    Golden.assertClose(key + " term", Golden.values(term), steps.data(key, "vb_bpd"), 1e-11);
    Golden.assertRelative(key + " term", Golden.values(term), steps.data(key, "vb_bpd"), 1e-7);
  }

  private NDArray mean(
      ForwardProcess process, Prediction prediction, boolean clip, NDArray x, int[] t) {
    NDArray x0 =
        prediction.x0(
            process.schedule(), NoiseLevels.of(process.schedule(), t), x, input("model_output"));
    return process.posteriorMean(clip ? x0.clip(-1, 1) : x0, x, t);
  }

  @ParameterizedTest
  @CsvSource({"linear", "cosine"})
  void prior_golden_agrees(String name) {
    NDArray prior = VariationalBound.prior(ops, input("x0"), schedule(name).alphaBar(999));
    Golden.assertRelative(
        name, Golden.values(prior), steps.data(name + "|prior_bpd", "value"), 1e-6);
  }

  /** The reference code works out 1 + ln σ² − σ², which loses digits: the closed form instead. */
  @Test
  void prior_anchors_agree() {
    double alphaBar = Schedules.linear(1000).alphaBar(999);
    double[] squares = {0, 0.25, 1};
    double[] expected = {5.87e-10, 7.278677e-06, 2.911295e-05};
    for (int i = 0; i < squares.length; i++) {
      NDArray x0 = manager.full(new Shape(1, 1, 2, 2), (float) Math.sqrt(squares[i]));
      double actual = VariationalBound.prior(ops, x0, alphaBar).getFloat();
      assertThat(actual).isCloseTo(expected[i], within(2e-3 * expected[i]));
    }
    assertThat(VariationalBound.prior(ops, manager.ones(IMAGES), 0).toFloatArray())
        .containsExactly(0, 0);
  }

  @Test
  void kl_golden_agrees() {
    Golden golden = steps.at("normal_kl");
    // one value per image, so that each is compared
    Shape each = new Shape(96, 1, 1, 1);
    NDArray bits =
        VariationalBound.kl(
            ops,
            manager.create(golden.data("mean1"), each),
            manager.create(golden.data("logvar1"), each),
            manager.create(golden.data("mean2"), each),
            manager.create(golden.data("logvar2"), each));
    Golden.assertRelative("kl", Golden.values(bits.mul(Math.log(2))), golden.data("out"), 1e-12);
  }

  /** One number per image for a variance is that number in every pixel. */
  @Test
  void kl_oneVariancePerImage_broadcasts() {
    NDArray mean = input("x0");
    NDArray other = input("noise");
    NDArray first = manager.create(new double[] {-3, 0.5}, new Shape(2, 1, 1, 1));
    NDArray second = manager.create(new double[] {-2, 0.25}, new Shape(2, 1, 1, 1));
    NDArray zeros = manager.zeros(IMAGES, DataType.FLOAT64);
    Golden.assertRelative(
        "kl",
        Golden.values(VariationalBound.kl(ops, mean, first, other, second)),
        Golden.values(VariationalBound.kl(ops, mean, zeros.add(first), other, zeros.add(second))),
        1e-14);
  }

  /** Float32 keeps the digits of variances that hardly differ: β̃ and β at t = 500. */
  @Test
  void kl_variancesNearlyEqual_float32KeepsDigits() {
    Schedule schedule = Schedules.linear(1000);
    double small = Variance.FIXED_SMALL.logVariance(schedule, 500);
    double large = Variance.FIXED_LARGE.logVariance(schedule, 500);
    double r = (float) small - (float) large;
    double expected = 0.5 * (Math.expm1(r) - r) / Math.log(2);
    NDArray zero = manager.zeros(new Shape(1, 1, 1, 1));
    double actual =
        VariationalBound.kl(ops, zero, zero.add(small), zero, zero.add(large)).getFloat();
    assertThat(actual).isCloseTo(expected, within(1e-3 * expected));
  }

  @Test
  void decoder_golden_agrees() {
    Golden golden = steps.at("discretized_gaussian_log_likelihood");
    Shape each = new Shape(96, 1, 1, 1);
    NDArray bits =
        PEERS.decoder(
            ops,
            manager.create(golden.data("x"), each),
            manager.create(golden.data("means"), each),
            manager.create(golden.data("log_scales"), each).mul(2));
    // the chance is a difference of two numbers near 1: what is left of its digits
    Golden.assertRelative(
        "log likelihood", Golden.values(bits.mul(-Math.log(2))), golden.data("out"), 1e-9);
  }

  /** Anchors at the variance of timestep 0: (x, μ), tanh and exact, in nats. */
  @ParameterizedTest
  @CsvSource({
    "0, 0, -0.9050181142, -0.9048188415",
    "0.5, 0.49, -1.7393775958, -1.7400115027",
    "-1, -0.98, -4.2257024948, -4.2179327590",
    "1, 0.9, -27.6310211159, -27.6310211159",
    "0, 0.1, -27.6310211159, -27.6310211159",
  })
  void decoder_anchors_agree(double x, double mean, double approximate, double exact) {
    double logVariance = Schedules.linear(1000).posteriorLogVarianceClipped(0);
    Shape one = new Shape(1, 1, 1, 1);
    NDArray image = manager.create(new double[] {x}, one);
    NDArray centre = manager.create(new double[] {mean}, one);
    NDArray variance = manager.create(new double[] {logVariance}, one);
    assertThat(PEERS.decoder(ops, image, centre, variance).mul(-Math.log(2)).getDouble())
        .isCloseTo(approximate, within(1e-9));
    assertThat(
            VariationalBound.over(-1, 1)
                .decoder(ops, image, centre, variance)
                .mul(-Math.log(2))
                .getDouble())
        .isCloseTo(exact, within(1e-9));
  }

  /** The chances of all 256 levels are 1 together, whatever the range of the data. */
  @ParameterizedTest
  @CsvSource({"-1, 1, -4.9", "-1, 1, 1", "0, 1, -6", "0, 255, 3"})
  void decoder_allLevels_chancesSumToOne(double min, double max, double logVariance) {
    double[] levels = new double[256];
    for (int i = 0; i < levels.length; i++) {
      levels[i] = min + (max - min) * i / 255;
    }
    Shape each = new Shape(256, 1, 1, 1);
    NDArray mean = manager.full(each, 0, DataType.FLOAT64).add(min + 0.3 * (max - min));
    NDArray variance = manager.zeros(each, DataType.FLOAT64).add(logVariance);
    double[] bits =
        Golden.values(
            VariationalBound.over(min, max)
                .decoder(ops, manager.create(levels, each), mean, variance));
    assertThat(Arrays.stream(bits).map(b -> Math.pow(2, -b)).sum()).isCloseTo(1, within(1e-9));
    assertThat(bits[0]).isGreaterThan(0);
  }

  /** The same in a compiled program, in float32, with the gradient of mean and variance. */
  @Test
  void term_compiled_valuesAndGradientsAsEager() {
    Random random = new Random(3);
    VariationalBound bound = VariationalBound.over(-1, 1);
    NDArray x0 = random(random, 0.4, 0);
    NDArray posterior = random(random, 0.4, 0);
    NDArray mean = x0.add(random(random, 0.05, 0));
    NDArray logVariance = random(random, 0.3, -4);
    NDArray first = manager.create(new float[] {1, 0}).duplicate();
    NDArray clipped = manager.create(new float[] {-4, -5}, new Shape(2, 1, 1, 1)).duplicate();
    mean.setRequiresGradient(true);
    logVariance.setRequiresGradient(true);
    NDArray expected;
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      expected = bound.term(ops, first, x0, posterior, clipped, mean, logVariance);
      collector.backward(expected.sum());
    }
    Script script = new Script();
    ScriptOps written = ScriptOps.training(script, Script.Type.FLOAT32, new Value("none"));
    Value term =
        bound.term(
            written,
            new Value("first"),
            new Value("x0"),
            new Value("posterior"),
            new Value("clipped"),
            new Value("p[0]"),
            new Value("p[1]"));
    Value gradients = script.let("torch.grad([torch.sum(%s)], p)", term);
    Value all =
        script.let(
            "[torch.detach(%1$s), unchecked_cast(Tensor, %2$s[0]), unchecked_cast(Tensor,"
                + " %2$s[1])]",
            term, gradients);
    try (Program program =
        Program.compile(
            script.method(
                "run",
                "first: Tensor, p: List[Tensor], x0: Tensor, posterior: Tensor, clipped: Tensor",
                "List[Tensor]",
                all))) {
      NDList actual =
          program.callRecording(
              "run", first, List.of(new NDList(mean, logVariance)), x0, posterior, clipped);
      Golden.assertClose("term", values(actual, 0), Golden.values(expected), 1e-5);
      Golden.assertClose("of mean", values(actual, 1), Golden.values(mean.getGradient()), 1e-5);
      Golden.assertClose(
          "of variance", values(actual, 2), Golden.values(logVariance.getGradient()), 1e-5);
      assertThat(actual.get(1).abs().min().getFloat()).isGreaterThan(0);
    }
  }

  /** The gradient of every term against differences of it, in float64. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void term_gradient_asFiniteDifferences(boolean exact) {
    VariationalBound bound =
        exact
            ? VariationalBound.over(-1, 1)
            : VariationalBound.over(-1, 1).withApproximateIntegral();
    NDArray x0 = input("x0").duplicate();
    NDArray mean = x0.add(input("noise").mul(0.05));
    NDArray logVariance = input("learned_v").sub(4);
    NDArray first = manager.create(new double[] {1, 0}).duplicate();
    NDArray posterior = x0.add(0.1);
    NDArray clipped = manager.create(new double[] {-4, -5}, new Shape(2, 1, 1, 1)).duplicate();
    mean.setRequiresGradient(true);
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      collector.backward(bound.term(ops, first, x0, posterior, clipped, mean, logVariance).sum());
    }
    double[] gradient = Golden.values(mean.getGradient());
    mean.setRequiresGradient(false);
    double[] differences = new double[gradient.length];
    double h = 1e-6;
    for (int i = 0; i < differences.length; i++) {
      double[] values = Golden.values(mean);
      double original = values[i];
      values[i] = original + h;
      double up = sum(bound, first, x0, posterior, clipped, values, logVariance);
      values[i] = original - h;
      double down = sum(bound, first, x0, posterior, clipped, values, logVariance);
      differences[i] = (up - down) / (2 * h);
    }
    Golden.assertClose("gradient", gradient, differences, 1e-6);
  }

  private double sum(
      VariationalBound bound,
      NDArray first,
      NDArray x0,
      NDArray posterior,
      NDArray clipped,
      double[] mean,
      NDArray logVariance) {
    Ops<NDArray> eager = ops;
    return bound
        .term(eager, first, x0, posterior, clipped, manager.create(mean, IMAGES), logVariance)
        .sum()
        .getDouble();
  }

  @Test
  void prior_alphaBarOutside_isRefused() {
    for (double alphaBar : new double[] {-0.1, 1, Double.NaN}) {
      assertThatThrownBy(() -> VariationalBound.prior(ops, manager.ones(IMAGES), alphaBar))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "alphaBar of the last timestep must be at least 0 and less than 1, but was "
                  + alphaBar);
    }
  }

  @Test
  void over_emptyRange_isRefused() {
    assertThatThrownBy(() -> VariationalBound.over(1, -1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the range of the levels must have finite ends with min < max, but was [1.0, -1.0]");
  }

  @Test
  void toString_saysWhatItIs() {
    assertThat(PEERS)
        .hasToString("VariationalBound[256 levels over [-1.0, 1.0], approximate integral]");
    assertThat(VariationalBound.over(0, 1))
        .hasToString("VariationalBound[256 levels over [0.0, 1.0]]");
  }

  private static double[] values(NDList list, int i) {
    return Golden.values(list.get(i));
  }

  private NDArray random(Random random, double scale, double centre) {
    float[] values = new float[96];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * scale + centre);
    }
    return manager.create(values, IMAGES).duplicate();
  }

  private NDArray input(String name) {
    return inputs.array(manager, DataType.FLOAT64, name);
  }

  private static Prediction prediction(String name) {
    return switch (name) {
      case "EPSILON" -> Prediction.EPSILON;
      case "START_X" -> Prediction.X0;
      case "PREVIOUS_X" -> Prediction.PREVIOUS_MEAN;
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static Schedule schedule(String name) {
    return name.equals("linear") ? Schedules.linear(1000) : Schedules.cosine(1000);
  }
}
