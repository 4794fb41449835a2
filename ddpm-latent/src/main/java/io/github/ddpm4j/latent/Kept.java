package io.github.ddpm4j.latent;

import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.internal.running.Holding;

/**
 * How much of a model is in memory.
 *
 * @param holding what weights are held in as soon as they are read
 * @param mapped whether weights stay in their files where they can, as those have them
 * @param decoderAlone whether the half of the autoencoder that encodes pictures is left out
 */
record Kept(UNet.Precision holding, boolean mapped, boolean decoderAlone) {

  /** All of it, in float32. */
  static final Kept ALL = new Kept(UNet.Precision.FLOAT32, false, false);

  Holding held() {
    return Holding.of(holding);
  }
}
