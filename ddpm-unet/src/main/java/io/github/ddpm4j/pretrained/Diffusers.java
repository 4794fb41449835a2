package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Transform;

/**
 * diffusers' UNet2DModel and UNet2DConditionModel, whose names are ours, but for those of
 * self-attention in files of 2022; transformers never had others. Not families whose shapes tell
 * the architecture: {@link UNet2D} and {@link UNet2DCondition} read it.
 */
final class Diffusers {

  static final String SIGNATURE = "time_embedding.linear_1.weight";

  private Diffusers() {}

  /**
   * The names.
   *
   * @param old whether attention has its old names
   */
  static NameTable table(UNetConfig config, boolean old) {
    return NameTable.of(
        config.weightShapes(), name -> Line.of(name, old ? oldName(name) : name, Transform.copy()));
  }

  static boolean isOld(PeerShapes shapes) {
    return shapes.names().stream().anyMatch(name -> name.contains(".query."));
  }

  private static String oldName(String name) {
    return name.contains(".attentions.") && !name.contains(".transformer_blocks.")
        ? name.replace(".to_q.", ".query.")
            .replace(".to_k.", ".key.")
            .replace(".to_v.", ".value.")
            .replace(".to_out.0.", ".proj_attn.")
        : name;
  }
}
