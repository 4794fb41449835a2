package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.List;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Samplers written as text and read again. */
class SamplerTextTest {

  private static final Diffusion DIFFUSION =
      new Diffusion(
          Schedules.cosine(100), Prediction.VELOCITY, Variance.FIXED_SMALL, DataRange.DEFAULT);

  private static final List<TimestepSpacing> SPACINGS = List.of(TimestepSpacing.values());

  /* --- round trips --- */

  static Stream<Sampler> samplers() {
    return Stream.of(
        Samplers.ddpm(),
        Samplers.ddpm(20),
        Samplers.ddpm(20).spacing(TimestepSpacing.TRAILING),
        Samplers.ddpm().timesteps(90, 50, 3),
        Samplers.ddim(20),
        Samplers.ddim(20).spacing(TimestepSpacing.LINSPACE).eta(0.3).rawEpsilon(true),
        Samplers.ddim(1).timesteps(99, 0).endAtFirstTimestep(true),
        Samplers.ddimInversion(7),
        Samplers.ddim(7).endAtFirstTimestep(true).inversion(),
        Samplers.ddim(7).timesteps(80, 40, 10).inversion(),
        Samplers.dpmSolver(10),
        Samplers.dpmSolver(10).order(1).eulerAtFinal(true).spacing(TimestepSpacing.TRAILING),
        Samplers.dpmSolver(10).order(3).heun(true).published(true).lambdaMin(-5.1),
        Samplers.dpmSolverPlusPlus(15),
        Samplers.dpmSolverPlusPlus(15).order(1),
        Samplers.dpmSolverPlusPlus(15).order(3).published(true).lowerOrderFinal(false),
        Samplers.dpmSolverPlusPlus(15).stochastic(true).order(1),
        Samplers.dpmSolverPlusPlus(15).stochastic(true).heun(true).spacing(NoiseSpacing.karras()),
        Samplers.dpmSolverPlusPlus(15).stochastic(true).order(3).eulerAtFinal(true),
        Samplers.uniPc(10),
        Samplers.uniPc(10).order(3).bh1(true).lowerOrderFinal(false).endAtFirstTimestep(true),
        Samplers.euler(30),
        Samplers.euler(30).spacing(NoiseSpacing.karras(5.5).wholeTimesteps(true)).lambdaMin(-4),
        Samplers.eulerAncestral(30),
        Samplers.eulerAncestral(30).spacing(NoiseSpacing.uniformLogSnr().wholeTimesteps(true)),
        Samplers.heun(20),
        Samplers.heun(20).spacing(NoiseSpacing.karras(1e-3)).lambdaMin(-5),
        Samplers.plms(50),
        Samplers.plms(50).spacing(TimestepSpacing.TRAILING).endAtFirstTimestep(true),
        Samplers.plms(3).timesteps(751, 501, 1).endAtFirstTimestep(true),
        Samplers.uniPc(7).timesteps(900, 2),
        Samplers.edm(18),
        Samplers.edm(18).churn(40).churnBetween(0.05, 50).churnNoise(1.003),
        Samplers.edm(18).churn(1e-9).churnBetween(1e-7, Double.POSITIVE_INFINITY),
        Samplers.edm(18).spacing(TimestepSpacing.LINSPACE).lambdaMin(-5.1),
        Samplers.consistency(2),
        Samplers.consistency(2).sigmaMax(80),
        Samplers.consistency(4).sigmaMax(20).sigmaMiddle(1.5),
        Samplers.consistency(1).sigmas(80, 2.5, 0.3),
        Samplers.resampling(Samplers.ddpm(20), 10, 3),
        Samplers.resampling(Samplers.resampling(Samplers.ddim(20).eta(1), 5, 2), 3, 2));
  }

  @ParameterizedTest
  @MethodSource("samplers")
  void parse_whatToStringWrote_isTheSameSampler(Sampler sampler) {
    assertSame(Samplers.parse(sampler.toString()), sampler);
  }

  private static void assertSame(Sampler actual, Sampler expected) {
    assertThat(actual).hasSameClassAs(expected).hasToString(expected.toString());
    Throwable refusal = catchThrowable(() -> expected.plan(DIFFUSION));
    if (refusal == null) {
      assertThat(actual.plan(DIFFUSION)).isEqualTo(expected.plan(DIFFUSION));
    } else {
      assertThatThrownBy(() -> actual.plan(DIFFUSION)).hasMessage(refusal.getMessage());
    }
  }

