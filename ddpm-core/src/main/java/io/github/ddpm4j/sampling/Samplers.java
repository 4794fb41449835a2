package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.List;
import java.util.Objects;

/**
 * Factories for samplers.
 *
 * <p>Each has a text form, written by {@link Object#toString} and read by {@link #parse}, such as
 * {@code dpm++2m:15, trailing}.
 */
public final class Samplers {

  /** The samplers listed by {@link #usual}; λ of the linear schedule's last timestep is −5.06. */
  private static final List<String> USUAL =
      List.of(
          "ddpm",
          "ddim",
          "ddim, trailing",
          "ddim, eta=1",
          "dpm++2m",
          "dpm++2m, trailing",
          "dpm++2m, karras, lambdaMin=-5.1",
          "dpm++2m, uniformLogSnr, lambdaMin=-5.1",
          "dpm++3m",
          "dpm++2m-sde",
          "dpm++2m-sde, karras, lambdaMin=-5.1",
          "dpm, lambdaMin=-5.1",
          "unipc",
          "unipc, trailing",
          "unipc, karras, lambdaMin=-5.1",
          "unipc, order=3",
          "euler",
          "euler, karras, lambdaMin=-5.1",
          "euler-a",
          "heun, lambdaMin=-5.1",
          "heun, karras, lambdaMin=-5.1",
          "edm, churn=10, lambdaMin=-5.1",
          "plms");

  private Samplers() {}

  /**
   * Parses a sampler from text, for command lines and configuration files: the name, the number of
   * steps after a colon, and options after commas, named after the methods that set them.
   *
   * <pre>
   *   ddpm    ddpm:100, trailing    ddim:50, eta=0.5    ddim, timesteps=999 500 0
   *   dpm++2m:15, karras, lambdaMin=-5.1    edm:18, churn=40, churnBetween=0.05..50
   * </pre>
   *
   * <table>
   * <caption>Names and options</caption>
   * <tr><th>name<th>sampler<th>options
   * <tr><td>{@code ddpm}<td>{@link #ddpm()}, with steps {@link #ddpm(int)}
   *   <td>{@code timesteps}, {@code leading}, {@code linspace}, {@code trailing}
   * <tr><td>{@code ddim}<td>{@link #ddim}
   *   <td>those of {@code ddpm}, {@code eta}, {@code rawEpsilon}, {@code endAtFirstTimestep}
   * <tr><td>{@code ddim-inversion}<td>{@link #ddimInversion}
   *   <td>those of {@code ddpm}, {@code startAtFirstTimestep}
   * <tr><td>{@code euler}, {@code euler-a}, {@code heun}, {@code plms}
   *   <td>{@link #euler}, {@link #eulerAncestral}, {@link #heun}, {@link #plms}
   *   <td>{@code leading}, {@code linspace}, {@code trailing}, {@code karras}, {@code karras=5} for
   *   another ρ, {@code uniformLogSnr}, {@code wholeTimesteps}, {@code lambdaMin}, {@code
   *   endAtFirstTimestep}
   * <tr><td>{@code consistency}<td>{@link #consistency}
   *   <td>{@code sigmaMax}, {@code sigmaMiddle}; {@code sigmas=80 2.5 0.3} instead of a number
   * <tr><td>{@code edm}<td>{@link #edm}
   *   <td>those of {@code euler}, {@code churn}, {@code churnBetween}, {@code churnNoise}
   * <tr><td>{@code unipc}<td>{@link #uniPc}
   *   <td>those of {@code euler}, {@code order}, {@code bh1}, {@code lowerOrderFinal}
   * <tr><td>{@code dpm}<td>{@link #dpmSolver}
   *   <td>those of {@code euler}, {@code order}, {@code heun}, {@code published}, {@code
   *   lowerOrderFinal}, {@code eulerAtFinal}
   * <tr><td>{@code dpm++}<td>{@link #dpmSolverPlusPlus}
   *   <td>those of {@code dpm}, {@code stochastic}
   * <tr><td>{@code dpm++2m}, {@code dpm++3m}, {@code dpm++sde}, {@code dpm++2m-sde}, {@code
   *   dpm++3m-sde}<td>{@code dpm++} of this order, {@code sde} for {@code stochastic}
   *   <td>those of {@code dpm++} that the name does not imply
   * </table>
   *
   * <p>A boolean option is set by its name alone, or by {@code =true} or {@code =false}. Every
   * sampler accepts {@code resampling=10x10}, the jump length and number of jumps of {@link
   * #resampling}. Case is ignored.
   *
   * @param text the sampler, such as the {@code toString()} of a sampler from this class
   * @return the sampler
   * @throws IllegalArgumentException if there is no such sampler or option, with a list of those
   *     available, or a value has the wrong type or is rejected by the sampler
   */
  public static Sampler parse(String text) {
    return SamplerParser.parse(text, 0);
  }

