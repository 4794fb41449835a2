package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Blocks;
import io.github.ddpm4j.unet.UNetLayout.Transformers;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Networks that attend to a context: what they take, what they refuse, and images of odd sizes. */
class UNetContextTest {

  private static final int WIDTH = 6;

  private final NDManager manager = NDManager.newBaseManager();

  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder builder() {
    return UNet.builder()
        .image(2, 4, 8)
        .levelChannels(8, 16)
        .groups(4)
        .residualBlocks(1)
        .attentionAtLevels(0)
        .contextCondition(WIDTH)
        .heads(2)
        .dropout(0)
        .seed(5);
  }

  /** A network all of whose weights matter. */
  private UNet disturbed(UNetBuilder builder) {
    UNet unet = builder.build();
    try (GradMode off = GradMode.off()) {
      unet.weights()
          .values()
          .forEach(w -> w.set(new NDIndex("..."), noise(w.getShape(), 0.2).add(w)));
    }
    return unet;
  }

  private NDArray noise(Shape shape, double scale) {
    SplittableRandom random = new SplittableRandom(shape.hashCode());
    float[] values = new float[(int) shape.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble(-scale, scale);
    }
    return manager.create(values, shape).duplicate();
  }

  private float[] predict(UNet unet, Condition condition) {
    int n = condition.size().orElse(1);
    NDArray x = noise(new Shape(n).addAll(unet.config().imageShape()), 1);
    double[] t = new double[n];
    Arrays.fill(t, 40);
    return unet.predict(x, Levels.at(t), condition).toFloatArray();
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void predict_contexts_eachImageByItsOwn(Execution execution) {
    try (UNet unet = disturbed(builder().execution(execution))) {
      NDArray two = noise(new Shape(2, 5, WIDTH), 1);
      NDArray same = noise(new Shape(2, 2, 4, 8), 1).get(new NDIndex("0:1"));
      NDArray x = same.concat(same, 0);
      float[] both = unet.predict(x, Levels.at(40, 40), Condition.contexts(two)).toFloatArray();
      int pixels = both.length / 2;
      float[] first = Arrays.copyOf(both, pixels);
      float[] second = Arrays.copyOfRange(both, pixels, 2 * pixels);
      assertThat(largest(first, second)).isGreaterThan(1e-2f);
      float[] alone =
          unet.predict(same, Levels.at(40), Condition.contexts(two).select(1)).toFloatArray();
      assertThat(largest(alone, second)).isLessThan(1e-5f);
      // A token twice is attended to as once: the order and number of tokens are free.
      NDArray once = two.get(new NDIndex("1:2"));
      float[] twice =
          unet.predict(same, Levels.at(40), Condition.contexts(once.concat(once, 1)))
              .toFloatArray();
      assertThat(largest(twice, second)).isLessThan(1e-5f);
    }
  }

  private static float largest(float[] a, float[] b) {
    assertThat(a).hasSameSizeAs(b);
    float largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  @Test
  void copyFolderAndBlock_contexts_samePredictions() throws Exception {
    Transformers transformers = new Transformers(List.of(2, 1), true, List.of(0), 2);
    try (UNet unet =
        disturbed(builder().classes(3).layout(UNetLayout.paper().with(transformers)))) {
      NDArray contexts = noise(new Shape(2, 5, WIDTH), 1);
      Condition condition = Condition.contexts(contexts).and(Condition.labels(0, 2));
      float[] expected = predict(unet, condition);
      try (UNet copy = unet.copy()) {
        assertThat(predict(copy, condition)).isEqualTo(expected);
      }
      DDPM.builder().denoiser(unet).build().save(folder.resolve("model"));
      try (DDPM loaded = DDPM.load(folder.resolve("model"))) {
        UNet other = (UNet) loaded.denoiser().orElseThrow();
        assertThat(other.config()).isEqualTo(unet.config());
        assertThat(predict(other, condition)).isEqualTo(expected);
      }
      NDList inputs =
          new NDList(
              noise(new Shape(2, 2, 4, 8), 1),
              manager.create(new float[] {40, 40}),
              manager.create(new int[] {0, 2}),
              contexts);
      assertThat(
              unet.forward(new ParameterStore(manager, false), inputs, false).head().toFloatArray())
          .isEqualTo(expected);
      assertThat(unet.getOutputShapes(inputs.getShapes())).containsExactly(new Shape(2, 2, 4, 8));
    }
  }

  @Test
  void predict_noContextOrAnother_refused() {
    String none =
        "every image must have a context, because the U-Net attends to one, but image 0 has none;"
            + " give an encoded text by Condition.contexts(contexts), the empty one for none";
    try (UNet unet = builder().build();
        UNet plain = UNet.builder(UNetConfig.cifar10()).levelChannels(32, 32).buildBlank()) {
      refused(none, () -> predict(unet, Condition.none()));
      refused(
          none,
          () -> predict(unet, Condition.contexts(noise(new Shape(1, 5, WIDTH), 1)).dropped()));
      refused(
          "the condition's contexts must have the shape (1, -1, 6), as the U-Net was built for, but"
              + " have (1, 5, 7)",
          () -> predict(unet, Condition.contexts(noise(new Shape(1, 5, 7), 1))));
      refused(
          "the U-Net cannot be conditioned on contexts, but was given a Condition of 1 images by"
              + " contexts (5, 6); build it with contextCondition(channels), or leave them out",
          () -> predict(plain, Condition.contexts(noise(new Shape(1, 5, WIDTH), 1))));
    }
  }

  @Test
  void config_whatDoesNotGoTogether_refused() {
    UNetLayout paper = UNetLayout.paper();
    refused(
        "transformers need a context, but the network has none and Transformers[depths=[],"
            + " linearProjection=true, contextOnlyLevels=[], middleBlocks=2]; call"
            + " contextCondition(channels)",
        () ->
            UNet.builder()
                .image(3, 8, 8)
                .layout(paper.with(new Transformers(List.of(), true, List.of(), 2)))
                .config());
    refused(
        "transformer depths must be given for each of the 2 levels, but were for 1",
        () ->
            builder()
                .layout(paper.with(new Transformers(List.of(1), true, List.of(), 2)))
                .config());
    refused(
        "context-only attention must be at levels that have attention, but level 1 has none; add it"
            + " by attentionAtLevels",
        () ->
            builder()
                .layout(paper.with(new Transformers(List.of(), true, List.of(1), 2)))
                .config());
    refused(
        "attention in the middle needs 2 residual blocks there, but there are 1; leave"
            + " attention().middle() out",
        () ->
            builder().layout(paper.with(new Transformers(List.of(), true, List.of(), 1))).config());
    refused(
        "networks with a context have transformers for attention, which can have other blocks and"
            + " middles alone, but it was Attention[blocks=ALL, norm=ALL, middle=true, bias=true,"
            + " linearLevels=[0], headWidth=0, memoryTokens=0]",
        () ->
            builder()
                .layout(
                    paper.with(
                        new Attention(Blocks.ALL, AttentionNorm.ALL, true, true, List.of(0), 0, 0)))
                .config());
    refused(
        "heads must divide the channels that attention has, but 3 do not divide the 8 of"
            + " down_blocks.0.attentions.0",
        () -> builder().headsPerLevel(3, 2).config());
    refused(
        "transformer depth must be at least 1, but was 0",
        () -> new Transformers(List.of(0), true, List.of(), 2));
    refused(
        "middle blocks must be at most 2, but was 3",
        () -> new Transformers(List.of(), true, List.of(), 3));
    refused(
        "context condition must be at least 1, but was 0",
        () -> UNet.builder().contextCondition(0));
  }

  private static void refused(String message, ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  /**
   * Diffusers' UNetMidBlock2D has one residual block and no attention; the middle may lack, too.
   */
  @Test
  void middle_oneBlockOrNone_theirWeightsAlone() {
    UNetLayout paper = UNetLayout.paper();
    Attention none = new Attention(Blocks.ALL, AttentionNorm.ALL, false, true, List.of(), 0, 0);
    for (int blocks = 0; blocks < 2; blocks++) {
      Transformers transformers = new Transformers(List.of(), false, List.of(), blocks);
      try (UNet unet = disturbed(builder().layout(paper.with(none).with(transformers)))) {
        assertThat(
                unet.weights().keySet().stream()
                    .filter(name -> name.startsWith("mid_block"))
                    .map(name -> name.substring(0, "mid_block.resnets.0".length()))
                    .distinct())
            .isEqualTo(blocks == 0 ? List.of() : List.of("mid_block.resnets.0"));
        Condition condition = Condition.contexts(noise(new Shape(1, 5, WIDTH), 1));
        assertThat(predict(unet, condition)).hasSize(64);
      }
    }
  }

  /** Halves are rounded up, and what doubling makes too much is left out. */
  @Test
  void image_oddSizes_levelsRoundUp() {
    UNetBuilder builder =
        builder()
            .levelChannels(8, 16, 16)
            .downsamplePadding(DownsamplePadding.ALL_SIDES)
            .image(2, 5, 11);
    UNetConfig config = builder.config();
    assertThat(List.of(config.sizesAt(1)[0], config.sizesAt(2)[0], config.sizesAt(1)[1]))
        .containsExactly(3, 2, 6);
    assertThat(config.summary()).contains("up_blocks.1.upsamplers.0", "(16, 5, 11)");
    try (UNet unet = disturbed(builder)) {
      Condition condition = Condition.contexts(noise(new Shape(1, 5, WIDTH), 1));
      float[] compiled = predict(unet, condition);
      assertThat(compiled).hasSize(2 * 5 * 11);
      unet.runAs(Execution.EAGER, UNet.Precision.FLOAT32);
      assertThat(largest(predict(unet, condition), compiled)).isLessThan(1e-5f);
    }
    refused(
        "image height must be divisible by 4, because 3 levels halve it 2 times, but was 5; 4 or 8"
            + " would do",
        () -> builder.downsamplePadding(DownsamplePadding.RIGHT_BOTTOM).config());
  }
}
