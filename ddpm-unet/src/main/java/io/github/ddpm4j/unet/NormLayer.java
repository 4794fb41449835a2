package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A norm with a weight per channel, and a bias where it is group normalisation.
 *
 * @param groups 0 for the root mean square over all channels
 */
record NormLayer(String name, int channels, int groups, double eps) {

  private static final int LEAST_CHANNELS = 4;

  NormLayer {
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

  /** The norm of the layout. */
  static NormLayer of(UNetConfig config, String name, int channels) {
    return of(config, name, channels, config.groups());
  }

  /** The last norm. */
  static NormLayer last(UNetConfig config, String name, int channels) {
    int groups = config.layout().outer().outGroups();
    return of(config, name, channels, groups > 0 ? groups : config.groups());
  }

  private static NormLayer of(UNetConfig config, String name, int channels, int groups) {
    int own =
        switch (config.layout().block().norm()) {
          case GROUP -> groups;
          case GROUP_OF_FOUR -> Math.max(1, Math.min(groups, channels / LEAST_CHANNELS));
          case RMS -> 0;
        };
    return new NormLayer(name, channels, own, config.normEpsilon());
  }

  void declare(List<ParameterSpec> specs) {
    specs.add(new ParameterSpec(name + ".weight", new Shape(channels), Parameter.Type.GAMMA, 0));
    if (groups > 0) {
      specs.add(new ParameterSpec(name + ".bias", new Shape(channels), Parameter.Type.BETA, 0));
    }
  }

  <T> T apply(Ops<T> ops, Weights<T> weights, T x) {
    T weight = weights.get(name + ".weight");
    return groups > 0
        ? ops.groupNorm(x, groups, weight, weights.get(name + ".bias"), eps)
        : ops.rmsNorm(x, weight);
  }
}
