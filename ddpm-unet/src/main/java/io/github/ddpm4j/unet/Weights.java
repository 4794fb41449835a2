package io.github.ddpm4j.unet;

/**
 * The weights of a network by name, as values of one interpreter.
 *
 * @param <T> what a value is to the interpreter
 */
@FunctionalInterface
interface Weights<T> {

  /** The weight of that name; the network asks for those it declares and no others. */
  T get(String name);
}
