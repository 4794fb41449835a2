package io.github.ddpm4j.prediction;

import static io.github.ddpm4j.Golden.assertClose;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PredictionTest {

  private static final Schedule LINEAR = Schedules.linear(1000);
  private static final Schedule ZERO_SNR = Schedules.zeroTerminalSnr(LINEAR);

  private NDManager manager;

  @BeforeEach
  void openManager() {
    manager = NDManager.newBaseManager();
  }

  @AfterEach
  void closeManager() {
    manager.close();
  }

  /** Every one-step case of the reference code but learned variance and dynamic thresholding. */
  @Test
  void x0AndPosterior_goldenSteps_agree() {
    Golden steps = Golden.load("ddpm_steps.json");
    NDArray sample = steps.array(manager, DataType.FLOAT64, "inputs", "sample");
    NDArray output = steps.array(manager, DataType.FLOAT64, "inputs", "model_output");
    NDArray noise = steps.array(manager, DataType.FLOAT64, "inputs", "noise");
    int compared = 0;
    for (String key : steps.keys()) {
      String[] parts = key.split("\\|", -1);
      if (parts.length != 5 || parts[1].startsWith("learned") || !parts[3].startsWith("clip=")) {
        continue;
      }
      Schedule schedule = parts[0].equals("linear") ? LINEAR : Schedules.cosine(1000);
      Variance variance =
          parts[1].equals("fixed_large") ? Variance.FIXED_LARGE : Variance.FIXED_SMALL;
      Prediction prediction =
          switch (parts[2]) {
            case "epsilon" -> Prediction.EPSILON;
            case "sample" -> Prediction.X0;
            case "v_prediction" -> Prediction.VELOCITY;
            default -> throw new AssertionError(parts[2]);
          };
      int t = Integer.parseInt(parts[4].substring("t=".length()));
      int[] each = {t, t};
      NDArray x0 = prediction.x0(schedule, NoiseLevels.of(schedule, each), sample, output);
      if (parts[3].equals("clip=True")) {
        x0 = x0.clip(-1, 1);
      }
      assertClose(key + " x0", x0.toDoubleArray(), steps.data(key, "pred_x0"), 1e-11);
      NDArray previous = ForwardProcess.of(schedule).posteriorMean(x0, sample, each);
      if (t > 0) {
        previous = previous.add(noise.mul(Math.sqrt(variance.variance(schedule, t))));
      }
      assertClose(
          key + " previous", previous.toDoubleArray(), steps.data(key, "prev_sample"), 1e-11);
      compared++;
    }
    assertThat(compared).isGreaterThanOrEqualTo(60);
  }

  /** x = 1, ε = 0.5 at t = 500, worked out by an independent program in float64. */
  @Test
  void x0_scalarAnchor_agrees() {
    LinearForm form = Prediction.EPSILON.x0(LINEAR, Level.of(LINEAR, 500));
    double x0 = form.first() * 1 + form.second() * 0.5;
    assertThat(x0).isCloseTo(1.8637671376, within(1e-9));
    double ofX0 = LINEAR.posteriorMeanX0(500);
    double ofXt = LINEAR.posteriorMeanXt(500);
    assertThat(ofX0 * x0 + ofXt).isCloseTo(.9998038570, within(1e-9));
    assertThat(ofX0 + ofXt).isCloseTo(.9971624078, within(1e-9));
    assertThat(Math.sqrt(Variance.FIXED_SMALL.variance(LINEAR, 500)))
        .isCloseTo(.10025635032, within(1e-10));
    assertThat(Math.sqrt(Variance.FIXED_LARGE.variance(LINEAR, 500)))
        .isCloseTo(.10029935174, within(1e-10));
  }

  @Test
  void target_arrays_areWhatTheNamesSay() {
    NDArray x0 = manager.create(new double[] {1, -0.5, 0.25, 0}, new Shape(2, 2));
    NDArray noise = manager.create(new double[] {0.3, 2, -1, 0.7}, new Shape(2, 2));
    int[] t = {0, 700};
    ForwardProcess process = ForwardProcess.of(LINEAR);
    NDArray xt = process.sample(x0, t, noise);
    assertTarget(Prediction.EPSILON, noise, t, x0, noise);
    assertTarget(Prediction.X0, x0, t, x0, noise);
    assertTarget(Prediction.VELOCITY, process.velocity(x0, noise, t), t, x0, noise);
    assertTarget(Prediction.PREVIOUS_MEAN, process.posteriorMean(x0, xt, t), t, x0, noise);
  }

  private static void assertTarget(
      Prediction prediction, NDArray expected, int[] t, NDArray x0, NDArray noise) {
    assertClose(
        prediction + " target",
        prediction.target(LINEAR, NoiseLevels.of(LINEAR, t), x0, noise).toDoubleArray(),
        expected.toDoubleArray(),
        1e-15);
  }

  @ParameterizedTest
  @MethodSource("all")
  void arrays_roundTrip_isExactInFloat64(Prediction prediction) {
    NDArray x0 = manager.create(new double[] {1, -0.5, 0.25, 0, 0.1, 0.9}, new Shape(3, 1, 2));
    NDArray noise = manager.create(new double[] {0.3, 2, -1, 0.7, 1, -2}, new Shape(3, 1, 2));
    int[] t = {0, 431, 999};
    NDArray x = ForwardProcess.of(LINEAR).sample(x0, t, noise);
    NDArray target = prediction.target(LINEAR, NoiseLevels.of(LINEAR, t), x0, noise);
    int before = manager.getManagedArrays().size();
    NDArray x0Again = prediction.x0(LINEAR, NoiseLevels.of(LINEAR, t), x, target);
    NDArray noiseAgain = prediction.epsilon(LINEAR, NoiseLevels.of(LINEAR, t), x, target);
    assertThat(manager.getManagedArrays()).hasSize(before + 2);
    assertThat(x0Again.getManager()).isSameAs(manager);
    assertClose("x0", x0Again.toDoubleArray(), x0.toDoubleArray(), 1e-11);
    assertClose("epsilon", noiseAgain.toDoubleArray(), noise.toDoubleArray(), 1e-11);
  }

  static Stream<Prediction> all() {
    return Stream.concat(
        Prediction.plain().stream(), Stream.of(Prediction.edm(0.5), Prediction.edm(3)));
  }

  /** Karras et al. 2022, table 1, written for x_0 + σ ε. */
  @ParameterizedTest
  @ValueSource(doubles = {0.5, 1, 2})
  void edm_forms_areThoseOfThePaper(double data) {
    Prediction edm = Prediction.edm(data);
    for (int t : new int[] {0, 10, 400, 999}) {
      double signal = LINEAR.signal(t);
      double sigma = LINEAR.noise(t) / signal;
      double skip = data * data / (sigma * sigma + data * data);
      double out = sigma * data / Math.sqrt(sigma * sigma + data * data);
      double in = 1 / Math.sqrt(sigma * sigma + data * data);
      LinearForm x0 = edm.x0(LINEAR, new Level(t, signal, LINEAR.noise(t)));
      assertThat(x0.first() * signal / skip).isCloseTo(1, within(1e-12));
      assertThat(x0.second() / out).isCloseTo(1, within(1e-12));
      assertThat(edm.inputScale(new Level(0, signal, LINEAR.noise(t))) * signal / in)
          .isCloseTo(1, within(1e-12));
      assertThat(edm.networkTimestep(new Level(t, signal, LINEAR.noise(t))))
          .isCloseTo(Math.log(sigma) / 4, within(1e-12));
      // F = (x_0 − c_skip (x_0 + σ ε)) / c_out
      LinearForm target = edm.target(LINEAR, new Level(t, signal, LINEAR.noise(t)));
      assertThat(target.first()).isCloseTo((1 - skip) / out, within(1e-9 / out));
      assertThat(target.second()).isCloseTo(-skip * sigma / out, within(1e-12));
      // λ(σ) c_out² = 1
      double weight = (sigma * sigma + data * data) / Math.pow(sigma * data, 2);
      assertThat(weight * x0.second() * x0.second()).isCloseTo(1, within(1e-12));
    }
  }

  @Test
  void edm_deviation1_isTheNegativeVelocity() {
    LinearForm edm = Prediction.edm(1).target(LINEAR, Level.of(LINEAR, 400));
    LinearForm velocity = Prediction.VELOCITY.target(LINEAR, Level.of(LINEAR, 400));
    assertThat(edm.first()).isCloseTo(-velocity.first(), within(1e-12));
    assertThat(edm.second()).isCloseTo(-velocity.second(), within(1e-12));
  }

  @Test
  void edm_settings_areItsIdentity() {
    assertThat(Prediction.edm(0.5)).isEqualTo(Prediction.edm(0.5)).hasToString("EDM(0.5)");
    assertThat(Prediction.edm(0.5)).hasSameHashCodeAs(Prediction.edm(0.5));
    assertThat(Prediction.edm(0.5)).isNotEqualTo(Prediction.edm(0.6));
    assertThat(Prediction.EPSILON).hasToString("EPSILON");
    assertThat(Prediction.EPSILON.inputScale(new Level(0, 0.1, 0.2))).isEqualTo(1);
    assertThat(Prediction.EPSILON.networkTimestep(new Level(3.5, 0.1, 0.2))).isEqualTo(3.5);
    assertRefused(
        () -> Prediction.edm(0),
        "sigmaData must be positive and finite, but was 0.0; it is the standard deviation of the"
            + " data, 0.5 in the paper");
    assertRefused(
        () -> Prediction.edm(0.5).networkTimestep(new Level(0, 1, 0)),
        "prediction EDM(0.5) tells the network ln(noise / signal), which needs both above 0, but at"
            + " timestep 0.0 signal was 1.0 and noise 0.0; use a sampler that asks at noisy images"
            + " with some signal alone, or VELOCITY");
  }

  @Test
  void of_description_isTheSamePrediction() {
    for (Prediction prediction : Prediction.plain()) {
      assertThat(prediction.describe()).isEqualTo(prediction.name());
      assertThat(Prediction.of(prediction.describe())).isSameAs(prediction);
    }
    Prediction edm = Prediction.edm(0.4);
    assertThat(edm.describe()).hasToString("{type=EDM, sigmaData=0.4}");
    assertThat(Prediction.of(edm.describe())).isEqualTo(edm);
    assertThat(Prediction.of(Map.of("type", "EDM", "sigmaData", 1))).isEqualTo(Prediction.edm(1));
  }

  @Test
  void flow_tellsTheNetworkTheTimeOfTheLevel() {
    Schedule shifted = Schedules.flow(8, 3);
    assertThat(Prediction.FLOW.networkTimestep(Level.of(shifted, 7))).isEqualTo(1000);
    assertThat(Prediction.FLOW.networkTimestep(Level.of(shifted, 3))).isEqualTo(750);
    assertThat(Prediction.FLOW.networkTimestep(Level.CLEAN)).isZero();
    assertThat(Prediction.FLOW.networkTimestep(new Level(500, 0.6, 0.8)))
        .isCloseTo(8000.0 / 14, within(1e-12));
    assertThat(Prediction.FLOW.target(shifted, Level.of(shifted, 3)))
        .isEqualTo(new LinearForm(-1, 1));
    for (Prediction prediction : Prediction.plain()) {
      assertThat(prediction.tellsTimesteps()).isEqualTo(prediction != Prediction.FLOW);
      assertThat(prediction.scalesInput()).isFalse();
    }
    assertThat(Prediction.edm(0.5).tellsTimesteps()).isFalse();
  }

  @Test
  void of_otherDescription_isRefused() {
    String known =
        "prediction must be one of [EPSILON, X0, VELOCITY, PREVIOUS_MEAN, FLOW], but was ";
    assertRefused(() -> Prediction.of("EDM"), known + "EDM");
    assertRefused(() -> Prediction.of("epsilon"), known + "epsilon");
    assertRefused(
        () -> Prediction.of(7),
        "prediction must be a name or an object with type and settings, but was 7");
    assertRefused(
        () -> Prediction.of(Map.of("type", "X0")),
        "prediction type must be EDM, but was X0; predictions without settings are a name alone");
    assertRefused(() -> Prediction.of(Map.of("sigmaData", 1)), "the prediction lacks \"type\"");
    assertRefused(() -> Prediction.of(Map.of("type", "EDM")), "prediction EDM lacks \"sigmaData\"");
    assertRefused(
        () -> Prediction.of(Map.of("type", "EDM", "sigmaData", "half")),
        "\"sigmaData\" of prediction EDM must be a number, but was half");
    assertRefused(
        () -> Prediction.of(Map.of("type", "EDM", "sigmaData", 1, "sigma", 1)),
        "prediction EDM has the unknown setting \"sigma\"; known are sigmaData");
    assertRefused(
        () -> Prediction.of(Map.of("type", "EDM", "sigmaData", 0)),
        "sigmaData must be positive and finite, but was 0.0; it is the standard deviation of the"
            + " data, 0.5 in the paper");
  }

  @Test
  void zeroTerminalSnr_lastStep_worksWithoutEpsilon() {
    for (Prediction prediction :
        new Prediction[] {Prediction.X0, Prediction.VELOCITY, Prediction.PREVIOUS_MEAN}) {
      LinearForm target = prediction.target(ZERO_SNR, new Level(999, 0, 1));
      double x0 = 0.4;
      double epsilon = -1.2;
      double output = target.first() * x0 + target.second() * epsilon;
      LinearForm toX0 = prediction.x0(ZERO_SNR, new Level(999, 0, 1));
      LinearForm toEpsilon = prediction.epsilon(ZERO_SNR, new Level(999, 0, 1));
      assertThat(toX0.first() * epsilon + toX0.second() * output).isCloseTo(x0, within(1e-12));
      assertThat(toEpsilon.first() * epsilon + toEpsilon.second() * output)
          .isCloseTo(epsilon, within(1e-12));
    }
  }

  @Test
  void cleanImages_epsilonOfEpsilonAndVelocity_isDefined() {
    assertThat(Prediction.EPSILON.epsilon(LINEAR, new Level(0, 1, 0)))
        .isEqualTo(new LinearForm(0, 1));
    assertThat(Prediction.VELOCITY.epsilon(LINEAR, new Level(0, 1, 0)))
        .isEqualTo(new LinearForm(0, 1));
  }

  @Test
  void velocity_levelsOffTheUnitCircle_areInverted() {
    LinearForm target = Prediction.VELOCITY.target(LINEAR, new Level(3.5, 1, 20));
    double output = target.first() * 0.4 + target.second() * -1.2;
    double x = 0.4 + 20 * -1.2;
    LinearForm x0 = Prediction.VELOCITY.x0(LINEAR, new Level(3.5, 1, 20));
    LinearForm epsilon = Prediction.VELOCITY.epsilon(LINEAR, new Level(3.5, 1, 20));
    assertThat(x0.first() * x + x0.second() * output).isCloseTo(0.4, within(1e-13));
    assertThat(epsilon.first() * x + epsilon.second() * output).isCloseTo(-1.2, within(1e-13));
  }

  @Test
  void forms_whereNoConversionExists_areRefused() {
    String withoutSignal =
        "prediction EPSILON needs signal above 0, but at timestep 999.0 it was 0, where x is all"
            + " noise and says nothing about x_0; use VELOCITY or X0 with a zero-terminal-SNR"
            + " schedule";
    assertRefused(() -> Prediction.EPSILON.target(ZERO_SNR, new Level(999, 0, 1)), withoutSignal);
    assertRefused(() -> Prediction.EPSILON.x0(ZERO_SNR, new Level(999, 0, 1)), withoutSignal);
    assertRefused(() -> Prediction.EPSILON.epsilon(ZERO_SNR, new Level(999, 0, 1)), withoutSignal);
    NDArray x = manager.zeros(new Shape(2, 2));
    assertRefused(
        () -> Prediction.EPSILON.x0(ZERO_SNR, NoiseLevels.of(ZERO_SNR, 3, 999), x, x),
        withoutSignal);
    assertRefused(
        () -> Prediction.X0.epsilon(LINEAR, new Level(0, 1, 0)),
        "prediction X0 needs noise above 0 to give epsilon, but at timestep 0.0 it was 0, where x is"
            + " x_0; use EPSILON or VELOCITY to start from clean images");
    assertRefused(
        () -> Prediction.PREVIOUS_MEAN.x0(LINEAR, new Level(10.5, 0.9, 0.1)),
        "prediction PREVIOUS_MEAN needs a whole timestep of the schedule, from 0 to 999, but was"
            + " asked at 10.5; use EPSILON, X0 or VELOCITY with a sampler that asks in between");
    assertRefused(
        () -> Prediction.PREVIOUS_MEAN.target(LINEAR, new Level(1000, 0.9, 0.1)),
        "prediction PREVIOUS_MEAN needs a whole timestep of the schedule, from 0 to 999, but was"
            + " asked at 1000.0; use EPSILON, X0 or VELOCITY with a sampler that asks in between");
    Schedule quarter = Schedules.ofBetas(0.75, 0.5);
    assertRefused(
        () -> Prediction.PREVIOUS_MEAN.epsilon(quarter, new Level(0, 0.25, 0.9)),
        "prediction PREVIOUS_MEAN needs the levels of the schedule at timestep 0, signal 0.5 and"
            + " noise 0.8660254037844386, but they were 0.25 and 0.9; use EPSILON, X0 or VELOCITY"
            + " with a sampler that leaves the schedule");
    for (Level level :
        List.of(new Level(0, 0.25, quarter.noise(0)), new Level(0, quarter.signal(0), 0.9))) {
      assertThatThrownBy(() -> Prediction.PREVIOUS_MEAN.x0(quarter, level))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageEndingWith(
              "but they were "
                  + level.signal()
                  + " and "
                  + level.noise()
                  + "; use EPSILON, X0 or VELOCITY with a sampler that leaves the schedule");
    }
    String levels = "signal and noise must be finite, at least 0 and not both 0, but were ";
    assertRefused(() -> Prediction.X0.x0(LINEAR, new Level(0, 0, 0)), levels + "0.0 and 0.0");
    assertRefused(
        () -> Prediction.X0.target(LINEAR, new Level(0, -0.1, 1)), levels + "-0.1 and 1.0");
    assertRefused(
        () -> Prediction.VELOCITY.epsilon(LINEAR, new Level(0, 1, Double.NaN)),
        levels + "1.0 and NaN");
    assertRefused(
        () -> Prediction.VELOCITY.x0(LINEAR, new Level(0, Double.POSITIVE_INFINITY, 1)),
        levels + "Infinity and 1.0");
    assertRefused(
        () -> Prediction.VELOCITY.x0(LINEAR, new Level(0, 1, Double.POSITIVE_INFINITY)),
        levels + "1.0 and Infinity");
  }

  @Test
  void arrays_badArguments_areRefused() {
    NDArray x = manager.zeros(new Shape(2, 3));
    NDArray other = manager.zeros(new Shape(2, 4));
    assertRefused(
        () -> Prediction.EPSILON.x0(LINEAR, NoiseLevels.of(LINEAR, 1, 2), x, other),
        "output must have the shape of x, (2, 3), but had (2, 4)");
    assertRefused(
        () -> Prediction.X0.target(LINEAR, NoiseLevels.of(LINEAR, 1, 2), x, other),
        "noise must have the shape of x0, (2, 3), but had (2, 4)");
    assertRefused(
        () -> Prediction.X0.epsilon(LINEAR, NoiseLevels.of(LINEAR, 1, 2, 3), x, x),
        "t must have one entry per image of x, that is 2, but had 3");
    assertThatThrownBy(() -> Prediction.VELOCITY.x0(LINEAR, NoiseLevels.of(LINEAR, 1, 1000), x, x))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("t must be at least 0 and less than 1000, but was 1000");
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }
}
