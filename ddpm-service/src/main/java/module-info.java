/** A sampling service inside an application, which batches by the step. */
module io.github.ddpm4j.service {
  requires transitive io.github.ddpm4j;
  requires ai.djl.api;
  requires org.slf4j;
  requires static micrometer.core; // for ServiceMetrics
  requires static org.jspecify;

  exports io.github.ddpm4j.service;
}
