package io.github.ddpm4j.unet;

import ai.djl.Device;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.security.SecureRandom;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Choices of an architecture, and where and how its weights start. Setters check their own
 * argument; {@link #build()} and {@link #config()} check what depends on more than one. May be used
 * again after building.
 */
public final class UNetBuilder {

  /** The default of {@link #baseChannels(int)}. */
  public static final int DEFAULT_BASE_CHANNELS = 128;

  /** The default of {@link #residualBlocks(int)}. */
  public static final int DEFAULT_RESIDUAL_BLOCKS = 2;

  /** The default of {@link #heads(int)}. */
  public static final int DEFAULT_HEADS = 1;

  /** The default of {@link #dropout(double)}. */
  public static final double DEFAULT_DROPOUT = 0.1;

  /** The default of {@link #groups(int)}. */
  public static final int DEFAULT_GROUPS = 32;

  /** The default of {@link #normEpsilon(double)}. */
  public static final double DEFAULT_NORM_EPSILON = 1e-6;

  /** The side of the levels that have attention by default. */
  public static final int DEFAULT_ATTENTION_SIDE = 16;

  int @Nullable [] image;
  int baseChannels = DEFAULT_BASE_CHANNELS;
  int[] channelMultipliers = {1, 2, 2, 2};
  int @Nullable [] levelChannels;
  int[] attentionLevels = {};
  int[] attentionSides = {DEFAULT_ATTENTION_SIDE};

  /** Whether attention was asked for: a default that finds no level is no mistake. */
  boolean attentionChosen;

  int residualBlocks = DEFAULT_RESIDUAL_BLOCKS;
  int heads = DEFAULT_HEADS;
  int headChannels;
  double dropout = DEFAULT_DROPOUT;
  int groups = DEFAULT_GROUPS;
  double normEpsilon = DEFAULT_NORM_EPSILON;
  UNetConfig.DownsamplePadding downsamplePadding = UNetConfig.DownsamplePadding.RIGHT_BOTTOM;
  UNetConfig.TimeOrder timeOrder = UNetConfig.TimeOrder.SIN_COS;
  UNetConfig.TimeDivisor timeDivisor = UNetConfig.TimeDivisor.HALF_MINUS_ONE;
  int classes;
  int vectorCondition;
  int imageCondition;
  boolean selfConditioning;
  boolean learnedVariance;
  private @Nullable Long seed;
  private @Nullable Device device;
  private @Nullable Execution execution;
  private Precision precision = Precision.FLOAT32;

  UNetBuilder() {}

  /**
   * The shape of one image. Height and width need not be equal, but each must be divisible by
   * 2<sup>levels − 1</sup>. Required.
   *
   * @param channels the number of channels
   * @param height the number of rows
   * @param width the number of columns
   * @return this builder
   * @throws IllegalArgumentException if one is less than 1
   */
  public UNetBuilder image(int channels, int height, int width) {
    OptionChecks.requireAtLeast("image channels", 1, channels);
    OptionChecks.requireAtLeast("image height", 1, height);
    OptionChecks.requireAtLeast("image width", 1, width);
    image = new int[] {channels, height, width};
    return this;
  }

  /**
   * The number of channels that {@link #channelMultipliers} multiplies; {@value
   * #DEFAULT_BASE_CHANNELS} by default. The work grows with its square.
   *
   * @param channels the number of channels
   * @return this builder
   * @throws IllegalArgumentException if it is less than 2
   */
  public UNetBuilder baseChannels(int channels) {
    OptionChecks.requireAtLeast("base channels", 2, channels);
    baseChannels = channels;
    levelChannels = null;
    return this;
  }

  /**
   * The channels of each level as multiples of {@link #baseChannels}; 1, 2, 2, 2 by default. Their
   * number is the number of levels, each of half the size of the one before.
   *
   * @param multipliers one per level
   * @return this builder
   * @throws IllegalArgumentException if there are none or more than 16, or one is less than 1
   */
  public UNetBuilder channelMultipliers(int... multipliers) {
    OptionChecks.requireLevels("channel multipliers", multipliers, 1);
    channelMultipliers = multipliers.clone();
    levelChannels = null;
    return this;
  }

  /**
   * The channels of each level outright, in place of {@link #baseChannels} and {@link
   * #channelMultipliers}; the later call holds.
   *
   * @param channels one per level
   * @return this builder
   * @throws IllegalArgumentException if there are none or more than 16, or one is less than 2
   */
  public UNetBuilder levelChannels(int... channels) {
    OptionChecks.requireLevels("level channels", channels, 2);
    levelChannels = channels.clone();
    return this;
  }

  /**
   * The levels with self-attention by their number, 0 at full size, in place of {@link
   * #attentionAt}; the later call holds. The middle always has attention.
   *
   * @param levels the levels; none for attention in the middle alone
   * @return this builder
   * @throws IllegalArgumentException if one is negative
   */
  public UNetBuilder attentionAtLevels(int... levels) {
    for (int level : levels) {
      OptionChecks.requireAtLeast("attention level", 0, level);
    }
    attentionLevels = levels.clone();
    attentionSides = new int[] {};
    attentionChosen = true;
    return this;
  }

  /**
   * The levels with self-attention by the length of their longer side, in place of {@link
   * #attentionAtLevels}; the later call holds. By default the level of {@value
   * #DEFAULT_ATTENTION_SIDE} has it, if there is one.
   *
   * @param sides the sides, each of which must be the longer side of a level
   * @return this builder
   * @throws IllegalArgumentException if one is less than 1
   */
  public UNetBuilder attentionAt(int... sides) {
    for (int side : sides) {
      OptionChecks.requireAtLeast("attention side", 1, side);
    }
    attentionSides = sides.clone();
    attentionLevels = new int[] {};
    attentionChosen = true;
    return this;
  }

  /**
   * The residual blocks per level on the way down; the way up has one more per level. {@value
   * #DEFAULT_RESIDUAL_BLOCKS} by default.
   *
   * @param count the number of blocks
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder residualBlocks(int count) {
    OptionChecks.requireAtLeast("residual blocks", 1, count);
    residualBlocks = count;
    return this;
  }

  /**
   * The number of attention heads, the same at every level; {@value #DEFAULT_HEADS} by default.
   * Takes the place of {@link #headChannels}; the later call holds.
   *
   * @param count the number of heads, a divisor of the channels wherever there is attention
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder heads(int count) {
    OptionChecks.requireAtLeast("heads", 1, count);
    heads = count;
    headChannels = 0;
    return this;
  }

  /**
   * The channels of one attention head, so that wider levels have more heads. Takes the place of
   * {@link #heads}; the later call holds. (diffusers calls it {@code attention_head_dim}.)
   *
   * @param channels the channels, a divisor of those wherever there is attention
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder headChannels(int channels) {
    OptionChecks.requireAtLeast("head channels", 1, channels);
    headChannels = channels;
    heads = 0;
    return this;
  }

  /**
   * The dropout rate in the residual blocks while training; {@value #DEFAULT_DROPOUT} by default,
   * as the paper's for CIFAR-10 (its larger images have 0).
   *
   * @param rate the rate
   * @return this builder
   * @throws IllegalArgumentException if it is outside [0, 1)
   */
  public UNetBuilder dropout(double rate) {
    if (!(rate >= 0 && rate < 1)) {
      throw new IllegalArgumentException("dropout must be in [0, 1), but was " + rate);
    }
    dropout = rate;
    return this;
  }

  /**
   * The number of groups of every normalisation; {@value #DEFAULT_GROUPS} by default.
   *
   * @param count the number of groups, a divisor of the channels of every level
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder groups(int count) {
    OptionChecks.requireAtLeast("groups", 1, count);
    groups = count;
    return this;
  }

  /**
   * What keeps the root of every normalisation from zero; {@value #DEFAULT_NORM_EPSILON} by
   * default.
   *
   * @param epsilon a small number
   * @return this builder
   * @throws IllegalArgumentException if it is not greater than 0, or not finite
   */
  public UNetBuilder normEpsilon(double epsilon) {
    if (!(epsilon > 0 && Double.isFinite(epsilon))) {
      throw new IllegalArgumentException(
          "norm epsilon must be greater than 0 and finite, but was " + epsilon);
    }
    normEpsilon = epsilon;
    return this;
  }

  /**
   * Where images are padded before they are halved; {@link
   * UNetConfig.DownsamplePadding#RIGHT_BOTTOM} by default.
   *
   * @param padding the padding
   * @return this builder
   */
  public UNetBuilder downsamplePadding(UNetConfig.DownsamplePadding padding) {
    downsamplePadding = Objects.requireNonNull(padding, "padding");
    return this;
  }

  /**
   * The form of the time embedding; {@link UNetConfig.TimeOrder#SIN_COS} and {@link
   * UNetConfig.TimeDivisor#HALF_MINUS_ONE} by default.
   *
   * @param order whether sines or cosines come first
   * @param divisor what the frequencies are spaced by
   * @return this builder
   */
  public UNetBuilder timeEmbedding(UNetConfig.TimeOrder order, UNetConfig.TimeDivisor divisor) {
    timeOrder = Objects.requireNonNull(order, "order");
    timeDivisor = Objects.requireNonNull(divisor, "divisor");
    return this;
  }

  /**
   * Conditions images on classes. Each has a learned embedding that is added to that of the
   * timestep, and so has the null class of images without one, which is the last row of {@code
   * class_embedding.weight}. (diffusers calls the number of rows {@code num_class_embeds}.) None by
   * default.
   *
   * @param count the number of classes, which are numbered from 0
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder classes(int count) {
    OptionChecks.requireAtLeast("classes", 1, count);
    classes = count;
    return this;
  }

  /**
   * Conditions images on vectors. Two linear layers with a SiLU between embed them, and the result
   * is added to the embedding of the timestep; an absent vector is zeros. The layers are named
   * {@code add_embedding}, as diffusers names such layers. None by default.
   *
   * @param length the length of a vector
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder vectorCondition(int length) {
    OptionChecks.requireAtLeast("vector condition", 1, length);
    vectorCondition = length;
    return this;
  }

  /**
   * Conditions images on images of the same height and width, whose channels join those of the
   * noisy image before the first convolution (Saharia et al. 2021, "Image Super-Resolution via
   * Iterative Refinement", section 2.4); an absent image is zeros. None by default.
   *
   * @param channels the channels of such an image
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder imageCondition(int channels) {
    OptionChecks.requireAtLeast("image condition", 1, channels);
    imageCondition = channels;
    return this;
  }

  /**
   * Lets the network see what it took the clean image for one step before (Chen, Zhang and Hinton
   * 2022, "Analog Bits", section 3): as many further channels before the first convolution, after
   * those of {@link #imageCondition}; zeros where there is no step before.
   *
   * @return this builder
   */
  public UNetBuilder selfConditioning() {
    selfConditioning = true;
    return this;
  }

  /**
   * Gives the network as many further outputs, for the variance of the reverse process (Nichol and
   * Dhariwal 2021, "Improved DDPM", section 3.1): predictions have the shape (N, 2C, H, W), with
   * the variance in the last C channels.
   *
   * @return this builder
   */
  public UNetBuilder learnedVariance() {
    learnedVariance = true;
    return this;
  }

  /**
   * The seed of the first weights: the same seed gives the same weights, bit by bit. Drawn at
   * random for each network if it is not set.
   *
   * @param value any number
   * @return this builder
   */
  public UNetBuilder seed(long value) {
    seed = value;
    return this;
  }

  /**
   * The device for the weights, where images must be too; the engine's default if it is not set.
   *
   * @param value the device
   * @return this builder
   */
  public UNetBuilder device(Device value) {
    device = Objects.requireNonNull(value, "device");
    return this;
  }

  /**
   * How the network runs; {@link Execution#COMPILED} by default on the PyTorch engine, {@link
   * Execution#EAGER} on others. {@link UNet#runAs} changes it later.
   *
   * @param value compiled or operation by operation
   * @return this builder
   */
  public UNetBuilder execution(Execution value) {
    execution = Objects.requireNonNull(value, "execution");
    return this;
  }

  /**
   * What a compiled network computes in; {@link Precision#FLOAT32} by default. {@link UNet#runAs}
   * changes it later.
   *
   * @param value the precision
   * @return this builder
   */
  public UNetBuilder precision(Precision value) {
    precision = Objects.requireNonNull(value, "precision");
    return this;
  }

  /**
   * The architecture alone.
   *
   * @return the architecture
   * @throws IllegalArgumentException if options do not fit together, naming what would
   */
  public UNetConfig config() {
    return new UNetConfig(this);
  }

  /**
   * A network with fresh weights: variance scaling over the mean of inputs and outputs, uniform;
   * the last layer of each residual branch and of the network as good as zero; biases 0, norms 1.
   *
   * @return the network; the caller closes it
   * @throws IllegalArgumentException if options do not fit together, naming what would, {@link
   *     #execution} and {@link #precision} included
   */
  public UNet build() {
    long start = firstSeed();
    return asChosen(new UNet(config(), start, device, FirstWeights.drawn(start)));
  }

  /**
   * A network whose weights are all zero, for those who are about to write others into {@link
   * UNet#weights()}: it spares the drawing.
   *
   * @return the network; the caller closes it
   * @throws IllegalArgumentException as {@link #build()} does
   */
  public UNet buildBlank() {
    return asChosen(new UNet(config(), firstSeed(), device, FirstWeights.zeros()));
  }

  private long firstSeed() {
    return seed == null ? new SecureRandom().nextLong() : seed;
  }

  private UNet asChosen(UNet unet) {
    if (execution == null && precision == Precision.FLOAT32) {
      return unet;
    }
    try {
      return unet.runAs(execution == null ? unet.execution() : execution, precision);
    } catch (RuntimeException e) {
      unet.close();
      throw e;
    }
  }
}
