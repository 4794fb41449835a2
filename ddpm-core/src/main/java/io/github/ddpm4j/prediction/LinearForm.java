package io.github.ddpm4j.prediction;

/**
 * The linear form {@code first · a + second · b}: how one image-sized quantity is made of two
 * others. Conversions between what networks predict are such forms, worked out in {@code double}
 * per image and applied to tensors afterwards.
 *
 * @param first the factor of the first quantity
 * @param second the factor of the second quantity
 */
public record LinearForm(double first, double second) {}
