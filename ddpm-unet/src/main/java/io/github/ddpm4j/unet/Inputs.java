package io.github.ddpm4j.unet;

import io.github.ddpm4j.model.Condition;
import java.util.Map;
import java.util.Objects;

/**
 * What a network takes in, as values of one interpreter.
 *
 * @param x noisy images, shape (N, C, H, W)
 * @param times {@link TimeEmbedding#inputs(double[])} of the timesteps, shape (N, their number)
 * @param conditions a value for each kind that the network was built for: rows of the table of
 *     classes, shape (N); vectors, shape (N, D); images, shape (N, K, H, W); contexts, shape (N, S,
 *     X)
 * @param <T> what a value is to the interpreter
 */
record Inputs<T>(T x, T times, Map<Condition.Kind, T> conditions) {

  /** The condition of a kind that the network was built for. */
  T condition(Condition.Kind kind) {
    return Objects.requireNonNull(conditions.get(kind), kind::toString);
  }
}
