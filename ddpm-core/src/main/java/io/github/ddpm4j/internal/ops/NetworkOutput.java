package io.github.ddpm4j.internal.ops;

import io.github.ddpm4j.spi.Ops;
import java.util.Optional;

/**
 * What a network said, taken apart.
 *
 * @param prediction what its prediction says, shape of the images
 * @param variance what it says of the variance, v, shape of the images; empty if it says nothing,
 *     or the model fixes the variance
 * @param <T> what the operations work on
 */
public record NetworkOutput<T>(T prediction, Optional<T> variance) {

  /**
   * Takes an output apart.
   *
   * @param ops the operations
   * @param output what the network said, shape (N, C, H, W), or (N, 2C, H, W) with the variance
   *     last
   * @param images the images that it was asked about, shape (N, C, H, W)
   * @param predictsVariance whether it says the variance too
   * @param learned whether the model's variance is the one that the network says
   * @param <T> what the operations work on
   * @return the parts; the whole output if it has no second half
   */
  public static <T> NetworkOutput<T> of(
      Ops<T> ops, T output, T images, boolean predictsVariance, boolean learned) {
    if (!predictsVariance) {
      return new NetworkOutput<>(output, Optional.empty());
    }
    return new NetworkOutput<>(
        ops.firstChannels(output, images),
        learned ? Optional.of(ops.channelsAfter(output, images)) : Optional.empty());
  }
}
