package io.github.ddpm4j.sampling;

/** The samplers. */
public final class Samplers {

  private Samplers() {}

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
   * Ancestral sampling over a part of the timesteps (Nichol and Dhariwal 2021, section 4).
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#LEADING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DdpmSampler ddpm(int steps) {
    return DdpmSampler.respaced(steps);
  }

  /**
   * Denoising diffusion implicit models (Song, Meng, Ermon 2021), deterministic unless {@link
   * DdimSampler#eta(double)} says otherwise.
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#LEADING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DdimSampler ddim(int steps) {
    return DdimSampler.of(steps);
  }

  /**
   * DPM-Solver++ (Lu et al. 2022b): few steps, of order 2 unless {@link
   * DpmSolverSampler#order(int)} says otherwise.
   *
   * @param steps the number of network calls, from 1 to T − 1
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#LINSPACE} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DpmSolverSampler dpmSolverPlusPlus(int steps) {
    return DpmSolverSampler.plusPlus(steps);
  }

  /**
   * DPM-Solver (Lu et al. 2022a), which extrapolates ε̂ where {@link #dpmSolverPlusPlus} does x̂_0.
   * It takes clipping and strong guidance less well.
   *
   * @param steps the number of network calls, from 1 to T − 1
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#LINSPACE} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DpmSolverSampler dpmSolver(int steps) {
    return DpmSolverSampler.epsilon(steps);
  }

  /**
   * Another sampler, which goes back to more noise and down again on its way (Lugmayr et al. 2022,
   * "RePaint"): for {@link Sampling#inpaint}, where it makes what is filled in fit its
   * surroundings.
   *
   * @param base the sampler, whose rows must not look back: {@link #ddpm(int)} or {@link #ddim}
   * @param jumpLength how many steps to go back, at least 1; the paper's is 10 of 250
   * @param jumps how often each part of the way is walked, at least 1; the paper's is 10
   * @return the sampler, of nearly {@code jumps} times as many network calls
   * @throws IllegalArgumentException if a number is less than 1
   */
  public static Sampler resampling(Sampler base, int jumpLength, int jumps) {
    return new ResamplingSampler(base, jumpLength, jumps);
  }

  /**
   * UniPC (Zhao et al. 2023), of order 2 unless {@link UniPcSampler#order(int)} says otherwise.
   *
   * @param steps the number of network calls, from 1 to T − 1
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#LINSPACE} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static UniPcSampler uniPc(int steps) {
    return UniPcSampler.of(steps);
  }

  /**
   * Euler's method (Karras et al. 2022).
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static EulerSampler euler(int steps) {
    return EulerSampler.of(steps);
  }

  /**
   * Euler's method with fresh noise in each step.
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static EulerAncestralSampler eulerAncestral(int steps) {
    return EulerAncestralSampler.of(steps);
  }

  /**
   * Heun's method (Karras et al. 2022, algorithm 1).
   *
   * @param steps the number of steps, from 1 to T; 2 · steps − 1 network calls
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static HeunSampler heun(int steps) {
    return HeunSampler.of(steps);
  }

  /**
   * The inversion of DDIM, from an image up to noise (Song, Meng, Ermon 2021, section 4.3).
   *
   * @param steps the number of network calls, from 1 to T
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#TRAILING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static DdimInversion ddimInversion(int steps) {
    return DdimInversion.of(steps);
  }

  /**
   * Pseudo linear multistep (Liu et al. 2022), also known as PNDM without its Runge-Kutta steps.
   *
   * @param steps the number of steps, from 1 to T; steps + 1 network calls
   * @return the sampler, with {@link io.github.ddpm4j.schedule.TimestepSpacing#LEADING} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static PlmsSampler plms(int steps) {
    return PlmsSampler.of(steps);
  }

  /**
   * Heun's method with churn (Karras et al. 2022, algorithm 2), without any unless {@link
   * EdmSampler#churn(double)} says otherwise.
   *
   * @param steps the number of steps, at least 1; 2 · steps − 1 network calls
   * @return the sampler, with {@link NoiseSpacing#karras()} spacing
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public static EdmSampler edm(int steps) {
    return EdmSampler.of(steps);
  }
}
