package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What is known of published networks beside their shapes, by which they are recognised.
 *
 * @param network the network
 * @param config its architecture
 * @param newAttentionOrder whether queries, keys and values are in guided-diffusion's new order
 * @param schedule the schedule that it was trained with; null if there are several
 */
record Published(
    PublishedUNet network,
    UNetConfig config,
    boolean newAttentionOrder,
    @Nullable Schedule schedule) {

  private static final int T = 1000;

  private static Published of(PublishedUNet network) {
    return new Published(
        network,
        network.config(),
        network == PublishedUNet.GUIDED_64,
        switch (network) {
          case GUIDED_64 -> Schedules.cosine(T);
          case GUIDED_128,
              GUIDED_256,
              GUIDED_256_UNCONDITIONAL,
              GUIDED_512,
              GUIDED_64_TO_256,
              LABML_CELEBA ->
              Schedules.linear(T);
          default -> null;
        });
  }

  /** The published network of a family whose weights have exactly these shapes. */
  static Optional<Published> find(UNetFamily family, PeerShapes shapes, Given given) {
    for (PublishedUNet network : PublishedUNet.values()) {
      if (prefixes(family).stream().anyMatch(network.name()::startsWith)) {
        Published published = of(network);
        Map<String, Shape> wanted = family.table(published.config, shapes, given).peerShapes();
        boolean same =
            shapes.names().stream().filter(name -> !family.isIdle(name)).count() == wanted.size()
                && wanted.entrySet().stream()
                    .allMatch(
                        entry ->
                            shapes.has(entry.getKey())
                                && NameTable.same(
                                    shapes.shapes().getOrDefault(entry.getKey(), new Shape()),
                                    entry.getValue()));
        if (same) {
          return Optional.of(published);
        }
      }
    }
    return Optional.empty();
  }

  private static List<String> prefixes(UNetFamily family) {
    if (family instanceof OpenAi) {
      return List.of("GUIDED", "IMPROVED");
    }
    if (family instanceof CompVis) {
      return List.of("LDM_TEXT2IM", "STABLE_DIFFUSION", "INSTRUCT");
    }
    if (family instanceof PaperCode) {
      return List.of("PAPER");
    }
    return List.of(
        family instanceof Lucidrains ? "LUCIDRAINS" : family instanceof Labml ? "LABML" : "EDM");
  }

  /** What the published model is beside its network. */
  Facts facts(Facts otherwise) {
    return schedule == null
        ? otherwise
        : new Facts(
            schedule,
            Prediction.EPSILON,
            config.learnedVariance() ? Variance.LEARNED_RANGE : otherwise.variance(),
            otherwise.range(),
            otherwise.clip(),
            otherwise.thresholding(),
            otherwise.sampler(),
            schedule.timesteps());
  }
}
