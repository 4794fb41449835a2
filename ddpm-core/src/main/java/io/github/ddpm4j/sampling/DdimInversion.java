package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * The inversion of DDIM (Song, Meng, Ermon 2021, section 4.3): up from an image to the noise from
 * where deterministic DDIM comes back to it.
 *
 * <p>From the level s of x, at first the clean image, to the next timestep t of the list,
 *
 * <pre>
 *   x' = √ᾱ_t · x̂_0 + √(1 − ᾱ_t) · ε̂,    x̂_0 = the network's, asked at t about x at level s
 * </pre>
 *
 * <p>x̂_0 is clipped or not, and ε̂ derived from it as {@link DdimSampler} does, so that the way
 * back clips what the way up did.
 *
 * <p>Plans begin at an image, not at noise. Immutable.
 */
final class DdimInversion implements Sampler {

  private final TimestepGrid grid;
  private final String gridText;
  private final boolean startAtFirstTimestep;

  DdimInversion(TimestepGrid grid, String gridText, boolean startAtFirstTimestep) {
    this.grid = grid;
    this.gridText = gridText;
    this.startAtFirstTimestep = startAtFirstTimestep;
  }

  /**
   * Works out the steps from the image up to the level of timestep {@code start}.
   *
   * @param diffusion the schedule and prediction to plan for
   * @param start the timestep to go up to, from 0 to T − 1; T stands for the last as well
   * @return the plan, one row per network call
   * @throws IllegalArgumentException if the steps do not fit the schedule, the image already stands
   *     at {@code start}, the network predicts x_0 or as EDM does and the image is taken for free
   *     of noise, or the network predicts the previous mean
   */
  @Override
  public SamplingPlan plan(Diffusion diffusion, int start) {
    Schedule schedule = diffusion.schedule();
    TimestepGrid.requireStart(start, schedule);
    requireServes(diffusion.prediction());
    int top = Math.min(start, schedule.timesteps() - 1);
    Level level = startAtFirstTimestep ? Level.of(schedule, 0) : Level.CLEAN;
    List<SamplingPlan.Step> rows = new ArrayList<>();
    int[] descending = grid.timesteps(schedule);
    for (int i = descending.length - 1; i >= -1; i--) {
      int t = i < 0 ? top : descending[i];
      Level next = Level.of(schedule, t);
      if (t > top || next.noise() <= level.noise()) {
        continue;
      }
      rows.add(row(t, level, next));
      level = next;
    }
    if (rows.isEmpty()) {
      throw new IllegalArgumentException(
          "there is nothing to do up to timestep 0, where the inversion of a sampler with"
              + " endAtFirstTimestep starts; go higher, or invert one that ends at the image");
    }
    return new SamplingPlan(rows, SamplingPlan.Memory.X0, 1, level);
  }

  private static SamplingPlan.Step row(int t, Level from, Level to) {
    boolean clean = from.noise() == 0;
    // ε̂ = (x − s.signal · x̂_0) / s.noise; the network's own where x is free of noise
    double cX = clean ? 0 : to.noise() / from.noise();
    return new SamplingPlan.Step(
        new Level(t, from.signal(), from.noise()),
        cX,
        to.signal() - cX * from.signal(),
        clean ? to.noise() : 0,
        List.of(),
        0);
  }

  /** Whether ε̂ can be told from noisy images alone. */
  static boolean needsNoise(Prediction prediction) {
    return prediction == Prediction.X0 || prediction.scalesInput();
  }

  private void requireServes(Prediction prediction) {
    if (prediction == Prediction.PREVIOUS_MEAN) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN cannot be inverted, because the network is asked at another"
              + " timestep than that of x; use a model of another prediction");
    }
    if (needsNoise(prediction) && !startAtFirstTimestep) {
      throw new IllegalArgumentException(
          "prediction "
              + prediction
              + " says nothing of the noise where x has none; invert a sampler with"
              + " endAtFirstTimestep(true)");
    }
  }

  @Override
  public String toString() {
    return SamplerText.of("ddim-inversion" + gridText)
        .flag("startAtFirstTimestep", startAtFirstTimestep, false)
        .toString();
  }
}
