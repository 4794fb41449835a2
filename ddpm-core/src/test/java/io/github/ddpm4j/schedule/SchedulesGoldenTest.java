package io.github.ddpm4j.schedule;

import static io.github.ddpm4j.Golden.assertRelative;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.Golden;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The tables against those that the published code of the schedules printed. */
class SchedulesGoldenTest {

  private static final double TOLERANCE = 1e-12;

  private static final Golden DIFFUSERS = Golden.load("schedules.json");
  private static final Golden IMPROVED = Golden.load("improved_schedules.json");
  private static final Golden LUCIDRAINS = Golden.load("lucidrains_schedules.json");

  static Stream<Arguments> diffusers() {
    return Stream.of(
            Arguments.of("linear", Schedules.linear(1000)),
            Arguments.of("scaled_linear", Schedules.quadratic(1000)),
            Arguments.of("scaled_linear_sd", Schedules.scaledLinear(1000)),
            Arguments.of("squaredcos_cap_v2", Schedules.cosine(1000)),
            Arguments.of("sigmoid_geodiff", Schedules.sigmoidGeoDiff(1000)))
        .flatMap(
            plain ->
                Stream.of(
                    plain,
                    Arguments.of(
                        plain.get()[0] + "_zerosnr",
                        Schedules.zeroTerminalSnr((Schedule) plain.get()[1]))))
        .filter(arguments -> DIFFUSERS.has((String) arguments.get()[0]));
  }

  @Test
  void diffusers_everyTable_isCompared() {
    assertThat(diffusers().map(arguments -> (String) arguments.get()[0]))
        .containsExactlyInAnyOrderElementsOf(DIFFUSERS.keys());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("diffusers")
  void diffusers_betasAndAlphaBars_agree(String name, Schedule schedule) {
    assertRelative(
        name + " betas", table(schedule, schedule::beta), DIFFUSERS.data(name, "betas"), TOLERANCE);
    assertRelative(
        name + " alpha bars",
        table(schedule, schedule::alphaBar),
        DIFFUSERS.data(name, "alphas_cumprod"),
        TOLERANCE);
  }

  static Stream<Arguments> improved() {
    return Stream.of(
        Arguments.of("linear_100", Schedules.linearScaled(100)),
        Arguments.of("linear_1000", Schedules.linearScaled(1000)),
        Arguments.of("cosine_100", Schedules.cosine(100)),
        Arguments.of("cosine_1000", Schedules.cosine(1000)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("improved")
  void improvedDiffusion_everyTable_agrees(String name, Schedule schedule) {
    Golden golden = IMPROVED.at(name);
    for (String key : golden.keys()) {
      IntToDoubleFunction ours =
          switch (key) {
            case "betas" -> schedule::beta;
            case "alphas_cumprod" -> schedule::alphaBar;
            case "alphas_cumprod_prev" -> schedule::alphaBarPrevious;
            case "sqrt_alphas_cumprod" -> schedule::signal;
            case "sqrt_one_minus_alphas_cumprod" -> schedule::noise;
            case "log_one_minus_alphas_cumprod" -> t -> Math.log(1 - schedule.alphaBar(t));
            case "sqrt_recip_alphas_cumprod" -> t -> 1 / schedule.signal(t);
            case "sqrt_recipm1_alphas_cumprod" -> t -> 1 / Math.sqrt(schedule.snr(t));
            case "posterior_variance" -> schedule::posteriorVariance;
            case "posterior_log_variance_clipped" -> schedule::posteriorLogVarianceClipped;
            case "posterior_mean_coef1" -> schedule::posteriorMeanX0;
            case "posterior_mean_coef2" -> schedule::posteriorMeanXt;
            default -> throw new AssertionError("nothing of ours corresponds to " + key);
          };
      assertRelative(name + " " + key, table(schedule, ours), golden.data(key), TOLERANCE);
    }
  }

  static Stream<Arguments> lucidrains() {
    return Stream.of(
        Arguments.of("linear_100", Schedules.linearScaled(100)),
        Arguments.of("linear_1000", Schedules.linearScaled(1000)),
        Arguments.of("cosine_100", Schedules.cosine(100)),
        Arguments.of("sigmoid_100", sigmoidOfLucidrains(100)),
        Arguments.of("sigmoid_1000", sigmoidOfLucidrains(1000)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("lucidrains")
  void lucidrains_betasAndAlphaBars_agree(String name, Schedule schedule) {
    assertRelative(
        name + " betas",
        table(schedule, schedule::beta),
        LUCIDRAINS.data(name, "betas"),
        TOLERANCE);
    assertRelative(
        name + " alpha bars",
        table(schedule, schedule::alphaBar),
        LUCIDRAINS.data(name, "alphas_cumprod"),
        TOLERANCE);
  }

  /**
   * β = 1 − r is a difference of numbers near 1, and their code divides ᾱ by ᾱ(0) before it takes
   * the ratio r: one rounding, 2⁻⁵³, is 5e-12 of the first β. The other code's cosine table of this
   * length, above, differs from this one as much.
   */
  @Test
  void lucidrains_cosine1000_agreesUpToTheRoundingOfTheirRatio() {
    Schedule schedule = Schedules.cosine(1000);
    double[] betas = LUCIDRAINS.data("cosine_1000", "betas");
    for (int t = 0; t < betas.length; t++) {
      assertThat(schedule.beta(t))
          .as("beta[%d]", t)
          .isCloseTo(betas[t], within(TOLERANCE * betas[t] + Math.ulp(1.0)));
    }
    assertRelative(
        "alphas",
        table(schedule, schedule::alpha),
        Arrays.stream(betas).map(beta -> 1 - beta).toArray(),
        TOLERANCE);
    assertRelative(
        "alpha bars",
        table(schedule, schedule::alphaBar),
        LUCIDRAINS.data("cosine_1000", "alphas_cumprod"),
        TOLERANCE);
  }

  /** Without their float32 rounding the table is off theirs by what its documentation says. */
  @ParameterizedTest
  @ValueSource(ints = {100, 1000})
  void lucidrains_sigmoidWithoutTheirRounding_differsByLittle(int timesteps) {
    Schedule schedule = Schedules.sigmoidJabri(timesteps);
    assertRelative(
        "sigmoid " + timesteps,
        table(schedule, schedule::beta),
        LUCIDRAINS.data("sigmoid_" + timesteps, "betas"),
        1.3e-5);
  }

  static double[] table(Schedule schedule, IntToDoubleFunction column) {
    return IntStream.range(0, schedule.timesteps()).mapToDouble(column).toArray();
  }

  /** Their code takes the sigmoids of the two ends in float32: so does this, and nothing else. */
  private static Schedule sigmoidOfLucidrains(int timesteps) {
    double atStart = (float) (1 / (1 + Math.exp(3)));
    double atEnd = (float) (1 / (1 + Math.exp(-3)));
    return Schedules.ofBetas(Schedules.sigmoidJabriBetas(timesteps, -3, 3, 1, atStart, atEnd));
  }
}
