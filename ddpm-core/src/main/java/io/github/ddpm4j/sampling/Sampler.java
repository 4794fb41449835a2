package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.spi.SamplingPlan;

/**
 * A way to draw images from a trained model: it turns the schedule into a table of steps.
 * Implementations are immutable and hold no tensors.
 *
 * @see Samplers
 */
@FunctionalInterface
public interface Sampler {

  /**
   * Works out the steps from {@code start} down to the image.
   *
   * @param diffusion the schedule, prediction and variance to plan for
   * @param start the timestep that x stands at, 0-based, from 0 to T − 1; or T for pure noise, from
   *     where a sampler begins at the first timestep that it cares to visit
   * @return the plan, one row per network call
   * @throws IllegalArgumentException if the sampler cannot serve this model, with the reason
   */
  SamplingPlan plan(Diffusion diffusion, int start);

  /**
   * Works out the steps from pure noise down to the image.
   *
   * @param diffusion the schedule, prediction and variance to plan for
   * @return the plan, one row per network call
   * @throws IllegalArgumentException if the sampler cannot serve this model, with the reason
   */
  default SamplingPlan plan(Diffusion diffusion) {
    return plan(diffusion, diffusion.schedule().timesteps());
  }
}
