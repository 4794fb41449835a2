package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/** A square convolution with bias. */
record ConvLayer(
    String name, int in, int out, int kernel, int stride, int padding, Initial initial) {

  /** The 3x3 convolution that keeps height and width. */
  static ConvLayer same3x3(String name, int in, int out, Initial initial) {
    return new ConvLayer(name, in, out, 3, 1, 1, initial);
  }

  void declare(List<ParameterSpec> specs) {
    long area = (long) kernel * kernel;
    specs.add(
        new ParameterSpec(
            name + ".weight",
            new Shape(out, in, kernel, kernel),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in * area, out * area)));
    specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
  }

  /** As a transposed convolution, whose weight has the inputs first. */
  void declareTransposed(List<ParameterSpec> specs) {
    long area = (long) kernel * kernel;
    specs.add(
        new ParameterSpec(
            name + ".weight",
            new Shape(in, out, kernel, kernel),
            Parameter.Type.WEIGHT,
            ParameterSpec.limit(initial.scale, in * area, out * area)));
    specs.add(new ParameterSpec(name + ".bias", new Shape(out), Parameter.Type.BIAS, 0));
  }

  <T> T applyTransposed(Ops<T> ops, Weights<T> weights, T x) {
    return ops.convTranspose2d(
        x, weights.get(name + ".weight"), weights.get(name + ".bias"), stride, padding);
  }

  <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    return ops.conv2d(
        x, weights.get(name + ".weight"), weights.get(name + ".bias"), stride, padding);
  }

  /** The 3x3 convolution after doubling height and width. */
  <T> T applyUpsampled(Ops<T> ops, Weights<T> weights, T x) {
    return ops.upsampleConv3x3(x, weights.get(name + ".weight"), weights.get(name + ".bias"));
  }
}
