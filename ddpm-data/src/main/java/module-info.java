/** Data sets for ddpm4j as DJL has them: bundled digits, IDX files, folders of pictures. */
module io.github.ddpm4j.data {
  requires transitive ai.djl.api;
  requires io.github.ddpm4j;
  requires java.desktop; // read by PictureFolder through core, which leaves it to its users
  requires org.apache.commons.rng.sampling;
  requires org.apache.commons.rng.simple;
  requires static org.jspecify;

  exports io.github.ddpm4j.data;
}
