package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The architecture of a {@link UNet}: everything but the values of its weights. Made by {@link
 * UNetBuilder#config()}, by a preset, or from a description. Immutable; equal when every choice is
 * equal.
 */
public final class UNetConfig {

  /** Where the convolution that halves an image adds its zeros. */
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

  /** What the frequencies of the time embedding are spaced by. */
  public enum TimeDivisor {
    /** Half the channels less one, as in the paper's code: the last frequency is 1/10000. */
    HALF_MINUS_ONE,
    /** Half the channels. */
    HALF
  }

  private final int imageChannels;
  private final int height;
  private final int width;
  private final int[] levelChannels;
  private final int residualBlocks;
  private final Set<Integer> attentionLevels;

  /** Heads, if positive; otherwise {@link #headChannels} decides. */
  private final int heads;

  private final int headChannels;
  private final double dropout;
  private final int groups;
  private final double normEpsilon;
  private final DownsamplePadding downsamplePadding;
  private final TimeOrder timeOrder;
  private final TimeDivisor timeDivisor;
  private final int classes;
  private final int vectorCondition;
  private final int imageCondition;
  private final boolean selfConditioning;
  private final boolean learnedVariance;

  /** Checks what depends on more than one option. */
  UNetConfig(UNetBuilder builder) {
    int @Nullable [] image = builder.image;
    if (image == null) {
      throw new IllegalArgumentException(
          "the image shape is missing: call image(channels, height, width)");
    }
    imageChannels = image[0];
    height = image[1];
    width = image[2];
    levelChannels = channels(builder);
    residualBlocks = builder.residualBlocks;
    heads = builder.heads;
    headChannels = builder.headChannels;
    dropout = builder.dropout;
    groups = builder.groups;
    normEpsilon = builder.normEpsilon;
    downsamplePadding = builder.downsamplePadding;
    timeOrder = builder.timeOrder;
    timeDivisor = builder.timeDivisor;
    classes = builder.classes;
    vectorCondition = builder.vectorCondition;
    imageCondition = builder.imageCondition;
    selfConditioning = builder.selfConditioning;
    learnedVariance = builder.learnedVariance;

    requireDivisible("height", height);
    requireDivisible("width", width);
    attentionLevels = attentionLevels(builder);
    requireGroups();
    requireHeads();
  }

  /**
   * The network of the paper for CIFAR-10: 35,746,307 parameters, dropout 0.1 (Ho et al. 2020,
   * appendix B).
   *
   * @return the architecture
   */
  public static UNetConfig cifar10() {
    return UNet.cifar10().config();
  }

  /**
   * The network of the paper for 256x256 images: 113,673,219 parameters, no dropout (Ho et al.
   * 2020, appendix B).
   *
   * @return the architecture
   */
  public static UNetConfig image256() {
    return UNet.image256().config();
  }

  /**
   * Reads what {@link #describe()} wrote.
   *
   * @param description the options by name; numbers of any type
   * @return the architecture
   * @throws IllegalArgumentException if an option is missing, unknown or has a value that will not
   *     do, naming it
   */
  public static UNetConfig of(Map<String, ?> description) {
    return new Description(description).config();
  }

  /**
   * The architecture in words that {@link #of(Map)} reads.
   *
   * @return an unmodifiable map of strings, numbers, booleans and lists of numbers, in a stable
   *     order
   */
  public Map<String, Object> describe() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("image", List.of(imageChannels, height, width));
    map.put("levelChannels", Arrays.stream(levelChannels).boxed().toList());
    map.put("residualBlocks", residualBlocks);
    map.put("attentionLevels", List.copyOf(attentionLevels));
    if (heads > 0) {
      map.put("heads", heads);
    } else {
      map.put("headChannels", headChannels);
    }
    map.put("dropout", dropout);
    map.put("groups", groups);
    map.put("normEpsilon", normEpsilon);
    map.put("downsamplePadding", downsamplePadding.name());
    map.put("timeOrder", timeOrder.name());
    map.put("timeDivisor", timeDivisor.name());
    // Only what is there, so that the words for an unconditional network stay as they were.
    putPositive(map, "classes", classes);
    putPositive(map, "vectorCondition", vectorCondition);
    putPositive(map, "imageCondition", imageCondition);
    if (selfConditioning) {
      map.put("selfConditioning", true);
    }
    if (learnedVariance) {
      map.put("learnedVariance", true);
    }
    return Collections.unmodifiableMap(map);
  }

  private static void putPositive(Map<String, Object> map, String name, int value) {
    if (value > 0) {
      map.put(name, value);
    }
  }

  /**
   * A builder that starts with these choices.
   *
   * @return the builder
   */
  public UNetBuilder toBuilder() {
    UNetBuilder builder =
        UNet.builder()
            .image(imageChannels, height, width)
            .residualBlocks(residualBlocks)
            .attentionAtLevels(attentionLevels.stream().mapToInt(Integer::intValue).toArray())
            .dropout(dropout)
            .groups(groups)
            .normEpsilon(normEpsilon)
            .downsamplePadding(downsamplePadding)
            .timeEmbedding(timeOrder, timeDivisor);
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
    builder.selfConditioning = selfConditioning;
    builder.learnedVariance = learnedVariance;
    return heads > 0 ? builder.heads(heads) : builder.headChannels(headChannels);
  }

  /**
   * The number of weights, worked out from their shapes; allocates nothing.
   *
   * @return the number of single values
   */
  public long parameterCount() {
    return new Network(this).parameters().stream().mapToLong(spec -> spec.shape().size()).sum();
  }

  /**
   * The shape of one image.
   *
   * @return (C, H, W)
   */
  public Shape imageShape() {
    return new Shape(imageChannels, height, width);
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
   * The number of levels; each but the first works at half the size of the one before.
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
   * The number of channels of the first level, and of the sinusoids of the time embedding.
   *
   * @return at least 2
   */
  public int baseChannels() {
    return levelChannels[0];
  }

  /**
   * The number of residual blocks per level on the way down; one more on the way up.
   *
   * @return at least 1
   */
  public int residualBlocks() {
    return residualBlocks;
  }

  /**
   * Whether the residual blocks of a level are followed by self-attention.
   *
   * @param level the level, 0 at full size
   * @return true if so; the middle always has attention
   */
  public boolean hasAttention(int level) {
    return attentionLevels.contains(level);
  }

  /**
   * The number of attention heads at a number of channels.
   *
   * @param channels the channels of the level
   * @return at least 1
   */
  public int headsFor(int channels) {
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
   * What keeps the root of every normalisation from zero.
   *
   * @return greater than 0
   */
  public double normEpsilon() {
    return normEpsilon;
  }

  /**
   * Where images are padded before they are halved.
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
   * The number of classes that images can be conditioned on.
   *
   * @return 0 for none
   */
  public int classes() {
    return classes;
  }

  /**
   * The length of the vectors that images can be conditioned on.
   *
   * @return 0 for none
   */
  public int vectorCondition() {
    return vectorCondition;
  }

  /**
   * The number of channels of the images that images can be conditioned on.
   *
   * @return 0 for none
   */
  public int imageCondition() {
    return imageCondition;
  }

  /**
   * Whether the network sees what it took the clean image for one step before.
   *
   * @return true if so
   */
  public boolean selfConditioning() {
    return selfConditioning;
  }

  /**
   * Whether the network has outputs for the variance too.
   *
   * @return true if so
   */
  public boolean learnedVariance() {
    return learnedVariance;
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
    if (selfConditioning) {
      kinds.add(Kind.PREVIOUS_X0);
    }
    return Collections.unmodifiableSet(kinds);
  }

  /** The shape of the rows of a condition, without the first axis. */
  Shape conditionShape(Kind kind) {
    return switch (kind) {
      case LABELS -> new Shape();
      case VECTORS -> new Shape(vectorCondition);
      case IMAGES -> new Shape(imageCondition, height, width);
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

  /** The width of the time embedding that the residual blocks see. */
  int timeChannels() {
    return 4 * baseChannels();
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
    return Arrays.stream(builder.channelMultipliers)
        .map(multiplier -> Math.multiplyExact(builder.baseChannels, multiplier))
        .toArray();
  }

  private void requireDivisible(String name, int size) {
    int factor = 1 << (levels() - 1);
    if (size % factor != 0) {
      int below = size / factor * factor;
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "image %s must be divisible by %d, because %d levels halve it %d times, but was %d;"
                  + " %s%d would do",
              name,
              factor,
              levels(),
              levels() - 1,
              size,
              below > 0 ? below + " or " : "",
              below + factor));
    }
  }

  private Set<Integer> attentionLevels(UNetBuilder builder) {
    Set<Integer> chosen = new TreeSet<>();
    for (int level : builder.attentionLevels) {
      if (level >= levels()) {
        throw new IllegalArgumentException(
            "attention level must be between 0 and "
                + (levels() - 1)
                + ", because there are "
                + levels()
                + " levels, but was "
                + level);
      }
      chosen.add(level);
    }
    int[] sides = IntStream.range(0, levels()).map(i -> Math.max(height, width) >> i).toArray();
    for (int side : builder.attentionSides) {
      int level = IntStream.range(0, levels()).filter(i -> sides[i] == side).findFirst().orElse(-1);
      if (level >= 0) {
        chosen.add(level);
      } else if (builder.attentionChosen) {
        throw new IllegalArgumentException(
            "attention at "
                + side
                + " needs a level whose longer side is "
                + side
                + ", but the longer sides of the levels are "
                + join(sides));
      }
    }
    return chosen;
  }

  private void requireGroups() {
    for (int level = 0; level < levels(); level++) {
      if (levelChannels[level] % groups != 0) {
        throw new IllegalArgumentException(
            "groups must divide the channels of every level, but "
                + groups
                + " does not divide "
                + levelChannels[level]
                + " at level "
                + level
                + "; "
                + commonDivisors(Arrays.stream(levelChannels))
                + " would do");
      }
    }
  }

  private void requireHeads() {
    IntStream withAttention =
        IntStream.range(0, levels()).filter(i -> attentionLevels.contains(i) || i == levels() - 1);
    int divisor = heads > 0 ? heads : headChannels;
    int[] levels = withAttention.toArray();
    for (int level : levels) {
      if (levelChannels[level] % divisor != 0) {
        throw new IllegalArgumentException(
            (heads > 0 ? "heads" : "head channels")
                + " must divide the channels of every level with attention and of the last, but "
                + divisor
                + " does not divide "
                + levelChannels[level]
                + " at level "
                + level
                + "; "
                + commonDivisors(Arrays.stream(levels).map(i -> levelChannels[i]))
                + " would do");
      }
    }
  }

  private static String commonDivisors(IntStream numbers) {
    int gcd = numbers.reduce(0, UNetConfig::gcd);
    int[] divisors = IntStream.rangeClosed(1, gcd).filter(d -> gcd % d == 0).toArray();
    if (divisors.length == 1) {
      return "only 1";
    }
    int last = divisors[divisors.length - 1];
    return join(Arrays.copyOf(divisors, divisors.length - 1)) + " or " + last;
  }

  private static int gcd(int a, int b) {
    return b == 0 ? a : gcd(b, a % b);
  }

  private static String join(int[] numbers) {
    return Arrays.stream(numbers).mapToObj(Integer::toString).collect(Collectors.joining(", "));
  }

  /** A description while it is being read: what is taken is crossed out, and nothing may stay. */
  private static final class Description {

    private static final Set<String> KNOWN =
        Set.of(
            "image",
            "levelChannels",
            "residualBlocks",
            "attentionLevels",
            "heads",
            "headChannels",
            "dropout",
            "groups",
            "normEpsilon",
            "downsamplePadding",
            "timeOrder",
            "timeDivisor",
            "classes",
            "vectorCondition",
            "imageCondition",
            "selfConditioning",
            "learnedVariance");

    private final Map<String, ?> map;

    Description(Map<String, ?> map) {
      this.map = map;
      for (String key : map.keySet()) {
        if (!KNOWN.contains(key)) {
          throw new IllegalArgumentException(
              "U-Net description has the unknown option \""
                  + key
                  + "\"; known are "
                  + String.join(", ", new TreeSet<>(KNOWN)));
        }
      }
    }

    UNetConfig config() {
      int[] image = integers("image");
      if (image.length != 3) {
        throw wrong("image", "must be [channels, height, width]", map.get("image"));
      }
      UNetBuilder builder =
          UNet.builder()
              .image(image[0], image[1], image[2])
              .levelChannels(integers("levelChannels"))
              .residualBlocks(integer("residualBlocks"))
              .attentionAtLevels(integers("attentionLevels"))
              .dropout(number("dropout"))
              .groups(integer("groups"))
              .normEpsilon(number("normEpsilon"))
              .downsamplePadding(choice("downsamplePadding", DownsamplePadding.class))
              .timeEmbedding(
                  choice("timeOrder", TimeOrder.class), choice("timeDivisor", TimeDivisor.class));
      if (map.containsKey("heads") == map.containsKey("headChannels")) {
        throw new IllegalArgumentException(
            "U-Net description must have either \"heads\" or \"headChannels\", but has "
                + (map.containsKey("heads") ? "both" : "neither"));
      }
      if (map.containsKey("heads")) {
        builder.heads(integer("heads"));
      } else {
        builder.headChannels(integer("headChannels"));
      }
      if (map.containsKey("classes")) {
        builder.classes(integer("classes"));
      }
      if (map.containsKey("vectorCondition")) {
        builder.vectorCondition(integer("vectorCondition"));
      }
      if (map.containsKey("imageCondition")) {
        builder.imageCondition(integer("imageCondition"));
      }
      builder.selfConditioning = flag("selfConditioning");
      builder.learnedVariance = flag("learnedVariance");
      return builder.config();
    }

    /** False where there is no word of it. */
    private boolean flag(String key) {
      if (!map.containsKey(key)) {
        return false;
      }
      if (get(key) instanceof Boolean flag) {
        return flag;
      }
      throw wrong(key, "must be true or false", get(key));
    }

    private Object get(String key) {
      Object value = map.get(key);
      if (value == null) {
        throw new IllegalArgumentException("U-Net description lacks \"" + key + "\"");
      }
      return value;
    }

    private double number(String key) {
      if (get(key) instanceof Number number) {
        return number.doubleValue();
      }
      throw wrong(key, "must be a number", get(key));
    }

    private int integer(String key) {
      return whole(get(key), value -> wrong(key, "must be a whole number", value));
    }

    private int[] integers(String key) {
      Object value = get(key);
      IllegalArgumentException problem = wrong(key, "must be a list of whole numbers", value);
      if (!(value instanceof List<?> list)) {
        throw problem;
      }
      List<Integer> numbers = new ArrayList<>();
      for (Object item : list) {
        numbers.add(whole(item, ignored -> problem));
      }
      return numbers.stream().mapToInt(Integer::intValue).toArray();
    }

    private static int whole(
        @Nullable Object value, Function<Object, IllegalArgumentException> problem) {
      if (value instanceof Number number
          && number.doubleValue() == Math.rint(number.doubleValue())
          && Math.abs(number.doubleValue()) <= Integer.MAX_VALUE) {
        return number.intValue();
      }
      throw problem.apply(value == null ? "null" : value);
    }

    private <E extends Enum<E>> E choice(String key, Class<E> type) {
      Object value = get(key);
      for (E constant : type.getEnumConstants()) {
        if (constant.name().equals(value)) {
          return constant;
        }
      }
      throw wrong(
          key,
          "must be one of "
              + Arrays.stream(type.getEnumConstants())
                  .map(Enum::name)
                  .collect(Collectors.joining(", ")),
          value);
    }

    private static IllegalArgumentException wrong(String key, String rule, @Nullable Object value) {
      return new IllegalArgumentException(
          "\"" + key + "\" of the U-Net description " + rule + ", but was " + value);
    }
  }
}
