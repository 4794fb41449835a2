package io.github.ddpm4j.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.bound.VariationalBound;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The losses that are made of the variational bound. */
class BoundLossTest {

  private static final Golden steps = Golden.load("improved_steps.json");
  private static final Golden inputs = Golden.load("ddpm_steps.json").at("inputs");
  private static final VariationalBound PEERS =
      VariationalBound.over(-1, 1).withApproximateIntegral();

  /** Timestep 0 is of another kind than the others. */
  private static final int[] TIMESTEPS = {0, 3, 500};

  private static final Shape IMAGES = new Shape(TIMESTEPS.length, 2, 2, 3);
  private static final int SIZE = (int) IMAGES.size();

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  static Stream<String> cases() {
    return steps.keys().stream().filter(key -> key.contains("|clip=False|"));
  }

  /** The authors do not clip x̂_0 in training. */
  @ParameterizedTest
  @MethodSource("cases")
  void bound_goldenStep_agrees(String key) {
    String[] parts = key.split("\\|");
    int t = Integer.parseInt(parts[4].substring(2));
    Schedule schedule = parts[0].equals("linear") ? Schedules.linear(1000) : Schedules.cosine(1000);
    Diffusion diffusion =
        new Diffusion(
            schedule, prediction(parts[2]), Variance.valueOf(parts[1]), DataRange.DEFAULT);
    int[] each = {t, t};
    NDArray x0 = golden("x0");
    NDArray xt = ForwardProcess.of(schedule).sample(x0, each, golden("noise"));
    NDArray output = golden("model_output");
    Optional<NDArray> v =
        diffusion.variance().isLearned() ? Optional.of(golden("learned_v")) : Optional.empty();
    TestInput<NDArray> input =
        new TestInput<>(diffusion, output, output, v, x0, xt, xt, columns(diffusion, x0, each));

    NDArray term = Losses.bound(EagerOps.inference(), input, output, PEERS);

    // where both means nearly agree their difference has few digits left in the reference
    Golden.assertClose(key, Golden.values(term), steps.data(key, "vb_bpd"), 1e-11);
    Golden.assertRelative(key, Golden.values(term), steps.data(key, "vb_bpd"), 1e-7);
  }

  @Test
  void cases_areAllThere() {
    assertThat(cases()).hasSize(21);
  }

  /** Gradients reach the prediction and the variance. */
  @ParameterizedTest
  @CsvSource({"FIXED_LARGE", "FIXED_SMALL", "LEARNED", "LEARNED_RANGE"})
  void vlb_valuesAndGradients_asTheBound(Variance variance) {
    Setup setup = new Setup(variance);
    check(Losses.vlb(), setup, x -> scaled(setup.bound(x, x), 1000));
  }

  /** Gradients of the bound reach the variance alone. */
  @ParameterizedTest
  @CsvSource({"LEARNED, 0.001", "LEARNED_RANGE, 0.001", "LEARNED_RANGE, 0.5"})
  void hybrid_valuesAndGradients_asTheirSum(Variance variance, double lambda) {
    Setup setup = new Setup(variance);
    check(
        Losses.hybrid(lambda),
        setup,
        x -> {
          double[] sum = scaled(setup.bound(setup.output(), x), 1000 * lambda);
          int half = x.length / 2 / TIMESTEPS.length;
          for (int n = 0; n < TIMESTEPS.length; n++) {
            for (int i = 0; i < half; i++) {
              double error = x[2 * n * half + i] - (float) setup.noise[n * half + i];
              sum[n] += error * error / half;
            }
          }
          return sum;
        });
  }

  /** Each channel by itself, over its own range: no bit depends on the scale of a channel. */
  @ParameterizedTest
  @CsvSource({"FIXED_LARGE", "LEARNED", "LEARNED_RANGE"})
  void vlb_rangePerChannel_isTheMeanOfTheChannels(Variance variance) {
    Setup setup = new Setup(variance, new DataRange(List.of(-2.1, -0.5), List.of(2.6, 0.7)));
    check(
        Losses.vlb(),
        setup,
        x -> {
          double[] first = setup.boundOf(0, x);
          double[] second = setup.boundOf(1, x);
          double[] means = new double[first.length];
          Arrays.setAll(means, i -> 1000 * (first[i] + second[i]) / 2);
          return means;
        });
  }

  private static double[] scaled(double[] values, double factor) {
    return Arrays.stream(values).map(value -> factor * value).toArray();
  }

