package io.github.ddpm4j.model;

import static io.github.ddpm4j.Golden.assertClose;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class DenoisingModelTest {

  private static final Schedule LINEAR = Schedules.linear(1000);
  private static final Shape IMAGES = new Shape(3, 2, 4, 4);
  private static final NoiseLevels LEVELS = NoiseLevels.of(LINEAR, 30, 500, 900);

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private NDArray normal(long draw) {
    return NoiseSource.seeded(1).array(manager, 0, draw, IMAGES, DataType.FLOAT64);
  }

  private static Diffusion diffusion(Prediction prediction, Variance variance) {
    return new Diffusion(LINEAR, prediction, variance, DataRange.DEFAULT);
  }

  static Stream<Prediction> predictions() {
    return Stream.concat(Prediction.plain().stream(), Stream.of(Prediction.edm(0.5)));
  }

  /** A network that knows the truth says what its prediction wants, and is understood. */
  @ParameterizedTest
  @MethodSource("predictions")
  void ask_ofTheTruth_isUnderstood(Prediction prediction) {
    NDArray x0 = normal(0);
    NDArray epsilon = normal(1);
    NDArray xt = LEVELS.noised(x0, epsilon);
    NDArray target = prediction.target(LINEAR, LEVELS, x0, epsilon);
    DenoisingModel model =
        DenoisingModel.of(
            diffusion(prediction, Variance.FIXED_LARGE),
            (x, levels, condition) -> {
              for (int i = 0; i < levels.size(); i++) {
                Level level = LEVELS.level(i);
                assertThat(levels.timestep(i)).isEqualTo(prediction.networkTimestep(level));
                assertThat(levels.signal(i)).isEqualTo(level.signal());
              }
              NDArray wanted =
                  xt.mul(
                      io.github.ddpm4j.internal.ops.PerImage.column(
                          xt, LEVELS.each(prediction::inputScale)));
              assertClose("input", x.toDoubleArray(), wanted.toDoubleArray(), 0);
              return target.duplicate();
            });
    Answer answer = model.ask(xt, LEVELS, Condition.none());
    assertClose("x0", answer.x0().toDoubleArray(), x0.toDoubleArray(), 1e-11);
    assertClose("epsilon", answer.epsilon().toDoubleArray(), epsilon.toDoubleArray(), 1e-11);
    NDArray velocity =
        io.github.ddpm4j.process.ForwardProcess.of(LINEAR)
            .velocity(x0, epsilon, new int[] {30, 500, 900});
    assertClose("v", answer.velocity().toDoubleArray(), velocity.toDoubleArray(), 1e-11);
    assertThat(answer.variance()).isEmpty();
    assertThat(answer.x()).isSameAs(xt);
    assertThat(answer.levels()).isSameAs(LEVELS);
    assertThat(answer.x0().getManager()).isSameAs(manager);
  }

  /** What was scaled for a network that fails goes with the call. */
  @Test
  void ask_scaledNetworkFails_leavesNothingOpen() {
    NDArray xt = normal(1);
    DenoisingModel model =
        DenoisingModel.of(
            diffusion(Prediction.edm(0.5), Variance.FIXED_LARGE),
            (x, levels, condition) -> {
              x.mul(2);
              throw new IllegalStateException("out of memory");
            });
    int resources = NativeResources.inAll();
    assertThatThrownBy(() -> model.ask(xt, LEVELS, Condition.none())).hasMessage("out of memory");
    assertThat(NativeResources.inAll()).isEqualTo(resources);
  }

  /** From x̂_0 to ε̂ and back, without a network. */
  @Test
  void answer_ofAnyPrediction_convertsBothWays() {
    NDArray xt = normal(0);
    NDArray x0 = normal(1);
    NDArray epsilon = Answer.of(Prediction.X0, LINEAR, xt, LEVELS, x0).epsilon();
    Answer back = Answer.of(Prediction.EPSILON, LINEAR, xt, LEVELS, epsilon);
    assertClose("x0", back.x0().toDoubleArray(), x0.toDoubleArray(), 1e-11);
    assertThat(back.epsilon()).isSameAs(epsilon);
    assertThat(back.withPrediction(x0).prediction()).isSameAs(x0);
    assertThat(back).hasToString("Answer[EPSILON of (3, 2, 4, 4)]");
  }

  /** The variance is taken off whoever predicts it, and told to those who let it be learned. */
  @Test
  void ask_networkThatPredictsTheVariance_isTakenApart() {
    NDArray says = normal(0);
    NDArray v = normal(1);
    Denoiser both = new WithVariance((x, levels, condition) -> says.concat(v, 1));
    for (Variance variance : Variance.values()) {
      Answer answer =
          DenoisingModel.of(diffusion(Prediction.X0, variance), both)
              .ask(normal(2), LEVELS, Condition.none());
      assertThat(answer.x0().toDoubleArray()).isEqualTo(says.toDoubleArray());
      assertThat(answer.variance().isPresent()).isEqualTo(variance.isLearned());
      answer
          .variance()
          .ifPresent(told -> assertThat(told.toDoubleArray()).isEqualTo(v.toDoubleArray()));
    }
  }

  @Test
  void of_networkThatPredictsNoVariance_isRefused() {
    for (Variance variance : List.of(Variance.LEARNED, Variance.LEARNED_RANGE)) {
      assertThatThrownBy(
              () ->
                  DenoisingModel.of(
                      diffusion(Prediction.EPSILON, variance), (x, levels, condition) -> x))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "variance "
                  + variance
                  + " is the network's to say, but the network predicts none; build it with"
                  + " UNet.builder().learnedVariance(), let your own say so by predictsVariance(),"
                  + " or build DDPM with Variance.FIXED_LARGE");
    }
  }

  @Test
  void ask_outputOfAnotherShapeOrType_isRefused() {
    Diffusion fixed = diffusion(Prediction.EPSILON, Variance.FIXED_LARGE);
    DenoisingModel wide = DenoisingModel.of(fixed, (x, levels, condition) -> x.concat(x, 1));
    assertThatThrownBy(() -> wide.ask(normal(0), LEVELS, Condition.none()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input, (3, 2, 4, 4) float64, but"
                + " returned (3, 4, 4, 4) float64");
    DenoisingModel narrow =
        DenoisingModel.of(fixed, (x, levels, condition) -> x.toType(DataType.FLOAT32, true));
    assertThatThrownBy(() -> narrow.ask(normal(0), LEVELS, Condition.none()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input, (3, 2, 4, 4) float64, but"
                + " returned (3, 2, 4, 4) float32");
    DenoisingModel plain =
        DenoisingModel.of(
            diffusion(Prediction.EPSILON, Variance.FIXED_LARGE),
            new WithVariance((x, levels, condition) -> x));
    assertThatThrownBy(() -> plain.ask(normal(0), LEVELS, Condition.none()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input with twice the channels, (3, 4,"
                + " 4, 4) float64, but returned (3, 2, 4, 4) float64");
  }

  @Test
  void sharesCallsWith_sameNetworkAskedAlike() {
    Denoiser network = (x, levels, condition) -> x;
    DenoisingModel epsilon =
        DenoisingModel.of(diffusion(Prediction.EPSILON, Variance.FIXED_LARGE), network);
    DenoisingModel x0 = DenoisingModel.of(diffusion(Prediction.X0, Variance.FIXED_SMALL), network);
    DenoisingModel edm =
        DenoisingModel.of(diffusion(Prediction.edm(0.5), Variance.FIXED_LARGE), network);
    DenoisingModel other =
        DenoisingModel.of(
            diffusion(Prediction.EPSILON, Variance.FIXED_LARGE), (x, levels, condition) -> x);
    assertThat(epsilon.sharesCallsWith(x0)).isTrue();
    assertThat(epsilon.sharesCallsWith(edm)).isFalse();
    assertThat(edm.sharesCallsWith(edm)).isTrue();
    assertThat(epsilon.sharesCallsWith(other)).isFalse();
  }
}