  @Property(tries = 500)
  void parse_anyOptions_isTheSameSampler(@ForAll("anySamplers") Sampler sampler) {
    assertSame(Samplers.parse(sampler.toString()), sampler);
  }

  @Provide
  Arbitrary<Sampler> anySamplers() {
    Arbitrary<Double> positive = Arbitraries.doubles().between(1e-6, 1e6).ofScale(6);
    return Combinators.combine(
            Arbitraries.integers().between(0, 9),
            Arbitraries.integers().between(1, 30),
            Arbitraries.integers().between(0, 4),
            Arbitraries.integers().between(1, 3),
            Arbitraries.integers().between(0, 31),
            Arbitraries.doubles().between(0, 1).ofScale(17),
            Arbitraries.doubles().between(-20, 4).ofScale(12),
            positive)
        .as(SamplerTextTest::sampler);
  }

  private static Sampler sampler(
      int kind, int steps, int spacing, int order, int bits, double unit, double any, double pos) {
    boolean first = (bits & 1) != 0;
    boolean second = (bits & 2) != 0;
    boolean third = (bits & 4) != 0;
    boolean fourth = (bits & 8) != 0;
    TimestepSpacing timesteps = SPACINGS.get(spacing % 3);
    return switch (kind) {
      case 0 -> Samplers.ddpm(steps).spacing(timesteps);
      case 1 ->
          Samplers.ddim(steps)
              .spacing(timesteps)
              .eta(unit)
              .rawEpsilon(first)
              .endAtFirstTimestep(second);
      case 2 -> Samplers.ddim(steps).spacing(timesteps).endAtFirstTimestep(first).inversion();
      case 3 -> levels(Samplers.euler(steps), spacing, bits, any, pos);
      case 4 -> levels(Samplers.eulerAncestral(steps), spacing, bits, any, pos);
      case 5 -> levels(Samplers.heun(steps), spacing, bits, any, pos);
      case 6 -> levels(Samplers.plms(steps), spacing, bits, any, pos);
      case 7 ->
          levels(
              Samplers.edm(steps).churn(pos).churnBetween(unit, unit + pos).churnNoise(unit),
              spacing,
              bits,
              any,
              pos);
      case 8 ->
          levels(
              Samplers.uniPc(steps).order(order).bh1(first).lowerOrderFinal(second),
              spacing,
              bits,
              any,
              pos);
      default ->
          levels(
              (fourth
                      ? Samplers.dpmSolver(steps)
                      : Samplers.dpmSolverPlusPlus(steps).stochastic(first))
                  .order(order)
                  .heun(second)
                  .published(third)
                  .lowerOrderFinal(fourth)
                  .eulerAtFinal(first),
              spacing,
              bits,
              any,
              pos);
    };
  }

  private static <S extends LevelOptions<S>> S levels(
      S sampler, int spacing, int bits, double lambdaMin, double rho) {
    S set = sampler.endAtFirstTimestep((bits & 16) != 0);
    if ((bits & 8) != 0) {
      set = set.lambdaMin(lambdaMin);
    }
    NoiseSpacing noise = spacing == 3 ? NoiseSpacing.karras(rho) : NoiseSpacing.uniformLogSnr();
    return spacing < 3
        ? set.spacing(SPACINGS.get(spacing))
        : set.spacing(noise.wholeTimesteps((bits & 4) != 0));
  }

