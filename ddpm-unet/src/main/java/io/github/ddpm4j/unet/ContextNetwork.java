package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.LinearLayer;
import io.github.ddpm4j.unet.internal.layers.NormLayer;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;

/**
 * The layers of a {@link ContextUNet}: two levels down to a vector and up again, with pairs of
 * convolutions each scaled, shifted and activated. Between the levels on the way up each channel is
 * multiplied by what the class is embedded as, and what the time is embedded as is added.
 */
final class ContextNetwork implements Blueprint {

  private static final int GROUPS = 8;
  private static final double EPSILON = 1e-5;

  /** The image is halved twice before it is averaged. */
  private static final int LEAST_SIDE = ContextUNet.SIDE / 4;

  /** The divisor of residuals, in the code that this follows. */
  private static final double ROOT_OF_TWO = 1.414;

  /** The level of parts that are not worth recomputing. */
  private static final int NEVER_RECOMPUTED = -1;

  /** A convolution, then a factor and a summand per channel, then an activation. */
  private record Scaled(ConvLayer conv, String scale) {

    static Scaled of(String name, int in, int out) {
      return new Scaled(
          ConvLayer.same3x3(name + ".0", in, out, Initial.NORMAL), name + ContextUNet.SCALE);
    }

    void declare(List<ParameterSpec> specs) {
      Shape channels = new Shape(conv.out());
      conv.declare(specs);
      specs.add(new ParameterSpec(scale + ".weight", channels, Parameter.Type.GAMMA, 0));
      specs.add(new ParameterSpec(scale + ".bias", channels, Parameter.Type.BETA, 0));
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
      return ops.scope(
          () -> {
            T scaled =
                ops.multiplyPerChannel(conv.apply(ops, weights, x), weights.get(scale + ".weight"));
            return ops.gelu(ops.addPerChannel(scaled, weights.get(scale + ".bias")));
          });
    }
  }

  /** Two of these, with or without a residual around them. */
  private record Pair(Scaled first, Scaled second, boolean residual) {

    static Pair of(String name, int in, int out, boolean residual) {
      return new Pair(
          Scaled.of(name + ".conv1", in, out), Scaled.of(name + ".conv2", out, out), residual);
    }

    void declare(List<ParameterSpec> specs) {
      first.declare(specs);
      second.declare(specs);
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
      return ops.scope(
          () -> {
            T one = first.forward(ops, weights, x);
            T two = second.forward(ops, weights, one);
            if (!residual) {
              return two;
            }
            T past = first.conv.in() == first.conv.out() ? x : one;
            return ops.scale(ops.add(past, two), 1 / ROOT_OF_TWO);
          });
    }
  }

  /** Two linear layers with an activation between them. */
  private record Embedded(LinearLayer first, LinearLayer second) {

    static Embedded of(String name, int in, int out) {
      return new Embedded(
          new LinearLayer(name + ".model.0", in, out, Initial.NORMAL),
          new LinearLayer(name + ".model.2", out, out, Initial.NORMAL));
    }

    void declare(List<ParameterSpec> specs) {
      first.declare(specs);
      second.declare(specs);
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
      return second.apply(ops, weights, ops.gelu(first.apply(ops, weights, x)));
    }
  }

  /** Doubles height and width. */
  private record Up(ConvLayer wider, Pair first, Pair second) {

    static Up of(String name, int in, int out) {
      return new Up(
          new ConvLayer(name + ".model.0", in, out, 2, 2, 0, Initial.NORMAL),
          Pair.of(name + ".model.1", out, out, false),
          Pair.of(name + ".model.2", out, out, false));
    }

    void declare(List<ParameterSpec> specs) {
      wider.declareTransposed(specs);
      first.declare(specs);
      second.declare(specs);
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x, T skip) {
      T both = ops.concatChannels(x, skip);
      T wide = wider.applyTransposed(ops, weights, both);
      return second.forward(ops, weights, first.forward(ops, weights, wide));
    }
  }

  private final ContextUNet.Config config;
  private final Pair stem;
  private final Pair down1;
  private final Pair down2;
  private final Embedded time1;
  private final Embedded time2;
  private final Embedded class1;
  private final Embedded class2;
  private final ConvLayer fromVector;
  private final NormLayer fromVectorNorm;
  private final Up up1;
  private final Up up2;
  private final ConvLayer last;
  private final NormLayer lastNorm;
  private final ConvLayer out;
  private final List<ParameterSpec> parameters;

