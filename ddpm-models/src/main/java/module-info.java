/** Small models that were trained with this library, in the box. */
module io.github.ddpm4j.models {
  requires transitive io.github.ddpm4j;
  requires io.github.ddpm4j.unet;
  requires ai.djl.api;
  requires static org.jspecify;

  exports io.github.ddpm4j.models;
}
