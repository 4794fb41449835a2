package io.github.ddpm4j.internal.pickle;

/**
 * Values that lie outside the pickle.
 *
 * @param type the name of its class, such as {@code FloatStorage}
 * @param key where the values are
 * @param count how many there are
 */
public record PickledStorage(String type, String key, long count) {}
