package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition.Kind;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The architecture of a {@link UNet}: everything except the values of its weights. Created by
 * {@link UNetBuilder#config()}, a preset or a description. Immutable; two are equal if all their
 * settings are equal.
 */
public final class UNetConfig {

  /** The zero padding of the downsampling convolution. */
  public enum DownsamplePadding {
    /** One row below and one column to the right, as in the paper's code. */
    RIGHT_BOTTOM,
    /** One row or column on all four sides. */
    ALL_SIDES
  }

  /** The order of the two halves of the time embedding. */
  public enum TimeOrder {
    /** Sines first, as in the paper's code. */
    SIN_COS,
    /** Cosines first. */
    COS_SIN
  }

  /** The divisor of the frequency spacing in the time embedding. */
  public enum TimeDivisor {
    /** Half the channels less one, as in the paper's code: the last frequency is 1/10000. */
    HALF_MINUS_ONE,
    /** Half the channels. */
    HALF
  }

  /** What the sizes are called, by the number of axes. */
  private static final List<List<String>> SIZES =
      List.of(
          List.of("signal length"),
          List.of("image height", "image width"),
          List.of("volume depth", "volume height", "volume width"));

  private final int imageChannels;

  /**
   * Of each axis: height and width; the length of a signal; depth, height and width of a volume.
   */
  final int[] sizes;

  final int[] levelChannels;
  private final int residualBlocks;
  final Set<Integer> attentionLevels;

  /** Heads, if positive; otherwise {@link #headChannels} decides. */
  final int heads;

  final int headChannels;

  /** Heads of each level; empty if one number holds for all. */
  final int[] headsPerLevel;

  private final double dropout;
  private final int groups;
  private final double normEpsilon;
  private final DownsamplePadding downsamplePadding;
  private final TimeOrder timeOrder;
  private final TimeDivisor timeDivisor;
  private final double timestepScale;
  private final int classes;
  private final int vectorCondition;
  private final int imageCondition;
  private final int contextCondition;
  private final boolean selfConditioning;
  private final boolean learnedVariance;
  private final UNetLayout layout;

  /** Validates combinations of options. */
  UNetConfig(UNetBuilder builder) {
    int @Nullable [] image = builder.image;
    if (image == null) {
      throw new IllegalArgumentException(
          "the image shape is missing: call image(channels, height, width), signal(channels,"
              + " length) or volume(channels, depth, height, width)");
    }
    imageChannels = image[0];
    sizes = Arrays.copyOfRange(image, 1, image.length);
    levelChannels = channels(builder);
    residualBlocks = builder.residualBlocks;
    heads = builder.heads;
    headChannels = builder.headChannels;
    headsPerLevel = builder.headsPerLevel;
    dropout = builder.dropout;
    groups = builder.groups;
    normEpsilon = builder.normEpsilon;
    downsamplePadding = builder.downsamplePadding;
    timeOrder = builder.timeOrder;
    timeDivisor = builder.timeDivisor;
    timestepScale = builder.timestepScale;
    classes = builder.classes;
    vectorCondition = builder.vectorCondition;
    imageCondition = builder.imageCondition;
    contextCondition = builder.contextCondition;
    selfConditioning = builder.selfConditioning;
    learnedVariance = builder.learnedVariance;
    layout = builder.layout;

    if (!LayoutChecks.takesAnySize(this)) {
      List<String> names = SIZES.get(axes() - 1);
      for (int axis = 0; axis < sizes.length; axis++) {
        OptionChecks.requireDivisible(names.get(axis), sizes[axis], levels());
      }
    }
    attentionLevels = attentionLevels(builder);
    LayoutChecks.require(this);
    OptionChecks.requireWeights(new Network(this).parameters());
  }

  /**
   * The paper's network for CIFAR-10: 35,746,307 parameters, dropout 0.1 (Ho et al. 2020, appendix
   * B).
   *
   * @return the architecture
   */
  public static UNetConfig cifar10() {
    return UNet.cifar10().config();
  }

  /**
   * The paper's network for 256x256 images: 113,673,219 parameters, no dropout (Ho et al. 2020,
   * appendix B).
   *
   * @return the architecture
   */
  public static UNetConfig image256() {
    return UNet.image256().config();
  }

  /**
   * Recreates an architecture from its {@linkplain #describe() description}.
   *
   * @param description the options by name; numbers of any type
   * @return the architecture
   * @throws IllegalArgumentException if an option is missing, unknown or has an invalid value; the
   *     message names it
   */
  public static UNetConfig of(Map<String, ?> description) {
    return ConfigDescription.read(description);
  }

  /**
   * A description of the architecture, which {@link #of(Map)} reads.
   *
   * @return an unmodifiable map of strings, numbers, booleans and lists of numbers, in a stable
   *     order
   */
  public Map<String, Object> describe() {
    return ConfigDescription.write(this);
  }

  /**
   * Returns a builder that starts with these settings.
   *
   * @return the builder
   */
  public UNetBuilder toBuilder() {
    UNetBuilder builder =
        UNet.builder()
            .residualBlocks(residualBlocks)
            .attentionAtLevels(attentionLevels.stream().mapToInt(Integer::intValue).toArray())
            .dropout(dropout)
            .groups(groups)
            .normEpsilon(normEpsilon)
            .downsamplePadding(downsamplePadding)
            .timeEmbedding(timeOrder, timeDivisor)
            .timestepScale(timestepScale)
            .layout(layout);
    builder.image = IntStream.concat(IntStream.of(imageChannels), Arrays.stream(sizes)).toArray();
    int base = baseChannels();
    if (Arrays.stream(levelChannels).allMatch(channels -> channels % base == 0)) {
      // So that a caller who sets the base channels anew keeps the multipliers.
      builder
          .baseChannels(base)
          .channelMultipliers(
              Arrays.stream(levelChannels).map(channels -> channels / base).toArray());
    } else {
      builder.levelChannels(levelChannels);
    }
    builder.classes = classes;
    builder.vectorCondition = vectorCondition;
    builder.imageCondition = imageCondition;
    builder.contextCondition = contextCondition;
    builder.selfConditioning = selfConditioning;
    builder.learnedVariance = learnedVariance;
    if (headsPerLevel.length > 0) {
      return builder.headsPerLevel(headsPerLevel);
    }
    return heads > 0 ? builder.heads(heads) : builder.headChannels(headChannels);
  }

  /**
   * The number of parameters, computed from shapes without allocating arrays.
   *
   * @return the number of scalar values
   */
  public long parameterCount() {
    return new Network(this).parameters().stream().mapToLong(spec -> spec.shape().size()).sum();
  }

  /**
   * The shapes of the weights by name, in the order of the network, without allocating arrays.
   *
   * @return the shapes that {@link UNet#weights()} would have; unmodifiable
   */
  public Map<String, Shape> weightShapes() {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    new Network(this).parameters().forEach(spec -> shapes.put(spec.name(), spec.shape()));
    return Collections.unmodifiableMap(shapes);
  }

  /**
   * The multiply-adds of one prediction, computed from shapes: those of convolutions, linear layers
   * and attention. As usual, element-wise operations and biases are not counted. Contexts count
   * with 77 tokens, those of CLIP.
   *
   * @return the number per image, at most {@link Long#MAX_VALUE}
   */
  public long multiplyAdds() {
    return new NetworkSummary(new Network(this)).multiplyAdds();
  }

  /**
   * A printable table of the network: for each block its name, the shape of its output for one
   * image, its parameters and its {@linkplain #multiplyAdds() multiply-adds}, and their sums.
   * Allocates no arrays.
   *
   * @return lines of equal length, without a line break at the end
   */
  public String summary() {
    return new NetworkSummary(new Network(this)).toString();
  }

  /**
   * The shape of one image.
   *
   * @return (C, H, W), or (C, L) of a signal, or (C, D, H, W) of a volume
   */
  public Shape imageShape() {
    return imageOf(imageChannels);
  }

  /** The shape of something beside the image with channels of its own. */
  private Shape imageOf(int channels) {
    return new Shape(channels).addAll(new Shape(Arrays.stream(sizes).asLongStream().toArray()));
  }

  /** The same architecture for images of other sizes. */
  UNetConfig resized(int... others) {
    UNetBuilder builder = toBuilder();
    if (others.length != axes()) {
      throw new IllegalArgumentException(
          "there must be as many sizes as images of "
              + imageShape()
              + " have axes, "
              + axes()
              + ", but they were "
              + Arrays.toString(others));
    }
    switch (axes()) {
      case 1 -> builder.signal(imageChannels, others[0]);
      case 2 -> builder.image(imageChannels, others[0], others[1]);
      default -> builder.volume(imageChannels, others[0], others[1], others[2]);
    }
    return builder.config();
  }

  /** Of an image, behind its channels: 1 of a signal, 2, or 3 of a volume. */
  int axes() {
    return sizes.length;
  }

  /**
   * The number of channels of the images.
   *
   * @return at least 1
   */
  public int imageChannels() {
    return imageChannels;
  }

  /**
   * The number of levels; each after the first has half the size of the previous one, rounded up.
   *
   * @return at least 1
   */
  public int levels() {
    return levelChannels.length;
  }

  /**
   * The number of channels of a level.
   *
   * @param level the level, 0 at full size
   * @return at least 2
   */
  public int channelsAt(int level) {
    return levelChannels[level];
  }

  /**
   * The number of channels of the first level, and of the sinusoidal time embedding unless the
   * {@linkplain #layout() layout} says otherwise.
   *
   * @return at least 2
   */
  public int baseChannels() {
    return levelChannels[0];
  }

  /**
   * The number of residual blocks per level on the downsampling path; one more on the upsampling
   * path.
   *
   * @return at least 1
   */
  public int residualBlocks() {
    return residualBlocks;
  }

  /**
   * Whether the residual blocks of a level are followed by attention.
   *
   * @param level the level, 0 at full size
   * @return true if so; the middle block has attention whatever the levels have, unless the
   *     {@linkplain #layout() layout} says otherwise
   */
  public boolean hasAttention(int level) {
    return attentionLevels.contains(level);
  }

  /** Whether attention follows a block of a level that has as many on its way. */
  boolean hasAttention(int level, int block, int blocks, boolean up) {
    boolean everyBlock =
        switch (layout.attention().blocks()) {
          case ALL -> true;
          case ALL_DOWN_LAST_UP -> !up;
          case LAST -> false;
        };
    return hasAttention(level) && (everyBlock || block == blocks - 1);
  }

  /**
   * The number of attention heads of a level.
   *
   * @param level the level, 0 at full size
   * @return at least 1
   */
  public int headsAt(int level) {
    return heads(level, channelsAt(level));
  }

  /** The heads of an attention block of a level, by the channels that it has. */
  int heads(int level, int channels) {
    if (headsPerLevel.length > 0) {
      return headsPerLevel[level];
    }
    return heads > 0 ? heads : channels / headChannels;
  }

  /**
   * The dropout rate.
   *
   * @return in [0, 1)
   */
  public double dropout() {
    return dropout;
  }

  /**
   * The number of groups of every normalisation.
   *
   * @return at least 1
   */
  public int groups() {
    return groups;
  }

  /**
   * The epsilon of every normalisation.
   *
   * @return greater than 0
   */
  public double normEpsilon() {
    return normEpsilon;
  }

  /**
   * The padding before downsampling.
   *
   * @return the padding
   */
  public DownsamplePadding downsamplePadding() {
    return downsamplePadding;
  }

  /**
   * The order of the time embedding.
   *
   * @return the order
   */
  public TimeOrder timeOrder() {
    return timeOrder;
  }

  /**
   * The divisor of the time embedding.
   *
   * @return the divisor
   */
  public TimeDivisor timeDivisor() {
    return timeDivisor;
  }

  /**
   * What timesteps are multiplied by before they are embedded.
   *
   * @return greater than 0; usually 1
   */
  public double timestepScale() {
    return timestepScale;
  }

  /**
   * The number of classes for class conditioning.
   *
   * @return 0 for none
   */
  public int classes() {
    return classes;
  }

  /**
   * The length of the vectors for vector conditioning.
   *
   * @return 0 for none
   */
  public int vectorCondition() {
    return vectorCondition;
  }

  /**
   * The number of channels of the images for image conditioning.
   *
   * @return 0 for none
   */
  public int imageCondition() {
    return imageCondition;
  }

  /**
   * The channels of the tokens of contexts, which the network attends to.
   *
   * @return 0 for none
   */
  public int contextCondition() {
    return contextCondition;
  }

  /**
   * Whether the network uses self-conditioning.
   *
   * @return true if so
   */
  public boolean selfConditioning() {
    return selfConditioning;
  }

  /**
   * Whether the network also predicts the variance.
   *
   * @return true if so
   */
  public boolean learnedVariance() {
    return learnedVariance;
  }

  /**
   * What distinguishes the network from the paper's, beyond the other options.
   *
   * @return the layout
   */
  public UNetLayout layout() {
    return layout;
  }

  /** What the network can be conditioned on, in the order of the kinds. */
  Set<Kind> conditionKinds() {
    Set<Kind> kinds = EnumSet.noneOf(Kind.class);
    if (classes > 0) {
      kinds.add(Kind.LABELS);
    }
    if (vectorCondition > 0) {
      kinds.add(Kind.VECTORS);
    }
    if (imageCondition > 0) {
      kinds.add(Kind.IMAGES);
    }
    if (contextCondition > 0) {
      kinds.add(Kind.CONTEXTS);
    }
    if (selfConditioning) {
      kinds.add(Kind.PREVIOUS_X0);
    }
    return Collections.unmodifiableSet(kinds);
  }

  /** The sizes of a level along each axis, such as its rows and columns. */
  int[] sizesAt(int level) {
    return Arrays.stream(sizes).map(size -> halved(size, level)).toArray();
  }

  private static int halved(int size, int times) {
    int factor = 1 << times;
    return (size + factor - 1) / factor;
  }

  /** The shape of the rows of a condition, without the first axis; −1 for any length. */
  Shape conditionShape(Kind kind) {
    return switch (kind) {
      case LABELS -> new Shape();
      case VECTORS -> new Shape(vectorCondition);
      case IMAGES -> imageOf(imageCondition);
      case CONTEXTS -> new Shape(-1, contextCondition);
      case PREVIOUS_X0 -> imageShape();
    };
  }

  /** The channels of the noisy images and of all images that they are conditioned on. */
  int inputChannels() {
    return imageChannels + imageCondition + (selfConditioning ? imageChannels : 0);
  }

  /** The channels of the output. */
  int outputChannels() {
    return learnedVariance ? 2 * imageChannels : imageChannels;
  }

  /** The channels of the first convolution. */
  int stemChannels() {
    int stem = layout.outer().stemChannels();
    return stem > 0 ? stem : baseChannels();
  }

  /** The number of sinusoids or Fourier features. */
  int embeddingWidth() {
    int width = layout.embedding().width();
    return width > 0 ? width : baseChannels();
  }

  /** The width of the time embedding that the residual blocks see. */
  int timeChannels() {
    int hidden = layout.embedding().hidden();
    return hidden > 0 ? hidden : 4 * embeddingWidth();
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof UNetConfig config && describe().equals(config.describe());
  }

  @Override
  public int hashCode() {
    return describe().hashCode();
  }

  @Override
  public String toString() {
    return "UNetConfig" + describe();
  }

  private static int[] channels(UNetBuilder builder) {
    if (builder.levelChannels != null) {
      return builder.levelChannels;
    }
    return OptionChecks.multiplied(builder.baseChannels, builder.channelMultipliers);
  }

  private Set<Integer> attentionLevels(UNetBuilder builder) {
    Set<Integer> chosen = new TreeSet<>();
    for (int level : builder.attentionLevels) {
      OptionChecks.requireLevel(level, levels());
      chosen.add(level);
    }
    int[] sides =
        IntStream.range(0, levels())
            .map(i -> Arrays.stream(sizesAt(i)).max().orElseThrow())
            .toArray();
    for (int side : builder.attentionSides) {
      int level = IntStream.range(0, levels()).filter(i -> sides[i] == side).findFirst().orElse(-1);
      if (level >= 0) {
        chosen.add(level);
      } else if (builder.attentionChosen) {
        throw OptionChecks.noSuchSide(side, sides);
      }
    }
    return chosen;
  }
}
