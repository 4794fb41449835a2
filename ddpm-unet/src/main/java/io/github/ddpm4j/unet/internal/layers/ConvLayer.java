package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A square convolution with bias.
 *
 * @param name the name in front of those of its weights
 * @param in the channels of what goes in
 * @param out the channels of what comes out
 * @param kernel the side of the square
 * @param stride the stride in both directions
 * @param padding the zeros on each side
 * @param initial how large it starts
 */
public record ConvLayer(
    String name, int in, int out, int kernel, int stride, int padding, Initial initial) {

  /**
   * The 3x3 convolution that keeps height and width.
   *
   * @param name the name in front of those of its weights
   * @param in the channels of what goes in
   * @param out the channels of what comes out
   * @param initial how large it starts
   * @return the layer
   */
  public static ConvLayer same3x3(String name, int in, int out, Initial initial) {
    return new ConvLayer(name, in, out, 3, 1, 1, initial);
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    long area = (long) kernel * kernel;
    specs.add(
        new ParameterSpec(
            name + ".weight",
            new Shape(out, in, kernel, kernel),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in * area, out * area)));
    specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
  }

  /**
   * Declares the weights of a transposed convolution, whose weight has the inputs first.
   *
   * @param specs receives them
   */
  public void declareTransposed(List<ParameterSpec> specs) {
    long area = (long) kernel * kernel;
    specs.add(
        new ParameterSpec(
            name + ".weight",
            new Shape(in, out, kernel, kernel),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in * area, out * area)));
    specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
  }

  /**
   * The layer as a transposed convolution.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images, shape (N, in, H, W)
   * @return images, shape (N, out, …)
   */
  public <T> T applyTransposed(Ops<T> ops, Weights<T> weights, T x) {
    return ops.convTranspose(
        x, weights.get(name + ".weight"), weights.get(name + ".bias"), stride, padding);
  }

  /**
   * The layer.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images, shape (N, in, H, W)
   * @return images, shape (N, out, …)
   */
  public <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    return ops.conv(
        x, weights.get(name + ".weight"), weights.get(name + ".bias"), stride, padding);
  }

  /**
   * The 3x3 convolution after doubling height and width.
   *
   * @param <T> the operand type
   * @param ops the operations
   * @param weights the weights
   * @param x images, shape (N, in, H, W)
   * @return images, shape (N, out, …)
   */
  public <T> T applyUpsampled(Ops<T> ops, Weights<T> weights, T x) {
    return ops.upsampleConv3(x, weights.get(name + ".weight"), weights.get(name + ".bias"));
  }
}
