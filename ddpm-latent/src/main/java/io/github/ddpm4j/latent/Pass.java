package io.github.ddpm4j.latent;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.List;

/** One way through a network, written once for both interpreters. */
interface Pass {

  /** The number of arrays that go in. */
  int inputs();

  /**
   * What comes out.
   *
   * @param in as they come from outside
   */
  <T> T forward(Ops<T> ops, Weights<T> weights, List<T> in);
}
