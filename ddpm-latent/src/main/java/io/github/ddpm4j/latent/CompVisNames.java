package io.github.ddpm4j.latent;

import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Packing;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the weights of autoencoders and text encoders are called in the single files of
 * CompVis/latent-diffusion, CompVis/stable-diffusion and Stability-AI/stablediffusion. Those of the
 * network are known to the loader of networks.
 */
final class CompVisNames {

  private static final Pattern LAYER =
      Pattern.compile("text_model\\.encoder\\.layers\\.(\\d+)\\.(.+)\\.(weight|bias)");

  /** The layers of OpenCLIP's transformer, by their number. */
  private static final Pattern BLOCK = Pattern.compile("transformer\\.resblocks\\.(\\d+)\\..+");

  private static final Pattern UP = Pattern.compile("decoder\\.up_blocks\\.(\\d+)");

  private CompVisNames() {}

  /* ---------------- Autoencoders ---------------- */

  /** Names below {@code first_stage_model}. */
  static Function<String, Line> autoencoder(AutoencoderConfig config) {
    int levels = config.widths().size();
    return own -> Line.of(own, autoencoder(own, levels), Transform.copy());
  }

  /** Levels of the way up are counted from the highest resolution there. */
  private static String autoencoder(String own, int levels) {
    String name =
        UP.matcher(own)
            .replaceAll(match -> "decoder.up." + (levels - 1 - Integer.parseInt(match.group(1))))
            .replace("down_blocks.", "down.")
            .replace("downsamplers.0.conv", "downsample.conv")
            .replace("upsamplers.0.conv", "upsample.conv")
            .replace("mid_block.resnets.0", "mid.block_1")
            .replace("mid_block.resnets.1", "mid.block_2")
            .replace("mid_block.attentions.0", "mid.attn_1")
            .replace(".resnets.", ".block.")
            .replace(".attentions.", ".attn.")
            .replace("conv_shortcut", "nin_shortcut")
            .replace("conv_norm_out", "norm_out");
    return name.contains(".attn")
        ? name.replace(".group_norm.", ".norm.")
            .replace(".to_q.", ".q.")
            .replace(".to_k.", ".k.")
            .replace(".to_v.", ".v.")
            .replace(".to_out.0.", ".proj_out.")
        : name;
  }

  /** What was of use in training alone. */
  static boolean isDiscriminator(String name) {
    return name.startsWith("loss.") || name.startsWith("model_ema.");
  }

  /* ---------------- Text encoders ---------------- */

  /** Names below {@code cond_stage_model.transformer}; some files leave the first word out. */
  static Function<String, Line> clip(TensorSource source) {
    String root = "text_model.";
    boolean bare = source.tensors().keySet().stream().noneMatch(name -> name.startsWith(root));
    return own -> Line.of(own, bare ? own.substring(root.length()) : own, Transform.copy());
  }

  /** Names below {@code cond_stage_model.model}, those of OpenCLIP. */
  static Function<String, Line> openClip() {
    return CompVisNames::openClip;
  }

  private static Line openClip(String own) {
    Matcher layer = LAYER.matcher(own);
    if (!layer.matches()) {
      return Line.of(
          own,
          switch (own) {
            case "text_model.embeddings.token_embedding.weight" -> "token_embedding.weight";
            case "text_model.embeddings.position_embedding.weight" -> "positional_embedding";
            default -> own.replace("text_model.final_layer_norm.", "ln_final.");
          },
          Transform.copy());
    }
    String block = "transformer.resblocks." + layer.group(1) + ".";
    String kind = layer.group(3);
    return switch (layer.group(2)) {
      case "layer_norm1" -> Line.of(own, block + "ln_1." + kind, Transform.copy());
      case "layer_norm2" -> Line.of(own, block + "ln_2." + kind, Transform.copy());
      case "mlp.fc1" -> Line.of(own, block + "mlp.c_fc." + kind, Transform.copy());
      case "mlp.fc2" -> Line.of(own, block + "mlp.c_proj." + kind, Transform.copy());
      case "self_attn.out_proj" -> Line.of(own, block + "attn.out_proj." + kind, Transform.copy());
      default ->
          new Line(
              List.of(projection(own, "q"), projection(own, "k"), projection(own, "v")),
              List.of(block + "attn.in_proj_" + kind),
              Transform.split(Packing.QKV_HEAD, 1, 0));
    };
  }

  private static String projection(String own, String which) {
    return own.replaceFirst("\\.[qkv]_proj\\.", "." + which + "_proj.");
  }

  /** What makes no context: layers behind the last that is used, and what compares pictures. */
  static boolean isIdle(String name, int layers) {
    Matcher block = BLOCK.matcher(name);
    return block.matches()
        ? Integer.parseInt(block.group(1)) >= layers
        : List.of("text_projection", "logit_scale", "attn_mask").contains(name);
  }
}
