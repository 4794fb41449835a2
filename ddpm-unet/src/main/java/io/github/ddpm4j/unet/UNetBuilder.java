package io.github.ddpm4j.unet;

import ai.djl.Device;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.running.FirstWeights;
import java.security.SecureRandom;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Builds a {@link UNet}: its architecture, initial weights, device and execution. Setters validate
 * their own argument; {@link #build()} and {@link #config()} validate combinations. Can be reused
 * after building.
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

  /** The longer side of the level that has attention by default. */
  public static final int DEFAULT_ATTENTION_SIDE = 16;

  int @Nullable [] image;
  int baseChannels = DEFAULT_BASE_CHANNELS;
  int[] channelMultipliers = {1, 2, 2, 2};
  int @Nullable [] levelChannels;
  int[] attentionLevels = {};
  int[] attentionSides = {DEFAULT_ATTENTION_SIDE};

  /** Whether attention was set explicitly: a default that matches no level is not an error. */
  boolean attentionChosen;

  int residualBlocks = DEFAULT_RESIDUAL_BLOCKS;
  int heads = DEFAULT_HEADS;
  int headChannels;
  int[] headsPerLevel = {};
  double dropout = DEFAULT_DROPOUT;
  int groups = DEFAULT_GROUPS;
  double normEpsilon = DEFAULT_NORM_EPSILON;
  UNetConfig.DownsamplePadding downsamplePadding = UNetConfig.DownsamplePadding.RIGHT_BOTTOM;
  UNetConfig.TimeOrder timeOrder = UNetConfig.TimeOrder.SIN_COS;
  UNetConfig.TimeDivisor timeDivisor = UNetConfig.TimeDivisor.HALF_MINUS_ONE;
  double timestepScale = 1;
  int classes;
  int vectorCondition;
  int imageCondition;
  int contextCondition;
  boolean selfConditioning;
  boolean learnedVariance;
  UNetLayout layout = UNetLayout.paper();
  private @Nullable Long seed;
  private @Nullable Device device;
  private @Nullable Execution execution;
  private Precision precision = Precision.FLOAT32;

  UNetBuilder() {}

  /**
   * The shape of one image. Height and width need not be equal, but each must be divisible by
   * 2<sup>levels − 1</sup>. Required, unless the network is one of {@link #signal} or {@link
   * #volume}; the last call wins.
   *
   * @param channels the number of channels
   * @param height the number of rows
   * @param width the number of columns
   * @return this builder
   * @throws IllegalArgumentException if one is less than 1 or more than 65,536
   */
  public UNetBuilder image(int channels, int height, int width) {
    OptionChecks.requireBetween("image channels", 1, OptionChecks.MOST_PIXELS, channels);
    OptionChecks.requireBetween("image height", 1, OptionChecks.MOST_PIXELS, height);
    OptionChecks.requireBetween("image width", 1, OptionChecks.MOST_PIXELS, width);
    image = new int[] {channels, height, width};
    return this;
  }

  /**
   * The shape of one signal, such as a sound or an electrocardiogram, instead of an image. The
   * network has the same blocks with convolutions along one axis; its images have the shape (N, C,
   * L), and what this builder says of sides, height and width holds for the length.
   *
   * @param channels the number of channels
   * @param length the number of values of a channel, divisible by 2<sup>levels − 1</sup>
   * @return this builder
   * @throws IllegalArgumentException if one is less than 1, the channels are more than 65,536 or
   *     the length more than 2<sup>24</sup>
   */
  public UNetBuilder signal(int channels, int length) {
    OptionChecks.requireBetween("signal channels", 1, OptionChecks.MOST_PIXELS, channels);
    OptionChecks.requireBetween("signal length", 1, OptionChecks.MOST_LENGTH, length);
    image = new int[] {channels, length};
    return this;
  }

  /**
   * The shape of one volume, such as a scan or a short film, instead of an image. The network has
   * the same blocks with convolutions along three axes; its images have the shape (N, C, D, H, W),
   * and all three sizes are halved from one level to the next.
   *
   * @param channels the number of channels
   * @param depth the number of slices
   * @param height the number of rows
   * @param width the number of columns
   * @return this builder
   * @throws IllegalArgumentException if one is less than 1 or more than 65,536
   */
  public UNetBuilder volume(int channels, int depth, int height, int width) {
    OptionChecks.requireBetween("volume channels", 1, OptionChecks.MOST_PIXELS, channels);
    OptionChecks.requireBetween("volume depth", 1, OptionChecks.MOST_PIXELS, depth);
    OptionChecks.requireBetween("volume height", 1, OptionChecks.MOST_PIXELS, height);
    OptionChecks.requireBetween("volume width", 1, OptionChecks.MOST_PIXELS, width);
    image = new int[] {channels, depth, height, width};
    return this;
  }

  /**
   * The base number of channels, multiplied by {@link #channelMultipliers}; {@value
   * #DEFAULT_BASE_CHANNELS} by default. The compute cost grows with its square.
   *
   * @param channels the number of channels
   * @return this builder
   * @throws IllegalArgumentException if it is less than 2 or more than 65,536
   */
  public UNetBuilder baseChannels(int channels) {
    OptionChecks.requireBetween("base channels", 2, OptionChecks.MOST_PIXELS, channels);
    baseChannels = channels;
    levelChannels = null;
    return this;
  }

  /**
   * The channels of each level as multiples of {@link #baseChannels}; 1, 2, 2, 2 by default. The
   * number of multipliers is the number of levels, each half the size of the previous one.
   *
   * @param multipliers one per level
   * @return this builder
   * @throws IllegalArgumentException if there are none or more than 16, or one is less than 1 or
   *     more than 65,536
   */
  public UNetBuilder channelMultipliers(int... multipliers) {
    OptionChecks.requireLevels("channel multipliers", multipliers, 1, OptionChecks.MOST_PIXELS);
    channelMultipliers = multipliers.clone();
    levelChannels = null;
    return this;
  }

  /**
   * The channels of each level, instead of {@link #baseChannels} and {@link #channelMultipliers};
   * the last call wins.
   *
   * @param channels one per level
   * @return this builder
   * @throws IllegalArgumentException if there are none or more than 16, or one is less than 2 or
   *     more than 65,536
   */
  public UNetBuilder levelChannels(int... channels) {
    OptionChecks.requireLevels("level channels", channels, 2, OptionChecks.MOST_PIXELS);
    levelChannels = channels.clone();
    return this;
  }

  /**
   * The levels with self-attention by index, 0 at full size, instead of {@link #attentionAt}; the
   * last call wins. The middle block always has attention.
   *
   * @param levels the levels; none for attention only in the middle block
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
   * The levels with self-attention by the length of their longer side, instead of {@link
   * #attentionAtLevels}; the last call wins. By default the level of side {@value
   * #DEFAULT_ATTENTION_SIDE}, if there is one.
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
   * The number of residual blocks per level on the downsampling path; the upsampling path has one
   * more per level. {@value #DEFAULT_RESIDUAL_BLOCKS} by default.
   *
   * @param count the number of blocks
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1 or more than 1,024
   */
  public UNetBuilder residualBlocks(int count) {
    OptionChecks.requireBetween("residual blocks", 1, OptionChecks.MOST_BLOCKS, count);
    residualBlocks = count;
    return this;
  }

  /**
   * The number of attention heads, the same at every level; {@value #DEFAULT_HEADS} by default.
   * Replaces {@link #headChannels}; the last call wins.
   *
   * @param count the number of heads, a divisor of the channels at every level with attention
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder heads(int count) {
    OptionChecks.requireAtLeast("heads", 1, count);
    heads = count;
    headChannels = 0;
    headsPerLevel = new int[] {};
    return this;
  }

  /**
   * The number of channels per attention head, so that wider levels have more heads. Replaces
   * {@link #heads}; the last call wins. (diffusers calls it {@code attention_head_dim}.)
   *
   * @param channels the number of channels, a divisor of the channels at every level with attention
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public UNetBuilder headChannels(int channels) {
    OptionChecks.requireAtLeast("head channels", 1, channels);
    headChannels = channels;
    heads = 0;
    headsPerLevel = new int[] {};
    return this;
  }

  /**
   * The number of attention heads of each level; that of the last holds in the middle. Replaces
   * {@link #heads} and {@link #headChannels}; the last call wins.
   *
   * @param counts one number per level, a divisor of its channels where it has attention
   * @return this builder
   * @throws IllegalArgumentException if there are none or more than 16, or one is less than 1 or
   *     more than 65,536
   */
  public UNetBuilder headsPerLevel(int... counts) {
    OptionChecks.requireLevels("heads per level", counts, 1, OptionChecks.MOST_PIXELS);
    headsPerLevel = counts.clone();
    heads = 0;
    headChannels = 0;
    return this;
  }

  /**
   * What distinguishes the networks of other libraries; {@link UNetLayout#paper()} by default.
   *
   * @param value the layout
   * @return this builder
   */
  public UNetBuilder layout(UNetLayout value) {
    layout = Objects.requireNonNull(value, "layout");
    return this;
  }

  /**
   * The dropout rate in the residual blocks during training; {@value #DEFAULT_DROPOUT} by default,
   * as in the paper for CIFAR-10 (0 for its larger images).
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
   * The epsilon added to the variance in every normalisation; {@value #DEFAULT_NORM_EPSILON} by
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
   * The padding of images before downsampling; {@link UNetConfig.DownsamplePadding#RIGHT_BOTTOM} by
   * default.
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
   * @param divisor the divisor of the frequency spacing
   * @return this builder
   */
  public UNetBuilder timeEmbedding(UNetConfig.TimeOrder order, UNetConfig.TimeDivisor divisor) {
    timeOrder = Objects.requireNonNull(order, "order");
    timeDivisor = Objects.requireNonNull(divisor, "divisor");
    return this;
  }

  /**
   * What timesteps are multiplied by before they are embedded: 1 by default. Networks of
   * improved-diffusion are told t · 1000 / T, whatever T is ({@code rescale_timesteps}).
   *
   * @param scale the factor
   * @return this builder
   * @throws IllegalArgumentException if it is not greater than 0, or not finite
   */
  public UNetBuilder timestepScale(double scale) {
    if (!(scale > 0 && Double.isFinite(scale))) {
      throw new IllegalArgumentException(
          "timestep scale must be greater than 0 and finite, but was " + scale);
    }
    timestepScale = scale;
    return this;
  }

  /**
   * Enables class conditioning. Each class has a learned embedding that is added to the time
   * embedding, and so has the null class of images without a class, which is the last row of {@code
   * class_embedding.weight}. (diffusers calls the number of rows {@code num_class_embeds}.) None by
   * default.
   *
   * @param count the number of classes, numbered from 0
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1 or more than 2<sup>24</sup>
   */
  public UNetBuilder classes(int count) {
    OptionChecks.requireBetween("classes", 1, OptionChecks.MOST_CLASSES, count);
    classes = count;
    return this;
  }

  /**
   * Enables vector conditioning. Two linear layers with a SiLU in between embed the vector, and the
   * result is added to the time embedding; an absent vector is all zeros. The layers are named
   * {@code add_embedding}, as in diffusers. None by default.
   *
   * @param length the length of a vector
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1 or more than 2<sup>24</sup>
   */
  public UNetBuilder vectorCondition(int length) {
    OptionChecks.requireBetween("vector condition", 1, OptionChecks.MOST_CLASSES, length);
    vectorCondition = length;
    return this;
  }

  /**
   * Enables image conditioning. The conditioning image has the same height and width, and its
   * channels are concatenated with those of the noisy image before the first convolution (Saharia
   * et al. 2021, "Image Super-Resolution via Iterative Refinement", section 2.4); an absent image
   * is all zeros. None by default.
   *
   * @param channels the number of channels of the conditioning image
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1 or more than 65,536
   */
  public UNetBuilder imageCondition(int channels) {
    OptionChecks.requireBetween("image condition", 1, OptionChecks.MOST_PIXELS, channels);
    imageCondition = channels;
    return this;
  }

  /**
   * Enables conditioning on contexts, such as encoded texts (Rombach et al. 2022, "High-Resolution
   * Image Synthesis with Latent Diffusion Models", section 3.3): attention, at its levels and in
   * the middle, becomes a transformer between pixels and the tokens of the context, of which there
   * may be any number. Every image must have a context; the encoded empty text stands for none. How
   * the transformers are is said by {@link UNetLayout#transformers()}. None by default.
   *
   * @param channels the channels of a token
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1 or more than 65,536
   */
  public UNetBuilder contextCondition(int channels) {
    OptionChecks.requireBetween("context condition", 1, OptionChecks.MOST_PIXELS, channels);
    contextCondition = channels;
    return this;
  }

  /**
   * Enables self-conditioning (Chen, Zhang and Hinton 2022, "Analog Bits", section 3): the denoised
   * estimate of the previous step is concatenated as additional input channels, after those of
   * {@link #imageCondition}; zeros if there is no previous step.
   *
   * @return this builder
   */
  public UNetBuilder selfConditioning() {
    selfConditioning = true;
    return this;
  }

  /**
   * Doubles the output channels to predict the variance of the reverse process (Nichol and Dhariwal
   * 2021, "Improved DDPM", section 3.1): predictions have the shape (N, 2C, H, W), with the
   * variance in the last C channels.
   *
   * @return this builder
   */
  public UNetBuilder learnedVariance() {
    learnedVariance = true;
    return this;
  }

  /**
   * The seed of the initial weights: the same seed gives bit-identical weights. Drawn at random for
   * each network if not set.
   *
   * @param value any number
   * @return this builder
   */
  public UNetBuilder seed(long value) {
    seed = value;
    return this;
  }

  /**
   * The device of the weights, on which images must be too; the engine's default if not set.
   *
   * @param value the device
   * @return this builder
   */
  public UNetBuilder device(Device value) {
    device = Objects.requireNonNull(value, "device");
    return this;
  }

  /**
   * The execution mode of the network; {@link Execution#COMPILED} by default on the PyTorch engine,
   * {@link Execution#EAGER} on others. {@link UNet#runAs} changes it later.
   *
   * @param value compiled or operation by operation
   * @return this builder
   */
  public UNetBuilder execution(Execution value) {
    execution = Objects.requireNonNull(value, "execution");
    return this;
  }

  /**
   * The compute precision of a compiled network; {@link Precision#FLOAT32} by default. {@link
   * UNet#runAs} changes it later.
   *
   * @param value the precision
   * @return this builder
   */
  public UNetBuilder precision(Precision value) {
    precision = Objects.requireNonNull(value, "precision");
    return this;
  }

  /**
   * Returns the architecture without building a network.
   *
   * @return the architecture
   * @throws IllegalArgumentException if options are incompatible, with valid choices in the
   *     message, or a weight would have 2<sup>29</sup> values or more
   */
  public UNetConfig config() {
    return new UNetConfig(this);
  }

  /**
   * Builds a network with freshly initialized weights: uniform variance scaling by the mean of
   * fan-in and fan-out; the last layer of each residual branch and of the network nearly zero;
   * biases 0, norm weights 1.
   *
   * @return the network; the caller closes it
   * @throws IllegalArgumentException if options are incompatible, with valid choices in the
   *     message, {@link #execution} and {@link #precision} included
   */
  public UNet build() {
    long start = firstSeed();
    return asChosen(new UNet(config(), start, device, FirstWeights.drawn(start), true));
  }

  /**
   * Builds a network whose weights are not set: they hold whatever is in the memory. All of them
   * must be overwritten through {@link UNet#weights()} before it is used, which then takes no
   * longer than that.
   *
   * @return the network; the caller closes it
   * @throws IllegalArgumentException as {@link #build()}
   */
  public UNet buildBlank() {
    return asChosen(new UNet(config(), firstSeed(), device, FirstWeights.unset(), false));
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
