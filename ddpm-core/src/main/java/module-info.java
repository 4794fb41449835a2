/**
 * Denoising diffusion probabilistic models over DJL NDArrays.
 *
 * <p>The native CPU jar of libtorch has no legal module name and must stay on the class path.
 */
@SuppressWarnings("module") // io.github.ddpm4j.unet is compiled after this module
module io.github.ddpm4j {
  requires transitive ai.djl.api;
  requires static ai.djl.pytorch_engine;
  requires com.google.gson;
  requires java.desktop;
  requires transitive org.apache.commons.rng.api;
  requires org.apache.commons.rng.sampling;
  requires org.apache.commons.rng.simple;
  requires org.slf4j;
  requires ojalgo;
  requires me.tongfei.progressbar;
  requires static org.jspecify;

  exports io.github.ddpm4j;
  exports io.github.ddpm4j.evaluation;
  exports io.github.ddpm4j.image;
  exports io.github.ddpm4j.io;
  exports io.github.ddpm4j.loss;
  exports io.github.ddpm4j.model;
  exports io.github.ddpm4j.noise;
  exports io.github.ddpm4j.ops;
  exports io.github.ddpm4j.prediction;
  exports io.github.ddpm4j.process;
  exports io.github.ddpm4j.sampling;
  exports io.github.ddpm4j.schedule;
  exports io.github.ddpm4j.training;
  exports io.github.ddpm4j.files to
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.internal.description to
      io.github.ddpm4j.unet;
  exports io.github.ddpm4j.torch to
      io.github.ddpm4j.unet;

  uses io.github.ddpm4j.model.DenoiserProvider;
}
