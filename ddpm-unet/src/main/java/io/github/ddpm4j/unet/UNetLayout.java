package io.github.ddpm4j.unet;

import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * What distinguishes the networks of other libraries from the paper's, beyond the options of {@link
 * UNetBuilder}. {@link #paper()} is the layout of Ho et al. 2020 and the default; the other static
 * methods are those of published code. Immutable.
 *
 * <p>Networks of signals and of volumes have the same layouts: what is 3x3 here is 3 of a signal
 * and 3x3x3 of a volume, and what is said of height and width holds for each axis.
 *
 * <pre>{@code
 * UNetLayout layout =
 *     UNetLayout.paper().with(new UNetLayout.Block(Time.SCALE_SHIFT, Order.NORM_FIRST, Norm.GROUP, 1));
 * }</pre>
 *
 * @param block the residual blocks
 * @param resampling the passage from one level to the next
 * @param attention the attention blocks
 * @param outer where the network begins and ends, and where its channels change
 * @param embedding the embedding of timestep and class
 * @param transformers what attention is in networks with a context, and the middle
 */
public record UNetLayout(
    Block block,
    Resampling resampling,
    Attention attention,
    Outer outer,
    Embedding embedding,
    Transformers transformers) {

  private static final UNetLayout PAPER =
      new UNetLayout(
          new Block(Time.ADD, Order.NORM_FIRST, Norm.GROUP, 1),
          new Resampling(Down.CONVOLUTION, Up.CONVOLUTION, false),
          new Attention(Blocks.ALL, AttentionNorm.ALL, true, true, List.of(), 0, 0),
          new Outer(0, false, WidthChange.FIRST_BLOCK, 0),
          new Embedding(0, 0, Activation.SILU, Frequencies.SINUSOIDS, ClassPlace.AFTER, true),
          new Transformers(List.of(), false, List.of(), 2));

  /**
   * Requires all parts.
   *
   * @param block the residual blocks
   * @param resampling the passage from one level to the next
   * @param attention the attention blocks
   * @param outer where the network begins and ends
   * @param embedding the embedding of timestep and class
   * @param transformers what attention is in networks with a context
   * @throws NullPointerException if one is null
   */
  public UNetLayout {
    Objects.requireNonNull(block, "block");
    Objects.requireNonNull(resampling, "resampling");
    Objects.requireNonNull(attention, "attention");
    Objects.requireNonNull(outer, "outer");
    Objects.requireNonNull(embedding, "embedding");
    Objects.requireNonNull(transformers, "transformers");
  }

  /* ---------------- Residual blocks ---------------- */

  /** How a residual block takes in the embedding. */
  public enum Time {
    /** Its projection is added between the two convolutions. */
    ADD,
    /**
     * Its projection scales and shifts what the norm between the two convolutions gives: {@code h ·
     * (1 + s) + b} (Dhariwal and Nichol 2021, "adaptive group normalization").
     */
    SCALE_SHIFT
  }

  /** The order of norm, activation and convolution. */
  public enum Order {
    /** Norm, activation, convolution. */
    NORM_FIRST,
    /** Convolution, norm, activation; the embedding enters behind the first norm. */
    CONVOLUTION_FIRST
  }

  /** The norm of residual blocks, of attention and of the output. */
  public enum Norm {
    /** Group normalisation with the groups and the epsilon of the builder. */
    GROUP,
    /** The same, with fewer groups where a group would have less than 4 channels. */
    GROUP_OF_FOUR,
    /** {@linkplain io.github.ddpm4j.spi.Ops#rmsNorm Root mean square} over the channels. */
    RMS
  }

  /**
   * Residual blocks.
   *
   * @param time how they take in the embedding
   * @param order the order of their layers
   * @param norm the norm, here and elsewhere
   * @param scale what the sum of input and branch is multiplied by, in residual and attention
   *     blocks: 1, or √½ where the variance should stay
   */
  public record Block(Time time, Order order, Norm norm, double scale) {

    /**
     * Requires a scale that keeps something.
     *
     * @param time how blocks take in the embedding
     * @param order the order of their layers
     * @param norm the norm
     * @param scale what the sum of input and branch is multiplied by
     * @throws IllegalArgumentException if the scale is not greater than 0 and at most 1
     * @throws NullPointerException if an argument is null
     */
    public Block {
      Objects.requireNonNull(time, "time");
      Objects.requireNonNull(order, "order");
      Objects.requireNonNull(norm, "norm");
      if (!(scale > 0 && scale <= 1)) {
        throw new IllegalArgumentException(
            "the scale of residual blocks must be in (0, 1], but was " + scale);
      }
    }
  }

  /* ---------------- Between levels ---------------- */

  /** How height and width are halved. */
  public enum Down {
    /** A 3x3 convolution of stride 2, with the padding of the builder. */
    CONVOLUTION,
    /** A residual block, with the mean of 2x2 pixels in both branches. */
    RESIDUAL,
    /** A 2x2 convolution of stride 2. */
    CONVOLUTION_2X2,
    /** A 4x4 convolution of stride 2 and padding 1. */
    CONVOLUTION_4X4,
    /** The mean of 2x2 pixels alone. */
    MEAN
  }

  /** How height and width are doubled. */
  public enum Up {
    /** Every pixel repeated, and a 3x3 convolution. */
    CONVOLUTION,
    /** A residual block, with every pixel repeated in both branches. */
    RESIDUAL,
    /** A transposed 4x4 convolution of stride 2 and padding 1. */
    TRANSPOSED_4X4,
    /** Every pixel repeated alone. */
    NEAREST
  }

  /**
   * The passage from one level to the next.
   *
   * @param down how height and width are halved
   * @param up how they are doubled
   * @param shortcut whether residual blocks here have a 1x1 convolution in their shortcut although
   *     channels stay as they are
   */
  public record Resampling(Down down, Up up, boolean shortcut) {

    /**
     * Requires both ways.
     *
     * @param down how height and width are halved
     * @param up how they are doubled
     * @param shortcut whether residual blocks always have a convolution in their shortcut
     * @throws NullPointerException if an argument is null
     */
    public Resampling {
      Objects.requireNonNull(down, "down");
      Objects.requireNonNull(up, "up");
    }
  }

  /* ---------------- Attention ---------------- */

  /** The residual blocks of a level that attention follows, where the level has attention. */
  public enum Blocks {
    /** All. */
    ALL,
    /** All on the way down, the last on the way up. */
    ALL_DOWN_LAST_UP,
    /** The last. */
    LAST
  }

  /** The attention blocks that begin with a norm. */
  public enum AttentionNorm {
    /** All. */
    ALL,
    /** All but that of the middle. */
    EXCEPT_MIDDLE,
    /** None. */
    NONE
  }

  /**
   * Attention blocks.
   *
   * @param blocks the residual blocks that they follow
   * @param norm those that begin with a norm
   * @param middle whether there is one in the middle
   * @param bias whether queries, keys and values have a bias
   * @param linearLevels the levels, among those with attention, whose attention is {@linkplain
   *     io.github.ddpm4j.spi.Ops#linearAttention linear} and ends with a norm; the middle never
   * @param headWidth the channels of a head, if not those of the level divided by the heads; 0 if
   *     so
   * @param memoryTokens the number of learned keys and values beside those of the pixels
   */
  public record Attention(
      Blocks blocks,
      AttentionNorm norm,
      boolean middle,
      boolean bias,
      List<Integer> linearLevels,
      int headWidth,
      int memoryTokens) {

    /**
     * Copies the list.
     *
     * @param blocks the residual blocks that attention follows
     * @param norm the attention blocks that begin with a norm
     * @param middle whether there is one in the middle
     * @param bias whether queries, keys and values have a bias
     * @param linearLevels the levels whose attention is linear
     * @param headWidth the channels of a head, or 0
     * @param memoryTokens the number of learned keys and values
     * @throws IllegalArgumentException if a number is negative, or more than 65,536
     * @throws NullPointerException if an argument is null
     */
    public Attention {
      Objects.requireNonNull(blocks, "blocks");
      Objects.requireNonNull(norm, "norm");
      linearLevels = List.copyOf(linearLevels);
      linearLevels.forEach(level -> OptionChecks.requireAtLeast("linear level", 0, level));
      OptionChecks.requireBetween("head width", 0, OptionChecks.MOST_PIXELS, headWidth);
      OptionChecks.requireBetween("memory tokens", 0, OptionChecks.MOST_PIXELS, memoryTokens);
    }
  }

  /**
   * Transformers (Rombach et al. 2022), which attention blocks are in networks with a {@linkplain
   * UNetBuilder#contextCondition context}: self-attention, attention to the context and a gated
   * feed-forward layer. The number of residual blocks in the middle counts for all networks.
   *
   * @param depths how many follow each other in a block of each level, that of the last in the
   *     middle too; empty for one each
   * @param linearProjection whether the projections around them are linear layers and not
   *     convolutions of one pixel, which compute the same
   * @param contextOnlyLevels the levels where pixels attend to the context alone, twice, and not to
   *     each other; never in the middle
   * @param middleBlocks the residual blocks of the middle: 2, with attention between them; 1
   *     without attention; or 0
   */
  public record Transformers(
      List<Integer> depths,
      boolean linearProjection,
      List<Integer> contextOnlyLevels,
      int middleBlocks) {

    /**
     * Copies the lists.
     *
     * @param depths how many follow each other in a block of each level, or empty
     * @param linearProjection whether the projections around them are linear layers
     * @param contextOnlyLevels the levels where pixels attend to the context alone
     * @param middleBlocks the residual blocks of the middle
     * @throws IllegalArgumentException if a depth is not between 1 and 1,024, a level is negative,
     *     or the middle has not 0, 1 or 2 blocks
     * @throws NullPointerException if an argument is null
     */
    public Transformers {
      depths = List.copyOf(depths);
      depths.forEach(
          depth ->
              OptionChecks.requireBetween("transformer depth", 1, OptionChecks.MOST_BLOCKS, depth));
      contextOnlyLevels = List.copyOf(contextOnlyLevels);
      contextOnlyLevels.forEach(
          level -> OptionChecks.requireAtLeast("context-only level", 0, level));
      OptionChecks.requireBetween("middle blocks", 0, 2, middleBlocks);
    }
  }

  /* ---------------- Beginning and end ---------------- */

  /** Where channels change from one level to the next. */
  public enum WidthChange {
    /** In the first residual block of a level, down and up. */
    FIRST_BLOCK,
    /**
     * In the passage: blocks on the way down have the channels of the level above, the last level
     * ends with a 3x3 convolution to its own, and the first level ends with one to the stem's.
     */
    PASSAGE,
    /** As in the first block on the way down, and in the last block of a level on the way up. */
    LAST_BLOCK_UP
  }

  /**
   * Where the network begins and ends.
   *
   * @param stemChannels the channels of the first convolution; 0 for those of the first level
   * @param stemJoinsEnd whether the first convolution is 7x7 and its result joins the last one's
   *     input through a residual block and a 1x1 convolution. Then only residual blocks are joined
   *     with those of the way up, which has as many of them as the way down
   * @param widthChange where channels change
   * @param outGroups the groups of the last norm; 0 for those of the others
   */
  public record Outer(
      int stemChannels, boolean stemJoinsEnd, WidthChange widthChange, int outGroups) {

    /**
     * Requires sizes that can be.
     *
     * @param stemChannels the channels of the first convolution, or 0
     * @param stemJoinsEnd whether its result joins the last one's input
     * @param widthChange where channels change
     * @param outGroups the groups of the last norm, or 0
     * @throws IllegalArgumentException if a number is negative, or more than 65,536
     * @throws NullPointerException if an argument is null
     */
    public Outer {
      OptionChecks.requireBetween("stem channels", 0, OptionChecks.MOST_PIXELS, stemChannels);
      Objects.requireNonNull(widthChange, "widthChange");
      OptionChecks.requireBetween("out groups", 0, OptionChecks.MOST_PIXELS, outGroups);
    }
  }

  /* ---------------- Embedding ---------------- */

  /** The activation between the two linear layers of the timestep. */
  public enum Activation {
    /** {@linkplain io.github.ddpm4j.spi.Ops#silu x · sigmoid(x)}. */
    SILU,
    /** {@linkplain io.github.ddpm4j.spi.Ops#gelu x · Φ(x)}. */
    GELU
  }

  /** What the timestep is turned into before the linear layers. */
  public enum Frequencies {
    /** Sinusoids of geometrically spaced frequencies, as the builder says. */
    SINUSOIDS,
    /**
     * {@linkplain io.github.ddpm4j.spi.Ops#fourierFeatures Fourier features} of frequencies that
     * are weights, in the order of the builder.
     */
    FOURIER,
    /** The timestep itself, and Fourier features behind it. */
    TIME_AND_FOURIER
  }

  /** Where the embedding of the class is added. */
  public enum ClassPlace {
    /** Behind the linear layers. */
    AFTER,
    /** Before the linear layers, to what the timestep is turned into. */
    BEFORE
  }

  /**
   * The embedding of timestep and class.
   *
   * @param width the number of sinusoids or Fourier features; 0 for the channels of the first level
   * @param hidden the width of the linear layers; 0 for four times {@code width}
   * @param activation the activation between the linear layers
   * @param frequencies what the timestep is turned into
   * @param classPlace where the embedding of the class is added
   * @param nullClass whether the table of classes has a row for images without a class; if not,
   *     each image must have one
   */
  public record Embedding(
      int width,
      int hidden,
      Activation activation,
      Frequencies frequencies,
      ClassPlace classPlace,
      boolean nullClass) {

    /**
     * Requires sizes that can be.
     *
     * @param width the number of sinusoids or Fourier features, or 0
     * @param hidden the width of the linear layers, or 0
     * @param activation the activation between the linear layers
     * @param frequencies what the timestep is turned into
     * @param classPlace where the embedding of the class is added
     * @param nullClass whether there is a row for images without a class
     * @throws IllegalArgumentException if a width is negative, 1, or more than 65,536
     * @throws NullPointerException if an argument is null
     */
    public Embedding {
      requireWidth("embedding width", width);
      requireWidth("hidden width", hidden);
      Objects.requireNonNull(activation, "activation");
      Objects.requireNonNull(frequencies, "frequencies");
      Objects.requireNonNull(classPlace, "classPlace");
    }

    private static void requireWidth(String name, int width) {
      if (width != 0) {
        OptionChecks.requireBetween(name, 2, OptionChecks.MOST_PIXELS, width);
      }
    }
  }

  /* ---------------- Layouts ---------------- */

  /**
   * The layout of Ho et al. 2020, also of labelled copies of it such as diffusers' UNet2DModel with
   * its standard blocks.
   *
   * @return the layout
   */
  public static UNetLayout paper() {
    return PAPER;
  }

  /**
   * The layout of openai/guided-diffusion and openai/improved-diffusion: scale and shift, and a
   * table of classes without a row for none.
   *
   * @param residualResampling guided-diffusion's {@code resblock_updown}
   * @return the layout
   */
  public static UNetLayout openai(boolean residualResampling) {
    UNetLayout layout =
        PAPER
            .with(new Block(Time.SCALE_SHIFT, Order.NORM_FIRST, Norm.GROUP, 1))
            .with(
                new Embedding(
                    0, 0, Activation.SILU, Frequencies.SINUSOIDS, ClassPlace.AFTER, false));
    return residualResampling
        ? layout.with(new Resampling(Down.RESIDUAL, Up.RESIDUAL, false))
        : layout;
  }

  /**
   * The layout of lucidrains/denoising-diffusion-pytorch 2.x with its default options.
   *
   * @param linearLevels the levels with linear attention; by default all but the last
   * @return the layout
   */
  public static UNetLayout lucidrains(List<Integer> linearLevels) {
    return new UNetLayout(
        new Block(Time.SCALE_SHIFT, Order.CONVOLUTION_FIRST, Norm.RMS, 1),
        new Resampling(Down.CONVOLUTION_2X2, Up.CONVOLUTION, false),
        new Attention(Blocks.LAST, AttentionNorm.ALL, true, false, linearLevels, 32, 4),
        new Outer(0, true, WidthChange.PASSAGE, 0),
        new Embedding(0, 0, Activation.GELU, Frequencies.SINUSOIDS, ClassPlace.AFTER, true),
        PAPER.transformers);
  }

  /**
   * The layout of {@code Unet1D} of lucidrains/denoising-diffusion-pytorch 2.x, for signals: linear
   * attention on all levels, and a convolution of 4 values between them.
   *
   * @param levels the number of levels
   * @return the layout
   */
  public static UNetLayout lucidrainsSignals(int levels) {
    List<Integer> linear = IntStream.range(0, levels).boxed().toList();
    return lucidrains(linear)
        .with(new Resampling(Down.CONVOLUTION_4X4, Up.CONVOLUTION, false))
        .with(new Attention(Blocks.LAST, AttentionNorm.ALL, true, false, linear, 32, 0));
  }

  /**
   * The layout of labml's annotated DDPM.
   *
   * @param stemChannels the channels of its first convolution
   * @return the layout
   */
  public static UNetLayout labml(int stemChannels) {
    return PAPER
        .with(new Resampling(Down.CONVOLUTION, Up.TRANSPOSED_4X4, false))
        .with(new Attention(Blocks.ALL, AttentionNorm.NONE, true, true, List.of(), 0, 0))
        .with(new Outer(stemChannels, false, WidthChange.LAST_BLOCK_UP, 8))
        .with(
            new Embedding(
                stemChannels, 0, Activation.SILU, Frequencies.SINUSOIDS, ClassPlace.AFTER, true));
  }

  /**
   * The layout of SongUNet in NVlabs/edm with the options of DDPM++ (Song et al. 2020; Karras et
   * al. 2022).
   *
   * @return the layout
   */
  public static UNetLayout edmSong() {
    return PAPER
        .with(new Block(Time.ADD, Order.NORM_FIRST, Norm.GROUP_OF_FOUR, Math.sqrt(0.5)))
        .with(new Resampling(Down.RESIDUAL, Up.RESIDUAL, true))
        .with(
            new Attention(Blocks.ALL_DOWN_LAST_UP, AttentionNorm.ALL, true, true, List.of(), 0, 0))
        .with(new Embedding(0, 0, Activation.SILU, Frequencies.SINUSOIDS, ClassPlace.BEFORE, true));
  }

  /**
   * The layout of DhariwalUNet in NVlabs/edm (Dhariwal and Nichol 2021; Karras et al. 2022).
   *
   * @return the layout
   */
  public static UNetLayout edmDhariwal() {
    return openai(true).with(new Block(Time.SCALE_SHIFT, Order.NORM_FIRST, Norm.GROUP_OF_FOUR, 1));
  }

  /* ---------------- Changed in one part ---------------- */

  /**
   * The same layout with other residual blocks.
   *
   * @param other the residual blocks
   * @return the layout
   */
  public UNetLayout with(Block other) {
    return new UNetLayout(other, resampling, attention, outer, embedding, transformers);
  }

  /**
   * The same layout with another passage between levels.
   *
   * @param other the passage
   * @return the layout
   */
  public UNetLayout with(Resampling other) {
    return new UNetLayout(block, other, attention, outer, embedding, transformers);
  }

  /**
   * The same layout with other attention blocks.
   *
   * @param other the attention blocks
   * @return the layout
   */
  public UNetLayout with(Attention other) {
    return new UNetLayout(block, resampling, other, outer, embedding, transformers);
  }

  /**
   * The same layout with another beginning and end.
   *
   * @param other the beginning and end
   * @return the layout
   */
  public UNetLayout with(Outer other) {
    return new UNetLayout(block, resampling, attention, other, embedding, transformers);
  }

  /**
   * The same layout with another embedding.
   *
   * @param other the embedding
   * @return the layout
   */
  public UNetLayout with(Embedding other) {
    return new UNetLayout(block, resampling, attention, outer, other, transformers);
  }

  /**
   * The same layout with other transformers.
   *
   * @param other the transformers
   * @return the layout
   */
  public UNetLayout with(Transformers other) {
    return new UNetLayout(block, resampling, attention, outer, embedding, other);
  }
}
