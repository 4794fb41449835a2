package io.github.ddpm4j.sampling;

import io.github.ddpm4j.internal.description.Names;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.IntUnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads a sampler from text, for {@link Samplers#parse}. */
final class SamplerParser {

  private static final List<String> NAMES =
      List.of(
          "consistency",
          "ddim",
          "ddim-inversion",
          "ddpm",
          "dpm",
          "dpm++",
          "dpm++2m",
          "dpm++2m-sde",
          "dpm++3m",
          "dpm++3m-sde",
          "dpm++sde",
          "edm",
          "euler",
          "euler-a",
          "heun",
          "plms",
          "unipc");

  private static final String SPACING = "spacing";
  private static final String KARRAS = "karras";
  private static final String UNIFORM_LOG_SNR = "uniformLogSnr";
  private static final String WHOLE_TIMESTEPS = "wholeTimesteps";
  private static final String TIMESTEPS = "timesteps";
  private static final String SIGMAS = "sigmas";
  private static final String RESAMPLING = "resampling";

  private static final Pattern RANGE = Pattern.compile("(.+?)\\.\\.(.+)");
  private static final Pattern PRODUCT = Pattern.compile("(\\d{1,9})x(\\d{1,9})");

  private final String text;
  private final String name;
  private final @Nullable String steps;
  private final int calls;
  private final List<Option> options = new ArrayList<>();

  /** The options that this sampler has: those that were asked for. */
  private final TreeSet<String> known = new TreeSet<>();

  /** The value is empty where there is no "=". */
  private record Option(String name, String value) {}

  /**
   * Takes the text apart.
   *
   * @param calls the network calls that say how many steps there are; 0 if the text says so
   */
  private SamplerParser(String text, int calls) {
    this.text = text;
    this.calls = calls;
    String[] parts = text.split(",", -1);
    String[] head = parts[0].split(":", 2);
    name = head[0].strip().toLowerCase(Locale.ROOT);
    steps = head.length == 2 ? head[1].strip() : null;
    for (String part : Arrays.asList(parts).subList(1, parts.length)) {
      String[] option = part.split("=", 2);
      add(option[0].strip(), option.length == 2 ? option[1].strip() : "");
    }
  }

  static Sampler parse(String text, int calls) {
    SamplerParser parser = new SamplerParser(text, calls);
    Sampler sampler = parser.sampler();
    List<Sampler> resampled = new ArrayList<>(List.of(sampler));
    for (Option option : parser.all(RESAMPLING)) {
      Matcher product = PRODUCT.matcher(option.value);
      if (!product.matches()) {
        throw parser.wrong(option, "jump length and jumps, as in resampling=10x10");
      }
      resampled.add(
          Samplers.resampling(
              resampled.get(resampled.size() - 1),
              Integer.parseInt(product.group(1)),
              Integer.parseInt(product.group(2))));
    }
    parser.requireAllKnown();
    return resampled.get(resampled.size() - 1);
  }

  /** "spacing=trailing" is "trailing". */
  private void add(String option, String value) {
    if (option.isEmpty()) {
      throw refused("an option is missing beside a comma");
    }
    if (option.equalsIgnoreCase(SPACING) && !value.isEmpty()) {
      add(value, "");
    } else {
      options.add(new Option(option, value));
    }
  }

  private Sampler sampler() {
    return switch (name) {
      case "ddpm" -> ddpm();
      case "ddim" -> ddim();
      case "ddim-inversion" ->
          flag(ddimOver(), "startAtFirstTimestep", DdimSampler::endAtFirstTimestep).inversion();
      case "dpm" -> dpmSolver(order(Samplers.dpmSolver(steps())));
      case "dpm++" -> dpmSolver(stochastic(order(Samplers.dpmSolverPlusPlus(steps()))));
      case "dpm++sde" -> dpmSolver(order(Samplers.dpmSolverPlusPlus(steps()).stochastic(true)));
      case "dpm++2m" -> dpmSolver(stochastic(Samplers.dpmSolverPlusPlus(steps())));
      case "dpm++3m" -> dpmSolver(stochastic(Samplers.dpmSolverPlusPlus(steps()).order(3)));
      case "dpm++2m-sde" -> dpmSolver(Samplers.dpmSolverPlusPlus(steps()).stochastic(true));
      case "dpm++3m-sde" ->
          dpmSolver(Samplers.dpmSolverPlusPlus(steps()).order(3).stochastic(true));
      case "unipc" -> {
        UniPcSampler uniPc = integer(Samplers.uniPc(steps()), "order", UniPcSampler::order);
        uniPc = flag(uniPc, "bh1", UniPcSampler::bh1);
        yield levels(flag(uniPc, "lowerOrderFinal", UniPcSampler::lowerOrderFinal));
      }
      case "euler" -> levels(Samplers.euler(steps()));
      case "euler-a" -> levels(Samplers.eulerAncestral(steps()));
      case "heun" -> levels(Samplers.heun(steps(SamplerParser::stepsOfTwoCalls)));
      case "plms" -> levels(Samplers.plms(steps(calls -> Math.max(1, calls - 1))));
      case "edm" -> edm();
      case "consistency" -> consistency();
      default ->
          throw new IllegalArgumentException(
              "there is no sampler \""
                  + Quote.of(name)
                  + "\", in \""
                  + Quote.of(text)
                  + "\"; there are "
                  + String.join(", ", NAMES)
                  + Names.didYouMean(name, NAMES));
    };
  }

  private Sampler ddpm() {
    Option timesteps = one(TIMESTEPS);
    if (timesteps != null) {
      requireNoSteps();
      return Samplers.ddpm().timesteps(integers(timesteps));
    }
    if (steps == null && calls == 0) {
      for (TimestepSpacing spacing : TimestepSpacing.values()) {
        if (one(SamplerText.name(spacing)) != null) {
          throw refused(
              "ddpm visits every timestep, whatever their spacing, unless it is told a number of"
                  + " steps, as in ddpm:50");
        }
      }
      return Samplers.ddpm();
    }
    return timestepSpacing(Samplers.ddpm(steps()), DdpmSampler::spacing);
  }

  private Sampler ddim() {
    DdimSampler ddim = number(ddimOver(), "eta", DdimSampler::eta);
    ddim = flag(ddim, "rawEpsilon", DdimSampler::rawEpsilon);
    return flag(ddim, "endAtFirstTimestep", DdimSampler::endAtFirstTimestep);
  }

  private DdimSampler ddimOver() {
    Option timesteps = one(TIMESTEPS);
    if (timesteps == null) {
      return timestepSpacing(Samplers.ddim(steps()), DdimSampler::spacing);
    }
    requireNoSteps();
    return Samplers.ddim(1).timesteps(integers(timesteps));
  }

  private DpmSolverSampler order(DpmSolverSampler solver) {
    return integer(solver, "order", DpmSolverSampler::order);
  }

  private DpmSolverSampler stochastic(DpmSolverSampler solver) {
    return flag(solver, "stochastic", DpmSolverSampler::stochastic);
  }

  private Sampler dpmSolver(DpmSolverSampler solver) {
    solver = flag(solver, "heun", DpmSolverSampler::heun);
    solver = flag(solver, "published", DpmSolverSampler::published);
    solver = flag(solver, "lowerOrderFinal", DpmSolverSampler::lowerOrderFinal);
    return levels(flag(solver, "eulerAtFinal", DpmSolverSampler::eulerAtFinal));
  }

  private Sampler edm() {
    EdmSampler edm = Samplers.edm(steps(SamplerParser::stepsOfTwoCalls));
    edm = number(edm, "churn", EdmSampler::churn);
    edm = number(edm, "churnNoise", EdmSampler::churnNoise);
    Option between = one("churnBetween");
    if (between != null) {
      Matcher range = RANGE.matcher(between.value);
      if (!range.matches()) {
        throw wrong(between, "two levels, as in churnBetween=0.05..50");
      }
      edm = edm.churnBetween(number(between, range.group(1)), number(between, range.group(2)));
    }
    return levels(edm);
  }

  private Sampler consistency() {
    Option sigmas = one(SIGMAS);
    if (sigmas == null) {
      ConsistencySampler sampler =
          number(Samplers.consistency(steps()), "sigmaMax", ConsistencySampler::sigmaMax);
      return number(sampler, "sigmaMiddle", ConsistencySampler::sigmaMiddle);
    }
    if (steps != null || calls > 0) {
      throw refused(
          "the calls of consistency follow from "
              + (steps != null
                  ? "the list of sigmas; leave out :" + Quote.of(steps)
                  : "their number; leave out sigmas"));
    }
    String[] values = sigmas.value.split("\\s+");
    return Samplers.consistency(1)
        .sigmas(Arrays.stream(values).mapToDouble(value -> number(sigmas, value)).toArray());
  }

  /** What all samplers between levels of noise have. */
  private <S extends LevelOptions<S>> S levels(S sampler) {
    sampler = number(sampler, "lambdaMin", LevelOptions::lambdaMin);
    sampler = flag(sampler, "endAtFirstTimestep", LevelOptions::endAtFirstTimestep);
    sampler = timestepSpacing(sampler, LevelOptions::spacing);
    Option timesteps = one(TIMESTEPS);
    if (timesteps != null) {
      requireNoSteps();
      sampler = sampler.timesteps(integers(timesteps));
    }
    Option karras = one(KARRAS);
    Option uniform = one(UNIFORM_LOG_SNR);
    Option whole = one(WHOLE_TIMESTEPS);
    requireOneSpacing();
    NoiseSpacing spacing = null;
    if (karras != null) {
      spacing =
          karras.value.isEmpty()
              ? NoiseSpacing.karras()
              : NoiseSpacing.karras(number(karras, karras.value));
    } else if (uniform != null) {
      requireBare(uniform);
      spacing = NoiseSpacing.uniformLogSnr();
    }
    if (whole != null) {
      if (spacing == null) {
        throw refused("wholeTimesteps needs a spacing by noise: karras or uniformLogSnr");
      }
      spacing = spacing.wholeTimesteps(flag(whole));
    }
    return spacing == null ? sampler : sampler.spacing(spacing);
  }

  private <S> S timestepSpacing(S sampler, BiFunction<S, TimestepSpacing, S> setter) {
    S set = sampler;
    for (TimestepSpacing spacing : TimestepSpacing.values()) {
      Option option = one(SamplerText.name(spacing));
      if (option != null) {
        requireBare(option);
        set = setter.apply(sampler, spacing);
      }
    }
    requireOneSpacing();
    return set;
  }

  private void requireOneSpacing() {
    List<String> given =
        options.stream()
            .map(Option::name)
            .filter(
                option ->
                    option.equalsIgnoreCase(KARRAS)
                        || option.equalsIgnoreCase(TIMESTEPS)
                        || option.equalsIgnoreCase(UNIFORM_LOG_SNR)
                        || Arrays.stream(TimestepSpacing.values())
                            .anyMatch(spacing -> spacing.name().equalsIgnoreCase(option)))
            .toList();
    if (given.size() > 1) {
      throw refused(
          "a sampler has one spacing, but was given " + Quote.of(String.join(" and ", given)));
    }
  }

  private <S> S flag(S sampler, String option, BiFunction<S, Boolean, S> setter) {
    Option given = one(option);
    return given == null ? sampler : setter.apply(sampler, flag(given));
  }

  private <S> S number(S sampler, String option, BiFunction<S, Double, S> setter) {
    Option given = one(option);
    return given == null ? sampler : setter.apply(sampler, number(given, given.value));
  }

  private <S> S integer(S sampler, String option, BiFunction<S, Integer, S> setter) {
    Option given = one(option);
    return given == null ? sampler : setter.apply(sampler, integer(given, given.value));
  }

  /** As many steps as network calls. */
  private int steps() {
    return steps(calls -> calls);
  }

  private int steps(IntUnaryOperator ofCalls) {
    Option timesteps = one(TIMESTEPS);
    if (timesteps != null) {
      return Math.max(1, integers(timesteps).length);
    }
    if (calls > 0) {
      requireNoSteps();
      return ofCalls.applyAsInt(calls);
    }
    if (steps == null) {
      throw refused(name + " needs a number of steps, as in " + name + ":20");
    }
    return integer(new Option("the number of steps", steps), steps);
  }

  /** Two calls a step, but one in the last. */
  private static int stepsOfTwoCalls(int calls) {
    return (calls + 1) / 2;
  }

  private void requireNoSteps() {
    if (steps != null) {
      throw refused(
          "the steps of "
              + name
              + " follow from "
              + (calls > 0 ? "the number of network calls" : "the list of timesteps")
              + "; leave out :"
              + Quote.of(steps));
    }
    if (calls > 0 && !all(TIMESTEPS).isEmpty()) {
      throw refused(
          "the steps of " + name + " follow from the number of network calls; leave out timesteps");
    }
  }

  private void requireBare(Option option) {
    if (!option.value.isEmpty()) {
      throw refused(option.name + " takes no value, but was given " + Quote.of(option.value));
    }
  }

  /** Options of this name, in order. */
  private List<Option> all(String option) {
    known.add(option);
    return options.stream().filter(given -> given.name.equalsIgnoreCase(option)).toList();
  }

  private @Nullable Option one(String option) {
    List<Option> given = all(option);
    if (given.size() > 1) {
      throw refused(option + " is given " + given.size() + " times");
    }
    return given.isEmpty() ? null : given.get(0);
  }

  private void requireAllKnown() {
    for (Option option : options) {
      if (known.stream().noneMatch(option.name::equalsIgnoreCase)) {
        throw new IllegalArgumentException(
            "sampler "
                + name
                + " has no option \""
                + Quote.of(option.name)
                + "\", in \""
                + Quote.of(text)
                + "\"; it has "
                + String.join(", ", known)
                + Names.didYouMean(option.name, known));
      }
    }
  }

  private boolean flag(Option option) {
    return switch (option.value.toLowerCase(Locale.ROOT)) {
      case "", "true" -> true;
      case "false" -> false;
      default -> throw wrong(option, "true or false");
    };
  }

  private double number(Option option, String value) {
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException e) {
      throw wrong(option, "a number");
    }
  }

  private int integer(Option option, String value) {
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw wrong(option, "a whole number");
    }
  }

  private int[] integers(Option option) {
    String[] values = option.value.split("\\s+");
    return Arrays.stream(values).mapToInt(value -> integer(option, value)).toArray();
  }

  private IllegalArgumentException wrong(Option option, String rule) {
    return refused(
        option.name + " must be " + rule + ", but was \"" + Quote.of(option.value) + "\"");
  }

  private IllegalArgumentException refused(String complaint) {
    return new IllegalArgumentException(complaint + ", in \"" + Quote.of(text) + "\"");
  }
}
