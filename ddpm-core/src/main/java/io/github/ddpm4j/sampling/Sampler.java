package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.spi.SamplingPlan;

/**
 * A sampling method for a trained model: turns the schedule into a table of steps. Implementations
 * are immutable and hold no tensors.
 *
 * @see Samplers
 */
@FunctionalInterface
public interface Sampler {

  /**
   * Computes the steps from {@code start} down to the image.
   *
   * @param diffusion the schedule, prediction and variance to plan for
   * @param start the timestep of x, 0-based, from 0 to T − 1; or T for pure noise, from which a
   *     sampler starts at the first timestep that it visits
   * @return the plan, one row per network call
   * @throws IllegalArgumentException if the sampler cannot be used with this model, with the reason
   */
  SamplingPlan plan(Diffusion diffusion, int start);

  /**
   * Computes the steps from pure noise down to the image.
   *
   * @param diffusion the schedule, prediction and variance to plan for
   * @return the plan, one row per network call
   * @throws IllegalArgumentException if the sampler cannot be used with this model, with the reason
   */
  default SamplingPlan plan(Diffusion diffusion) {
    return plan(diffusion, diffusion.schedule().timesteps());
  }
}
