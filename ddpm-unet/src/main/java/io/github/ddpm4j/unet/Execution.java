package io.github.ddpm4j.unet;

/** How a {@link UNet} runs. The results agree to rounding, dropout included. */
public enum Execution {
  /**
   * The network is written down as TorchScript when it is first used, and then runs whole, in one
   * call of the engine: faster, and smaller in memory. The default.
   */
  COMPILED,

  /**
   * Operation by operation on NDArrays: to look at what happens on the way. On engines other than
   * PyTorch it is the only way, and good for inference alone: training needs PyTorch.
   */
  EAGER
}
