package io.github.ddpm4j.unet;

import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * How the blocks hang together: down through the levels, once across the middle, and up again, each
 * block on the way up seeing what a block on the way down made (Ronneberger et al. 2015; Ho et al.
 * 2020, appendix B). Holds no weights; immutable.
 */
final class Network {

  /** The level of parts that are not worth recomputing. */
  private static final int NEVER_RECOMPUTED = -1;

  /** A residual block, with attention behind it where the level has it. */
  private record Stage(ResidualBlock residual, @Nullable AttentionBlock attention) {

    void declare(List<ParameterSpec> specs) {
      residual.declare(specs);
      if (attention != null) {
        attention.declare(specs);
      }
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x, T time) {
      if (attention == null) {
        return residual.forward(ops, weights, x, time);
      }
      AttentionBlock last = attention;
      return ops.scope(() -> last.forward(ops, weights, residual.forward(ops, weights, x, time)));
    }
  }

  private record DownLevel(List<Stage> stages, @Nullable Downsample downsample) {}

  private record UpLevel(List<Stage> stages, @Nullable Upsample upsample) {}

  private final UNetConfig config;
  private final ConvLayer convIn;
  private final TimeEmbedding timeEmbedding;
  private final ConditionEmbedding conditionEmbedding;
  private final List<DownLevel> down = new ArrayList<>();
  private final Stage middle1;
  private final Stage middle2;
  private final List<UpLevel> up = new ArrayList<>();
  private final NormLayer normOut;
  private final ConvLayer convOut;
  private final List<ParameterSpec> parameters;
  private final int dropoutLayers;

  Network(UNetConfig config) {
    this.config = config;
    int levels = config.levels();
    int base = config.baseChannels();
    int layer = 0;
    timeEmbedding = new TimeEmbedding(config);
    conditionEmbedding = new ConditionEmbedding(config);
    convIn = ConvLayer.same3x3("conv_in", config.inputChannels(), base, Initial.NORMAL);

    // Every value that the way down keeps, by its channels; the way up takes them from the end.
    Deque<Integer> skips = new ArrayDeque<>();
    skips.push(base);
    int channels = base;
    for (int level = 0; level < levels; level++) {
      String name = "down_blocks." + level;
      int out = config.channelsAt(level);
      List<Stage> stages = new ArrayList<>();
      for (int j = 0; j < config.residualBlocks(); j++) {
        stages.add(stage(config, name, j, channels, out, layer++, config.hasAttention(level)));
        channels = out;
        skips.push(channels);
      }
      Downsample downsample = null;
      if (level < levels - 1) {
        downsample = new Downsample(config, name + ".downsamplers.0", channels);
        skips.push(channels);
      }
      down.add(new DownLevel(stages, downsample));
    }

    middle1 = stage(config, "mid_block", 0, channels, channels, layer++, true);
    middle2 = stage(config, "mid_block", 1, channels, channels, layer++, false);

    for (int level = levels - 1; level >= 0; level--) {
      String name = "up_blocks." + (levels - 1 - level);
      int out = config.channelsAt(level);
      List<Stage> stages = new ArrayList<>();
      for (int j = 0; j <= config.residualBlocks(); j++) {
        int in = channels + skips.pop();
        stages.add(stage(config, name, j, in, out, layer++, config.hasAttention(level)));
        channels = out;
      }
      Upsample upsample = level > 0 ? new Upsample(name + ".upsamplers.0", channels) : null;
      up.add(new UpLevel(stages, upsample));
    }

    dropoutLayers = layer;
    normOut = new NormLayer("conv_norm_out", base, config.groups(), config.normEpsilon());
    convOut = ConvLayer.same3x3("conv_out", base, config.outputChannels(), Initial.ALMOST_ZERO);
    parameters = List.copyOf(declare());
  }

  private static Stage stage(
      UNetConfig config, String name, int j, int in, int out, int layer, boolean attention) {
    return new Stage(
        new ResidualBlock(config, name + ".resnets." + j, in, out, layer),
        attention ? new AttentionBlock(config, name + ".attentions." + j, out) : null);
  }

  private List<ParameterSpec> declare() {
    List<ParameterSpec> specs = new ArrayList<>();
    convIn.declare(specs);
    timeEmbedding.declare(specs);
    conditionEmbedding.declare(specs);
    for (DownLevel level : down) {
      level.stages.forEach(stage -> stage.declare(specs));
      if (level.downsample != null) {
        level.downsample.declare(specs);
      }
    }
    middle1.declare(specs);
    middle2.declare(specs);
    for (UpLevel level : up) {
      level.stages.forEach(stage -> stage.declare(specs));
      if (level.upsample != null) {
        level.upsample.declare(specs);
      }
    }
    normOut.declare(specs);
    convOut.declare(specs);
    return specs;
  }

  /** Every weight, in the order of the network. */
  List<ParameterSpec> parameters() {
    return parameters;
  }

