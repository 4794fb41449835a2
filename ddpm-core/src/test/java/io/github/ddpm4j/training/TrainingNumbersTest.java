package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The numbers of a run: rates, steps, what float32 makes of options, and no one else's gradients.
 */
class TrainingNumbersTest {

  private static final int SIZE = 6;
  private static final String RANGE =
      " must lie between 1.17549435E-38 and 3.4028235E38, since weights are trained in float32, but"
          + " was ";

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(100).denoiser(network).build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private Training training(int steps) {
    return ddpm.training().batchSize(5).steps(steps).seed(5);
  }

  private ArrayDataset data() {
    return new ArrayDataset.Builder()
        .setData(manager.full(new Shape(10, 1, SIZE, SIZE), 0.5f))
        .setSampling(1, false)
        .build();
  }

  private double firstNorm() {
    List<Double> norms = new ArrayList<>();
    training(1)
        .listener(event -> norms.add(event.gradientNorm()))
        .learningRate(1e-30)
        .fit(data())
        .close();
    return norms.get(0);
  }

  @Test
  void fit_gradientsOfTheCallersOwn_areNoPartOfTheFirstStep() {
    double clean = firstNorm();
    try (NDManager own = manager.newSubManager();
        GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray x0 = own.ones(new Shape(5, 1, SIZE, SIZE));
      NDArray loss =
          ddpm.loss(Losses.simple(), x0, Condition.none(), new TrainableDenoiser.Pass(1, 0));
      collector.backward(loss.mul(1000));
    }
    assertThat(firstNorm()).isEqualTo(clean);
  }

  /** A tracker may count: it is asked once a step, and what it said first is what is told. */
  @Test
  void fit_trackerOfAsManyRatesAsSteps_isAskedOncePerStep() {
    Iterator<Float> rates = List.of(1e-3f, 2e-3f, 3e-3f).iterator();
    List<Integer> asked = new ArrayList<>();
    Tracker tracker =
        done -> {
          asked.add(done);
          return rates.next();
        };
    try (TrainedModel result = training(3).learningRate(tracker).warmup(10).fit(data())) {
      assertThat(asked).containsExactly(0, 1, 2);
      assertThat(result.ddpm().provenance()).containsEntry("firstLearningRate", 1e-3);
      assertThat(result.raw().provenance()).containsEntry("firstLearningRate", 1e-3);
    }
  }

  /** The log has room for the steps that are done, not for those that are planned. */
  @Test
  void fit_endlessSteps_stopped_isARunOfTheStepsThatWereDone() {
    try (TrainedModel result =
        training(Integer.MAX_VALUE)
            .listener(
                event -> {
                  if (event.step() == 3) {
                    event.stop();
                  }
                })
            .fit(data())) {
      assertThat(result.losses().steps()).isEqualTo(3);
    }
  }

  static Stream<Arguments> options() {
    return Stream.of(
        option(t -> t.learningRate(1e-50), "learningRate" + RANGE + "1.0E-50"),
        option(t -> t.learningRate(1e39), "learningRate" + RANGE + "1.0E39"),
        option(t -> t.offsetNoise(1e-50), "offsetNoise, unless it is 0," + RANGE + "1.0E-50"),
        option(
            t -> t.inputPerturbation(1e39),
            "inputPerturbation, unless it is 0," + RANGE + "1.0E39"),
        option(
            t -> t.gradientClip(1e-30),
            "gradientClip must be at least 1.0842021724855044E-19, whose square float32 can hold, but"
                + " was 1.0E-30"),
        option(t -> t.ema(1 - 1e-9), "EMA decay" + below(1 - 1e-9)),
        option(t -> t.optimizer(adam(1 - 1e-9, 0.999, 1e-8, 0)), "beta1" + below(1 - 1e-9)),
        option(t -> t.optimizer(adam(0.9, 1 - 1e-9, 1e-8, 0)), "beta2" + below(1 - 1e-9)),
        option(t -> t.optimizer(adam(0.9, 0.999, 1e-50, 0)), "epsilon" + RANGE + "1.0E-50"),
        option(t -> t.optimizer(adam(0.9, 0.999, 1e39, 0)), "epsilon" + RANGE + "1.0E39"),
        option(
            t -> t.optimizer(adam(0.9, 0.999, 1e-8, 1e-50)),
            "weightDecay, unless it is 0," + RANGE + "1.0E-50"),
        option(t -> t.loss(Losses.hybrid(1e-50)), "lambda" + RANGE + "1.0E-50"),
        option(t -> t.weighting(Weighting.minSnr(1e-50)), "gamma" + RANGE + "1.0E-50"));
  }

  private static Arguments option(Consumer<Training> setting, String message) {
    return Arguments.of(Named.of(message, setting), message);
  }

  private static String below(double value) {
    return " must be at most 0.9999999403953552, the float32 number below 1, but was " + value;
  }

  private static AdamOptimizer adam(double beta1, double beta2, double epsilon, double decay) {
    return new AdamOptimizer(
        beta1, beta2, epsilon, decay, AdamOptimizer.EpsilonPlacement.AFTER_CORRECTION);
  }

  /** Such a run would train nothing, or something else, without a word. */
  @ParameterizedTest
  @MethodSource("options")
  void option_thatFloat32TurnsIntoAnother_isRefused(Consumer<Training> setting, String message) {
    Training training = training(1);
    assertThatThrownBy(() -> setting.accept(training))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  /** The least and the greatest that are taken do what they say. */
  @Test
  void options_atTheirLimits_train() {
    try (TrainedModel result =
        training(2)
            .learningRate(Float.MIN_NORMAL)
            .offsetNoise(Float.MIN_NORMAL)
            .gradientClip(Double.POSITIVE_INFINITY)
            .ema(1 - 0x1p-24)
            .optimizer(adam(1 - 0x1p-24, 1 - 0x1p-24, Float.MIN_NORMAL, Float.MIN_NORMAL))
            .fit(data())) {
      assertThat(result.losses().loss(2)).isFinite();
    }
  }

  /** 1 − η λ is 1 in float32: common settings, which decay nothing, here as in PyTorch. */
  @Test
  void weightDecay_thatChangesNothing_isSaid() {
    assertThat(said(1e-4, 1e-4))
        .contains(
            "a weight decay of 1.0E-4 with a learning rate of 9.999999747378752E-5 changes no weight:"
                + " 1 - 9.999999747378752E-9 is 1 in float32; set it to 0, or to more than"
                + " 2.980232")
        .containsOnlyOnce("weight decay");
    assertThat(said(1e-2, 1e-4)).doesNotContain("weight decay");
    assertThat(said(0, 1e-4)).doesNotContain("weight decay");
  }

  private String said(double decay, double rate) {
    PrintStream before = System.err;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (PrintStream capture = new PrintStream(out, true, StandardCharsets.UTF_8)) {
      System.setErr(capture);
      Training training = training(2).optimizer(AdamOptimizer.adamW(decay)).learningRate(rate);
      training.fit(data()).close();
    } finally {
      System.setErr(before);
    }
    return out.toString(StandardCharsets.UTF_8);
  }
}
