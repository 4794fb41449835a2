package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.loss.Loss.Input.Coefficient;

/**
 * The numbers per image that a step is made of, as values of its operations.
 *
 * @param <T> what the operations work on
 */
interface Columns<T> {

  /** A number per image, to be multiplied with images: shape (N, 1, 1, 1) beside (N, C, H, W). */
  T of(StepLayout.Column column);

  /** A number per image that the loss asks for: shape (N, 1, 1, 1). */
  T of(Coefficient coefficient);

  /** A number per image, to be multiplied with losses: shape (N). */
  T each(StepLayout.Column column);
}
