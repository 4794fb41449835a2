/** Latent diffusion: tokenizers, text encoders and autoencoders, as published folders hold them. */
module io.github.ddpm4j.latent {
  requires transitive io.github.ddpm4j;
  requires transitive io.github.ddpm4j.unet;
  requires static org.jspecify;

  exports io.github.ddpm4j.latent;
}
