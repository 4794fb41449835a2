package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.unet.UNetLayout.Activation;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import io.github.ddpm4j.unet.UNetLayout.Block;
import io.github.ddpm4j.unet.UNetLayout.Blocks;
import io.github.ddpm4j.unet.UNetLayout.ClassPlace;
import io.github.ddpm4j.unet.UNetLayout.Down;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Frequencies;
import io.github.ddpm4j.unet.UNetLayout.Norm;
import io.github.ddpm4j.unet.UNetLayout.Order;
import io.github.ddpm4j.unet.UNetLayout.Outer;
import io.github.ddpm4j.unet.UNetLayout.Resampling;
import io.github.ddpm4j.unet.UNetLayout.Time;
import io.github.ddpm4j.unet.UNetLayout.Up;
import io.github.ddpm4j.unet.UNetLayout.WidthChange;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;

class UNetLayoutTest {

  private static UNetBuilder small() {
    return UNet.builder().image(1, 8, 8).levelChannels(8, 16).groups(4).attentionAtLevels(1);
  }

  private static UNetLayout with(Attention attention) {
    return UNetLayout.paper().with(attention);
  }

  private static Attention attention(List<Integer> linear, int headWidth) {
    return new Attention(Blocks.ALL, AttentionNorm.ALL, true, true, linear, headWidth, 0);
  }

  /** Words of model files: only what is not the paper's, so that those of the paper stay. */
  @Test
  void describe_layouts_onlyWhatDiffers() {
    assertThat(small().config().describe())
        .containsOnlyKeys(
            "image",
            "levelChannels",
            "residualBlocks",
            "attentionLevels",
            "heads",
            "dropout",
            "groups",
            "normEpsilon",
            "downsamplePadding",
            "timeOrder",
            "timeDivisor");
    assertThat(added(small().layout(UNetLayout.openai(true))))
        .hasToString("{blockTime=SCALE_SHIFT, down=RESIDUAL, up=RESIDUAL, nullClass=false}");
    assertThat(added(small().layout(UNetLayout.edmSong())))
        .hasToString(
            "{blockNorm=GROUP_OF_FOUR, blockScale=0.7071067811865476, down=RESIDUAL, up=RESIDUAL,"
                + " resamplingShortcut=true, attentionBlocks=ALL_DOWN_LAST_UP, classPlace=BEFORE}");
    assertThat(added(small().layout(UNetLayout.lucidrains(List.of(1)))))
        .hasToString(
            "{blockTime=SCALE_SHIFT, blockOrder=CONVOLUTION_FIRST, blockNorm=RMS,"
                + " down=CONVOLUTION_2X2, attentionBlocks=LAST, attentionBias=false,"
                + " linearAttentionLevels=[1], headWidth=32, memoryTokens=4, stemJoinsEnd=true,"
                + " widthChange=PASSAGE, embeddingActivation=GELU}");
    assertThat(added(small().layout(UNetLayout.labml(8))))
        .hasToString(
            "{up=TRANSPOSED_4X4, attentionNorm=NONE, stemChannels=8, widthChange=LAST_BLOCK_UP,"
                + " outGroups=8, embeddingWidth=8}");
    assertThat(added(PeerNetworks.others().classes(1)))
        .containsEntry("headsPerLevel", List.of(1, 2))
        .containsEntry("attentionMiddle", false)
        .containsEntry("embeddingFrequencies", "FOURIER")
        .containsEntry("embeddingHidden", 20);
  }

  private static Map<String, Object> added(UNetBuilder builder) {
    UNetConfig config = builder.config();
    assertThat(UNetConfig.of(config.describe())).isEqualTo(config);
    assertThat(config.toBuilder().config().describe()).isEqualTo(config.describe());
    Map<String, Object> map = new LinkedHashMap<>(config.describe());
    map.keySet().removeAll(small().config().describe().keySet());
    return map;
  }

  @Test
  void of_badWords_refusedByName() {
    Map<String, Object> map = new LinkedHashMap<>(small().config().describe());
    map.put("down", "MAX");
    refused(
        "\"down\" of the U-Net description must be one of CONVOLUTION, RESIDUAL, CONVOLUTION_2X2,"
            + " CONVOLUTION_4X4, MEAN, but was MAX",
        () -> UNetConfig.of(map));
    map.put("down", "MEAN");
    map.put("memoryTokens", -1);
    refused("memory tokens must be at least 0, but was -1", () -> UNetConfig.of(map));
  }

