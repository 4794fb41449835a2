/** LangChain4j's image model over a sampling service. */
@SuppressWarnings("module") // LangChain4j's jar has no module name of its own
module io.github.ddpm4j.langchain4j {
  requires transitive io.github.ddpm4j.service;
  requires transitive langchain4j.core;
  requires static org.jspecify;

  exports io.github.ddpm4j.langchain4j;
}
