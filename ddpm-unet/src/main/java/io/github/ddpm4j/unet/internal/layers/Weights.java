package io.github.ddpm4j.unet.internal.layers;

/**
 * The weights of a network by name, as values of one interpreter.
 *
 * @param <T> what a value is to the interpreter
 */
@FunctionalInterface
public interface Weights<T> {

  /**
   * The weight of that name; a network asks for those it declares and no others.
   *
   * @param name the name
   * @return the weight
   */
  T get(String name);
}
