package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Ancestral sampling (Ho et al. 2020, algorithm 2), over all timesteps or a subset of them.
 *
 * <p>For a timestep t and its successor s in the list (ᾱ_s = 1 after the last):
 *
 * <pre>
 *   β'  = 1 − ᾱ_t / ᾱ_s
 *   x'  = [β' √ᾱ_s / (1 − ᾱ_t)] x̂_0 + [(1 − ᾱ_s) √(1 − β') / (1 − ᾱ_t)] x + σ z       (eq. 7)
 *   σ²  = β' (1 − ᾱ_s) / (1 − ᾱ_t)   or   β'          (the two fixed variances, section 3.2)
 *         or the learned variance                    (Nichol and Dhariwal 2021, eq. 15)
 * </pre>
 *
 * <p>The last step adds no noise (z = 0 in algorithm 2, line 3). Immutable.
 */
public final class DdpmSampler implements Sampler {

  private final TimestepGrid grid;
  private final String name;

  /** The number of steps of a respaced run; 0 when every timestep is visited. */
  private final int steps;

  private DdpmSampler(TimestepGrid grid, String name, int steps) {
    this.grid = grid;
    this.name = name;
    this.steps = steps;
  }

  static DdpmSampler everyTimestep() {
    return new DdpmSampler(TimestepGrid.all(), "ddpm", 0);
  }

  static DdpmSampler respaced(int steps) {
    requireSteps(steps);
    return new DdpmSampler(TimestepGrid.usual(steps), "ddpm:" + steps, steps);
  }

  /**
   * The spacing of the timesteps.
   *
   * @param spacing the spacing, which is obeyed even where it begins far below the noise that a run
   *     starts with. The default is {@link TimestepSpacing#LEADING}; with so few steps that it
   *     would begin at a level of signal above 0.2, {@link TimestepSpacing#TRAILING}
   * @return a sampler with this spacing
   * @throws IllegalStateException if this sampler visits every timestep
   */
  public DdpmSampler spacing(TimestepSpacing spacing) {
    if (steps == 0) {
      throw new IllegalStateException(
          "spacing has no meaning for ddpm(), which visits every timestep; use ddpm(steps)");
    }
    return spaced(spacing, steps);
  }

  /**
   * Uses the given timesteps instead of a spacing, such as those of {@link
   * TimestepSpacing#sections}.
   *
   * @param descending the timesteps, strictly descending
   * @return a sampler over these timesteps
   * @throws IllegalArgumentException if the list is empty, not descending or negative
   */
  public DdpmSampler timesteps(int... descending) {
    return new DdpmSampler(
        TimestepGrid.of(descending), "ddpm" + SamplerText.grid(descending), descending.length);
  }

  private static DdpmSampler spaced(TimestepSpacing spacing, int steps) {
    return new DdpmSampler(
        TimestepGrid.spaced(spacing, steps), "ddpm" + SamplerText.grid(spacing, steps), steps);
  }

  static void requireSteps(int steps) {
    if (steps < 1) {
      throw new IllegalArgumentException("steps must be at least 1, but was " + steps);
    }
  }

  @Override
  public SamplingPlan plan(Diffusion diffusion, int start) {
    Schedule schedule = diffusion.schedule();
    int[] timesteps = grid.from(start, schedule);
    List<SamplingPlan.Step> rows = new ArrayList<>(timesteps.length);
    for (int i = 0; i < timesteps.length; i++) {
      int t = timesteps[i];
      boolean last = i + 1 == timesteps.length;
      boolean adjacent = (last ? -1 : timesteps[i + 1]) == t - 1;
      Level level = Level.of(schedule, t);
      Level next = last ? Level.CLEAN : Level.of(schedule, timesteps[i + 1]);
      // The difference of two levels loses digits where β is small; the table has it exactly.
      double beta = adjacent ? schedule.beta(t) : level.varianceFrom(next);
      double noise = level.noise() * level.noise();
      double fromX0 = beta * next.signal() / noise;
      double fromX = next.noise() * next.noise() * (level.signal() / next.signal()) / noise;
      double least = diffusion.variance().leastVariance(beta, level, next);
      double greatest = diffusion.variance().greatestVariance(beta, level, next);
      rows.add(
          new SamplingPlan.Step(
              level,
              last ? 0 : fromX,
              last ? 1 : fromX0,
              0,
              List.of(),
              last ? 0 : Math.sqrt(least),
              last ? 0 : Math.sqrt(greatest),
              0));
    }
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.X0, Level.CLEAN);
  }

  @Override
  public String toString() {
    return name;
  }
}
