package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;

/**
 * One weight tensor before it exists.
 *
 * @param name its name in the layout of diffusers
 * @param shape its shape in the layout of PyTorch
 * @param type what DJL calls it
 * @param limit initial values are uniform in [−limit, limit]; 0 for constants
 */
public record ParameterSpec(String name, Shape shape, Parameter.Type type, double limit) {

  /**
   * Initial values of variance scaling over the mean of inputs and outputs: uniform of variance
   * {@code scale · 2 / (fanIn + fanOut)}.
   *
   * @param scale the scale
   * @param fanIn how many inputs each output sees
   * @param fanOut how many outputs see each input
   * @return the limit
   */
  public static double limit(double scale, long fanIn, long fanOut) {
    return Math.sqrt(3 * scale * 2 / (fanIn + fanOut));
  }
}