  /**
   * Parses a sampler from text without a number of steps, and gives it as many steps as a budget of
   * network calls allows.
   *
   * @param text the sampler as in {@link #parse(String)}, such as {@code heun, karras}
   * @param calls the network calls per image, at least 1; {@link #resampling} multiplies them
   * @return the sampler; if its steps take two calls, it may use one call fewer
   * @throws IllegalArgumentException as {@link #parse(String)} throws it, or if {@code calls} is
   *     less than 1 or the text already has a number of steps
   */
  public static Sampler parse(String text, int calls) {
    if (calls < 1) {
      throw new IllegalArgumentException("calls must be at least 1, but was " + calls);
    }
    return SamplerParser.parse(text, calls);
  }

  /**
   * The recommended sampler configurations, for {@link #parse(String, int)}. Samplers that would
   * spend their steps on the last timesteps of a cosine schedule, where almost no signal is left,
   * skip those timesteps.
   *
   * @return their text forms, without numbers of steps
   */
  public static List<String> usual() {
    return USUAL;
  }

  /**
   * The paper's sampler: ancestral sampling over every timestep of the schedule (Ho et al. 2020,
   * algorithm 2). T network calls.
   *
   * @return the sampler
   */
  public static DdpmSampler ddpm() {
    return DdpmSampler.everyTimestep();
  }

  /**
   * Ancestral sampling over a subset of the timesteps (Nichol and Dhariwal 2021, section 4).
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link TimestepSpacing#LEADING} spacing; with so few steps that this
   *     would begin at a level of signal above 0.2, far from the pure noise that a run starts with,
   *     {@link TimestepSpacing#TRAILING}
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DdpmSampler ddpm(int steps) {
    return DdpmSampler.respaced(steps);
  }

  /**
   * Denoising diffusion implicit models (Song, Meng, Ermon 2021), deterministic unless {@link
   * DdimSampler#eta(double)} is set.
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link TimestepSpacing#LEADING} spacing; with so few steps that this
   *     would begin at a level of signal above 0.2, far from the pure noise that a run starts with,
   *     {@link TimestepSpacing#TRAILING}
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DdimSampler ddim(int steps) {
    return DdimSampler.of(steps);
  }

  /**
   * DPM-Solver++ (Lu et al. 2022b), a fast solver for few steps, of order 2 unless {@link
   * DpmSolverSampler#order(int)} is set.
   *
   * @param steps the number of network calls, from 1 to T − 1
   * @return the sampler, with {@link TimestepSpacing#LINSPACE} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DpmSolverSampler dpmSolverPlusPlus(int steps) {
    return DpmSolverSampler.plusPlus(steps);
  }

  /**
   * DPM-Solver (Lu et al. 2022a), which extrapolates ε̂ instead of the x̂_0 of {@link
   * #dpmSolverPlusPlus}. It is less robust to clipping and strong guidance.
   *
   * <p>It divides by the signal of the first level, which no clipping makes good. Plans whose first
   * level has a signal below 0.001, as cosine schedules have, are refused; skip such levels with
   * {@code lambdaMin(-5.1)}.
   *
   * @param steps the number of network calls, from 1 to T − 1
   * @return the sampler, with {@link TimestepSpacing#LINSPACE} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DpmSolverSampler dpmSolver(int steps) {
    return DpmSolverSampler.epsilon(steps);
  }

  /**
   * Adds resampling to another sampler: it repeatedly jumps back to a higher noise level and
   * denoises again (Lugmayr et al. 2022, "RePaint"). With {@link Sampling#inpaint}, this harmonizes
   * the filled-in region with its surroundings.
   *
   * @param base the sampler, whose steps must not use stored estimates: {@link #ddpm(int)} or
   *     {@link #ddim}
   * @param jumpLength the number of steps to jump back, at least 1; in the paper, 10 of 250
   * @param jumps the number of times each segment is denoised, at least 1; in the paper, 10
   * @return the sampler, with nearly {@code jumps} times as many network calls
   * @throws IllegalArgumentException if a number is less than 1
   */
  public static Sampler resampling(Sampler base, int jumpLength, int jumps) {
    Objects.requireNonNull(base, "base");
    return new ResamplingSampler(base, jumpLength, jumps);
  }