  private static void check(Loss loss, Setup setup, UnaryOperator<double[]> reference) {
    LossCheck.check(
        loss + " " + setup.diffusion.variance(),
        new LossCheck.Expression() {
          @Override
          public <T> T perImage(Ops<T> ops, List<T> in) {
            return loss.perImage(ops, setup.input(ops, in));
          }
        },
        reference,
        5e-4,
        setup.arguments());
  }

  /** A batch whose prediction is nearly right, as it is in training, with ε as the target. */
  private final class Setup {
    final Diffusion diffusion;
    final double[] noise = new double[SIZE];
    private final double[] x0 = new double[SIZE];
    private final double[] xt = new double[SIZE];
    private final double[] says;

    Setup(Variance variance) {
      this(variance, DataRange.DEFAULT);
    }

    Setup(Variance variance, DataRange range) {
      diffusion = new Diffusion(Schedules.linear(1000), Prediction.EPSILON, variance, range);
      Random random = new Random(5);
      boolean learned = variance.isLearned();
      int half = SIZE / TIMESTEPS.length;
      says = new double[learned ? 2 * SIZE : SIZE];
      for (int i = 0; i < SIZE; i++) {
        int t = TIMESTEPS[i / half];
        DataRange own = range.channel(i / (half / 2) % 2);
        double share = random.nextInt(256) / 255.0;
        x0[i] = (float) (own.min() + share * (own.max() - own.min()));
        noise[i] = random.nextGaussian();
        Schedule schedule = diffusion.schedule();
        xt[i] = (float) (schedule.signal(t) * x0[i] + schedule.noise(t) * noise[i]);
        int row = i / half * (learned ? 2 : 1) * half + i % half;
        says[row] = noise[i] + 0.1 * random.nextGaussian();
        if (learned) {
          double v = random.nextDouble() - 0.5;
          says[row + half] = variance == Variance.LEARNED ? Math.log(schedule.beta(t)) + v : v;
        }
      }
    }

    double[] output() {
      double[] rounded = new double[says.length];
      Arrays.setAll(rounded, i -> (float) says[i]);
      return rounded;
    }

    LossCheck.Input[] arguments() {
      Shape own = new Shape(IMAGES.get(0), says.length / SIZE * IMAGES.get(1), 2, 3);
      LossCheck.Input[] all = new LossCheck.Input[4 + Coefficient.values().length];
      all[0] = new LossCheck.Input(own, says);
      all[1] = new LossCheck.Input(IMAGES, noise);
      all[2] = new LossCheck.Input(IMAGES, x0);
      all[3] = new LossCheck.Input(IMAGES, xt);
      int place = 4;
      for (Coefficient coefficient : Coefficient.values()) {
        all[place++] =
            new LossCheck.Input(
                new Shape(TIMESTEPS.length, 1, 1, 1),
                Arrays.stream(TIMESTEPS)
                    .mapToDouble(t -> coefficient.at(diffusion, Level.of(diffusion.schedule(), t)))
                    .toArray());
      }
      return all;
    }

    <T> Loss.Input<T> input(Ops<T> ops, List<T> in) {
      Map<Coefficient, T> columns = new EnumMap<>(Coefficient.class);
      int place = 4;
      for (Coefficient coefficient : Coefficient.values()) {
        columns.put(coefficient, in.get(place++));
      }
      boolean learned = diffusion.variance().isLearned();
      return new TestInput<>(
          diffusion,
          learned ? ops.firstChannels(in.get(0), in.get(2)) : in.get(0),
          in.get(1),
          learned ? Optional.of(ops.channelsAfter(in.get(0), in.get(2))) : Optional.empty(),
          in.get(2),
          in.get(3),
          in.get(3),
          columns);
    }

    /** The bound of one channel alone, in float64. */
    double[] boundOf(int channel, double[] x) {
      DataRange own = diffusion.dataRange().channel(channel);
      try (NDManager scope = manager.newSubManager()) {
        EagerOps ops = EagerOps.inference();
        Loss.Input<NDArray> all = input(ops, LossCheck.upload(scope, x, arguments()));
        UnaryOperator<NDArray> only = array -> array.get(":, {}:{}", channel, channel + 1);
        Map<Coefficient, NDArray> columns = new EnumMap<>(Coefficient.class);
        for (Coefficient coefficient : Coefficient.values()) {
          columns.put(coefficient, all.coefficient(coefficient));
        }
        TestInput<NDArray> one =
            new TestInput<>(
                new Diffusion(
                    diffusion.schedule(), diffusion.prediction(), diffusion.variance(), own),
                only.apply(all.output()),
                only.apply(all.output()),
                all.variance().map(only),
                only.apply(all.x0()),
                only.apply(all.xt()),
                only.apply(all.xt()),
                columns);
        return Losses.bound(ops, one, one.output(), VariationalBound.over(own.min(), own.max()))
            .toDoubleArray();
      }
    }

