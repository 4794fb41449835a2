package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.List;

/** What the samplers that go from one level of noise to the next have in common. */
abstract class LevelOptions<S extends LevelOptions<S>> implements Sampler {

  private final LevelGrid grid;

  LevelOptions(LevelGrid grid) {
    this.grid = grid;
  }

  abstract S with(LevelGrid changed);

  /**
   * The plan over these levels, of which there are at least two.
   *
   * @param fromNoise whether x is pure noise, and not given at the first level
   */
  abstract SamplingPlan plan(Diffusion diffusion, List<Level> levels, boolean fromNoise);

  final LevelGrid grid() {
    return grid;
  }

  /**
   * Spreads the steps by timestep.
   *
   * @param spacing the spacing
   * @return a sampler with this spacing
   */
  public S spacing(TimestepSpacing spacing) {
    return with(grid.spacing(spacing));
  }

  /**
   * Spreads the steps by level of noise.
   *
   * @param spacing the spacing
   * @return a sampler with this spacing
   */
  public S spacing(NoiseSpacing spacing) {
    return with(grid.spacing(spacing));
  }

  /**
   * Visits the given timesteps instead of those of a spacing.
   *
   * @param descending the timesteps, strictly descending, as many as steps; a run that begins at a
   *     lower one visits those under it
   * @return a sampler over these timesteps, whatever its number of steps was
   * @throws IllegalArgumentException if the list is empty, not descending or negative
   */
  public S timesteps(int... descending) {
    return with(grid.timesteps(descending));
  }

  /**
   * Leaves out the noisiest timesteps, those where λ = ½ ln SNR is less. Cosine schedules want it:
   * their last timesteps have next to no signal, from where a step of high order goes astray.
   *
   * @param lambda the least λ, for instance −5.1; the default is −∞
   * @return a sampler with this limit
   * @throws IllegalArgumentException if {@code lambda} is NaN or +∞
   */
  public S lambdaMin(double lambda) {
    return with(grid.lambdaMin(lambda));
  }

  /**
   * Where the last step ends.
   *
   * @param end true to end at the noise level of timestep 0; by default it ends at the clean image
   * @return a sampler with this choice
   */
  public S endAtFirstTimestep(boolean end) {
    return with(grid.endAtFirstTimestep(end));
  }

  /**
   * Works out the steps from {@code start} down to the image.
   *
   * @throws IllegalArgumentException if the steps do not fit the schedule, the prediction asks for
   *     timesteps of the schedule but the spacing has none, the schedule has zero terminal SNR and
   *     the spacing does not begin at its last timestep, or no spacing is set and a step would
   *     multiply the network's errors many times
   */
  @Override
  public SamplingPlan plan(Diffusion diffusion, int start) {
    boolean fromNoise = start == diffusion.schedule().timesteps();
    SamplingPlan plan = plan(diffusion, grid.levels(diffusion, start), fromNoise);
    if (!grid.isSet()) {
      UsualSpacing.requireServes(this, plan);
    }
    return plan;
  }
}
