package io.github.ddpm4j.unet;

import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.internal.layers.AttentionBlock;
import io.github.ddpm4j.unet.internal.layers.NormLayer;
import io.github.ddpm4j.unet.internal.layers.ResidualBlock;
import io.github.ddpm4j.unet.internal.layers.Transformer;
import java.util.List;

/** How the blocks of an architecture are. */
final class LayerStyles {

  /** The level of the attention in the middle. */
  static final int MIDDLE = -1;

  /** Of the norm in front of transformers, whatever that of the others is. */
  private static final double TRANSFORMER_EPSILON = 1e-6;

  private LayerStyles() {}

  static NormLayer.Style norm(UNetConfig config) {
    return norm(config, config.groups());
  }

  /** The last norm. */
  static NormLayer.Style lastNorm(UNetConfig config) {
    int groups = config.layout().outer().outGroups();
    return norm(config, groups > 0 ? groups : config.groups());
  }

  private static NormLayer.Style norm(UNetConfig config, int groups) {
    double eps = config.normEpsilon();
    return switch (config.layout().block().norm()) {
      case GROUP -> new NormLayer.Style(groups, false, eps);
      case GROUP_OF_FOUR -> new NormLayer.Style(groups, true, eps);
      case RMS -> new NormLayer.Style(0, false, eps);
    };
  }

  static ResidualBlock.Style block(UNetConfig config) {
    UNetLayout.Block block = config.layout().block();
    return new ResidualBlock.Style(
        norm(config),
        block.order() == Order.NORM_FIRST,
        config.timeChannels(),
        block.time() == Time.SCALE_SHIFT,
        config.dropout(),
        block.scale(),
        config.layout().resampling().shortcut(),
        config.axes());
  }

  /** {@code level} is that of the network, or {@link #MIDDLE}. */
  static Transformer.Style transformer(UNetConfig config, int level, int channels) {
    UNetLayout.Transformers transformers = config.layout().transformers();
    boolean middle = level == MIDDLE;
    int at = middle ? config.levels() - 1 : level;
    List<Integer> depths = transformers.depths();
    NormLayer.Style norm = norm(config);
    return new Transformer.Style(
        config.heads(at, channels),
        new NormLayer.Style(norm.groups(), norm.ofFour(), TRANSFORMER_EPSILON),
        config.contextCondition(),
        depths.isEmpty() ? 1 : depths.get(at),
        transformers.linearProjection(),
        !middle && transformers.contextOnlyLevels().contains(at),
        config.axes());
  }

  /** {@code level} is that of the network, or {@link #MIDDLE}. */
  static AttentionBlock.Style attention(UNetConfig config, int level, int channels) {
    Attention attention = config.layout().attention();
    boolean middle = level == MIDDLE;
    int heads = config.heads(middle ? config.levels() - 1 : level, channels);
    boolean linear = attention.linearLevels().contains(level);
    boolean normed =
        attention.norm() == AttentionNorm.ALL
            || (attention.norm() == AttentionNorm.EXCEPT_MIDDLE && !middle);
    return new AttentionBlock.Style(
        heads,
        attention.headWidth() > 0 ? heads * attention.headWidth() : channels,
        linear,
        normed ? norm(config) : null,
        attention.bias(),
        attention.memoryTokens(),
        linear ? norm(config) : null,
        config.layout().block().scale());
  }
}
