package io.github.ddpm4j.models;

import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * EfficientNet-Lite0 up to its classifier, written against {@link Ops}: a stem, sixteen inverted
 * residual blocks (Sandler et al. 2018) and a head, with ReLU6 and without squeeze-and-excitation
 * (Tan and Le 2019; the Lite variant is of Google's TPU repository). Batch normalisation is part of
 * the weights.
 */
final class Lite0Network {

  /** Channels of the head: the number of features. */
  static final int FEATURES = 1280;

  private static final int STEM = 32;
  private static final int COLORS = 3;
  private static final int STEM_KERNEL = 3;
  private static final double SIX = 6;

  /** The whole picture halved five times. */
  private static final int HALVINGS = 32;

  /**
   * One block.
   *
   * @param expansion how many times more channels there are inside; 1 for no layer that expands
   */
  private record Block(int kernel, int stride, int expansion, int in, int out) {}

  /** Kernel, stride of the first block, expansion, channels and blocks of each stage. */
  private static final int[][] STAGES = {
    {3, 1, 1, 16, 1},
    {3, 2, 6, 24, 2},
    {5, 2, 6, 40, 2},
    {3, 2, 6, 80, 3},
    {5, 1, 6, 112, 3},
    {5, 2, 6, 192, 4},
    {3, 1, 6, 320, 1},
  };

  /**
   * A convolution and its normalisation, as the published file names them.
   *
   * @param name the convolution's
   * @param norm the normalisation's
   */
  record Layer(String name, String norm, int out, int in, int kernel) {}

  private Lite0Network() {}

  private static List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    int in = STEM;
    for (int[] stage : STAGES) {
      for (int i = 0; i < stage[4]; i++) {
        blocks.add(new Block(stage[0], i == 0 ? stage[1] : 1, stage[2], in, stage[3]));
        in = stage[3];
      }
    }
    return blocks;
  }

  /** All layers, in order. Those of a channel by itself have one input. */
  static List<Layer> layers() {
    List<Layer> layers = new ArrayList<>();
    layers.add(new Layer("_conv_stem", "_bn0", STEM, COLORS, STEM_KERNEL));
    List<Block> blocks = blocks();
    for (int i = 0; i < blocks.size(); i++) {
      Block block = blocks.get(i);
      String name = "_blocks." + i + ".";
      int inner = block.in * block.expansion;
      if (block.expansion > 1) {
        layers.add(new Layer(name + "_expand_conv", name + "_bn0", inner, block.in, 1));
      }
      layers.add(new Layer(name + "_depthwise_conv", name + "_bn1", inner, 1, block.kernel));
      layers.add(new Layer(name + "_project_conv", name + "_bn2", block.out, inner, 1));
    }
    layers.add(new Layer("_conv_head", "_bn1", FEATURES, blocks.get(blocks.size() - 1).out, 1));
    return layers;
  }

  /**
   * The features.
   *
   * @param weights by name: a layer's name and {@code .weight} or {@code .bias}
   * @param images normalized, shape (N, 3, side, side)
   * @param side a multiple of 32
   * @return shape (N, 1280, 1, 1)
   */
  static <T> T forward(Ops<T> ops, Function<String, T> weights, T images, int side) {
    T x =
        relu6(ops, convolved(ops, weights, "_conv_stem", ops.enter(images), STEM_KERNEL, 2, false));
    List<Block> blocks = blocks();
    for (int i = 0; i < blocks.size(); i++) {
      Block block = blocks.get(i);
      String name = "_blocks." + i + ".";
      T entered = x;
      if (block.expansion > 1) {
        x = relu6(ops, convolved(ops, weights, name + "_expand_conv", x, 1, 1, false));
      }
      x = convolved(ops, weights, name + "_depthwise_conv", x, block.kernel, block.stride, true);
      x = convolved(ops, weights, name + "_project_conv", relu6(ops, x), 1, 1, false);
      if (block.stride == 1 && block.in == block.out) {
        x = ops.add(x, entered);
      }
    }
    x = relu6(ops, convolved(ops, weights, "_conv_head", x, 1, 1, false));
    return ops.leave(ops.averagePool(x, side / HALVINGS));
  }

  /** TensorFlow's padding: of an odd number of zeros, right and bottom get one more. */
  private static <T> T convolved(
      Ops<T> ops,
      Function<String, T> weights,
      String layer,
      T x,
      int kernel,
      int stride,
      boolean depthwise) {
    T weight = weights.apply(layer + ".weight");
    T bias = weights.apply(layer + ".bias");
    int padding = (kernel - stride) / 2;
    T padded = stride == 1 ? x : ops.padEnd(x, 1);
    return depthwise
        ? ops.depthwiseConv(padded, weight, bias, stride, padding)
        : ops.conv(padded, weight, bias, stride, padding);
  }

  private static <T> T relu6(Ops<T> ops, T x) {
    return ops.atMost(ops.atLeast(x, 0), SIX);
  }
}
