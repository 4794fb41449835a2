package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a network tells of its size, against numbers worked out by hand and published ones. */
class UNetSummaryTest {

  private static UNetBuilder small() {
    return UNet.builder()
        .image(1, 4, 4)
        .levelChannels(4, 8)
        .groups(2)
        .residualBlocks(1)
        .attentionAtLevels();
  }

  /**
   * By hand. With 16 channels of the time embedding, a residual block from a to b channels on p
   * pixels has 2a + (9ab + b) + (16b + b) + 2b + (9bb + b) weights and 9abp + 16b + 9bbp
   * multiply-adds, and ab + b and abp more where a is not b; the attention on 4 pixels has 2 · 8 +
   * 4 · (8 · 8 + 8) weights and 4 · 4 · 8 · 8 + 2 · 4 · 4 · 8 multiply-adds.
   */
  @Test
  void summary_smallNetwork_asByHand() {
    assertThat(small().config().summary())
        .isEqualTo(
            """
            block                         output     parameters  multiply-adds
            time_embedding                (16)              352            320
            conv_in                       (4, 4, 4)          40            576
            down_blocks.0.resnets.0       (4, 4, 4)         380          4,672
            down_blocks.0.downsamplers.0  (4, 2, 2)         148            576
            down_blocks.1.resnets.0       (8, 2, 2)       1,080          3,712
            mid_block.resnets.0           (8, 2, 2)       1,336          4,736
            mid_block.attentions.0        (8, 2, 2)         304          1,280
            mid_block.resnets.1           (8, 2, 2)       1,336          4,736
            up_blocks.0.resnets.0         (8, 2, 2)       2,064          7,552
            up_blocks.0.resnets.1         (8, 2, 2)       1,736          6,272
            up_blocks.0.upsamplers.0      (8, 4, 4)         584          9,216
            up_blocks.1.resnets.0         (4, 4, 4)         736         10,048
            up_blocks.1.resnets.1         (4, 4, 4)         568          7,488
            conv_norm_out                 (4, 4, 4)           8              0
            conv_out                      (1, 4, 4)          37            576
            total                         (1, 4, 4)      10,709         61,760""");
    assertThat(small().config().multiplyAdds()).isEqualTo(61_760);
  }

  /** Once more without the pass: each weight multiplies once per pixel of its layer's output. */
  @Test
  void multiplyAdds_cifar10_asWeightsTimesPixels() {
    UNetConfig config = UNetConfig.cifar10();
    long expected = 0;
    for (ParameterSpec spec : new Network(config).parameters()) {
      long pixels = pixels(spec.name());
      if (spec.shape().dimension() > 1) {
        expected += spec.shape().size() * pixels;
      }
      if (spec.name().endsWith("to_q.bias")) {
        expected += 2 * pixels * pixels * spec.shape().size();
      }
    }
    assertThat(config.multiplyAdds()).isEqualTo(expected).isEqualTo(6_221_856_768L);
    assertThat(config.summary().lines().reduce("", (before, line) -> line))
        .matches("total +\\(3, 32, 32\\) +35,746,307 +6,221,856,768");
  }

  private static long pixels(String name) {
    String[] parts = name.split("\\.");
    if (name.contains("time_emb")) {
      return 1;
    }
    int half =
        switch (parts[0]) {
          case "down_blocks" -> Integer.parseInt(parts[1]) + (name.contains("samplers") ? 1 : 0);
          case "mid_block" -> 3;
          case "up_blocks" -> 3 - Integer.parseInt(parts[1]) - (name.contains("samplers") ? 1 : 0);
          default -> 0;
        };
    return (32L >> half) * (32L >> half);
  }

  /** Two numbers come from different places: the weights declared, and those used on the way. */
  @Test
  void summary_anyArchitecture_countsEveryWeightOnce() {
    for (UNetBuilder builder :
        List.of(
            small().attentionAtLevels(0, 1).heads(2),
            small().downsamplePadding(UNetConfig.DownsamplePadding.ALL_SIDES).image(3, 8, 12),
            small().classes(3),
            small().vectorCondition(5),
            small().imageCondition(2).selfConditioning().learnedVariance(),
            UNet.cifar10().classes(10),
            UNet.image256())) {
      UNetConfig config = builder.config();
      assertThat(new NetworkSummary(new Network(config)).parameters())
          .as("%s", config)
          .isEqualTo(config.parameterCount());
    }
  }

  @Test
  void summary_conditions_haveTheirOwnLines() {
    UNetConfig config =
        small().classes(3).vectorCondition(5).imageCondition(2).learnedVariance().config();
    assertThat(config.summary().lines().map(line -> line.replaceAll(" +", " ")))
        .contains(
            "class_embedding (16) 64 0",
            "add_embedding (16) 368 336",
            "conv_in (4, 4, 4) 112 1,728",
            "conv_out (2, 4, 4) 74 1,152");
  }

  @Test
  void summary_network_thatOfItsArchitecture() {
    try (UNet network = small().build()) {
      assertThat(network.summary()).isEqualTo(network.config().summary());
    }
  }

  /** The shapes are those that the other interpreters make. */
  @Test
  void summary_output_shapeOfAPrediction() {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = small().image(2, 4, 8).learnedVariance().build()) {
      Shape predicted =
          network
              .predict(manager.ones(new Shape(1, 2, 4, 8)), Levels.at(0), Condition.none())
              .getShape();
      assertThat(network.summary().lines().reduce("", (before, line) -> line))
          .startsWith("total")
          .contains(predicted.slice(1).toString());
    }
  }
}
