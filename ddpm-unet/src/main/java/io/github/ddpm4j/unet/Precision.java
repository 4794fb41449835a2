package io.github.ddpm4j.unet;

/**
 * What a compiled {@link UNet} computes in. Weights, optimizer state, averages and the loss are
 * float32 in any case, and so are images and predictions.
 */
public enum Precision {
  /** 32 bits throughout. The default. */
  FLOAT32,

  /**
   * 16 bits with the range of float32 (bfloat16) inside the network. Predictions are good to two or
   * three digits, which training and sampling do not notice.
   */
  BFLOAT16,

  /**
   * {@link #BFLOAT16} where the processor or the GPU has instructions for it, {@link #FLOAT32}
   * elsewhere; what was chosen is logged at INFO level.
   */
  AUTO
}