  /* --- what is read --- */

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ddpm|ddpm",
        "ddim:50|ddim:50",
        "ddim:50, leading|ddim:50, leading",
        "plms:20|plms:20",
        "plms:20, leading|plms:20, leading",
        " DDIM : 50 ,ETA = 0.50,Trailing |ddim:50, trailing, eta=0.5",
        "ddim:50, spacing=linspace, eta=0, rawEpsilon=true|ddim:50, linspace, rawEpsilon",
        "ddim, timesteps=9  5 1|ddim, timesteps=9 5 1",
        "plms, timesteps=9 5 1, endAtFirstTimestep|plms, timesteps=9 5 1, endAtFirstTimestep",
        "dpm++2m, timesteps=9 5 1|dpm++2m, timesteps=9 5 1",
        "dpm++:15|dpm++2m:15, linspace",
        "dpm++:15, order=3, stochastic|dpm++3m-sde:15, linspace",
        "dpm++2m:15, trailing, heun=false|dpm++2m:15, trailing",
        "dpm++2m:15, stochastic|dpm++2m-sde:15, linspace",
        "dpm++sde:15, spacing=karras|dpm++2m-sde:15, karras",
        "dpm:20|dpm:20, linspace",
        "unipc:10, lowerOrderFinal=false|unipc:10, linspace, lowerOrderFinal=false",
        "euler-a:30, karras=7|euler-a:30, karras",
        "heun:20, uniformlogsnr, wholetimesteps|heun:20, uniformLogSnr, wholeTimesteps",
        "edm:18, churnBetween=1..Infinity|edm:18, karras, churnBetween=1..Infinity",
        "ddpm:250, resampling=10x10|ddpm:250, resampling=10x10",
      })
  void parse_shortText_isTheSampler(String text, String expected) {
    assertThat(Samplers.parse(text)).hasToString(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ddpm|ddpm:15|15",
        "ddim, eta=1|ddim:15, eta=1|15",
        "heun, lambdaMin=-3|heun:8, trailing, lambdaMin=-3|15",
        "edm, churn=10|edm:8, karras, churn=10|15",
        "plms|plms:14|15",
        "dpm++2m-sde|dpm++2m-sde:15, linspace|15",
        "consistency, sigmaMax=20|consistency:15, sigmaMax=20|15",
      })
  void parse_forCalls_takesAsManySteps(String text, String expected, int calls) {
    Sampler sampler = Samplers.parse(text, calls);
    assertThat(sampler).hasToString(expected);
    assertThat(sampler.plan(DIFFUSION).steps()).hasSize(calls);
  }

  @Test
  void usual_areReadForEveryNumberOfCalls() {
    for (int calls : new int[] {1, 2, 10, 15, 50}) {
      for (String text : Samplers.usual()) {
        Sampler sampler = Samplers.parse(text, calls);
        if (calls < 10 && text.matches("(plms|heun|edm).*")) {
          continue; // some are refused, see FewStepsTest
        }
        assertThat(sampler.plan(DIFFUSION).steps())
            .as("%s with %d calls", text, calls)
            .hasSizeBetween(Math.max(1, calls - 1), calls);
      }
    }
    assertThat(Samplers.usual()).doesNotHaveDuplicates();
  }

  /* --- what is refused --- */

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "dmp++2m:15|there is no sampler \"dmp++2m\", in \"dmp++2m:15\"; there are"
            + " consistency, ddim, ddim-inversion, ddpm, dpm, dpm++, dpm++2m, dpm++2m-sde, dpm++3m,"
            + " dpm++3m-sde, dpm++sde, edm, euler, euler-a, heun, plms, unipc; did you mean dpm++2m?",
        "best|there is no sampler \"best\", in \"best\"; there are consistency, ddim, ddim-inversion,"
            + " ddpm, dpm, dpm++, dpm++2m, dpm++2m-sde, dpm++3m, dpm++3m-sde, dpm++sde, edm, euler, euler-a,"
            + " heun, plms, unipc",
        "ddim:50, etta=1|sampler ddim has no option \"etta\", in \"ddim:50, etta=1\"; it has"
            + " endAtFirstTimestep, eta, leading, linspace, rawEpsilon, resampling, timesteps,"
            + " trailing; did you mean eta?",
        "dpm++2m:9, order=3|sampler dpm++2m has no option \"order\", in \"dpm++2m:9, order=3\"; it"
            + " has endAtFirstTimestep, eulerAtFinal, heun, karras, lambdaMin, leading, linspace,"
            + " lowerOrderFinal, published, resampling, stochastic, timesteps, trailing,"
            + " uniformLogSnr, wholeTimesteps",
        "ddim|ddim needs a number of steps, as in ddim:20, in \"ddim\"",
        "ddim:x|the number of steps must be a whole number, but was \"x\", in \"ddim:x\"",
        "ddim:5, eta=high|eta must be a number, but was \"high\", in \"ddim:5, eta=high\"",
        "ddim:5, eta|eta must be a number, but was \"\", in \"ddim:5, eta\"",
        "ddim:5, eta=2|eta must lie in [0, 1], but was 2.0",
        "ddim:0|steps must be at least 1, but was 0",
        "ddim:5, rawEpsilon=yes|rawEpsilon must be true or false, but was \"yes\", in \"ddim:5,"
            + " rawEpsilon=yes\"",
        "ddim:5, eta=0, ETA=1|eta is given 2 times, in \"ddim:5, eta=0, ETA=1\"",
        "ddim:5, leading, trailing|a sampler has one spacing, but was given leading and trailing, in"
            + " \"ddim:5, leading, trailing\"",
        "euler:5, karras, trailing|a sampler has one spacing, but was given karras and trailing, in"
            + " \"euler:5, karras, trailing\"",
        "euler:5, trailing=1|trailing takes no value, but was given 1, in \"euler:5, trailing=1\"",
        "euler:5, wholeTimesteps|wholeTimesteps needs a spacing by noise: karras or uniformLogSnr,"
            + " in \"euler:5, wholeTimesteps\"",
        "euler:5, spacing|sampler euler has no option \"spacing\", in \"euler:5, spacing\"; it has"
            + " endAtFirstTimestep, karras, lambdaMin, leading, linspace, resampling, timesteps,"
            + " trailing, uniformLogSnr, wholeTimesteps",
        "plms:5, timesteps=3 1|the steps of plms follow from the list of timesteps; leave out :5, in"
            + " \"plms:5, timesteps=3 1\"",
        "euler, timesteps=3 1, karras|a sampler has one spacing, but was given timesteps and karras,"
            + " in \"euler, timesteps=3 1, karras\"",
        "euler, timesteps=3 4|timesteps must be strictly descending and at least 0, but entry 1 is 4"
            + " in [3, 4]",
        "euler:5,, karras|an option is missing beside a comma, in \"euler:5,, karras\"",
        "unipc:5, order=2.5|order must be a whole number, but was \"2.5\", in \"unipc:5,"
            + " order=2.5\"",
        "edm:5, churnBetween=1|churnBetween must be two levels, as in churnBetween=0.05..50, but"
            + " was \"1\", in \"edm:5, churnBetween=1\"",
        "consistency|consistency needs a number of steps, as in consistency:20, in \"consistency\"",
        "consistency:2, sigmas=3 1|the calls of consistency follow from the list of sigmas; leave out"
            + " :2, in \"consistency:2, sigmas=3 1\"",
        "consistency, sigmas=3 x|sigmas must be a number, but was \"3 x\", in \"consistency,"
            + " sigmas=3 x\"",
        "ddpm:5, resampling=10|resampling must be jump length and jumps, as in resampling=10x10, but"
            + " was \"10\", in \"ddpm:5, resampling=10\"",
        "ddpm, trailing|ddpm visits every timestep, whatever their spacing, unless it is told a"
            + " number of steps, as in ddpm:50, in \"ddpm, trailing\"",
        "ddim:5, timesteps=3 1|the steps of ddim follow from the list of timesteps; leave out :5, in"
            + " \"ddim:5, timesteps=3 1\"",
        "ddim, timesteps=3 4|timesteps must be strictly descending and at least 0, but entry 1 is 4"
            + " in [3, 4]",
      })
  void parse_otherText_isRefused(String text, String message) {
    assertThatThrownBy(() -> Samplers.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  /** A text may come from anywhere, and be of any length; messages are not. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "LONG",
        "LONG:5",
        "ddim:LONG",
        "ddim:5, LONG",
        "ddim:5, eta=LONG",
        "ddim:5, rawEpsilon=LONG",
        "ddim:LONG, timesteps=3",
        "ddim, timesteps=LONG",
        "ddim, timesteps=NUMBERS",
        "ddpm:5, trailing=LONG",
        "euler:5, karras=LONG, karras=LONG",
        "edm:5, churnBetween=LONG",
        "ddpm:5, resampling=LONG",
        "consistency:LONG, sigmas=1",
        "consistency, sigmas=LONG",
        "ddim:5, leading, trailing, LONG",
        "ddim:5,,LONG",
      })
  void parse_longText_isCutInMessages(String text) {
    String whole =
        text.replace("LONG", "x".repeat(100_000)).replace("NUMBERS", "1 1" + " 0".repeat(50_000));
    assertThatThrownBy(() -> Samplers.parse(whole))
        .isInstanceOf(IllegalArgumentException.class)
        .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(600));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ddim:5|the steps of ddim follow from the number of network calls; leave out :5, in"
            + " \"ddim:5\"",
        "ddpm, timesteps=3|the steps of ddpm follow from the number of network calls; leave out"
            + " timesteps, in \"ddpm, timesteps=3\"",
      })
  void parse_forCallsWithSteps_isRefused(String text, String message) {
    assertThatThrownBy(() -> Samplers.parse(text, 10))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThatThrownBy(() -> Samplers.parse("ddim", 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("calls must be at least 1, but was 0");
  }
}
