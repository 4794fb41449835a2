/** Data sets for ddpm4j as DJL has them: folders of pictures, published formats, arrays. */
module io.github.ddpm4j.data {
  requires transitive ai.djl.api;
  requires com.google.gson;
  requires com.twelvemonkeys.imageio.metadata; // how cameras were held
  requires io.github.ddpm4j;
  requires transitive java.desktop; // of the background's colour; core leaves it to its users
  requires transitive org.apache.commons.rng.api;
  requires org.apache.commons.rng.sampling;
  requires org.apache.commons.rng.simple;
  requires org.slf4j;
  requires static org.jspecify;

  exports io.github.ddpm4j.data;
}
