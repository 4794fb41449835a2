package io.github.ddpm4j.latent;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.AttentionBlock;
import io.github.ddpm4j.unet.internal.layers.ConvLayer;
import io.github.ddpm4j.unet.internal.layers.EmbeddingTable;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.NormLayer;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.ResidualBlock;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The convolutional autoencoder of latent diffusion (Rombach et al. 2021; Esser et al. 2020): the
 * blocks of the U-Net without timesteps and without what leads from the way down to the way up.
 * Holds no weights; immutable.
 */
final class AutoencoderNetwork {

  private static final double EPSILON = 1e-6;

  private static final String CODES = "quantize.embedding";

  /** A residual block, with attention behind it where the level has it. */
  private record Stage(ResidualBlock residual, @Nullable AttentionBlock attention) {

    void declare(List<ParameterSpec> specs) {
      residual.declare(specs);
      if (attention != null) {
        attention.declare(specs);
      }
    }

    <T> T forward(Ops<T> ops, Weights<T> weights, T x) {
      T h = residual.forward(ops, weights, x);
      return attention == null ? h : attention.forward(ops, weights, h);
    }
  }

  /** The blocks of a level, and what leads to the next one. */
  private record Level(List<Stage> stages, @Nullable ConvLayer passage) {

    void declare(List<ParameterSpec> specs) {
      stages.forEach(stage -> stage.declare(specs));
      if (passage != null) {
        passage.declare(specs);
      }
    }
  }

  /** From images to the lowest resolution, or from there to images. */
  private record Half(
      ConvLayer first, List<Level> levels, List<Stage> middle, NormLayer norm, ConvLayer last) {

    void declare(List<ParameterSpec> specs) {
      first.declare(specs);
      levels.forEach(level -> level.declare(specs));
      middle.forEach(stage -> stage.declare(specs));
      norm.declare(specs);
      last.declare(specs);
    }
  }

  private final ResidualBlock.Style style;
  private final NormLayer.Style norms;
  private final Half encoder;
  private final @Nullable ConvLayer quantConv;
  private final @Nullable EmbeddingTable codes;
  private final @Nullable ConvLayer postQuantConv;
  private final Half decoder;

  /**
   * @throws IllegalArgumentException if the groups do not divide the channels of every norm
   */
  AutoencoderNetwork(AutoencoderConfig config) {
    norms = new NormLayer.Style(config.groups(), false, EPSILON);
    style = ResidualBlock.Style.withoutTime(norms);
    int latent = config.latentChannels();
    int encoded = config.quantized() ? latent : 2 * latent;
    encoder = encoder(config, encoded);
    quantConv =
        config.quantConv() ? pointwise("quant_conv", encoded, config.encodedChannels()) : null;
    codes =
        config.quantized() ? new EmbeddingTable(CODES, config.codes(), config.codeWidth()) : null;
    postQuantConv =
        config.postQuantConv()
            ? pointwise("post_quant_conv", config.decodedChannels(), latent)
            : null;
    decoder = decoder(config);
  }

  private static ConvLayer pointwise(String name, int in, int out) {
    return new ConvLayer(name, in, out, 1, 1, 0, Initial.NORMAL);
  }

  private Half encoder(AutoencoderConfig config, int out) {
    List<Integer> widths = config.widths();
    List<Level> levels = new ArrayList<>();
    int channels = widths.get(0);
    for (int i = 0; i < widths.size(); i++) {
      String name = "encoder.down_blocks." + i;
      int width = widths.get(i);
      List<Stage> stages =
          stages(name, channels, width, config.blocks(), config.attentionDown(), i);
      channels = width;
      ConvLayer passage =
          i == widths.size() - 1
              ? null
              : new ConvLayer(name + ".downsamplers.0.conv", width, width, 3, 2, 0, Initial.NORMAL);
      levels.add(new Level(stages, passage));
    }
    return new Half(
        ConvLayer.same3x3("encoder.conv_in", config.inChannels(), widths.get(0), Initial.NORMAL),
        levels,
        middle("encoder", config, channels),
        norms.of("encoder.conv_norm_out", channels),
        ConvLayer.same3x3("encoder.conv_out", channels, out, Initial.NORMAL));
  }

  private Half decoder(AutoencoderConfig config) {
    List<Integer> widths = config.widths();
    int lowest = widths.get(widths.size() - 1);
    List<Level> levels = new ArrayList<>();
    int channels = lowest;
    for (int i = widths.size() - 1; i >= 0; i--) {
      String name = "decoder.up_blocks." + (widths.size() - 1 - i);
      int width = widths.get(i);
      List<Stage> stages =
          stages(name, channels, width, config.blocks() + 1, config.attentionUp(), i);
      channels = width;
      ConvLayer passage =
          i == 0
              ? null
              : ConvLayer.same3x3(name + ".upsamplers.0.conv", width, width, Initial.NORMAL);
      levels.add(new Level(stages, passage));
    }
    return new Half(
        ConvLayer.same3x3("decoder.conv_in", config.latentChannels(), lowest, Initial.NORMAL),
        levels,
        middle("decoder", config, lowest),
        norms.of("decoder.conv_norm_out", channels),
        ConvLayer.same3x3("decoder.conv_out", channels, config.outChannels(), Initial.NORMAL));
  }

