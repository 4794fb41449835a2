package io.github.ddpm4j.process;

import io.github.ddpm4j.spi.Ops;
import java.util.Objects;

/**
 * The linear combination {@code first · a + second · b} of two image-sized quantities. The noisy
 * image and every conversion between prediction types are such forms, computed in {@code double}
 * per image and then applied to tensors.
 *
 * @param first the factor of the first quantity
 * @param second the factor of the second quantity
 * @see NoiseLevels#combine
 */
public record LinearForm(double first, double second) {

  /**
   * Applies linear forms whose factors are already operands.
   *
   * @param ops the operations
   * @param first the first factor of each image, shape (N, 1, …, 1)
   * @param a the first quantity, shape (N, …)
   * @param second the second factor of each image, shape (N, 1, …, 1)
   * @param b the second quantity, shape of {@code a}
   * @param <T> the operand type
   * @return first · a + second · b, shape of {@code a}
   */
  public static <T> T apply(Ops<T> ops, T first, T a, T second, T b) {
    Objects.requireNonNull(first, "first");
    Objects.requireNonNull(second, "second");
    Objects.requireNonNull(b, "b");
    return ops.scope(() -> ops.add(ops.multiply(a, first), ops.multiply(b, second)));
  }
}