  /**
   * UniPC (Zhao et al. 2023), of order 2 unless {@link UniPcSampler#order(int)} is set.
   *
   * @param steps the number of network calls, from 1 to T − 1
   * @return the sampler, with {@link TimestepSpacing#LINSPACE} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static UniPcSampler uniPc(int steps) {
    return UniPcSampler.of(steps);
  }

  /**
   * Euler's method for the probability-flow ODE (Karras et al. 2022, algorithm 1 without line 6).
   * In y = x / α and σ, the ratio of noise to signal, {@code y' = y + (σ' − σ) (y − x̂_0) / σ},
   * which in terms of x is the DDIM step.
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static LevelSampler euler(int steps) {
    return LevelSampler.of(LevelSampler.Method.EULER, steps);
  }

  /**
   * Euler's method with fresh noise in each step, as in k-diffusion: a step past the next noise
   * level, then noise to return to it. In terms of x it is the DDPM step with the small variance.
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static LevelSampler eulerAncestral(int steps) {
    return LevelSampler.of(LevelSampler.Method.EULER_ANCESTRAL, steps);
  }

  /**
   * Heun's method for the probability-flow ODE (Karras et al. 2022, algorithm 1), of order 2.
   *
   * <p>It averages slopes, which fails between levels whose σ differ by orders of magnitude, like
   * the noisiest of a cosine schedule. Skip these with {@code lambdaMin(-5.1)}, and space the
   * levels with {@link NoiseSpacing#karras()}. Unless a spacing is set, plans with a step that
   * multiplies the network's errors by more than 25 are refused.
   *
   * @param steps the number of steps, from 1 to T; 2 · steps − 1 network calls
   * @return the sampler, with {@link TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static LevelSampler heun(int steps) {
    return LevelSampler.of(LevelSampler.Method.HEUN, steps);
  }

  /**
   * DDIM inversion, from an image to noise (Song, Meng, Ermon 2021, section 4.3); for other options
   * see {@link DdimSampler#inversion}. Its plans start at an image.
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static Sampler ddimInversion(int steps) {
    return ddim(steps).spacing(TimestepSpacing.TRAILING).inversion();
  }

  /**
   * Pseudo linear multistep (Liu et al. 2022, section 3.3), also known as PNDM without its
   * Runge-Kutta steps. The first step is taken, re-evaluated at its end and taken again.
   *
   * <p>Clipping has no effect on it. Unless a spacing is set, plans are refused whose first row
   * would multiply x by more than 1,000, or a later one the network's errors by more than 25, as
   * with few steps over a cosine schedule; {@link #dpmSolverPlusPlus} serves there.
   *
   * @param steps the number of steps, from 1 to T; one more network call than steps, unless there
   *     is a single step
   * @return the sampler, with {@link TimestepSpacing#LEADING} spacing; {@link
   *     TimestepSpacing#TRAILING} with so few steps that this would begin at a level of signal
   *     above 0.2, and from a start below pure noise
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static LevelSampler plms(int steps) {
    return LevelSampler.of(LevelSampler.Method.PLMS, steps);
  }

  /**
   * Heun's method with churn (Karras et al. 2022, algorithm 2); the churn is 0 unless {@link
   * EdmSampler#churn(double)} is set. With so few steps that one would multiply the network's
   * errors by more than 25, here at most 4 with the linear schedule, plans are refused unless a
   * spacing is set, such as {@link TimestepSpacing#TRAILING}.
   *
   * @param steps the number of steps, at least 1; 2 · steps − 1 network calls
   * @return the sampler, with {@link NoiseSpacing#karras()} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static EdmSampler edm(int steps) {
    return EdmSampler.of(steps);
  }

  /**
   * Multistep consistency sampling (Song et al. 2023, algorithm 1), for models that {@code
   * ddpm.consistencyTuning()} made: each call leads to an image, which is noised again for the
   * next.
   *
   * @param calls the number of network calls, at least 1; 1 or 2 are usual
   * @return the sampler, from noise / signal {@value ConsistencySampler#DEFAULT_SIGMA_MAX} down
   * @throws IllegalArgumentException if {@code calls} is less than 1
   */
  public static ConsistencySampler consistency(int calls) {
    return ConsistencySampler.of(calls);
  }
}
