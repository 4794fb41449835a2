package io.github.ddpm4j.unet.internal.layers;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A convolution with bias, of the same size along each axis.
 *
 * @param axes the axes of an image: 2, or 1 of a signal, or 3 of a volume
 * @param name the name in front of those of its weights
 * @param in the channels of what goes in
 * @param out the channels of what comes out
 * @param kernel the size along each axis
 * @param stride the stride along each axis
 * @param padding the zeros at both ends of each axis
 * @param initial how large it starts
 */
public record ConvLayer(
    int axes, String name, int in, int out, int kernel, int stride, int padding, Initial initial) {

  private static final int IMAGE_AXES = 2;

  /**
   * A square convolution of images.
   *
   * @param name the name in front of those of its weights
   * @param in the channels of what goes in
   * @param out the channels of what comes out
   * @param kernel the side of the square
   * @param stride the stride in both directions
   * @param padding the zeros on each side
   * @param initial how large it starts
   */
  public ConvLayer(
      String name, int in, int out, int kernel, int stride, int padding, Initial initial) {
    this(IMAGE_AXES, name, in, out, kernel, stride, padding, initial);
  }

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
    return same(IMAGE_AXES, name, in, out, initial);
  }

  /**
   * The convolution of three pixels along each axis that keeps all sizes.
   *
   * @param axes the axes of an image
   * @param name the name in front of those of its weights
   * @param in the channels of what goes in
   * @param out the channels of what comes out
   * @param initial how large it starts
   * @return the layer
   */
  public static ConvLayer same(int axes, String name, int in, int out, Initial initial) {
    return new ConvLayer(axes, name, in, out, 3, 1, 1, initial);
  }

  /**
   * The convolution of one pixel.
   *
   * @param axes the axes of an image
   * @param name the name in front of those of its weights
   * @param in the channels of what goes in
   * @param out the channels of what comes out
   * @param initial how large it starts
   * @return the layer
   */
  public static ConvLayer onePixel(int axes, String name, int in, int out, Initial initial) {
    return new ConvLayer(axes, name, in, out, 1, 1, 0, initial);
  }

  /**
   * Declares the weights.
   *
   * @param specs receives them
   */
  public void declare(List<ParameterSpec> specs) {
    declare(specs, new Shape(out, in));
  }

  private void declare(List<ParameterSpec> specs, Shape channels) {
    Shape pixels = new Shape();
    for (int axis = 0; axis < axes; axis++) {
      pixels = pixels.add(kernel);
    }
    specs.add(
        new ParameterSpec(
            name + ".weight",
            channels.addAll(pixels),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in * pixels.size(), out * pixels.size())));
    specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
  }

  /**
   * Declares the weights of a transposed convolution, whose weight has the inputs first.
   *
   * @param specs receives them
   */
  public void declareTransposed(List<ParameterSpec> specs) {
    declare(specs, new Shape(in, out));
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
    return ops.conv(x, weights.get(name + ".weight"), weights.get(name + ".bias"), stride, padding);
  }

  /**
   * The convolution of three pixels along each axis after doubling them.
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
