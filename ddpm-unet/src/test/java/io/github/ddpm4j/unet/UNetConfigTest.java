package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import com.google.gson.Gson;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class UNetConfigTest {

  @Test
  void parameterCount_presets_asThePaper() {
    assertThat(UNetConfig.cifar10().parameterCount()).isEqualTo(35_746_307);
    assertThat(UNetConfig.image256().parameterCount()).isEqualTo(113_673_219);
  }

  @Test
  void parameters_presets_asManyTensorsAsDiffusers() {
    assertThat(new Network(UNetConfig.cifar10()).parameters()).hasSize(328);
    assertThat(new Network(UNetConfig.image256()).parameters()).hasSize(450);
  }

  @Test
  void cifar10_choices_asThePaper() {
    UNetConfig config = UNetConfig.cifar10();
    assertThat(config.imageShape()).isEqualTo(new Shape(3, 32, 32));
    assertThat(config.imageChannels()).isEqualTo(3);
    assertThat(config.levels()).isEqualTo(4);
    assertThat(config.baseChannels()).isEqualTo(128);
    assertThat(config.channelsAt(3)).isEqualTo(256);
    assertThat(config.residualBlocks()).isEqualTo(2);
    assertThat(List.of(config.hasAttention(0), config.hasAttention(1), config.hasAttention(2)))
        .containsExactly(false, true, false);
    assertThat(config.headsAt(1)).isEqualTo(1);
    assertThat(config.dropout()).isEqualTo(0.1);
    assertThat(config.groups()).isEqualTo(32);
    assertThat(config.normEpsilon()).isEqualTo(1e-6);
    assertThat(config.downsamplePadding()).isEqualTo(DownsamplePadding.RIGHT_BOTTOM);
    assertThat(config.timeOrder()).isEqualTo(TimeOrder.SIN_COS);
    assertThat(config.timeDivisor()).isEqualTo(TimeDivisor.HALF_MINUS_ONE);
    assertThat(UNetConfig.image256().dropout()).isZero();
    assertThat(UNetConfig.image256().hasAttention(4)).isTrue();
  }

  @Test
  void builder_defaults_areCifar10() {
    assertThat(UNet.builder().image(3, 32, 32).config()).isEqualTo(UNetConfig.cifar10());
  }

  @Test
  void builder_defaultAttentionWithoutItsLevel_onlyInTheMiddle() {
    UNetConfig config = UNet.builder().image(1, 28, 28).channelMultipliers(1, 2, 2).config();
    assertThat(List.of(config.hasAttention(0), config.hasAttention(1), config.hasAttention(2)))
        .containsExactly(false, false, false);
  }

  @Test
  void builder_usedAgain_productUnchanged() {
    UNetBuilder builder = UNet.builder().image(1, 8, 8).levelChannels(8, 16).groups(4);
    UNetConfig first = builder.config();
    UNetConfig second = builder.groups(8).attentionAtLevels(0).config();
    assertThat(first.groups()).isEqualTo(4);
    assertThat(first.hasAttention(0)).isFalse();
    assertThat(second.groups()).isEqualTo(8);
    assertThat(second).isNotEqualTo(first).isNotEqualTo("x");
  }

  @Test
  void builder_arrayArgumentsChangedLater_productUnchanged() {
    int[] channels = {8, 16};
    UNetBuilder builder = UNet.builder().image(1, 8, 8).levelChannels(channels).groups(4);
    UNetConfig config = builder.config();
    channels[0] = 4;
    assertThat(config.baseChannels()).isEqualTo(8);
    assertThat(builder.config()).isEqualTo(config);
  }

  @Test
  void builder_laterCallOfAPair_holds() {
    UNetBuilder builder = UNet.builder().image(1, 16, 16).groups(4);
    assertThat(builder.levelChannels(8, 16).baseChannels(4).channelMultipliers(1, 3).config())
        .satisfies(config -> assertThat(config.channelsAt(1)).isEqualTo(12));
    assertThat(builder.headChannels(2).config().headsAt(1)).isEqualTo(6);
    assertThat(builder.heads(3).attentionAtLevels().config().headsAt(1)).isEqualTo(3);
    assertThat(builder.attentionAtLevels(0).attentionAt(8).config().hasAttention(0)).isFalse();
  }

  @Test
  void attentionAt_notSquare_levelOfLongerSide() {
    UNetConfig config =
        UNet.builder().image(1, 8, 32).channelMultipliers(1, 1, 1).attentionAt(16).config();
    assertThat(config.hasAttention(1)).isTrue();
    assertThat(config.hasAttention(0)).isFalse();
  }

  @Test
  void describe_allKindsOfOptions_readBack() {
    UNetConfig config =
        UNet.builder()
            .image(2, 8, 12)
            .levelChannels(9, 15, 21)
            .groups(3)
            .headChannels(3)
            .attentionAtLevels(0, 2)
            .residualBlocks(1)
            .dropout(0.25)
            .normEpsilon(1e-5)
            .downsamplePadding(DownsamplePadding.ALL_SIDES)
            .timeEmbedding(TimeOrder.COS_SIN, TimeDivisor.HALF)
            .config();

    assertThat(UNetConfig.of(config.describe())).isEqualTo(config).hasSameHashCodeAs(config);
    assertThat(config.toBuilder().config()).isEqualTo(config);
    assertThat(config)
        .hasToString(
            "UNetConfig{image=[2, 8, 12], levelChannels=[9, 15, 21], residualBlocks=1,"
                + " attentionLevels=[0, 2], headChannels=3, dropout=0.25, groups=3,"
                + " normEpsilon=1.0E-5, downsamplePadding=ALL_SIDES, timeOrder=COS_SIN,"
                + " timeDivisor=HALF}");
  }

  @Test
  @SuppressWarnings("unchecked")
  void describe_throughJson_readBack() {
    UNetConfig config = UNetConfig.cifar10();
    Map<String, Object> json = new Gson().fromJson(new Gson().toJson(config.describe()), Map.class);
    assertThat(json.get("groups")).isEqualTo(32.0);
    assertThat(UNetConfig.of(json)).isEqualTo(config);
  }

  @Test
  void describe_conditions_onlyThoseThatAreThere() {
    UNetConfig plain = UNetConfig.cifar10();
    assertThat(plain.describe())
        .doesNotContainKeys(
            "classes", "vectorCondition", "imageCondition", "selfConditioning", "learnedVariance");
    UNetConfig conditional =
        plain.toBuilder()
            .classes(10)
            .vectorCondition(4)
            .imageCondition(1)
            .selfConditioning()
            .learnedVariance()
            .config();
    assertThat(conditional.describe())
        .containsEntry("classes", 10)
        .containsEntry("vectorCondition", 4)
        .containsEntry("imageCondition", 1)
        .containsEntry("selfConditioning", true)
        .containsEntry("learnedVariance", true);
    assertThat(UNetConfig.of(conditional.describe())).isEqualTo(conditional).isNotEqualTo(plain);
    assertThat(conditional.toBuilder().config()).isEqualTo(conditional);
    long table = 11 * 512;
    long layers = (4 + 1) * 512 + (512 + 1) * 512;
    long inputs = 4 * 128 * 9;
    long outputs = 3 * (128 * 9 + 1);
    assertThat(conditional.parameterCount())
        .isEqualTo(plain.parameterCount() + table + layers + inputs + outputs);
  }

  @Test
  void of_badDescription_refusedByName() {
    refused(
        "\"selfConditioning\" of the U-Net description must be true or false, but was 1",
        map -> map.put("selfConditioning", 1));
    refused("classes must be at least 1, but was 0", map -> map.put("classes", 0));
    refused("the U-Net description lacks \"groups\"", map -> map.remove("groups"));
    refused(
        "the U-Net description has the unknown setting \"group\"; known are attentionBias,"
            + " attentionBlocks, attentionLevels, attentionMiddle, attentionNorm, blockNorm,"
            + " blockOrder, blockScale, blockTime, classPlace, classes, contextCondition,"
            + " contextOnlyLevels, down, downsamplePadding,"
            + " dropout, embeddingActivation, embeddingFrequencies, embeddingHidden,"
            + " embeddingWidth, groups, headChannels, headWidth, heads, headsPerLevel, image,"
            + " imageCondition, learnedVariance, levelChannels, linearAttentionLevels,"
            + " linearProjection, memoryTokens, middleBlocks, normEpsilon, nullClass, outGroups, resamplingShortcut,"
            + " residualBlocks, selfConditioning, signal, stemChannels, stemJoinsEnd, timeDivisor,"
            + " timeOrder, timestepScale, transformerDepths, up, vectorCondition, volume,"
            + " widthChange; did you mean groups?",
        map -> map.put("group", 32));
    refused(
        "\"image\" of the U-Net description must be [channels, height, width], but was [32, 32]",
        map -> map.put("image", List.of(32, 32)));
    refused(
        "\"image\" of the U-Net description must be a list of whole numbers, but was 32",
        map -> map.put("image", 32));
    refused(
        "\"levelChannels[1]\" of the U-Net description must be a whole number, but was 1.5",
        map -> map.put("levelChannels", List.of(128, 1.5)));
    refused(
        "\"residualBlocks\" of the U-Net description must be a whole number, but was 2.5",
        map -> map.put("residualBlocks", 2.5));
    refused(
        "\"dropout\" of the U-Net description must be a number, but was none",
        map -> map.put("dropout", "none"));
    refused(
        "\"timeOrder\" of the U-Net description must be one of SIN_COS, COS_SIN, but was sin",
        map -> map.put("timeOrder", "sin"));
    refused(
        "the U-Net description must have one of \"heads\", \"headChannels\" and"
            + " \"headsPerLevel\", but has heads and headChannels",
        map -> map.put("headChannels", 8));
    refused(
        "the U-Net description must have one of \"heads\", \"headChannels\" and"
            + " \"headsPerLevel\", but has none",
        map -> map.remove("heads"));
    refused("groups must be at least 1, but was 0", map -> map.put("groups", 0.0));
    refused(
        "the U-Net description must have one of \"signal\", \"image\" and \"volume\", but has signal"
            + " and image",
        map -> map.put("signal", List.of(1, 64)));
    refused(
        "\"signal\" of the U-Net description must be [channels, length], but was [1, 2, 3]",
        map -> {
          map.remove("image");
          map.put("signal", List.of(1, 2, 3));
        });
  }

  private static void refused(String message, Consumer<Map<String, Object>> change) {
    Map<String, Object> map = new LinkedHashMap<>(UNetConfig.cifar10().describe());
    change.accept(map);
    assertThatThrownBy(() -> UNetConfig.of(map))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void setters_badArguments_refused() {
    UNetBuilder b = UNet.builder();
    refused("image channels must be at least 1, but was 0", () -> b.image(0, 32, 32));
    refused("image height must be at least 1, but was -1", () -> b.image(3, -1, 32));
    refused("image width must be at least 1, but was 0", () -> b.image(3, 32, 0));
    refused("signal channels must be at least 1, but was 0", () -> b.signal(0, 32));
    refused(
        "signal length must be at most 16777216, but was 16777217", () -> b.signal(1, 16777217));
    refused("volume depth must be at least 1, but was 0", () -> b.volume(1, 0, 4, 4));
    refused("volume width must be at least 1, but was -2", () -> b.volume(1, 4, 4, -2));
    refused("base channels must be at least 2, but was 1", () -> b.baseChannels(1));
    refused(
        "channel multipliers must be given for 1 to 16 levels, but were for 0",
        () -> b.channelMultipliers());
    refused(
        "channel multipliers must be at least 1, but were [1, 0]",
        () -> b.channelMultipliers(1, 0));
    refused("level channels must be at least 2, but were [8, 1]", () -> b.levelChannels(8, 1));
    refused(
        "level channels must be given for 1 to 16 levels, but were for 17",
        () -> b.levelChannels(new int[17]));
    refused("attention level must be at least 0, but was -1", () -> b.attentionAtLevels(-1));
    refused("attention side must be at least 1, but was 0", () -> b.attentionAt(0));
    refused("residual blocks must be at least 1, but was 0", () -> b.residualBlocks(0));
    refused("heads must be at least 1, but was 0", () -> b.heads(0));
    refused("head channels must be at least 1, but was -8", () -> b.headChannels(-8));
    refused("dropout must be in [0, 1), but was 1.0", () -> b.dropout(1));
    refused("dropout must be in [0, 1), but was NaN", () -> b.dropout(Double.NaN));
    refused("groups must be at least 1, but was 0", () -> b.groups(0));
    refused("norm epsilon must be greater than 0 and finite, but was 0.0", () -> b.normEpsilon(0));
    refused(
        "timestep scale must be greater than 0 and finite, but was -1.0",
        () -> b.timestepScale(-1));
    refused(
        "timestep scale must be greater than 0 and finite, but was Infinity",
        () -> b.timestepScale(Double.POSITIVE_INFINITY));
    refused(
        "norm epsilon must be greater than 0 and finite, but was Infinity",
        () -> b.normEpsilon(Double.POSITIVE_INFINITY));
  }

  @Test
  void config_optionsThatDoNotFit_refusedWithWhatWould() {
    refused(
        "the image shape is missing: call image(channels, height, width), signal(channels, length)"
            + " or volume(channels, depth, height, width)",
        () -> UNet.builder().config());
    refused(
        "image height must be divisible by 8, because 4 levels halve it 3 times, but was 28; 24 or"
            + " 32 would do",
        () -> UNet.builder().image(1, 28, 32).config());
    refused(
        "signal length must be divisible by 8, because 4 levels halve it 3 times, but was 100; 96 or"
            + " 104 would do",
        () -> UNet.builder().signal(1, 100).config());
    refused(
        "volume depth must be divisible by 8, because 4 levels halve it 3 times, but was 4; 8 would"
            + " do",
        () -> UNet.builder().volume(1, 4, 8, 8).config());
    refused(
        "image width must be divisible by 8, because 4 levels halve it 3 times, but was 5; 8 would"
            + " do",
        () -> UNet.builder().image(1, 32, 5).config());
    refused(
        "groups must divide the channels of every level, but 32 does not divide 48 at level 0; 1,"
            + " 2, 3, 4, 6, 8, 12, 16, 24 or 48 would do",
        () -> UNet.builder().image(3, 32, 32).baseChannels(48).config());
    refused(
        "groups must divide the channels of every level, but 4 does not divide 9 at level 1; only"
            + " 1 would do",
        () -> UNet.builder().image(3, 32, 32).levelChannels(8, 9).groups(4).config());
    refused(
        "attention at 16 needs a level whose longer side is 16, but the longer sides of the levels"
            + " are 28, 14, 7",
        () -> UNet.builder().image(1, 28, 28).channelMultipliers(1, 2, 2).attentionAt(16).config());
    refused(
        "attention level must be between 0 and 3, because there are 4 levels, but was 4",
        () -> UNet.builder().image(3, 32, 32).attentionAtLevels(1, 4).config());
    refused(
        "heads must divide the channels of every level with attention and of the last, but 3 does"
            + " not divide 256 at level 1; 1, 2, 4, 8, 16, 32, 64, 128 or 256 would do",
        () -> UNet.builder().image(3, 32, 32).heads(3).config());
    refused(
        "head channels must divide the channels of every level with attention and of the last, but"
            + " 24 does not divide 64 at level 2; 1, 2, 4, 8 or 16 would do",
        () ->
            UNet.builder()
                .image(3, 32, 32)
                .levelChannels(32, 48, 64)
                .groups(16)
                .attentionAtLevels(1)
                .headChannels(24)
                .config());
  }

  private static void refused(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  /** Of each size of its own, and of what several make together; nothing is allocated. */
  @Test
  void sizes_tooLarge_refusedByName() {
    int max = Integer.MAX_VALUE;
    UNetBuilder b = UNet.builder();
    refused("image channels must be at most 65536, but was 2147483647", () -> b.image(max, 8, 8));
    refused("image height must be at most 65536, but was 65537", () -> b.image(1, 65537, 8));
    refused("image width must be at most 65536, but was 2147483647", () -> b.image(1, 8, max));
    refused("base channels must be at most 65536, but was 65537", () -> b.baseChannels(65537));
    refused(
        "channel multipliers must be at most 65536, but were [1, 2147483647]",
        () -> b.channelMultipliers(1, max));
    refused(
        "level channels must be at most 65536, but were [2147483647]", () -> b.levelChannels(max));
    refused("residual blocks must be at most 1024, but was 1025", () -> b.residualBlocks(1025));
    refused("classes must be at most 16777216, but was 16777217", () -> b.classes(16777217));
    refused(
        "vector condition must be at most 16777216, but was 2147483647",
        () -> b.vectorCondition(max));
    refused("image condition must be at most 65536, but was 65537", () -> b.imageCondition(65537));

    refused(
        "channels of a level must be at most 65536, but 256 base channels times the multiplier 257"
            + " are 65792",
        () -> small().baseChannels(256).channelMultipliers(1, 257).config());
    refused(
        "channels of a level must be at most 65536, but 65536 base channels times the multiplier"
            + " 65536 are 4294967296",
        () -> small().baseChannels(65536).channelMultipliers(65536).config());
    refused(
        "a weight must have at most 536,870,911 values, but time_embedding.linear_2.weight of the"
            + " shape (32768, 32768) would have 1,073,741,824; take fewer channels, classes or"
            + " values of a vector",
        () -> small().levelChannels(8192).build());
    refused(
        "a weight must have at most 536,870,911 values, but class_embedding.weight of the shape"
            + " (16777217, 32) would have 536,870,944; take fewer channels, classes or values of a"
            + " vector",
        () -> small().levelChannels(8).classes(1 << 24).buildBlank());
    refused(
        "vector condition must be at most 16777216, but was 2147483647",
        map -> map.put("vectorCondition", max));
    refused(
        "level channels must be at most 65536, but were [128, 1073741824]",
        map -> map.put("levelChannels", List.of(128, 1 << 30)));
  }

  private static UNetBuilder small() {
    return UNet.builder().image(1, 8, 8).groups(1).attentionAtLevels();
  }

  @Test
  void sizes_greatest_accepted() {
    UNetConfig config =
        UNet.builder()
            .image(65536, 65536, 65536)
            .levelChannels(8)
            .groups(1)
            .attentionAtLevels(0)
            .imageCondition(65536)
            .selfConditioning()
            .vectorCondition(1 << 23)
            .classes((1 << 23) - 1)
            .residualBlocks(2)
            .learnedVariance()
            .config();
    assertThat(config.parameterCount()).isPositive();
    assertThat(config.multiplyAdds()).as("as good as infinite").isEqualTo(Long.MAX_VALUE);
    assertThat(config.summary()).contains("9,223,372,036,854,775,807");
  }

  @Test
  void sinusoids_known_asTheirSources() {
    // the published codes: t = 10, 8 channels, Ho et al. and improved-diffusion
    assertThat(sinusoids(TimeOrder.SIN_COS, TimeDivisor.HALF_MINUS_ONE, 8, 10))
        .usingComparatorWithPrecision(1e-9)
        .containsExactly(
            -.5440211109,
            .4476708347,
            .0215426803,
            .0009999998,
            -.8390715291,
            .8941984253,
            .9997679295,
            .9999995);
    assertThat(sinusoids(TimeOrder.COS_SIN, TimeDivisor.HALF, 8, 10))
        .usingComparatorWithPrecision(1e-9)
        .containsExactly(
            -.8390715291,
            .5403023059,
            .9950041653,
            .9999500004,
            -.5440211109,
            .8414709848,
            .0998334166,
            .0099998333);
  }

  @Test
  void sinusoids_fewOrOddChannels_lastStaysZero() {
    assertThat(sinusoids(TimeOrder.SIN_COS, TimeDivisor.HALF_MINUS_ONE, 3, 0.5))
        .containsExactly(Math.sin(0.5), Math.cos(0.5), 0);
    assertThat(sinusoids(TimeOrder.COS_SIN, TimeDivisor.HALF, 5, 2))
        .containsExactly(Math.cos(2), Math.cos(0.02), Math.sin(2), Math.sin(0.02), 0);
  }

  private static double[] sinusoids(
      TimeOrder order, TimeDivisor divisor, int channels, double timestep) {
    UNetConfig config =
        UNet.builder()
            .image(1, 8, 8)
            .levelChannels(channels)
            .groups(1)
            .timeEmbedding(order, divisor)
            .config();
    return new TimeEmbedding(config).sinusoids(new double[] {timestep});
  }
}
