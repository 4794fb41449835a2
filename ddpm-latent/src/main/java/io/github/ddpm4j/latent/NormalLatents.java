package io.github.ddpm4j.latent;

import io.github.ddpm4j.spi.Ops;

/**
 * The normal distribution of latents that an encoder gives by means and logarithms of variances.
 */
final class NormalLatents {

  /** Logarithms of variances are kept in this range, as in CompVis' code. */
  private static final double LEAST_LOG_VARIANCE = -30;

  private static final double MOST_LOG_VARIANCE = 20;

  private NormalLatents() {}

  /** What an encoder says, kept in the range. */
  static <T> T logVariance(Ops<T> ops, T encoded) {
    return ops.atMost(ops.atLeast(encoded, LEAST_LOG_VARIANCE), MOST_LOG_VARIANCE);
  }

  /** μ + σ · noise, without a scale. */
  static <T> T drawn(Ops<T> ops, T mean, T logVariance, T noise) {
    return ops.add(mean, ops.multiply(ops.exp(ops.scale(logVariance, 0.5)), noise));
  }

  /** The Kullback-Leibler divergence from N(0, 1), ½ (μ² + σ² − 1 − ln σ²), its mean. */
  static <T> T divergence(Ops<T> ops, T mean, T logVariance) {
    T variance = ops.exp(logVariance);
    T sum = ops.subtract(ops.add(ops.square(mean), variance), logVariance);
    return ops.scale(ops.mean(ops.shift(sum, -1)), 0.5);
  }
}
