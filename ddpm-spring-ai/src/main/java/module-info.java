/** Spring AI's image model over a sampling service. */
@SuppressWarnings("module") // Spring AI's jars have no module names of their own
module io.github.ddpm4j.springai {
  requires transitive io.github.ddpm4j.service;
  requires transitive spring.ai.model;
  requires static org.jspecify;

  exports io.github.ddpm4j.springai;
}