  ContextNetwork(ContextUNet.Config config) {
    this.config = config;
    int images = config.imageChannels();
    int f = config.features();
    stem = Pair.of("init_conv", images, f, true);
    down1 = Pair.of("down1.model.0", f, f, false);
    down2 = Pair.of("down2.model.0", f, 2 * f, false);
    time1 = Embedded.of("timeembed1", 1, 2 * f);
    time2 = Embedded.of("timeembed2", 1, f);
    class1 = Embedded.of("contextembed1", config.classes(), 2 * f);
    class2 = Embedded.of("contextembed2", config.classes(), f);
    fromVector = new ConvLayer("up0.0", 2 * f, 2 * f, LEAST_SIDE, LEAST_SIDE, 0, Initial.NORMAL);
    fromVectorNorm = new NormLayer("up0.1", 2 * f, GROUPS, EPSILON);
    up1 = Up.of("up1", 4 * f, f);
    up2 = Up.of("up2", 2 * f, f);
    last = ConvLayer.same3x3("out.0", 2 * f, f, Initial.NORMAL);
    lastNorm = new NormLayer("out.1", f, GROUPS, EPSILON);
    out = ConvLayer.same3x3("out.3", f, images, Initial.NORMAL);
    parameters = List.copyOf(declare());
  }

  private List<ParameterSpec> declare() {
    List<ParameterSpec> specs = new ArrayList<>();
    stem.declare(specs);
    down1.declare(specs);
    down2.declare(specs);
    for (Embedded embedded : List.of(time1, time2, class1, class2)) {
      embedded.declare(specs);
    }
    fromVector.declareTransposed(specs);
    fromVectorNorm.declare(specs);
    up1.declare(specs);
    up2.declare(specs);
    last.declare(specs);
    lastNorm.declare(specs);
    out.declare(specs);
    return specs;
  }

  @Override
  public List<ParameterSpec> parameters() {
    return parameters;
  }

  @Override
  public int axes() {
    return 2;
  }

  @Override
  public int conditions() {
    return 1;
  }

  @Override
  public int dropoutLayers() {
    return 0;
  }

  @Override
  public int levelInputs() {
    return 1;
  }

  /** (t + 1) / T: the code counts from 1. */
  @Override
  public double[] levelInputs(double[] timesteps) {
    return Arrays.stream(timesteps).map(t -> (t + 1) / config.timesteps()).toArray();
  }

  @Override
  public <T> T forward(Ops<T> ops, List<T> values, T x, T levels, List<T> conditions) {
    Map<String, T> byName = new HashMap<>();
    for (int i = 0; i < values.size(); i++) {
      byName.put(parameters.get(i).name(), values.get(i));
    }
    Weights<T> weights = name -> Objects.requireNonNull(byName.get(name), name);
    T images = ops.enter(x);
    T time = ops.enterFeatures(levels);
    T classes = ops.enterFeatures(conditions.get(0));
    return ops.leave(ops.scope(() -> forward(ops, weights, images, time, classes)));
  }

  private <T> T forward(Ops<T> ops, Weights<T> weights, T x, T time, T classes) {
    T h0 = part(ops, 0, List.of(x), in -> stem.forward(ops, weights, in.get(0)));
    T h1 = part(ops, 0, List.of(h0), in -> halved(ops, weights, down1, in.get(0)));
    T h2 = part(ops, 1, List.of(h1), in -> halved(ops, weights, down2, in.get(0)));
    T h3 =
        part(
            ops,
            NEVER_RECOMPUTED,
            List.of(h2, time, classes),
            in -> told(ops, weights, vector(ops, weights, in.get(0)), time1, class1, in));
    T h4 = part(ops, 1, List.of(h3, h2), in -> up1.forward(ops, weights, in.get(0), in.get(1)));
    T h5 =
        part(
            ops,
            NEVER_RECOMPUTED,
            List.of(h4, time, classes),
            in -> told(ops, weights, in.get(0), time2, class2, in));
    T h6 = part(ops, 0, List.of(h5, h1), in -> up2.forward(ops, weights, in.get(0), in.get(1)));
    return part(
        ops,
        NEVER_RECOMPUTED,
        List.of(h6, h0),
        in -> {
          T h = last.apply(ops, weights, ops.concatChannels(in.get(0), in.get(1)));
          return out.apply(ops, weights, relu(ops, lastNorm.apply(ops, weights, h)));
        });
  }

  private static <T> T part(Ops<T> ops, int level, List<T> inputs, Function<List<T>, T> body) {
    return ops.recomputable(level, inputs, in -> ops.scope(() -> body.apply(in)));
  }

  private static <T> T halved(Ops<T> ops, Weights<T> weights, Pair pair, T x) {
    return ops.maxPool(pair.forward(ops, weights, x), 2);
  }

  /** From the lowest level to a vector and back. */
  private <T> T vector(Ops<T> ops, Weights<T> weights, T x) {
    T vector = ops.gelu(ops.averagePool(x, LEAST_SIDE));
    T wide = fromVector.applyTransposed(ops, weights, vector);
    return relu(ops, fromVectorNorm.apply(ops, weights, wide));
  }

  /** x · class + time, channel by channel; time and class are the second and the third input. */
  private static <T> T told(
      Ops<T> ops, Weights<T> weights, T x, Embedded time, Embedded classes, List<T> in) {
    T factors = classes.forward(ops, weights, in.get(2));
    T summands = time.forward(ops, weights, in.get(1));
    return ops.addPerChannel(ops.multiplyPerChannel(x, factors), summands);
  }

  private static <T> T relu(Ops<T> ops, T x) {
    return ops.atLeast(x, 0);
  }
}
