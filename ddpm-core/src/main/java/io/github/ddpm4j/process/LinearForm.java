package io.github.ddpm4j.process;

import io.github.ddpm4j.spi.Ops;

/**
 * The linear form {@code first · a + second · b}: how one image-sized quantity is made of two
 * others. The noisy image and every conversion between what networks predict are such forms, worked
 * out in {@code double} per image and applied to tensors afterwards.
 *
 * @param first the factor of the first quantity
 * @param second the factor of the second quantity
 * @see NoiseLevels#combine
 */
public record LinearForm(double first, double second) {

  /**
   * Applies forms whose factors are values of the operations already.
   *
   * @param ops the operations
   * @param first the first factor of each image, shape (N, 1, …, 1)
   * @param a the first quantity, shape (N, …)
   * @param second the second factor of each image, shape (N, 1, …, 1)
   * @param b the second quantity, shape of {@code a}
   * @param <T> what the operations work on
   * @return first · a + second · b, shape of {@code a}
   */
  public static <T> T apply(Ops<T> ops, T first, T a, T second, T b) {
    return ops.scope(() -> ops.add(ops.multiply(a, first), ops.multiply(b, second)));
  }
}
