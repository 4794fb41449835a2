package io.github.ddpm4j.model;

import ai.djl.Device;
import java.util.Map;

/**
 * Rebuilds a kind of network from its description, so that a model folder can be loaded without
 * naming its class. Found by {@link java.util.ServiceLoader}.
 */
public interface DenoiserProvider {

  /**
   * The kind of network, as {@link TrainableDenoiser#type()} names it.
   *
   * @return the type
   */
  String type();

  /**
   * Builds the network. Its weights are about to be overwritten, so any values will do.
   *
   * @param description what {@link TrainableDenoiser#describe()} said; numbers arrive as {@code
   *     Long} or {@code Double}
   * @param device the device to put the weights on
   * @return the network; the caller closes it
   * @throws IllegalArgumentException if the description lacks or misspells something, naming it
   */
  TrainableDenoiser create(Map<String, Object> description, Device device);
}
