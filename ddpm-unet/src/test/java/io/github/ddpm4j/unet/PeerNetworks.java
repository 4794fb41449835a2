package io.github.ddpm4j.unet;

import static io.github.ddpm4j.unet.UNetConfig.TimeDivisor.HALF;
import static io.github.ddpm4j.unet.UNetConfig.TimeDivisor.HALF_MINUS_ONE;
import static io.github.ddpm4j.unet.UNetConfig.TimeOrder.COS_SIN;
import static io.github.ddpm4j.unet.UNetConfig.TimeOrder.SIN_COS;

import io.github.ddpm4j.unet.Fixture.Tensor;
import io.github.ddpm4j.unet.PeerWeights.Packing;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
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
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The architectures of the fixtures in src/test/resources/peers, and their weights as ours. */
public final class PeerNetworks {

  public static final List<String> NAMES =
      List.of(
          "unet2d_ldm",
          "unet2d_scaleshift",
          "guided_updown",
          "guided_new_order",
          "improved",
          "improved_add",
          "lucidrains",
          "lucidrains_selfcond",
          "lucidrains_fourier",
          "labml",
          "edm_song",
          "edm_adm");

  private PeerNetworks() {}

  static UNetBuilder builder(String name) {
    UNetBuilder small = UNet.builder().image(3, 8, 8).dropout(0).seed(1).residualBlocks(1);
    return switch (name) {
      case "unet2d_ldm" -> standard(small).headChannels(4);
      case "unet2d_scaleshift" ->
          standard(small)
              .headChannels(4)
              .classes(5)
              .layout(
                  UNetLayout.openai(true)
                      .with(
                          new Attention(
                              Blocks.ALL,
                              AttentionNorm.EXCEPT_MIDDLE,
                              true,
                              true,
                              List.of(),
                              0,
                              0)));
      case "guided_updown" ->
          openai(small)
              .headChannels(4)
              .layout(
                  UNetLayout.openai(true)
                      .with(
                          new Embedding(
                              16,
                              0,
                              Activation.SILU,
                              Frequencies.SINUSOIDS,
                              ClassPlace.AFTER,
                              false)));
      case "guided_new_order" -> openai(small).headChannels(4).layout(UNetLayout.openai(false));
      case "improved" -> openai(small).heads(2).layout(UNetLayout.openai(false));
      case "improved_add" ->
          openai(small)
              .heads(1)
              .layout(
                  UNetLayout.openai(false)
                      .with(new Block(Time.ADD, Order.NORM_FIRST, Norm.GROUP, 1)));
      case "lucidrains" ->
          lucidrains(small).layout(lucidrains(List.of(0), 0, 0, 0, Frequencies.SINUSOIDS));
      case "lucidrains_selfcond" ->
          lucidrains(small)
              .selfConditioning()
              .learnedVariance()
              .layout(lucidrains(List.of(), 6, 0, 0, Frequencies.SINUSOIDS));
      case "lucidrains_fourier" ->
          lucidrains(small).layout(lucidrains(List.of(0), 0, 6, 32, Frequencies.TIME_AND_FOURIER));
      case "labml" ->
          small
              .levelChannels(8, 16)
              .residualBlocks(2)
              .attentionAtLevels(1)
              .groups(4)
              .normEpsilon(1e-5)
              .downsamplePadding(DownsamplePadding.ALL_SIDES)
              .timeEmbedding(SIN_COS, HALF_MINUS_ONE)
              .layout(UNetLayout.labml(8));
      case "edm_song" ->
          small
              .levelChannels(8, 16)
              .attentionAtLevels(1)
              .normEpsilon(1e-6)
              .timeEmbedding(SIN_COS, HALF_MINUS_ONE)
              .classes(5)
              .layout(UNetLayout.edmSong());
      case "edm_adm" ->
          small
              .levelChannels(16, 16)
              .attentionAtLevels(1)
              .headChannels(4)
              .normEpsilon(1e-5)
              .timeEmbedding(COS_SIN, HALF)
              .classes(5)
              .layout(UNetLayout.edmDhariwal());
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static UNetBuilder standard(UNetBuilder builder) {
    return builder
        .levelChannels(8, 16)
        .attentionAtLevels(1)
        .groups(4)
        .normEpsilon(1e-5)
        .downsamplePadding(DownsamplePadding.ALL_SIDES)
        .timeEmbedding(COS_SIN, HALF);
  }

  private static UNetBuilder openai(UNetBuilder builder) {
    return standard(builder).classes(5).learnedVariance();
  }

  private static UNetBuilder lucidrains(UNetBuilder builder) {
    return builder
        .levelChannels(8, 16)
        .residualBlocks(2)
        .attentionAtLevels(0, 1)
        .heads(2)
        .timeEmbedding(SIN_COS, HALF_MINUS_ONE);
  }

  private static UNetLayout lucidrains(
      List<Integer> linear, int stem, int width, int hidden, Frequencies frequencies) {
    return UNetLayout.lucidrains(linear)
        .with(new Attention(Blocks.LAST, AttentionNorm.ALL, true, false, linear, 4, 4))
        .with(new Outer(stem, true, WidthChange.PASSAGE, 0))
        .with(new Embedding(width, hidden, Activation.GELU, frequencies, ClassPlace.AFTER, true));
  }

  /** Options that no fixture has, so that each value of each option is in some network. */
  static UNetBuilder others() {
    return standard(UNet.builder().image(3, 8, 8).dropout(0).seed(1).residualBlocks(1))
        .headsPerLevel(1, 2)
        .classes(5)
        .layout(
            new UNetLayout(
                new Block(Time.ADD, Order.CONVOLUTION_FIRST, Norm.GROUP, 0.5),
                new Resampling(Down.MEAN, Up.NEAREST, false),
                new Attention(Blocks.ALL, AttentionNorm.NONE, false, true, List.of(1), 0, 2),
                new Outer(12, false, WidthChange.FIRST_BLOCK, 2),
                new Embedding(6, 20, Activation.GELU, Frequencies.FOURIER, ClassPlace.BEFORE, true),
                UNetLayout.paper().transformers()));
  }

  /** The file of a fixture: weights, inputs and outputs. */
  static Map<String, Tensor> read(String name) throws IOException {
    String file = "/peers/" + name + ".safetensors";
    try (InputStream in = PeerNetworks.class.getResourceAsStream(file)) {
      return Fixture.tensors(Objects.requireNonNull(in, file).readAllBytes());
    }
  }

  /** The weights of a fixture, under our names. */
  static Map<String, Tensor> weights(String name, Map<String, Tensor> peer) {
    Map<String, Tensor> from = new HashMap<>();
    peer.forEach(
        (key, tensor) -> from.put(name.equals("edm_adm") ? key.substring(6) : key, tensor));
    return switch (name) {
      case "unet2d_ldm", "unet2d_scaleshift" -> PeerWeights.diffusers(from);
      case "guided_updown" -> PeerWeights.openai(from, 2, 1, c -> c / 4, Packing.HEAD_QKV, true);
      case "guided_new_order" ->
          PeerWeights.openai(from, 2, 1, c -> c / 4, Packing.QKV_HEAD, false);
      case "improved" -> PeerWeights.openai(from, 2, 1, c -> 2, Packing.HEAD_QKV, false);
      case "improved_add" -> PeerWeights.openai(from, 2, 1, c -> 1, Packing.HEAD_QKV, false);
      case "lucidrains", "lucidrains_fourier" -> PeerWeights.lucidrains(from, 2, 2, false);
      case "lucidrains_selfcond" -> PeerWeights.lucidrains(from, 2, 2, true);
      case "labml" -> PeerWeights.labml(from, 2, 2);
      case "edm_song" -> PeerWeights.edm(from, 8, 2, 1, c -> 1);
      case "edm_adm" -> PeerWeights.edm(from, 8, 2, 1, c -> c / 4);
      default -> throw new IllegalArgumentException(name);
    };
  }
}
