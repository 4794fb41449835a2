/**
 * Latent diffusion: pipelines from text to picture, and their parts, as published folders hold
 * them.
 */
module io.github.ddpm4j.latent {
  requires transitive io.github.ddpm4j;
  requires transitive io.github.ddpm4j.unet;
  requires java.net.http; // for models by name, which the core downloads
  requires org.slf4j;
  requires static org.jspecify;

  exports io.github.ddpm4j.latent;
}
