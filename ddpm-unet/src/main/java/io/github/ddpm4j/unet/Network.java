package io.github.ddpm4j.unet;

import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.AttentionBlock;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.NormLayer;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.ResidualBlock;
import io.github.ddpm4j.unet.internal.layers.ResidualBlock.Size;
import io.github.ddpm4j.unet.internal.layers.Transformer;
import io.github.ddpm4j.unet.internal.layers.Weights;
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
final class Network implements Blueprint {

  /** The level of parts that are not worth recomputing. */
  private static final int NEVER_RECOMPUTED = -1;

  /** Where there is no attention. */
  private static final int NONE = -2;

  /** What blocks see beside the images; a context only in networks that were built for one. */
  private record Beside<T>(T time, @Nullable T context) {}

  /**
   * A residual block, with attention behind it where the level has it, which is a transformer where
   * the network has a context.
   */
  private record Stage(
      ResidualBlock residual,
      @Nullable AttentionBlock attention,
      @Nullable Transformer transformer) {

    static Stage plain(ResidualBlock residual) {
      return new Stage(residual, null, null);
    }

    void declare(List<ParameterSpec> specs) {
      residual.declare(specs);
      if (attention != null) {
        attention.declare(specs);
      }
      if (transformer != null) {
        transformer.declare(specs);
      }
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x, Beside<T> beside) {
      if (attention == null && transformer == null) {
        return residual.forward(ops, weights, x, beside.time);
      }
      return ops.scope(
          () -> {
            T h = residual.forward(ops, weights, x, beside.time);
            return transformer == null
                ? Objects.requireNonNull(attention).forward(ops, weights, h)
                : transformer.forward(ops, weights, h, Objects.requireNonNull(beside.context));
          });
    }
  }

  /** What leads from one level to the next: a residual block, or a layer. */
  private record Passage(@Nullable ResidualBlock residual, @Nullable Resampler layer) {

    void declare(List<ParameterSpec> specs) {
      if (residual != null) {
        residual.declare(specs);
      }
      if (layer != null) {
        layer.declare(specs);
      }
    }
  }

  private record Level(List<Stage> stages, @Nullable Passage passage) {

    void declare(List<ParameterSpec> specs) {
      stages.forEach(stage -> stage.declare(specs));
      if (passage != null) {
        passage.declare(specs);
      }
    }
  }

  private final UNetConfig config;
  private final ResidualBlock.Style style;
  private final ConvLayer convIn;
  private final TimeEmbedding timeEmbedding;
  private final ConditionEmbedding conditionEmbedding;
  private final List<Level> down = new ArrayList<>();
  private final List<Stage> middle = new ArrayList<>();
  private final List<Level> up = new ArrayList<>();

  /** Whether the stem joins the end, and of the way down only residual blocks join the way up. */
  private final boolean joins;

  private final @Nullable ResidualBlock joined;
  private final @Nullable NormLayer normOut;
  private final ConvLayer convOut;
  private final List<ParameterSpec> parameters;
  private final int dropoutLayers;

  Network(UNetConfig config) {
    this.config = config;
    style = LayerStyles.block(config);
    joins = config.layout().outer().stemJoinsEnd();
    List<LevelWidths> widths = LevelWidths.of(config);
    int levels = config.levels();
    int axes = config.axes();
    int stem = config.stemChannels();
    int layer = 0;
    timeEmbedding = new TimeEmbedding(config);
    conditionEmbedding = new ConditionEmbedding(config, timeEmbedding.width());
    convIn =
        joins
            ? new ConvLayer(axes, "conv_in", config.inputChannels(), stem, 7, 1, 3, Initial.NORMAL)
            : ConvLayer.same(axes, "conv_in", config.inputChannels(), stem, Initial.NORMAL);

    // Every value that the way down keeps, by its channels; the way up takes them from the end.
    Deque<Integer> skips = new ArrayDeque<>();
    if (!joins) {
      skips.push(stem);
    }
    int channels = stem;
    for (int level = 0; level < levels; level++) {
      String name = "down_blocks." + level;
      LevelWidths width = widths.get(level);
      List<Stage> stages = new ArrayList<>();
      for (int j = 0; j < config.residualBlocks(); j++) {
        boolean attention = config.hasAttention(level, j, config.residualBlocks(), false);
        stages.add(stage(name, j, channels, width.down(), layer++, attention ? level : NONE));
        channels = width.down();
        skips.push(channels);
      }
      Passage passage = downward(name, level, channels, width.downsampled(), layer);
      if (passage != null) {
        layer += passage.residual == null ? 0 : 1;
        channels = width.downsampled();
        if (!joins) {
          skips.push(channels);
        }
      }
      down.add(new Level(stages, passage));
    }

    for (int j = 0; j < config.layout().transformers().middleBlocks(); j++) {
      boolean attention = j == 0 && config.layout().attention().middle();
      int place = attention ? LayerStyles.MIDDLE : NONE;
      middle.add(stage("mid_block", j, channels, channels, layer++, place));
    }

    int blocksUp = config.residualBlocks() + (joins ? 0 : 1);
    for (int level = levels - 1; level >= 0; level--) {
      String name = "up_blocks." + (levels - 1 - level);
      LevelWidths width = widths.get(level);
      List<Stage> stages = new ArrayList<>();
      for (int j = 0; j < blocksUp; j++) {
        int in = channels + skips.pop();
        channels = j < blocksUp - 1 ? width.up() : width.lastUp();
        boolean attention = config.hasAttention(level, j, blocksUp, true);
        stages.add(stage(name, j, in, channels, layer++, attention ? level : NONE));
      }
      Passage passage = upward(name, level, channels, width.upsampled(), layer);
      if (passage != null) {
        layer += passage.residual == null ? 0 : 1;
        channels = width.upsampled();
      }
      up.add(new Level(stages, passage));
    }

    int out = config.outputChannels();
    joined =
        joins ? new ResidualBlock(style, "final_resnet", channels + stem, stem, layer++) : null;
    normOut = joins ? null : LayerStyles.lastNorm(config).of("conv_norm_out", channels);
    convOut =
        joins
            ? ConvLayer.onePixel(axes, "conv_out", stem, out, Initial.ALMOST_ZERO)
            : ConvLayer.same(axes, "conv_out", channels, out, Initial.ALMOST_ZERO);
    dropoutLayers = layer;
    parameters = List.copyOf(declare());
  }

