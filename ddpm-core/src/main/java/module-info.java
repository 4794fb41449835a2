/**
 * Denoising diffusion probabilistic models over DJL NDArrays.
 *
 * <p>Two modules are there only if the application asks for them, because a server that samples
 * needs neither: {@code java.desktop}, for pictures ({@link io.github.ddpm4j.image}), and {@code
 * ojalgo}, for figures over features ({@link io.github.ddpm4j.evaluation}) and for averages after
 * the fact ({@link io.github.ddpm4j.PostHocEma}).
 *
 * <p>The native CPU jar of libtorch has no legal module name and must stay on the class path.
 */
@SuppressWarnings("module") // modules that are exported to are compiled after this one
module io.github.ddpm4j {
  requires transitive ai.djl.api;
  requires static ai.djl.pytorch_engine;
  requires com.google.gson;
  requires static java.desktop; // for the package image
  requires static java.net.http; // for the package internal.hub
  requires transitive org.apache.commons.rng.api;
  requires org.apache.commons.rng.sampling;
  requires org.apache.commons.rng.simple;
  requires org.slf4j;
  requires static ojalgo; // for figures and averages; asks for java.desktop itself
  requires static org.jspecify;

  exports io.github.ddpm4j;
  exports io.github.ddpm4j.evaluation;
  exports io.github.ddpm4j.image;
  exports io.github.ddpm4j.loss;
  exports io.github.ddpm4j.model;
  exports io.github.ddpm4j.noise;
  exports io.github.ddpm4j.prediction;
  exports io.github.ddpm4j.process;
  exports io.github.ddpm4j.sampling;
  exports io.github.ddpm4j.schedule;
  exports io.github.ddpm4j.spi;
  exports io.github.ddpm4j.training;
  exports io.github.ddpm4j.internal.data to
      io.github.ddpm4j.data,
      io.github.ddpm4j.latent;
  exports io.github.ddpm4j.internal.files to
      io.github.ddpm4j.latent,
      io.github.ddpm4j.models,
      io.github.ddpm4j.report,
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.hub to
      io.github.ddpm4j.latent,
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.io to
      io.github.ddpm4j.data,
      io.github.ddpm4j.latent,
      io.github.ddpm4j.models,
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.ops to
      io.github.ddpm4j.data,
      io.github.ddpm4j.latent,
      io.github.ddpm4j.models,
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.picture to
      io.github.ddpm4j.data;
  exports io.github.ddpm4j.internal.random to
      io.github.ddpm4j.data,
      io.github.ddpm4j.latent,
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.description to
      io.github.ddpm4j.latent,
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.torch to
      io.github.ddpm4j.latent,
      io.github.ddpm4j.models,
      io.github.ddpm4j.unet;

  uses io.github.ddpm4j.model.DenoiserProvider;
}