    /** The bound in float64, whose values are the reference code's, of one mean and another v. */
    double[] bound(double[] mean, double[] variance) {
      try (NDManager own = manager.newSubManager()) {
        LossCheck.Input[] arguments = arguments();
        EagerOps ops = EagerOps.inference();
        Loss.Input<NDArray> ofMean = input(ops, LossCheck.upload(own, mean, arguments));
        Loss.Input<NDArray> ofVariance = input(ops, LossCheck.upload(own, variance, arguments));
        return Losses.bound(ops, ofVariance, ofMean.output(), VariationalBound.over(-1, 1))
            .toDoubleArray();
      }
    }
  }

  @Test
  void names_areThoseOfTheFactories() {
    assertThat(Losses.vlb()).hasToString("vlb");
    assertThat(Losses.hybrid()).hasToString("hybrid(0.001)");
    assertThat(Losses.vlb().trainsVariance()).isTrue();
    assertThat(Losses.hybrid().trainsVariance()).isTrue();
    assertThat(Losses.simple().trainsVariance()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
  void hybrid_lambdaOutside_isRefused(double lambda) {
    assertThatThrownBy(() -> Losses.hybrid(lambda))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "lambda must be positive and finite, but was " + lambda + "; the paper uses 0.001");
  }

  @Test
  void evaluate_ofOutputAndTargetAlone_isRefused() {
    NDArray ones = manager.ones(IMAGES);
    assertThatThrownBy(() -> Losses.vlb().evaluate(ones, ones))
        .isInstanceOf(UnsupportedOperationException.class)
        .hasMessage(
            "loss vlb needs the images and their timesteps, not output and target alone; use"
                + " training().loss(...), or ddpm.bitsPerDim() to evaluate the bound");
  }

  @Test
  void coefficient_betweenTimesteps_isRefused() {
    Diffusion diffusion =
        new Diffusion(
            Schedules.linear(10), Prediction.EPSILON, Variance.FIXED_LARGE, DataRange.DEFAULT);
    Level between = new Level(2.5, 0.6, 0.8);
    assertThatThrownBy(() -> Coefficient.FIRST.at(diffusion, between))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the loss asks for FIRST, which belongs to a step of the schedule, timesteps 0 to 9, but"
                + " an image stands at 2.5; use TimestepSampler.uniform() or lossSecondMoment(), or"
                + " a loss without it: X0_OF_XT and X0_OF_OUTPUT exist at every level, the terms of"
                + " a bound do not");
    // x̂_0 = (x_t − 0.8 ε̂) / 0.6
    assertThat(Coefficient.X0_OF_XT.at(diffusion, between)).isEqualTo(1 / 0.6);
    assertThat(Coefficient.X0_OF_OUTPUT.at(diffusion, between)).isEqualTo(-0.8 / 0.6);
  }

  private NDArray golden(String name) {
    return Upload.doubles(manager, inputs.data(name), new Shape(2, 3, 4, 4), DataType.FLOAT64);
  }

  private static Map<Coefficient, NDArray> columns(Diffusion diffusion, NDArray like, int[] t) {
    Map<Coefficient, NDArray> columns = new EnumMap<>(Coefficient.class);
    for (Coefficient coefficient : Coefficient.values()) {
      columns.put(
          coefficient,
          PerImage.column(
              like,
              Arrays.stream(t)
                  .mapToDouble(i -> coefficient.at(diffusion, Level.of(diffusion.schedule(), i)))
                  .toArray()));
    }
    return columns;
  }

  private static Prediction prediction(String name) {
    return switch (name) {
      case "EPSILON" -> Prediction.EPSILON;
      case "START_X" -> Prediction.X0;
      case "PREVIOUS_X" -> Prediction.PREVIOUS_MEAN;
      default -> throw new IllegalArgumentException(name);
    };
  }
}
