package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Denoising diffusion implicit models (Song, Meng, Ermon 2021, eq. 12 and 16).
 *
 * <p>For a timestep t and its successor s in the list (ᾱ_s = 1 after the last):
 *
 * <pre>
 *   σ   = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)
 *   x'  = √ᾱ_s · x̂_0 + √(1 − ᾱ_s − σ²) · ε̂ + σ z
 * </pre>
 *
 * <p>with the squared noise of the levels for 1 − ᾱ, and {@link Level#varianceFrom} for 1 − ᾱ_t /
 * ᾱ_s, on schedules that do not preserve the variance.
 *
 * <p>The next timestep is always the next entry of the list, whatever the spacing. Immutable.
 */
public final class DdimSampler implements Sampler {

  private final TimestepGrid grid;
  private final String gridText;
  private final int steps;
  private final double eta;
  private final boolean rawEpsilon;
  private final boolean endAtFirstTimestep;

  private DdimSampler(
      TimestepGrid grid,
      String gridText,
      int steps,
      double eta,
      boolean rawEpsilon,
      boolean endAtFirstTimestep) {
    this.grid = grid;
    this.gridText = gridText;
    this.steps = steps;
    this.eta = eta;
    this.rawEpsilon = rawEpsilon;
    this.endAtFirstTimestep = endAtFirstTimestep;
  }

  static DdimSampler of(int steps) {
    DdpmSampler.requireSteps(steps);
    return new DdimSampler(TimestepGrid.usual(steps), ":" + steps, steps, 0, false, false);
  }

  /**
   * The spacing of the timesteps.
   *
   * @param spacing the spacing, which is obeyed even where it begins far below the noise that a run
   *     starts with. The default is {@link TimestepSpacing#LEADING}; with so few steps that it
   *     would begin at a level of signal above 0.2, {@link TimestepSpacing#TRAILING}
   * @return a sampler with this spacing
   */
  public DdimSampler spacing(TimestepSpacing spacing) {
    return new DdimSampler(
        TimestepGrid.spaced(spacing, steps),
        SamplerText.grid(spacing, steps),
        steps,
        eta,
        rawEpsilon,
        endAtFirstTimestep);
  }

  /**
   * Uses the given timesteps instead of a spacing.
   *
   * @param descending the timesteps, strictly descending
   * @return a sampler over these timesteps
   * @throws IllegalArgumentException if the list is empty, not descending or negative
   */
  public DdimSampler timesteps(int... descending) {
    return new DdimSampler(
        TimestepGrid.of(descending),
        SamplerText.grid(descending),
        descending.length,
        eta,
        rawEpsilon,
        endAtFirstTimestep);
  }

  /**
   * The amount η of fresh noise per step.
   *
   * @param eta 0 (the default) for the deterministic sampler, 1 for the variance of DDPM
   * @return a sampler with this η
   * @throws IllegalArgumentException if {@code eta} is outside [0, 1]
   */
  public DdimSampler eta(double eta) {
    if (!(eta >= 0 && eta <= 1)) {
      throw new IllegalArgumentException("eta must lie in [0, 1], but was " + eta);
    }
    return new DdimSampler(grid, gridText, steps, eta, rawEpsilon, endAtFirstTimestep);
  }

  /**
   * Whether steps use the network's raw ε̂ after x̂_0 has been clipped. By default ε̂ is recomputed
   * from the clipped x̂_0, so that x̂_0 and ε̂ stay consistent with x, as in improved-diffusion and
   * denoising_diffusion_pytorch. diffusers keeps the raw ε̂.
   *
   * @param raw true to keep the raw ε̂; the default is false
   * @return a sampler with this setting
   */
  public DdimSampler rawEpsilon(boolean raw) {
    return new DdimSampler(grid, gridText, steps, eta, raw, endAtFirstTimestep);
  }

  /**
   * Whether the last step ends at the noise level of timestep 0 instead of the clean image.
   *
   * @param end true to end at the noise level of timestep 0, as diffusers does with {@code
   *     set_alpha_to_one=False}; by default it ends at the clean image
   * @return a sampler with this setting
   */
  public DdimSampler endAtFirstTimestep(boolean end) {
    return new DdimSampler(grid, gridText, steps, eta, rawEpsilon, end);
  }

  /**
   * The DDIM inversion of this sampler: encodes an image as the noise from which the sampler
   * reconstructs it (Song, Meng, Ermon 2021, section 4.3), over the same timesteps; where none are
   * set, over those of {@link TimestepSpacing#TRAILING}, whose way back begins at the noise that it
   * ends at. With {@link #endAtFirstTimestep} the image is treated as x at the level of timestep 0,
   * so that any prediction type determines ε̂; otherwise it is treated as noise-free.
   *
   * <pre>
   *   x' = √ᾱ_t · x̂_0 + √(1 − ᾱ_t) · ε̂,    x̂_0 from the network at t, with x at the level below
   * </pre>
   *
   * @return a sampler whose plans start at an image and end at the requested timestep; T stands for
   *     the last
   * @throws IllegalStateException if this sampler adds noise or keeps the raw ε̂
   */
  public Sampler inversion() {
    if (eta > 0 || rawEpsilon) {
      throw new IllegalStateException(
          "ddim can be inverted without fresh noise and with the derived epsilon alone, but "
              + this
              + " has another; use eta(0) and rawEpsilon(false)");
    }
    boolean set = !gridText.equals(":" + steps);
    DdimSampler spaced = set ? this : spacing(TimestepSpacing.TRAILING);
    return new DdimInversion(spaced.grid, spaced.gridText, endAtFirstTimestep);
  }

  @Override
  public SamplingPlan plan(Diffusion diffusion, int start) {
    Schedule schedule = diffusion.schedule();
    int[] timesteps = grid.from(start, schedule);
    Level end = endAtFirstTimestep ? Level.of(schedule, 0) : Level.CLEAN;
    List<SamplingPlan.Step> rows = new ArrayList<>(timesteps.length);
    for (int i = 0; i < timesteps.length; i++) {
      int t = timesteps[i];
      Level level = Level.of(schedule, t);
      Level next = i + 1 < timesteps.length ? Level.of(schedule, timesteps[i + 1]) : end;
      // 1. how much of the noise is fresh
      double sigma = eta * next.noise() / level.noise() * Math.sqrt(level.varianceFrom(next));
      // 2. towards x̂_0, and along ε̂ for the rest of the noise
      double cX0 = next.signal();
      double cEps = Math.sqrt(Math.max(0, next.noise() * next.noise() - sigma * sigma));
      // 3. ε̂ = (x − √ᾱ_t · x̂_0) / √(1 − ᾱ_t), unless the raw one is wanted
      rows.add(
          rawEpsilon
              ? new SamplingPlan.Step(level, 0, cX0, cEps, List.of(), sigma)
              : new SamplingPlan.Step(
                  level,
                  cEps / level.noise(),
                  cX0 - cEps * level.signal() / level.noise(),
                  0,
                  List.of(),
                  sigma));
    }
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.X0, end);
  }

  @Override
  public String toString() {
    return SamplerText.of("ddim" + gridText)
        .number("eta", eta, 0)
        .flag("rawEpsilon", rawEpsilon, false)
        .flag("endAtFirstTimestep", endAtFirstTimestep, false)
        .toString();
  }
}
