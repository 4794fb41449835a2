package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.sampling.NoiseSpacing;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** How the libraries without a file for it sample, for a number of steps. */
final class Recipes {

  private Recipes() {}

  /** Ancestral sampling, over evenly spaced timesteps. */
  static IntFunction<Sampler> whole() {
    return Samplers::ddpm;
  }

  /** guided- and improved-diffusion: ancestral, over the timesteps of {@code space_timesteps}. */
  static IntFunction<Sampler> respaced(int timesteps) {
    return steps -> Samplers.ddpm(steps).timesteps(TimestepSpacing.sections(timesteps, steps));
  }

  /**
   * denoising-diffusion-pytorch: ancestral over all timesteps, and DDIM over fewer, which are
   * {@code int(linspace(-1, T - 1, steps + 1))} without the first.
   *
   * @param raw whether DDIM takes ε as the network says it although x̂_0 is clipped, which {@code
   *     GaussianDiffusion1D} does where the network predicts ε
   */
  static IntFunction<Sampler> lucidrains(int timesteps, boolean raw) {
    return steps ->
        steps == timesteps
            ? Samplers.ddpm()
            : Samplers.ddim(steps)
                .rawEpsilon(raw)
                .timesteps(
                    IntStream.range(0, steps)
                        .map(i -> (int) ((double) timesteps * (steps - i) / steps - 1))
                        .toArray());
  }

  /** EDM: Heun's method over Karras' levels. */
  static IntFunction<Sampler> edm() {
    return steps -> Samplers.edm(steps).spacing(NoiseSpacing.karras());
  }
}
