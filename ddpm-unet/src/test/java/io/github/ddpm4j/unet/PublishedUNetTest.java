package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.Gson;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class PublishedUNetTest {

  /**
   * Counted by the libraries' own code, of which the last column has no weight here: labels of
   * augmentations, and norms that are never applied.
   */
  @ParameterizedTest
  @CsvSource({
    "GUIDED_64, 295904454, 0",
    "GUIDED_128, 421529606, 0",
    "GUIDED_256, 553838086, 0",
    "GUIDED_256_UNCONDITIONAL, 552814086, 0",
    "GUIDED_512, 558997638, 0",
    "GUIDED_64_TO_256, 311795910, 0",
    "IMPROVED_CIFAR10, 52546438, 0",
    "IMPROVED_IMAGENET64, 121063942, 0",
    "IMPROVED_IMAGENET64_CLASSES, 273049350, 0",
    "LUCIDRAINS_64, 35711491, 0",
    "LABML_CELEBA, 167777987, 10752",
    "DIFFUSERS_TRAIN_UNCONDITIONAL, 113673219, 0",
    "LDM_CELEBAHQ, 274056163, 0",
    "LDM_TEXT2IM_LARGE, 872300484, 0",
    "STABLE_DIFFUSION_1, 859520964, 0",
    "STABLE_DIFFUSION_1_INPAINTING, 859535364, 0",
    "INSTRUCT_PIX2PIX, 859532484, 0",
    "STABLE_DIFFUSION_2, 865910724, 0",
    "STABLE_DIFFUSION_2_INPAINTING, 865925124, 0",
    "STABLE_DIFFUSION_2_DEPTH, 865913604, 0",
    "STABLE_DIFFUSION_X4_UPSCALER, 473398020, 0",
    "EDM_CIFAR10, 55735299, 1152",
    "EDM_FFHQ64, 61805571, 1152",
    "EDM_IMAGENET64, 295899267, 0"
  })
  void parameterCount_everyNetwork_asPublished(PublishedUNet network, long count, long unused) {
    assertThat(network.config().parameterCount()).isEqualTo(count - unused);
  }

  /** Two numbers come from different places: the weights declared, and those used on the way. */
  @ParameterizedTest
  @EnumSource
  void summary_everyNetwork_countsEveryWeightOnce(PublishedUNet network) {
    UNetConfig config = network.config();
    assertThat(new NetworkSummary(new Network(config)).parameters())
        .isEqualTo(config.parameterCount());
    assertThat(config.multiplyAdds()).isPositive();
  }

  @ParameterizedTest
  @EnumSource
  @SuppressWarnings("unchecked")
  void describe_everyNetwork_readBackThroughJson(PublishedUNet network) {
    UNetConfig config = network.config();
    Map<String, Object> json = new Gson().fromJson(new Gson().toJson(config.describe()), Map.class);
    assertThat(UNetConfig.of(json)).isEqualTo(config);
    assertThat(UNetConfig.of(json).layout()).isEqualTo(config.layout());
    assertThat(config.toBuilder().config()).isEqualTo(config);
  }
}
