package io.github.ddpm4j.latent;

import java.io.IOException;

/** What loads one part of a pipeline. */
@FunctionalInterface
interface PartLoader<T> {
  T load() throws IOException;
}
