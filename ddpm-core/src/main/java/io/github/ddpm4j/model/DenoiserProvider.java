package io.github.ddpm4j.model;

import ai.djl.Device;
import java.util.Map;

/**
 * Rebuilds networks of one type from their descriptions, so that a model folder can be loaded
 * without naming the network's class. Found by {@link java.util.ServiceLoader}.
 */
public interface DenoiserProvider {

  /**
   * The network type, as returned by {@link TrainableDenoiser#type()}.
   *
   * @return the type
   */
  String type();

  /**
   * Builds the network. Its weights will be overwritten, so their values do not matter.
   *
   * @param description the result of {@link TrainableDenoiser#describe()}; numbers arrive as {@code
   *     Long} or {@code Double}
   * @param device the device to put the weights on
   * @return the network; the caller closes it
   * @throws IllegalArgumentException if an entry of the description is missing or invalid; the
   *     message names it
   */
  TrainableDenoiser create(Map<String, Object> description, Device device);
}