  private List<Stage> stages(
      String level, int in, int out, int count, List<Boolean> attention, int number) {
    List<Stage> stages = new ArrayList<>();
    for (int j = 0; j < count; j++) {
      stages.add(stage(level, j, j == 0 ? in : out, out, attention.get(number)));
    }
    return stages;
  }

  private List<Stage> middle(String half, AutoencoderConfig config, int channels) {
    String name = half + ".mid_block";
    return List.of(
        stage(name, 0, channels, channels, config.middleAttention()),
        stage(name, 1, channels, channels, false));
  }

  private Stage stage(String level, int j, int in, int out, boolean attention) {
    AttentionBlock.Style one = AttentionBlock.Style.oneHead(norms, out);
    return new Stage(
        new ResidualBlock(style, level + ".resnets." + j, in, out, 0),
        attention ? new AttentionBlock(one, level + ".attentions." + j, out) : null);
  }

  /** Every weight, in the order of the network. */
  List<ParameterSpec> parameters() {
    List<ParameterSpec> specs = new ArrayList<>();
    encoder.declare(specs);
    if (quantConv != null) {
      quantConv.declare(specs);
    }
    if (codes != null) {
      specs.add(
          new ParameterSpec(
              CODES + ".weight",
              new Shape(codes.rows(), codes.width()),
              Parameter.Type.WEIGHT,
              1.0 / codes.rows()));
    }
    if (postQuantConv != null) {
      postQuantConv.declare(specs);
    }
    decoder.declare(specs);
    return specs;
  }

  /** The name of the code book's weight. */
  static String codeBook() {
    return CODES + ".weight";
  }

  /** The name that a weight of attention has in files of 2022. */
  static String oldName(String name) {
    return name.contains(".attentions.")
        ? name.replace(".to_q.", ".query.")
            .replace(".to_k.", ".key.")
            .replace(".to_v.", ".value.")
            .replace(".to_out.0.", ".proj_attn.")
        : name;
  }

  /** Images, (N, C, H, W), to means and logarithms of variances, or to vectors to be quantized. */
  record Encode(AutoencoderNetwork network) implements Pass {

    @Override
    public int inputs() {
      return 1;
    }

    @Override
    public <T> T forward(Ops<T> ops, Weights<T> weights, List<T> in) {
      return network.encode(ops, weights, in.get(0));
    }
  }

  /** Latents without a scale to images. */
  record Decode(AutoencoderNetwork network) implements Pass {

    @Override
    public int inputs() {
      return 1;
    }

    @Override
    public <T> T forward(Ops<T> ops, Weights<T> weights, List<T> in) {
      return network.decode(ops, weights, in.get(0));
    }
  }

  <T> T encode(Ops<T> ops, Weights<T> weights, T images) {
    return ops.scope(
        () -> {
          T h = encoder.first.apply(ops, weights, ops.enter(images));
          for (Level level : encoder.levels) {
            h = down(ops, weights, level, h);
          }
          h = end(ops, weights, encoder, middle(ops, weights, encoder, h));
          return ops.leave(quantConv == null ? h : quantConv.apply(ops, weights, h));
        });
  }

  <T> T decode(Ops<T> ops, Weights<T> weights, T latents) {
    return ops.scope(
        () -> {
          T h = ops.enter(latents);
          h = postQuantConv == null ? h : postQuantConv.apply(ops, weights, h);
          h = middle(ops, weights, decoder, decoder.first.apply(ops, weights, h));
          for (Level level : decoder.levels) {
            h = up(ops, weights, level, h);
          }
          return ops.leave(end(ops, weights, decoder, h));
        });
  }

  private static <T> T stages(Ops<T> ops, Weights<T> weights, List<Stage> stages, T x) {
    T h = x;
    for (Stage stage : stages) {
      T before = h;
      h = ops.scope(() -> stage.forward(ops, weights, before));
    }
    return h;
  }

  private static <T> T down(Ops<T> ops, Weights<T> weights, Level level, T x) {
    return ops.scope(
        () -> {
          T h = stages(ops, weights, level.stages, x);
          ConvLayer passage = level.passage;
          return passage == null ? h : passage.apply(ops, weights, ops.padEnd(h, 1));
        });
  }

  private static <T> T up(Ops<T> ops, Weights<T> weights, Level level, T x) {
    return ops.scope(
        () -> {
          T h = stages(ops, weights, level.stages, x);
          ConvLayer passage = level.passage;
          return passage == null ? h : passage.applyUpsampled(ops, weights, h);
        });
  }

  private static <T> T middle(Ops<T> ops, Weights<T> weights, Half half, T x) {
    return ops.scope(() -> stages(ops, weights, half.middle, x));
  }

  private static <T> T end(Ops<T> ops, Weights<T> weights, Half half, T x) {
    return ops.scope(
        () -> half.last.apply(ops, weights, ops.silu(half.norm.apply(ops, weights, x))));
  }
}
