package io.github.ddpm4j.benchmark;

/** What follows the gradients in a training step. */
interface Update extends AutoCloseable {

  /** AdamW over all weights. */
  void optimize();

  /** The moving average of all weights. */
  void average();

  @Override
  default void close() {}
}