  /** {@code attention} is the level of the attention behind the block, or {@link #NONE}. */
  private Stage stage(String name, int j, int in, int out, int layer, int attention) {
    ResidualBlock residual = new ResidualBlock(style, name + ".resnets." + j, in, out, layer);
    if (attention == NONE) {
      return Stage.plain(residual);
    }
    String own = name + ".attentions." + j;
    return config.contextCondition() > 0
        ? new Stage(
            residual,
            null,
            new Transformer(LayerStyles.transformer(config, attention, out), own, out))
        : new Stage(
            residual,
            new AttentionBlock(LayerStyles.attention(config, attention, out), own, out),
            null);
  }

  /** What is behind the blocks of a level on the way down. */
  private @Nullable Passage downward(String level, int number, int in, int out, int layer) {
    String name = level + ".downsamplers.0";
    if (number == config.levels() - 1) {
      return widthsChangeInPassages()
          ? new Passage(null, Resampler.sameSize(config, name, in, out))
          : null;
    }
    return config.layout().resampling().down() == UNetLayout.Down.RESIDUAL
        ? new Passage(new ResidualBlock(style, name, in, out, layer, Size.HALVED), null)
        : new Passage(null, new Downsample(config, name, in, out));
  }

  /** What is behind the blocks of a level on the way up. */
  private @Nullable Passage upward(String level, int number, int in, int out, int layer) {
    String name = level + ".upsamplers.0";
    if (number == 0) {
      return widthsChangeInPassages()
          ? new Passage(null, Resampler.sameSize(config, name, in, out))
          : null;
    }
    return config.layout().resampling().up() == UNetLayout.Up.RESIDUAL
        ? new Passage(new ResidualBlock(style, name, in, out, layer, Size.DOUBLED), null)
        : new Passage(null, new Upsample(config, name, in, out, number - 1));
  }

  private boolean widthsChangeInPassages() {
    return config.layout().outer().widthChange() == UNetLayout.WidthChange.PASSAGE;
  }

  private List<ParameterSpec> declare() {
    List<ParameterSpec> specs = new ArrayList<>();
    convIn.declare(specs);
    timeEmbedding.declare(specs);
    conditionEmbedding.declare(specs);
    down.forEach(level -> level.declare(specs));
    middle.forEach(stage -> stage.declare(specs));
    up.forEach(level -> level.declare(specs));
    if (joined != null) {
      joined.declare(specs);
    }
    if (normOut != null) {
      normOut.declare(specs);
    }
    convOut.declare(specs);
    return specs;
  }

  @Override
  public List<ParameterSpec> parameters() {
    return parameters;
  }

  @Override
  public int axes() {
    return config.axes();
  }

  @Override
  public int conditions() {
    return config.conditionKinds().size();
  }

  @Override
  public int dropoutLayers() {
    return dropoutLayers;
  }

  @Override
  public int levelInputs() {
    return timeEmbedding.inputs();
  }

