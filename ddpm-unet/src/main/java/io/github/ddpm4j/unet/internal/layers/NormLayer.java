package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A norm with a weight per channel, and a bias where it is group normalisation.
 *
 * @param name the name in front of those of its weights
 * @param channels the channels of the images
 * @param groups 0 for the root mean square over all channels
 * @param eps added to the variance
 */
public record NormLayer(String name, int channels, int groups, double eps) {

  private static final int LEAST_CHANNELS = 4;

  /**
   * Makes a norm.
   *
   * @param name the name in front of those of its weights
   * @param channels the channels of the images
   * @param groups 0 for the root mean square over all channels
   * @param eps added to the variance
   * @throws IllegalArgumentException if the groups do not divide the channels
   */
  public NormLayer {
    if (groups > 0 && channels % groups != 0) {
      throw new IllegalArgumentException(
          "groups must divide the channels of every norm, but "
              + groups
              + " does not divide the "
              + channels
              + " of "
              + name);
    }
  }

  /**
   * How the norms of a network are.
   *
   * @param groups the number of groups; 0 for the root mean square over all channels
   * @param ofFour whether there are fewer groups where one would have fewer than four channels
   * @param eps added to the variance
   */
  public record Style(int groups, boolean ofFour, double eps) {

    /**
     * A norm.
     *
     * @param name the name in front of those of its weights
     * @param channels the channels of the images
     * @return the norm
     * @throws IllegalArgumentException if the groups do not divide the channels
     */
    public NormLayer of(String name, int channels) {
      int own = ofFour ? Math.max(1, Math.min(groups, channels / LEAST_CHANNELS)) : groups;
      return new NormLayer(name, channels, own, eps);
    }
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    specs.add(new ParameterSpec(name + ".weight", new Shape(channels), Parameter.Type.GAMMA, 0));
    if (groups > 0) {
      specs.add(new ParameterSpec(name + ".bias", new Shape(channels), Parameter.Type.BETA, 0));
    }
  }

  /**
   * The norm.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images
   * @return images, shape of {@code x}
   */
  public <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    T weight = weights.get(name + ".weight");
    return groups > 0
        ? ops.groupNorm(x, groups, weight, weights.get(name + ".bias"), eps)
        : ops.rmsNorm(x, weight);
  }
}
