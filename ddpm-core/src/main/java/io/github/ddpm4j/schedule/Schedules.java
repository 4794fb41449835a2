package io.github.ddpm4j.schedule;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Factories for noise schedules. Tables are computed in {@code double} with {@link StrictMath}, in
 * the same order of operations as the published code, so they are identical on every machine.
 *
 * <p>Two different published schedules are called "sigmoid" and two formulas "scaled linear"; they
 * have distinct names here:
 *
 * <ul>
 *   <li>{@link #sigmoidJabri(int)} (lucidrains' "sigmoid") and {@link #sigmoidGeoDiff(int)}
 *       (diffusers' "sigmoid");
 *   <li>{@link #linearScaled(int)} scales the ends with 1000/T (improved-diffusion's and
 *       lucidrains' "linear"); {@link #scaledLinear(int)} is linear in √β (diffusers'
 *       "scaled_linear", Ho's "quad").
 * </ul>
 *
 * <p>Every factory throws {@link IllegalArgumentException} when {@code timesteps} is less than 1 or
 * more than {@value #MAX_TIMESTEPS}, when a β<sub>t</sub> is not in (0, 1), or when ᾱ<sub>t</sub>
 * underflows. The message gives the index, the value and a remedy.
 */
public final class Schedules {

  /** The largest number of timesteps: {@value}, a thousand times the paper's. */
  public static final int MAX_TIMESTEPS = 1_000_000;

  /** β<sub>0</sub> of the paper's linear schedule: {@value}. */
  public static final double LINEAR_BETA_START = 1e-4;

  /** β<sub>T−1</sub> of the paper's linear schedule: {@value}. */
  public static final double LINEAR_BETA_END = 0.02;

  /** β<sub>0</sub> of Stable Diffusion's scaled linear schedule: {@value}. */
  public static final double SCALED_LINEAR_BETA_START = 0.00085;

  /** β<sub>T−1</sub> of Stable Diffusion's scaled linear schedule: {@value}. */
  public static final double SCALED_LINEAR_BETA_END = 0.012;

  /** The offset s of the cosine schedule: {@value}. */
  public static final double COSINE_OFFSET = 0.008;

  /** The upper bound on β<sub>t</sub> in the cosine schedule and in Jabri's sigmoid: {@value}. */
  public static final double MAX_BETA = 0.999;

  /** The start of Jabri's sigmoid: {@value}. */
  public static final double SIGMOID_START = -3;

  /** The end of Jabri's sigmoid: {@value}. */
  public static final double SIGMOID_END = 3;

  /** The temperature τ of Jabri's sigmoid: {@value}. */
  public static final double SIGMOID_TAU = 1;

  /** The shift of a flow that spreads its timesteps evenly: {@value}. */
  public static final double NO_SHIFT = 1;

  /** The farthest that {@link #flow(int, double)} may shift, up or, as 1 / {@value}, down. */
  private static final double GREATEST_SHIFT = 1000;

  private Schedules() {}

  /**
   * The paper's schedule: β rises linearly from {@value #LINEAR_BETA_START} to {@value
   * #LINEAR_BETA_END} (Ho et al. 2020, section 4).
   *
   * <p>The endpoints do not depend on T, so a small T leaves signal in x_T: see {@link
   * #linearScaled(int)}.
   *
   * @param timesteps the number of noising steps T, at least 1
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 1
   */
  public static Schedule linear(int timesteps) {
    return linear(timesteps, LINEAR_BETA_START, LINEAR_BETA_END);
  }

  /**
   * A schedule with linearly increasing β.
   *
   * <pre>
   *   β_t = β_start + t / (T − 1) · (β_end − β_start)
   * </pre>
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param betaStart β of the first step, in (0, 1)
   * @param betaEnd β of the last step, in (0, 1)
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or ᾱ underflows
   */
  public static Schedule linear(int timesteps, double betaStart, double betaEnd) {
    requireTimesteps(timesteps);
    requireBetaEnds(betaStart, betaEnd);
    return new TableSchedule(
        linspace(betaStart, betaEnd, timesteps),
        describe("linear", "timesteps", timesteps, "betaStart", betaStart, "betaEnd", betaEnd));
  }

  /**
   * The paper's linear schedule for any number of steps: both endpoints are scaled by 1000 / T, so
   * that x_T is about equally noisy for every T (Nichol and Dhariwal 2021, their code's "linear").
   *
   * @param timesteps the number of noising steps T, more than 20, as β<sub>T−1</sub> is 20 / T
   * @return the schedule; the paper's for T = 1000
   * @throws IllegalArgumentException if {@code timesteps} is 20 or less
   */
  public static Schedule linearScaled(int timesteps) {
    requireTimesteps(timesteps);
    double scale = 1000.0 / timesteps;
    double betaStart = scale * LINEAR_BETA_START;
    double betaEnd = scale * LINEAR_BETA_END;
    if (betaEnd >= 1) {
      throw new IllegalArgumentException(
          "timesteps of linearScaled must be more than 20, as the last beta is 20 / timesteps, but"
              + " was "
              + timesteps
              + "; use linear or cosine for so few steps");
    }
    return new TableSchedule(
        linspace(betaStart, betaEnd, timesteps), describe("linearScaled", "timesteps", timesteps));
  }

  /**
   * Stable Diffusion's schedule: √β rises linearly, β from {@value #SCALED_LINEAR_BETA_START} to
   * {@value #SCALED_LINEAR_BETA_END} (Rombach et al. 2022).
   *
   * @param timesteps the number of noising steps T, at least 1
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 1
   */
  public static Schedule scaledLinear(int timesteps) {
    return scaledLinear(timesteps, SCALED_LINEAR_BETA_START, SCALED_LINEAR_BETA_END);
  }

  /**
   * A schedule with linearly increasing √β: diffusers' "scaled_linear", which is "quad" in the DDPM
   * authors' code.
   *
   * <pre>
   *   β_t = (√β_start + t / (T − 1) · (√β_end − √β_start))²
   * </pre>
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param betaStart β of the first step, in (0, 1)
   * @param betaEnd β of the last step, in (0, 1)
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or ᾱ underflows
   */
  public static Schedule scaledLinear(int timesteps, double betaStart, double betaEnd) {
    requireTimesteps(timesteps);
    requireBetaEnds(betaStart, betaEnd);
    double[] roots = linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), timesteps);
    return new TableSchedule(
        Arrays.stream(roots).map(root -> root * root).toArray(),
        describe(
            "scaledLinear", "timesteps", timesteps, "betaStart", betaStart, "betaEnd", betaEnd));
  }

  /**
   * The "quad" schedule of the DDPM authors' code, with the paper's endpoints. The same family as
   * {@link #scaledLinear(int, double, double)}, whose name {@link Schedule#describe()} reports.
   *
   * @param timesteps the number of noising steps T, at least 1
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 1
   */
  public static Schedule quadratic(int timesteps) {
    return quadratic(timesteps, LINEAR_BETA_START, LINEAR_BETA_END);
  }

  /**
   * Another name for {@link #scaledLinear(int, double, double)}.
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param betaStart β of the first step, in (0, 1)
   * @param betaEnd β of the last step, in (0, 1)
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or ᾱ underflows
   */
  public static Schedule quadratic(int timesteps, double betaStart, double betaEnd) {
    return scaledLinear(timesteps, betaStart, betaEnd);
  }

  /**
   * The cosine schedule with offset {@value #COSINE_OFFSET} and β bounded by {@value #MAX_BETA}
   * (Nichol and Dhariwal 2021, eq. 17).
   *
   * @param timesteps the number of noising steps T, at least 1
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 1
   */
  public static Schedule cosine(int timesteps) {
    return cosine(timesteps, COSINE_OFFSET, MAX_BETA);
  }

  /**
   * The cosine schedule (Nichol and Dhariwal 2021, eq. 17).
   *
   * <pre>
   *   f(u) = cos²((u + s) / (1 + s) · π / 2)
   *   β_t  = min(1 − f((t + 1) / T) / f(t / T), β_max)
   * </pre>
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param offset the offset s, at least 0; keeps β<sub>0</sub> from being tiny
   * @param maxBeta the bound on β, in (0, 1)
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or ᾱ underflows
   */
  public static Schedule cosine(int timesteps, double offset, double maxBeta) {
    requireTimesteps(timesteps);
    if (!(offset >= 0) || Double.isInfinite(offset)) {
      throw new IllegalArgumentException(
          "offset of the cosine schedule must be at least 0, but was "
              + offset
              + "; the paper's is "
              + COSINE_OFFSET);
    }
    requireBeta("maxBeta", maxBeta);
    double[] betas = new double[timesteps];
    for (int t = 0; t < timesteps; t++) {
      double after = cosineSignal((t + 1) / (double) timesteps, offset);
      double before = cosineSignal(t / (double) timesteps, offset);
      betas[t] = Math.min(1 - after / before, maxBeta);
    }
    return new TableSchedule(
        betas, describe("cosine", "timesteps", timesteps, "offset", offset, "maxBeta", maxBeta));
  }

  /**
   * Jabri's sigmoid schedule from {@value #SIGMOID_START} to {@value #SIGMOID_END} with τ = {@value
   * #SIGMOID_TAU} (Jabri, Fleet, Chen 2022, "Scalable adaptive computation for iterative
   * generation"; lucidrains' default).
   *
   * @param timesteps the number of noising steps T, at least 1
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 1
   */
  public static Schedule sigmoidJabri(int timesteps) {
    return sigmoidJabri(timesteps, SIGMOID_START, SIGMOID_END, SIGMOID_TAU);
  }

  /**
   * Jabri's sigmoid schedule, a sigmoid in ᾱ.
   *
   * <pre>
   *   A(u) = (sigmoid(end / τ) − sigmoid((u · (end − start) + start) / τ))
   *          / (sigmoid(end / τ) − sigmoid(start / τ))
   *   β_t  = min(1 − A((t + 1) / T) / A(t / T), 0.999)
   * </pre>
   *
   * <p>lucidrains' code rounds sigmoid(start / τ) and sigmoid(end / τ) to {@code float}, which
   * changes the last betas by a relative 1.3e-5 at most at T = 1000. This implementation does not
   * round.
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param start the start of the sigmoid, less than {@code end}
   * @param end the end of the sigmoid
   * @param tau the temperature τ, above 0
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or so extreme that a β is not
   *     in (0, 1)
   */
  public static Schedule sigmoidJabri(int timesteps, double start, double end, double tau) {
    requireTimesteps(timesteps);
    if (!(tau > 0) || Double.isInfinite(tau)) {
      throw new IllegalArgumentException(
          "tau must be above 0, but was " + tau + "; the usual value is " + SIGMOID_TAU);
    }
    if (!(start < end) || Double.isInfinite(start) || Double.isInfinite(end)) {
      throw new IllegalArgumentException(
          "start must be less than end, but start was "
              + start
              + " and end "
              + end
              + "; the usual values are "
              + SIGMOID_START
              + " and "
              + SIGMOID_END);
    }
    return new TableSchedule(
        sigmoidJabriBetas(timesteps, start, end, tau, sigmoid(start / tau), sigmoid(end / tau)),
        describe("sigmoidJabri", "timesteps", timesteps, "start", start, "end", end, "tau", tau));
  }

  /** The two sigmoids of the ends are arguments, so that a test can round them as lucidrains do. */
  static double[] sigmoidJabriBetas(
      int timesteps, double start, double end, double tau, double atStart, double atEnd) {
    double[] alphaBars = new double[timesteps + 1];
    for (int i = 0; i <= timesteps; i++) {
      double u = i / (double) timesteps;
      alphaBars[i] = (atEnd - sigmoid((u * (end - start) + start) / tau)) / (atEnd - atStart);
    }
    double first = alphaBars[0];
    for (int i = 0; i <= timesteps; i++) {
      alphaBars[i] /= first;
    }
    double[] betas = new double[timesteps];
    for (int t = 0; t < timesteps; t++) {
      betas[t] = Math.min(1 - alphaBars[t + 1] / alphaBars[t], MAX_BETA);
    }
    return betas;
  }

  /**
   * GeoDiff's sigmoid schedule with the paper's endpoints (Xu et al. 2022; diffusers' "sigmoid").
   *
   * @param timesteps the number of noising steps T, at least 1
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 1
   */
  public static Schedule sigmoidGeoDiff(int timesteps) {
    return sigmoidGeoDiff(timesteps, LINEAR_BETA_START, LINEAR_BETA_END);
  }

  /**
   * GeoDiff's sigmoid schedule, a sigmoid in β.
   *
   * <pre>
   *   β_t = sigmoid(−6 + 12 t / (T − 1)) · (β_end − β_start) + β_start
   * </pre>
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param betaStart the value from which β rises, in (0, 1)
   * @param betaEnd the value to which β rises, in (0, 1)
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or ᾱ underflows
   */
  public static Schedule sigmoidGeoDiff(int timesteps, double betaStart, double betaEnd) {
    requireTimesteps(timesteps);
    requireBetaEnds(betaStart, betaEnd);
    double[] places = linspace(-6, 6, timesteps);
    return new TableSchedule(
        Arrays.stream(places)
            .map(place -> sigmoid(place) * (betaEnd - betaStart) + betaStart)
            .toArray(),
        describe(
            "sigmoidGeoDiff", "timesteps", timesteps, "betaStart", betaStart, "betaEnd", betaEnd));
  }

  /**
   * A schedule with the same β at every step (an alternative to linear in Ho et al. 2020, section
   * 4).
   *
   * @param timesteps the number of noising steps T, at least 1
   * @param beta β of every step, in (0, 1)
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range, or ᾱ underflows
   */
  public static Schedule constant(int timesteps, double beta) {
    requireTimesteps(timesteps);
    requireBeta("beta", beta);
    double[] betas = new double[timesteps];
    Arrays.fill(betas, beta);
    return new TableSchedule(betas, describe("constant", "timesteps", timesteps, "beta", beta));
  }

  /**
   * A schedule from a custom table of β.
   *
   * @param betas β<sub>t</sub> for t = 0..T−1, each in (0, 1); copied
   * @return the schedule
   * @throws IllegalArgumentException if the table is empty, a value is not in (0, 1), or ᾱ
   *     underflows
   */
  public static Schedule ofBetas(double... betas) {
    if (betas.length == 0) {
      throw new IllegalArgumentException(
          "betas must hold at least 1 value, but held none; pass one beta per noising step");
    }
    requireTimesteps(betas.length);
    double[] copy = betas.clone();
    return new TableSchedule(
        copy, describe("ofBetas", "betas", Arrays.stream(copy).boxed().toList()));
  }

  /**
   * Rescales a schedule so that x_T is pure noise: √ᾱ is shifted to end at 0 and scaled to keep its
   * first value (Lin et al. 2024, "Common diffusion noise schedules and sample steps are flawed",
   * algorithm 1). The last β is exactly 1, the last ᾱ exactly 0.
   *
   * <p>The noise carries no information about the image at that step: train such a schedule with
   * {@code Prediction.VELOCITY} or {@code Prediction.X0}, and sample with {@link
   * TimestepSpacing#TRAILING}, which starts at the last step.
   *
   * @param schedule the schedule to rescale, of at least 2 timesteps
   * @return the rescaled schedule; {@code schedule} itself if its last β is already 1
   * @throws IllegalArgumentException if the schedule has only one timestep
   */
  public static Schedule zeroTerminalSnr(Schedule schedule) {
    int timesteps = schedule.timesteps();
    if (timesteps < 2) {
      throw new IllegalArgumentException(
          "timesteps must be at least 2 to be rescaled to zero terminal SNR, but was "
              + timesteps
              + "; the first step keeps its signal and the last one loses it");
    }
    if (schedule.beta(timesteps - 1) == 1) {
      return schedule;
    }
    double first = schedule.signal(0);
    double last = schedule.signal(timesteps - 1);
    double scale = first / (first - last);
    double[] alphaBars = new double[timesteps];
    for (int t = 0; t < timesteps; t++) {
      double signal = (schedule.signal(t) - last) * scale;
      alphaBars[t] = signal * signal;
    }
    double[] betas = new double[timesteps];
    betas[0] = 1 - alphaBars[0];
    for (int t = 1; t < timesteps; t++) {
      betas[t] = 1 - alphaBars[t] / alphaBars[t - 1];
    }
    return new TableSchedule(
        betas, describe("zeroTerminalSnr", "schedule", schedule.describe()), true);
  }

  /**
   * The schedule of flow matching and rectified flow, with evenly spaced times (Lipman et al. 2023;
   * Liu et al. 2023).
   *
   * @param timesteps the number of noising steps T, at least 2
   * @return the schedule
   * @throws IllegalArgumentException if {@code timesteps} is less than 2
   */
  public static Schedule flow(int timesteps) {
    return flow(timesteps, NO_SHIFT);
  }

  /**
   * The schedule of flow matching and rectified flow: noisy images are on the straight line from
   * image to noise (Lipman et al. 2023, "Flow matching for generative modeling", eq. 20; Liu et al.
   * 2023, "Flow straight and fast", eq. 1), with times that are shifted for the resolution (Esser
   * et al. 2024, "Scaling rectified flow transformers", eq. 23).
   *
   * <pre>
   *   x      = (1 − σ) x_0 + σ ε
   *   u      = (t + 1) / T
   *   σ_t    = shift · u / (1 + (shift − 1) u)
   * </pre>
   *
   * <p>It does not preserve the variance, and ends in pure noise: train it with {@code
   * Prediction.FLOW}, {@code VELOCITY} or {@code X0}. A network of {@code Prediction.FLOW} is told
   * σ and not t, so it can be sampled with another T or shift than it was trained with.
   *
   * @param timesteps the number of noising steps T, at least 2; 1000 in most code
   * @param shift from 0.001 to 1000; above 1 for more of the timesteps at high noise. 1 for small
   *     images, 3 for 1024x1024 in the paper, √(m / n) for m pixels by the network for n
   * @return the schedule
   * @throws IllegalArgumentException if an argument is out of range
   */
  public static Schedule flow(int timesteps, double shift) {
    requireTimesteps(timesteps);
    if (timesteps < 2) {
      throw new IllegalArgumentException(
          "timesteps of flow must be at least 2, as the last has no signal, but was " + timesteps);
    }
    if (!(shift >= 1 / GREATEST_SHIFT && shift <= GREATEST_SHIFT)) {
      throw new IllegalArgumentException(
          "shift must be from 0.001 to 1000, but was "
              + shift
              + "; 1 spreads the times evenly, 3 suits images of 1024x1024");
    }
    List<Level> levels = new ArrayList<>(timesteps);
    for (int t = 0; t < timesteps; t++) {
      double u = (t + 1) / (double) timesteps;
      double scale = 1 - u + shift * u;
      levels.add(new Level(t, (1 - u) / scale, shift * u / scale));
    }
    return new TableSchedule(
        ProbabilityPath.LINEAR, levels, describe("flow", "timesteps", timesteps, "shift", shift));
  }

  /**
   * Recreates a schedule, bit for bit, from its {@linkplain Schedule#describe() description}.
   *
   * @param description the result of {@code describe()}; numbers may have become {@code Double}, as
   *     in JSON
   * @return the schedule
   * @throws IllegalArgumentException if the type is not a factory of this class, or an argument is
   *     missing, unknown, of the wrong type or rejected by the factory
   */
  public static Schedule of(Map<String, Object> description) {
    Objects.requireNonNull(description, "description");
    String type = Description.typeOf("schedule", description);
    Description from = Description.typed("schedule", description);
    return switch (type) {
      case "linear" -> {
        from.allowOnly("timesteps", "betaStart", "betaEnd");
        yield linear(from.integer("timesteps"), from.number("betaStart"), from.number("betaEnd"));
      }
      case "linearScaled" -> {
        from.allowOnly("timesteps");
        yield linearScaled(from.integer("timesteps"));
      }
      case "scaledLinear" -> {
        from.allowOnly("timesteps", "betaStart", "betaEnd");
        yield scaledLinear(
            from.integer("timesteps"), from.number("betaStart"), from.number("betaEnd"));
      }
      case "cosine" -> {
        from.allowOnly("timesteps", "offset", "maxBeta");
        yield cosine(from.integer("timesteps"), from.number("offset"), from.number("maxBeta"));
      }
      case "sigmoidJabri" -> {
        from.allowOnly("timesteps", "start", "end", "tau");
        yield sigmoidJabri(
            from.integer("timesteps"),
            from.number("start"),
            from.number("end"),
            from.number("tau"));
      }
      case "sigmoidGeoDiff" -> {
        from.allowOnly("timesteps", "betaStart", "betaEnd");
        yield sigmoidGeoDiff(
            from.integer("timesteps"), from.number("betaStart"), from.number("betaEnd"));
      }
      case "constant" -> {
        from.allowOnly("timesteps", "beta");
        yield constant(from.integer("timesteps"), from.number("beta"));
      }
      case "ofBetas" -> {
        from.allowOnly("betas");
        yield ofBetas(from.numbers("betas"));
      }
      case "zeroTerminalSnr" -> {
        from.allowOnly("schedule");
        yield zeroTerminalSnr(of(from.object("schedule")));
      }
      case "flow" -> {
        from.allowOnly("timesteps", "shift");
        yield flow(from.integer("timesteps"), from.number("shift"));
      }
      default ->
          throw new IllegalArgumentException(
              "schedule type must be one of linear, linearScaled, scaledLinear, cosine,"
                  + " sigmoidJabri, sigmoidGeoDiff, constant, ofBetas, zeroTerminalSnr and flow, but"
                  + " was "
                  + Quote.of(type));
    };
  }

  /** f(u) = cos²((u + s) / (1 + s) · π / 2). */
  private static double cosineSignal(double u, double offset) {
    double cosine = StrictMath.cos((u + offset) / (1 + offset) * Math.PI / 2);
    return cosine * cosine;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + StrictMath.exp(-x));
  }

  /** Evenly spaced numbers with both ends, as {@code numpy.linspace} computes them. */
  static double[] linspace(double start, double end, int count) {
    double[] values = new double[count];
    double step = (end - start) / (count - 1);
    for (int i = 0; i < count; i++) {
      values[i] = i * step + start;
    }
    values[0] = start;
    if (count > 1) {
      values[count - 1] = end;
    }
    return values;
  }

  private static Map<String, Object> describe(String type, Object... namesAndValues) {
    Map<String, Object> description = new LinkedHashMap<>();
    description.put("type", type);
    for (int i = 0; i < namesAndValues.length; i += 2) {
      description.put((String) namesAndValues[i], namesAndValues[i + 1]);
    }
    return description;
  }

  private static void requireTimesteps(int timesteps) {
    if (timesteps < 1) {
      throw new IllegalArgumentException("timesteps must be at least 1, but was " + timesteps);
    }
    if (timesteps > MAX_TIMESTEPS) {
      throw new IllegalArgumentException(
          "timesteps must be at most " + MAX_TIMESTEPS + ", but was " + timesteps);
    }
  }

  private static void requireBetaEnds(double betaStart, double betaEnd) {
    requireBeta("betaStart", betaStart);
    requireBeta("betaEnd", betaEnd);
  }

  private static void requireBeta(String name, double beta) {
    if (!(beta > 0 && beta < 1)) {
      throw new IllegalArgumentException(
          name
              + " must be above 0 and below 1, but was "
              + beta
              + "; it is the variance of one noising step, such as "
              + LINEAR_BETA_END);
    }
  }
}
