package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.unet.UNetConfig;
import java.io.IOException;

/** The networks of another library: how they are recognised, what they are, and their names. */
interface PeerFamily {

  /** What people call it. */
  String title();

  /** A weight that such a network has, and no other. */
  String signature();

  /**
   * The architecture, as far as shapes tell it and otherwise as the caller does.
   *
   * @throws IOException if the weights are those of a network that ours cannot be, or something
   *     that they do not tell was not given
   */
  UNetConfig config(PeerShapes shapes, Given given) throws IOException;

  /**
   * What the file tells beside the network, and what the library's code fixes.
   *
   * @param file all that the file holds
   * @param prefix what the names of the network begin with
   */
  Facts facts(TensorSource file, String prefix, Given given) throws IOException;

  /** The names of the weights of a network of this family. */
  NameTable table(UNetConfig config, PeerShapes shapes, Given given);

  /** Whether a name beside those of the table is known to mean nothing. */
  default boolean isIdle(String name) {
    return false;
  }
}
