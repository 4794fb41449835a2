package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;

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
   * @param start the timestep that x stands at, 0-based; {@code T − 1} for images from pure noise
   * @return the plan, one row per network call
   * @throws IllegalArgumentException if the sampler cannot serve this model, with the reason
   */
  SamplingPlan plan(Diffusion diffusion, int start);
}
