package io.github.ddpm4j.model;

import ai.djl.Device;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;

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
   * How many parameters the network has, from its description alone: so a file that describes a
   * network which its weights do not fill is refused before memory is taken.
   *
   * @param description the result of {@link TrainableDenoiser#describe()}; numbers arrive as {@code
   *     Long} or {@code Double}
   * @return the single values of all weights together; empty, the default, if only {@link #create}
   *     can tell
   * @throws IllegalArgumentException if an entry of the description is missing or invalid; the
   *     message names it
   */
  default OptionalLong parameterCount(Map<String, Object> description) {
    Objects.requireNonNull(description, "description");
    return OptionalLong.empty();
  }

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
