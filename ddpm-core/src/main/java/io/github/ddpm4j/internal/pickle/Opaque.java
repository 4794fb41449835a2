package io.github.ddpm4j.internal.pickle;

/** Something beside the weights of which nothing is kept, such as a number of numpy. */
public enum Opaque {
  /** Any such thing. */
  VALUE
}
