package io.github.ddpm4j.internal.pickle;

/**
 * The name of a class or function of Python. Any may be mentioned, as a value or a key; only those
 * of {@link Globals} may be called, and none is ever loaded.
 *
 * @param name module and name, such as {@code collections.OrderedDict}
 */
record Mention(String name) {}
