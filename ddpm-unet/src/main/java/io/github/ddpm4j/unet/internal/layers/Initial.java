package io.github.ddpm4j.unet.internal.layers;

/** How large a layer starts. */
public enum Initial {
  /** Variance scaling of scale 1. */
  NORMAL(1),
  /** The last layer of a residual branch, which starts as good as zero (Ho et al. 2020, code). */
  ALMOST_ZERO(1e-10);

  final double scale;

  Initial(double scale) {
    this.scale = scale;
  }
}