  @Override
  public double[] levelInputs(double[] timesteps) {
    return timeEmbedding.inputs(timesteps);
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
          Beside<T> beside =
              new Beside<>(
                  kept(ops, List.of(), none -> embedded(ops, weights, inputs)),
                  inputs.conditions().get(Kind.CONTEXTS));
          Deque<T> skips = new ArrayDeque<>();
          T stem =
              kept(ops, List.of(), none -> convIn.apply(ops, weights, withImages(ops, inputs)));
          if (!joins) {
            skips.push(stem);
          }
          T h = stem;
          for (int level = 0; level < down.size(); level++) {
            for (Stage stage : down.get(level).stages) {
              h = stage(ops, weights, level, stage, List.of(h), beside);
              skips.push(h);
            }
            Passage passage = down.get(level).passage;
            if (passage != null) {
              h = passed(ops, weights, level, passage, h, beside);
              if (!joins) {
                skips.push(h);
              }
            }
          }
          h = middle(ops, weights, h, beside);
          for (int i = 0; i < up.size(); i++) {
            h = upward(ops, weights, up.size() - 1 - i, up.get(i), h, beside, skips);
          }
          return end(ops, weights, h, stem, beside);
        });
  }

  /** The conditions are those of the network's kinds, in their order. */
  @Override
  public <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions) {
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
            case VECTORS, CONTEXTS -> ops.enterFeatures(value);
            case IMAGES, PREVIOUS_X0 -> ops.enter(value);
          });
    }
    return ops.leave(
        forward(
            ops,
            name -> Objects.requireNonNull(byName.get(name), name),
            new Inputs<>(ops.enter(x), timeEmbedding.enter(ops, levels), byKind)));
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
    T features = timeEmbedding.features(ops, weights, inputs.times());
    T all = conditionEmbedding.before(ops, weights, features, inputs);
    T time = timeEmbedding.forward(ops, weights, all);
    return ops.silu(conditionEmbedding.forward(ops, weights, time, inputs));
  }

  /** A part that holds little beside its result. */
  private static <T> T kept(Ops<T> ops, List<T> inputs, Function<List<T>, T> body) {
    return ops.recomputable(NEVER_RECOMPUTED, inputs, body);
  }

  /** A stage of one value, or of two whose channels follow each other. */
  private static <T> T stage(
      Ops<T> ops, Weights<T> weights, int level, Stage stage, List<T> inputs, Beside<T> beside) {
    int images = inputs.size();
    List<T> all = new ArrayList<>(inputs);
    all.add(beside.time);
    if (stage.transformer != null) {
      all.add(Objects.requireNonNull(beside.context));
    }
    return ops.recomputable(
        level,
        all,
        in -> {
          T x = images == 1 ? in.get(0) : ops.concatChannels(in.get(0), in.get(1));
          T context = in.size() > images + 1 ? in.get(images + 1) : null;
          return stage.forward(ops, weights, x, new Beside<>(in.get(images), context));
        });
  }

  private <T> T middle(Ops<T> ops, Weights<T> weights, T x, Beside<T> beside) {
    if (middle.isEmpty()) {
      return x;
    }
    int level = down.size() - 1;
    return ops.scope(
        () -> {
          T h = x;
          for (Stage stage : middle) {
            h = stage(ops, weights, level, stage, List.of(h), beside);
          }
          return h;
        });
  }

  /** From one level to the next. */
  private static <T> T passed(
      Ops<T> ops, Weights<T> weights, int level, Passage passage, T x, Beside<T> beside) {
    if (passage.residual != null) {
      return stage(ops, weights, level, Stage.plain(passage.residual), List.of(x), beside);
    }
    Resampler layer = Objects.requireNonNull(passage.layer);
    return kept(ops, List.of(x), in -> layer.forward(ops, weights, in.get(0)));
  }

  private static <T> T upward(
      Ops<T> ops, Weights<T> weights, int level, Level up, T x, Beside<T> beside, Deque<T> skips) {
    return ops.scope(
        () -> {
          T h = x;
          for (Stage stage : up.stages) {
            h = stage(ops, weights, level, stage, List.of(h, skips.pop()), beside);
          }
          return up.passage == null ? h : passed(ops, weights, level, up.passage, h, beside);
        });
  }

  /** From the last value of the way up, and where it joins the end the first of all. */
  private <T> T end(Ops<T> ops, Weights<T> weights, T x, T stem, Beside<T> beside) {
    T h =
        joined == null ? x : stage(ops, weights, 0, Stage.plain(joined), List.of(x, stem), beside);
    NormLayer norm = normOut;
    return kept(
        ops,
        List.of(h),
        in -> {
          T last = in.get(0);
          T normal = norm == null ? last : ops.silu(norm.apply(ops, weights, last));
          return convOut.apply(ops, weights, normal);
        });
  }
}
