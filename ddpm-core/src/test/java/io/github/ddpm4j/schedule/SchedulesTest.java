package io.github.ddpm4j.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.github.ddpm4j.prediction.Variance;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class SchedulesTest {

  static Stream<Schedule> schedules() {
    return Stream.of(
        Schedules.linear(1000),
        Schedules.linear(10, 0.03, 0.3),
        Schedules.linear(1),
        Schedules.linearScaled(77),
        Schedules.scaledLinear(1000),
        Schedules.quadratic(300),
        Schedules.cosine(1000),
        Schedules.cosine(12, 0.02, 0.99),
        Schedules.sigmoidJabri(1000),
        Schedules.sigmoidJabri(40, 0, 3, 0.7),
        Schedules.sigmoidGeoDiff(1000),
        Schedules.constant(50, 0.1),
        Schedules.ofBetas(0.1, 1.0 / 3, 0.7),
        Schedules.zeroTerminalSnr(Schedules.scaledLinear(1000)),
        Schedules.zeroTerminalSnr(Schedules.ofBetas(0.1, 0.2)),
        Schedules.flow(1000),
        Schedules.flow(20, 3),
        Schedules.flow(20, 0.5));
  }

  /** Values worked out from the formulas by an independent program in float64. */
  @ParameterizedTest
  @CsvSource({
    "linear, 1000, alphaBar, 0, .9999",
    "linear, 1000, alphaBar, 250, .5214230306",
    "linear, 1000, alphaBar, 500, .07779665837",
    "linear, 1000, alphaBar, 999, 4.035829765e-05",
    "linear, 1000, posteriorVariance, 1, 5.453187661e-05",
    "linear, 1000, posteriorVariance, 487, .0097915720",
    "linear, 1000, posteriorVariance, 500, .01005133578",
    "linear, 1000, posteriorVariance, 999, .0199999835",
    "linear, 1000, posteriorMeanX0, 0, 1",
    "linear, 1000, posteriorMeanX0, 1, .54529149951",
    "linear, 1000, posteriorMeanX0, 500, .0030580570756",
    "linear, 1000, posteriorMeanX0, 999, 1.2835148717e-4",
    "linear, 1000, posteriorMeanXt, 0, 0",
    "linear, 1000, posteriorMeanXt, 1, .454708499",
    "linear, 1000, posteriorMeanXt, 500, .9941043508",
    "linear, 1000, posteriorMeanXt, 999, .9899486783",
    "linear, 1000, posteriorLogVarianceClipped, 0, -9.81672513529567",
    "linear, 1000, posteriorLogVarianceClipped, 1, -9.81672513529567",
    "linear, 1000, posteriorLogVarianceClipped, 500, -4.6000497400",
    "linear, 1000, snr, 100, 8.53666958",
    "linearScaled, 4000, beta, 0, 2.5e-5",
    "linearScaled, 4000, beta, 3999, 5e-3",
    "scaledLinear, 1000, alphaBar, 999, .004660098513",
    "quadratic, 1000, alphaBar, 999, 7.334124596e-4",
    "cosine, 1000, beta, 0, 4.128422482e-05",
    "cosine, 1000, alphaBar, 500, .4922851724",
    "cosine, 1000, beta, 998, .7499993929",
    "cosine, 1000, beta, 999, .999",
    "cosine, 1000, alphaBar, 999, 2.428766907e-09",
    "cosine, 4000, beta, 0, 9.865818814e-06",
    "cosine, 4000, alphaBar, 2000, .4934539797",
    "sigmoidJabri, 1000, beta, 0, 3.002791997e-04",
    "sigmoidJabri, 1000, alphaBar, 500, .4983428179",
    "sigmoidJabri, 1000, beta, 998, .5013569029",
    "sigmoidJabri, 1000, beta, 999, .999",
    "sigmoidJabri, 1000, alphaBar, 999, 3.002791997e-07",
    "sigmoidGeoDiff, 1000, beta, 0, 1.492052008e-04",
    "sigmoidGeoDiff, 1000, alphaBar, 500, .2988876278",
    "sigmoidGeoDiff, 1000, alphaBar, 999, 3.968181991e-05",
    "zeroTerminalSnr, 1000, beta, 0, 1e-4",
    "zeroTerminalSnr, 1000, beta, 1, 1.206866355e-4",
    "zeroTerminalSnr, 1000, beta, 500, .01029261743",
    "zeroTerminalSnr, 1000, beta, 998, .75226723",
    "zeroTerminalSnr, 1000, beta, 999, 1",
    "zeroTerminalSnr, 1000, alphaBar, 500, .0752462157",
  })
  void table_knownValue_agrees(
      String factory, int timesteps, String table, int t, double expected) {
    Schedule schedule =
        switch (factory) {
          case "linear" -> Schedules.linear(timesteps);
          case "linearScaled" -> Schedules.linearScaled(timesteps);
          case "scaledLinear" -> Schedules.scaledLinear(timesteps);
          case "quadratic" -> Schedules.quadratic(timesteps);
          case "cosine" -> Schedules.cosine(timesteps);
          case "sigmoidJabri" -> Schedules.sigmoidJabri(timesteps);
          case "sigmoidGeoDiff" -> Schedules.sigmoidGeoDiff(timesteps);
          case "zeroTerminalSnr" -> Schedules.zeroTerminalSnr(Schedules.linear(timesteps));
          default -> throw new AssertionError(factory);
        };
    double actual =
        switch (table) {
          case "beta" -> schedule.beta(t);
          case "alphaBar" -> schedule.alphaBar(t);
          case "posteriorVariance" -> schedule.posteriorVariance(t);
          case "posteriorMeanX0" -> schedule.posteriorMeanX0(t);
          case "posteriorMeanXt" -> schedule.posteriorMeanXt(t);
          case "posteriorLogVarianceClipped" -> schedule.posteriorLogVarianceClipped(t);
          case "snr" -> schedule.snr(t);
          default -> throw new AssertionError(table);
        };
    assertThat(actual).isCloseTo(expected, withinPercentage(1e-6));
  }

  @ParameterizedTest
  @MethodSource("schedules")
  void everySchedule_invariants_hold(Schedule schedule) {
    int last = schedule.timesteps() - 1;
    double before = 1;
    double snrBefore = Double.POSITIVE_INFINITY;
    for (int t = 0; t <= last; t++) {
      assertThat(schedule.alphaBarPrevious(t)).isEqualTo(before);
      assertThat(schedule.alphaBar(t))
          .isCloseTo(before * schedule.alpha(t), withinPercentage(1e-12))
          .isLessThan(before);
      double noiseBefore = t == 0 ? 0 : schedule.noise(t - 1);
      assertThat(schedule.alpha(t) * noiseBefore * noiseBefore + schedule.beta(t))
          .isCloseTo(schedule.noise(t) * schedule.noise(t), withinPercentage(1e-9));
      if (schedule.path() == ProbabilityPath.LINEAR) {
        assertThat(schedule.signal(t) + schedule.noise(t)).isCloseTo(1, withinPercentage(1e-12));
      } else {
        assertThat(schedule.alpha(t)).isEqualTo(1 - schedule.beta(t));
        assertThat(Math.hypot(schedule.signal(t), schedule.noise(t)))
            .isCloseTo(1, withinPercentage(1e-12));
      }
      assertThat(schedule.snr(t)).isLessThan(snrBefore);
      assertThat(schedule.posteriorLogVarianceClipped(t)).isFinite();
      // The posterior mean of x_t = √ᾱ_t · x_0, free of noise, is √ᾱ_{t−1} · x_0.
      assertThat(schedule.posteriorMeanX0(t) + schedule.posteriorMeanXt(t) * schedule.signal(t))
          .isCloseTo(Math.sqrt(before), withinPercentage(1e-9));
      before = schedule.alphaBar(t);
      snrBefore = schedule.snr(t);
    }
    assertThat(schedule.posteriorVariance(0)).isZero();
    assertThat(schedule.posteriorMeanX0(0)).isEqualTo(1);
    assertThat(schedule.posteriorMeanXt(0)).isZero();
  }

  /** A flow's first and last timesteps, and one whose numbers are short. */
  @Test
  void flow_levels_areThoseOfTheStraightLine() {
    Schedule plain = Schedules.flow(1000);
    assertThat(plain.noise(0)).isEqualTo(0.001);
    assertThat(plain.noise(249)).isEqualTo(0.25);
    assertThat(plain.signal(249)).isEqualTo(0.75);
    assertThat(plain.signal(999)).isZero();
    assertThat(plain.noise(999)).isEqualTo(1);
    assertThat(plain.beta(999)).isEqualTo(1);
    for (double shift : new double[] {0.3, 3}) {
      Schedule shifted = Schedules.flow(1000, shift);
      assertThat(shifted.signal(999)).isZero();
      assertThat(shifted.noise(999)).isEqualTo(1);
      for (int t = 0; t < 999; t++) {
        // The shift multiplies σ / (1 − σ).
        assertThat(Level.of(shifted, t).sigma())
            .isCloseTo(shift * Level.of(plain, t).sigma(), withinPercentage(1e-11));
      }
    }
    assertThat(Schedules.flow(1000, 3).noise(499)).isEqualTo(0.75);
    assertThat(Schedules.flow(8, 3)).hasToString("Schedule[flow, timesteps=8]");
  }

  static Stream<Schedule> withSmallBetas() {
    return Stream.of(
        Schedules.linear(1000),
        Schedules.cosine(100),
        Schedules.constant(50, 3e-16),
        Schedules.constant(3, 1.2e-16),
        Schedules.linear(100, 1e-14, 0.2),
        Schedules.ofBetas(1e-13, 0.6, 1e-9, 0.5));
  }

  /** 1 − ᾱ and what is made of it have their digits where ᾱ is near 1, against exact decimals. */
  @ParameterizedTest
  @MethodSource("withSmallBetas")
  void tables_smallBetas_keepTheirDigits(Schedule schedule) {
    BigDecimal bar = BigDecimal.ONE;
    for (int t = 0; t < schedule.timesteps(); t++) {
      BigDecimal before = BigDecimal.ONE.subtract(bar);
      double root = Math.sqrt(bar.doubleValue());
      BigDecimal beta = new BigDecimal(schedule.beta(t));
      bar = bar.multiply(BigDecimal.ONE.subtract(beta), MathContext.DECIMAL128);
      BigDecimal noise = BigDecimal.ONE.subtract(bar);
      double ofX0 = beta.divide(noise, MathContext.DECIMAL64).doubleValue();
      double ofXt = before.divide(noise, MathContext.DECIMAL64).doubleValue();
      Percentage rounding = withinPercentage(2e-11);
      assertThat(schedule.noise(t)).isCloseTo(Math.sqrt(noise.doubleValue()), rounding);
      assertThat(schedule.snr(t)).isCloseTo(bar.doubleValue() / noise.doubleValue(), rounding);
      assertThat(schedule.posteriorVariance(t)).isCloseTo(schedule.beta(t) * ofXt, rounding);
      assertThat(Variance.FIXED_SMALL.variance(schedule, t))
          .isEqualTo(schedule.posteriorVariance(t));
      assertThat(schedule.posteriorMeanX0(t)).isCloseTo(ofX0 * root, rounding);
      assertThat(schedule.posteriorMeanXt(t))
          .isCloseTo(ofXt * Math.sqrt(1 - schedule.beta(t)), rounding);
    }
  }

  @ParameterizedTest
  @MethodSource("schedules")
  void of_descriptionThroughJson_isEqualToTheBit(Schedule schedule) {
    String json = new Gson().toJson(schedule.describe());
    Map<String, Object> read = new Gson().fromJson(json, new TypeToken<>() {});
    Schedule copy = Schedules.of(read);
    assertThat(betas(copy)).containsExactly(betas(schedule));
    assertThat(copy.path()).isEqualTo(schedule.path());
    assertThat(copy.describe()).isEqualTo(schedule.describe());
    assertThat(betas(Schedules.of(schedule.describe()))).containsExactly(betas(schedule));
  }

  @Test
  void describe_linear_namesFactoryAndArguments() {
    Map<String, Object> description = Schedules.linear(1000).describe();
    assertThat(new Gson().toJson(description))
        .isEqualTo(
            "{\"type\":\"linear\",\"timesteps\":1000,\"betaStart\":1.0E-4,\"betaEnd\":0.02}");
    assertThatThrownBy(() -> description.put("type", "cosine"))
        .isInstanceOf(UnsupportedOperationException.class);
    assertThat(Schedules.linear(1000)).hasToString("Schedule[linear, timesteps=1000]");
  }

  @Test
  void ofBetas_callersArray_isCopied() {
    double[] betas = {0.1, 0.2};
    Schedule schedule = Schedules.ofBetas(betas);
    betas[0] = 0.9;
    assertThat(schedule.beta(0)).isEqualTo(0.1);
    assertThat(schedule.describe()).containsEntry("betas", List.of(0.1, 0.2));
  }

  @Test
  void zeroTerminalSnr_lastStep_isPureNoiseAndFinite() {
    Schedule schedule = Schedules.zeroTerminalSnr(Schedules.linear(1000));
    assertThat(schedule.beta(999)).isEqualTo(1);
    assertThat(schedule.alphaBar(999)).isZero();
    assertThat(schedule.signal(999)).isZero();
    assertThat(schedule.noise(999)).isEqualTo(1);
    assertThat(schedule.snr(999)).isZero();
    assertThat(schedule.posteriorMeanXt(999)).isZero();
    assertThat(schedule.posteriorMeanX0(999)).isEqualTo(schedule.signal(998));
    assertThat(schedule.posteriorVariance(999)).isEqualTo(1 - schedule.alphaBar(998));
    assertThat(schedule.posteriorLogVarianceClipped(999))
        .isEqualTo(StrictMath.log(1 - schedule.alphaBar(998)));
    assertThat(Schedules.zeroTerminalSnr(schedule)).isSameAs(schedule);
  }

  @Test
  void posteriorLogVarianceClipped_oneTimestep_isLogBeta() {
    assertThat(Schedules.constant(1, 0.25).posteriorLogVarianceClipped(0))
        .isEqualTo(Math.log(0.25));
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1000})
  void accessor_timestepOutsideSchedule_isRefused(int t) {
    Schedule schedule = Schedules.linear(1000);
    List<ThrowingCallable> accessors =
        List.of(
            () -> schedule.beta(t),
            () -> schedule.alpha(t),
            () -> schedule.alphaBar(t),
            () -> schedule.alphaBarPrevious(t),
            () -> schedule.signal(t),
            () -> schedule.noise(t),
            () -> schedule.snr(t),
            () -> schedule.posteriorVariance(t),
            () -> schedule.posteriorLogVarianceClipped(t),
            () -> schedule.posteriorMeanX0(t),
            () -> schedule.posteriorMeanXt(t));
    for (ThrowingCallable accessor : accessors) {
      assertThatThrownBy(accessor)
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("t must be at least 0 and less than 1000, but was " + t);
    }
  }

  static Stream<Arguments> refused() {
    double[] underflowing = new double[1100];
    Arrays.fill(underflowing, 0.5);
    return Stream.of(
        refused(() -> Schedules.linear(0), "timesteps must be at least 1, but was 0"),
        refused(() -> Schedules.cosine(-5), "timesteps must be at least 1, but was -5"),
        refused(
            () -> Schedules.linear(10, 0, 0.02),
            "betaStart must be above 0 and below 1, but was 0.0; it is the variance of one noising"
                + " step, such as 0.02"),
        refused(
            () -> Schedules.sigmoidGeoDiff(10, 0.1, 20),
            "betaEnd must be above 0 and below 1, but was 20.0; it is the variance of one noising"
                + " step, such as 0.02"),
        refused(
            () -> Schedules.constant(10, Double.NaN),
            "beta must be above 0 and below 1, but was NaN; it is the variance of one noising step,"
                + " such as 0.02"),
        refused(
            () -> Schedules.linearScaled(20),
            "timesteps of linearScaled must be more than 20, as the last beta is 20 / timesteps, but"
                + " was 20; use linear or cosine for so few steps"),
        refused(
            () -> Schedules.cosine(10, -0.1, 0.999),
            "offset of the cosine schedule must be at least 0, but was -0.1; the paper's is 0.008"),
        refused(
            () -> Schedules.cosine(10, 0.008, 1),
            "maxBeta must be above 0 and below 1, but was 1.0; it is the variance of one noising"
                + " step, such as 0.02"),
        refused(
            () -> Schedules.sigmoidJabri(10, 3, -3, 1),
            "start must be less than end, but start was 3.0 and end -3.0; the usual values are -3.0"
                + " and 3.0"),
        refused(
            () -> Schedules.sigmoidJabri(10, -3, 3, 0),
            "tau must be above 0, but was 0.0; the usual value is 1.0"),
        refused(
            () -> Schedules.sigmoidJabri(10, -100, 3, 1),
            "beta[0] must be above 0 and below 1, but was 0.0; pass the variance of each noising"
                + " step"),
        refused(
            Schedules::ofBetas,
            "betas must hold at least 1 value, but held none; pass one beta per noising step"),
        refused(
            () -> Schedules.ofBetas(0.1, 0.2, Double.NaN, 0.3),
            "beta[2] must be above 0 and below 1, but was NaN; pass the variance of each noising"
                + " step"),
        refused(
            () -> Schedules.ofBetas(0.1, -0.2),
            "beta[1] must be above 0 and below 1, but was -0.2; pass the variance of each noising"
                + " step"),
        refused(
            () -> Schedules.ofBetas(0.1, 1, 0.2),
            "beta[1] must be above 0 and below 1, but was 1.0; pass the variance of each noising"
                + " step"),
        refused(
            () -> Schedules.ofBetas(0.1, 1),
            "beta[1] must be above 0 and below 1, but was 1.0; to end in pure noise, rescale a"
                + " schedule with Schedules.zeroTerminalSnr"),
        refused(
            () -> Schedules.ofBetas(underflowing),
            "alphaBar[1022] must be at least 2.2250738585072014E-308, but underflowed to"
                + " 1.1125369292536007E-308; use smaller betas or fewer timesteps"),
        refused(
            () -> Schedules.ofBetas(0.5, 1e-17),
            "alphaBar[1] must be less than the value before it, but both were 0.5, because beta[1]"
                + " was 1.0E-17; use betas above 1.2E-16"),
        refused(
            () -> Schedules.zeroTerminalSnr(Schedules.linear(1)),
            "timesteps must be at least 2 to be rescaled to zero terminal SNR, but was 1; the first"
                + " step keeps its signal and the last one loses it"),
        refused(
            () -> Schedules.flow(1),
            "timesteps of flow must be at least 2, as the last has no signal, but was 1"),
        refused(
            () -> Schedules.flow(10, 0),
            "shift must be from 0.001 to 1000, but was 0.0; 1 spreads the times evenly, 3 suits"
                + " images of 1024x1024"),
        refused(
            () -> Schedules.flow(10, Double.NaN),
            "shift must be from 0.001 to 1000, but was NaN; 1 spreads the times evenly, 3 suits"
                + " images of 1024x1024"));
  }

  static Stream<Arguments> refusedDescriptions() {
    return Stream.of(
        refused(() -> Schedules.of(Map.of("timesteps", 10)), "the schedule lacks \"type\""),
        refused(
            () -> Schedules.of(Map.of("type", "liner")),
            "schedule type must be one of linear, linearScaled, scaledLinear, cosine, sigmoidJabri,"
                + " sigmoidGeoDiff, constant, ofBetas, zeroTerminalSnr and flow, but was liner"),
        refused(
            () -> Schedules.of(Map.of("type", "constant", "timestep", 10, "beta", 0.1)),
            "schedule constant has the unknown setting \"timestep\"; known are beta, timesteps; did you"
                + " mean timesteps?"),
        refused(
            () -> Schedules.of(Map.of("type", "constant", "timesteps", 10.5, "beta", 0.1)),
            "\"timesteps\" of schedule constant must be a whole number, but was 10.5"),
        refused(
            () -> Schedules.of(Map.of("type", "constant", "timesteps", 1e10, "beta", 0.1)),
            "\"timesteps\" of schedule constant must be a whole number, but was 1.0E10"),
        refused(
            () -> Schedules.of(Map.of("type", "constant", "timesteps", 10, "beta", "high")),
            "\"beta\" of schedule constant must be a number, but was high"),
        refused(
            () -> Schedules.of(Map.of("type", "ofBetas", "betas", 0.1)),
            "\"betas\" of schedule ofBetas must be a list of numbers, but was 0.1"),
        refused(
            () -> Schedules.of(Map.of("type", "ofBetas", "betas", List.of(0.1, "x"))),
            "\"betas[1]\" of schedule ofBetas must be a number, but was x"),
        refused(
            () -> Schedules.of(Map.of("type", "zeroTerminalSnr", "schedule", "linear")),
            "\"schedule\" of schedule zeroTerminalSnr must be an object, but was linear"),
        refused(
            () -> Schedules.of(Map.of("type", "constant", "timesteps", 10)),
            "schedule constant lacks \"beta\""),
        refused(
            () -> Schedules.of(Map.of("type", 3)),
            "\"type\" of the schedule must be a string, but was 3"),
        refused(
            () -> {
              Map<String, Object> nested = new LinkedHashMap<>(Schedules.linear(10).describe());
              nested.put("timesteps", 0.0);
              Schedules.of(new HashMap<>(Map.of("type", "zeroTerminalSnr", "schedule", nested)));
            },
            "timesteps must be at least 1, but was 0"));
  }

  private static Arguments refused(ThrowingCallable call, String message) {
    return Arguments.of(message, call);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource({"refused", "refusedDescriptions"})
  void factory_badArgument_isRefused(String message, ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private static double[] betas(Schedule schedule) {
    return IntStream.range(0, schedule.timesteps()).mapToDouble(schedule::beta).toArray();
  }
}