  /** The number of layers with dropout, numbered from 0. */
  int dropoutLayers() {
    return dropoutLayers;
  }

  TimeEmbedding timeEmbedding() {
    return timeEmbedding;
  }

  /** The architecture. */
  UNetConfig config() {
    return config;
  }

  /**
   * The whole network.
   *
   * @param inputs images, timesteps and conditions
   * @return the prediction, shape of the images, or with twice their channels
   */
  <T> T forward(Ops<T> ops, Weights<T> weights, Inputs<T> inputs) {
    return ops.scope(
        () -> {
          T time = kept(ops, List.of(), none -> embedded(ops, weights, inputs));
          Deque<T> skips = new ArrayDeque<>();
          T h = kept(ops, List.of(), none -> convIn.apply(ops, weights, withImages(ops, inputs)));
          skips.push(h);
          for (int level = 0; level < down.size(); level++) {
            for (Stage stage : down.get(level).stages) {
              h = stage(ops, weights, level, stage, List.of(h), time);
              skips.push(h);
            }
            Downsample downsample = down.get(level).downsample;
            if (downsample != null) {
              h = kept(ops, List.of(h), in -> downsample.forward(ops, weights, in.get(0)));
              skips.push(h);
            }
          }
          h = middle(ops, weights, h, time);
          for (int i = 0; i < up.size(); i++) {
            h = upward(ops, weights, up.size() - 1 - i, up.get(i), h, time, skips);
          }
          return kept(
              ops,
              List.of(h),
              in -> convOut.apply(ops, weights, ops.silu(normOut.apply(ops, weights, in.get(0)))));
        });
  }

  /**
   * The prediction for what lies outside the network; see {@code ScriptedDenoiser.forward}.
   *
   * @param weights in the order of {@link #parameters()}
   * @param conditions those of the network's kinds, in their order
   */
  <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions) {
    Map<String, T> byName = new HashMap<>();
    for (int i = 0; i < weights.size(); i++) {
      byName.put(parameters().get(i).name(), weights.get(i));
    }
    Map<Kind, T> byKind = new EnumMap<>(Kind.class);
    Iterator<T> next = conditions.iterator();
    for (Kind kind : config().conditionKinds()) {
      T value = next.next();
      byKind.put(
          kind,
          switch (kind) {
            case LABELS -> value;
            case VECTORS -> ops.enterFeatures(value);
            case IMAGES, PREVIOUS_X0 -> ops.enter(value);
          });
    }
    return ops.leave(
        forward(
            ops,
            name -> Objects.requireNonNull(byName.get(name), name),
            new Inputs<>(ops.enter(x), ops.enterFeatures(levels), byKind)));
  }

  /** The noisy images, and behind their channels those of conditions that are images. */
  private <T> T withImages(Ops<T> ops, Inputs<T> inputs) {
    T all = inputs.x();
    for (Kind kind : config.conditionKinds()) {
      if (kind == Kind.IMAGES || kind == Kind.PREVIOUS_X0) {
        all = ops.concatChannels(all, inputs.condition(kind));
      }
    }
    return all;
  }

  /** The time embedding as the blocks see it, with what the conditions add. */
  private <T> T embedded(Ops<T> ops, Weights<T> weights, Inputs<T> inputs) {
    T time = timeEmbedding.forward(ops, weights, inputs.sinusoids());
    return ops.silu(conditionEmbedding.forward(ops, weights, time, inputs));
  }

  /** A part that holds little beside its result. */
  private static <T> T kept(Ops<T> ops, List<T> inputs, Function<List<T>, T> body) {
    return ops.recomputable(NEVER_RECOMPUTED, inputs, body);
  }

  /** A stage of one value, or of two whose channels follow each other. */
  private static <T> T stage(
      Ops<T> ops, Weights<T> weights, int level, Stage stage, List<T> inputs, T time) {
    List<T> all = new ArrayList<>(inputs);
    all.add(time);
    return ops.recomputable(
        level,
        all,
        in -> {
          T x = in.size() == 2 ? in.get(0) : ops.concatChannels(in.get(0), in.get(1));
          return stage.forward(ops, weights, x, in.get(in.size() - 1));
        });
  }

  private <T> T middle(Ops<T> ops, Weights<T> weights, T x, T time) {
    int level = down.size() - 1;
    return ops.scope(
        () -> {
          T h = stage(ops, weights, level, middle1, List.of(x), time);
          return stage(ops, weights, level, middle2, List.of(h), time);
        });
  }

  private static <T> T upward(
      Ops<T> ops, Weights<T> weights, int level, UpLevel up, T x, T time, Deque<T> skips) {
    return ops.scope(
        () -> {
          T h = x;
          for (Stage stage : up.stages) {
            h = stage(ops, weights, level, stage, List.of(h, skips.pop()), time);
          }
          Upsample upsample = up.upsample;
          return upsample == null
              ? h
              : kept(ops, List.of(h), in -> upsample.forward(ops, weights, in.get(0)));
        });
  }
}