  @Test
  void parts_badArguments_refused() {
    refused(
        "the scale of residual blocks must be in (0, 1], but was 0.0",
        () -> new Block(Time.ADD, Order.NORM_FIRST, Norm.GROUP, 0));
    refused(
        "the scale of residual blocks must be in (0, 1], but was NaN",
        () -> new Block(Time.ADD, Order.NORM_FIRST, Norm.GROUP, Double.NaN));
    refused("linear level must be at least 0, but was -1", () -> attention(List.of(-1), 0));
    refused("head width must be at least 0, but was -1", () -> attention(List.of(), -1));
    refused(
        "stem channels must be at most 65536, but was 65537",
        () -> new Outer(65537, false, WidthChange.FIRST_BLOCK, 0));
    refused(
        "out groups must be at least 0, but was -1",
        () -> new Outer(0, false, WidthChange.FIRST_BLOCK, -1));
    refused("embedding width must be at least 2, but was 1", () -> embedding(1, 0, true));
    refused("hidden width must be at most 65536, but was 65537", () -> embedding(2, 65537, true));
    refused(
        "heads per level must be at least 1, but were [1, 0]",
        () -> UNet.builder().headsPerLevel(1, 0));
  }

  private static Embedding embedding(int width, int hidden, boolean nullClass) {
    return new Embedding(
        width, hidden, Activation.SILU, Frequencies.SINUSOIDS, ClassPlace.AFTER, nullClass);
  }

  @Test
  void config_optionsThatDoNotFit_refusedWithWhatWould() {
    refused(
        "linear attention must be at levels that have attention, but level 0 has none; add it by"
            + " attentionAtLevels",
        () -> small().layout(with(attention(List.of(0), 0))).config());
    refused(
        "heads per level must be given for each of the 2 levels, but were for 3",
        () -> small().headsPerLevel(1, 2, 4).config());
    refused(
        "head width needs a number of heads, but there are head channels, 4, too; call"
            + " heads(count)",
        () -> small().headChannels(4).layout(with(attention(List.of(), 8))).config());
    refused(
        "heads must divide the channels that attention has, but 3 do not divide the 16 of"
            + " down_blocks.1.attentions.0",
        () -> small().headsPerLevel(1, 3).config());
    refused(
        "channels that change in the passage need one with weights, but it was MEAN; choose"
            + " another, or the width change FIRST_BLOCK",
        () -> passages(Down.MEAN, Up.CONVOLUTION));
    refused(
        "channels that change in the passage need one with weights, but it was NEAREST; choose"
            + " another, or the width change FIRST_BLOCK",
        () -> passages(Down.RESIDUAL, Up.NEAREST));
    refused(
        "groups must divide the channels of every norm, but 4 does not divide the 6 of"
            + " down_blocks.0.resnets.0.norm1",
        () -> outer(6, 0));
    refused(
        "groups must divide the channels of every norm, but 3 does not divide the 8 of"
            + " conv_norm_out",
        () -> outer(0, 3));
    refused(
        "out groups need a norm by groups, but were 8 with the norm RMS; leave them at 0",
        () ->
            small()
                .layout(
                    UNetLayout.lucidrains(List.of())
                        .with(new Outer(0, false, WidthChange.PASSAGE, 8)))
                .config());
  }

  private static void passages(Down down, Up up) {
    small()
        .layout(
            UNetLayout.paper()
                .with(new Resampling(down, up, false))
                .with(new Outer(0, false, WidthChange.PASSAGE, 0)))
        .config();
  }

  private static void outer(int stem, int groups) {
    Outer outer = new Outer(stem, false, WidthChange.FIRST_BLOCK, groups);
    small().layout(UNetLayout.paper().with(outer)).config();
  }

  private static void refused(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @Test
  void headsPerLevel_levels_theirOwn() {
    UNetConfig config = small().heads(8).headsPerLevel(2, 4).config();
    assertThat(List.of(config.headsAt(0), config.headsAt(1))).containsExactly(2, 4);
    assertThat(small().headsPerLevel(2, 4).heads(1).config().headsAt(1)).isEqualTo(1);
    assertThat(small().headsPerLevel(2, 4).headChannels(2).config().headsAt(1)).isEqualTo(8);
  }

  /** Before the first prediction, where a run asks; and for each image. */
  @Test
  void predict_classesWithoutARowForNone_everyImageMustHaveOne() {
    UNetLayout layout = UNetLayout.paper().with(embedding(0, 0, false));
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = small().classes(3).layout(layout).build()) {
      assertThat(unet.weights().get("class_embedding.weight").getShape())
          .isEqualTo(new Shape(3, 32));
      NDArray x = manager.zeros(new Shape(2, 1, 8, 8));
      String message =
          "every image must have a class, because the U-Net has none for images without one, but"
              + " image %d has none; give it a label between 0 and 2";
      refused(
          String.format(Locale.ROOT, message, 0),
          () -> unet.requireUsable(x.getShape(), DataType.FLOAT32, Condition.none()));
      refused(
          String.format(Locale.ROOT, message, 0),
          () -> unet.predict(x, Levels.at(1, 2), Condition.none()));
      refused(
          String.format(Locale.ROOT, message, 1),
          () -> unet.predict(x, Levels.at(1, 2), Condition.labels(2, Condition.ABSENT)));
      assertThat(unet.predict(x, Levels.at(1, 2), Condition.labels(2, 0)).getShape())
          .isEqualTo(x.getShape());
    }
  }
}
