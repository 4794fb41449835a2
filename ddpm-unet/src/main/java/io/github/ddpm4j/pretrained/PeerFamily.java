package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;

/** The networks of another library: how they are recognised, and what their code fixes. */
interface PeerFamily {

  /** What people call it. */
  String title();

  /** A weight that such a network has, and no other. */
  String signature();

  /**
   * What the file tells beside the network, and what the library's code fixes.
   *
   * @param file all that the file holds
   * @param prefix what the names of the network begin with
   */
  Facts facts(TensorSource file, String prefix, Given given) throws IOException;

  /** Whether a name beside those of the table is known to mean nothing. */
  default boolean isIdle(String name) {
    return false;
  }
}
