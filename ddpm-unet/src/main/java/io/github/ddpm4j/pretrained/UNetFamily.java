package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import java.io.IOException;

/** Networks of another library that our U-Net can be. */
interface UNetFamily extends PeerFamily {

  /**
   * The architecture, as far as shapes tell it and otherwise as the caller does.
   *
   * @throws IOException if the weights are those of a network that ours cannot be, or something
   *     that they do not tell was not given
   */
  UNetConfig config(PeerShapes shapes, Given given) throws IOException;

  /** The names of the weights of a network of this family. */
  NameTable table(UNetConfig config, PeerShapes shapes, Given given);
}
