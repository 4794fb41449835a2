package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.torch.GradMode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A file of low-rank changes to the weights of linear layers and convolutions (LoRA, Hu et al.
 * 2021, section 4.1):
 *
 * <pre>W' = W + weight · alpha / rank · up · down</pre>
 *
 * <p>with diffusers' names, of now and of 2023, or kohya's. An alpha that is not said is the rank.
 *
 * @param file the file
 * @param layers the layers that it changes, by their names there
 * @param words what it says of all layers of a part; empty for nothing
 */
record LoraFile(Path file, Map<String, Layer> layers, Map<String, @Nullable Object> words) {

  /** In the words of a file: what peft was told. */
  private static final String METADATA = "lora_adapter_metadata";

  /** What the names of the network's weights begin with. */
  static final String UNET = "unet.";

  /** What those of the text encoder begin with. */
  static final String TEXT = "text_encoder.";

  /** How the names of the two factors end: true for the one that is applied first. */
  private static final Map<String, Boolean> FACTORS = factors();

  private static final String ALPHA = ".alpha";

  /** Other changes that people have in such files, by a part of a name and its end. */
  private static final String[][] OTHERS = {
    {".hada_", "products of Hadamard (LoHa)"},
    {".lokr_", "products of Kronecker (LoKr)"},
    {"dora_scale", "directions and lengths (DoRA)"},
    {"lora_magnitude_vector", "directions and lengths (DoRA)"},
    {".lora_mid.", "a factor in the middle (LoCon in CP form)"},
    {".diff_b", "whole biases"},
    {".diff$", "whole weights"},
    {"lora_te2_", "a second text encoder, as Stable Diffusion XL has"},
    {"text_encoder_2.", "a second text encoder, as Stable Diffusion XL has"},
    {"lora_unet_input_blocks_", "CompVis' names, as files for Stable Diffusion XL have"},
  };

  private static Map<String, Boolean> factors() {
    Map<String, Boolean> factors = new LinkedHashMap<>();
    factors.put(".lora_A.weight", true);
    factors.put(".lora_B.weight", false);
    factors.put(".lora_down.weight", true);
    factors.put(".lora_up.weight", false);
    factors.put(".lora.down.weight", true);
    factors.put(".lora.up.weight", false);
    factors.put(".lora_linear_layer.down.weight", true);
    factors.put(".lora_linear_layer.up.weight", false);
    factors.put("_lora.down.weight", true);
    factors.put("_lora.up.weight", false);
    return factors;
  }

  /** The names of the tensors of a layer; empty where there is none. */
  record Layer(String down, String up, String alpha) {
    static final Layer NONE = new Layer("", "", "");

    Layer with(boolean first, String name) {
      return first ? new Layer(name, up, alpha) : new Layer(down, name, alpha);
    }
  }

  /** Looks into a file. No value is read yet. */
  static LoraFile open(Path file) throws IOException {
    try (TensorSource source = TensorFiles.open(file)) {
      Map<String, Layer> layers = new LinkedHashMap<>();
      for (String name : source.tensors().keySet()) {
        for (String[] other : OTHERS) {
          if ((name + "$").contains(other[0])) {
            throw new IOException(
                file + " holds " + other[1] + ", " + name + ", which this version does not load");
          }
        }
        add(file, layers, name);
      }
      for (Map.Entry<String, Layer> entry : layers.entrySet()) {
        Layer layer = entry.getValue();
        if (layer.down.isEmpty() || layer.up.isEmpty()) {
          throw new IOException(
              file + " has only one of the two factors of " + entry.getKey() + "; it is damaged");
        }
      }
      if (layers.isEmpty()) {
        throw new IOException(file + " is no LoRA: it has no tensors");
      }
      return new LoraFile(file, layers, words(file, source));
    }
  }

  private static void add(Path file, Map<String, Layer> layers, String name) throws IOException {
    if (name.endsWith(ALPHA)) {
      layers.compute(
          name.substring(0, name.length() - ALPHA.length()),
          (key, old) -> {
            Layer layer = old == null ? Layer.NONE : old;
            return new Layer(layer.down, layer.up, name);
          });
      return;
    }
    for (Map.Entry<String, Boolean> factor : FACTORS.entrySet()) {
      if (name.endsWith(factor.getKey())) {
        String key = name.substring(0, name.length() - factor.getKey().length());
        Layer old = layers.getOrDefault(key, Layer.NONE);
        layers.put(key, old.with(factor.getValue(), name));
        return;
      }
    }
    throw new IOException(
        file
            + " is no LoRA with the names of diffusers or kohya: "
            + name
            + " is no factor of a layer and no alpha");
  }

  private static Map<String, @Nullable Object> words(Path file, TensorSource source)
      throws IOException {
    Object said = source.metadata().get(METADATA);
    if (said == null) {
      return Map.of();
    }
    Map<String, @Nullable Object> words =
        JsonFile.parse(file + ", " + METADATA, said.toString().getBytes(StandardCharsets.UTF_8));
    for (String part : List.of(UNET, TEXT)) {
      for (String key : List.of("use_dora", "use_qalora", "lora_bias")) {
        if (Boolean.TRUE.equals(words.get(part + key))) {
          throw new IOException(
              file + " was made with " + part + key + ", which this version does not load");
        }
      }
      Object pattern = words.get(part + "alpha_pattern");
      if (pattern != null && !pattern.equals(Map.of())) {
        throw new IOException(
            file
                + " has alphas by pattern, "
                + Quote.of(pattern)
                + ", which this version does not load");
      }
    }
    return words;
  }

  /* ---------------- Names ---------------- */

  /** The weights of layers by all names that files have for these. */
  private static Map<String, String> aliases(Iterable<String> weights) {
    Map<String, String> all = new HashMap<>();
    for (String weight : weights) {
      if (weight.endsWith(".weight")) {
        String layer = weight.substring(0, weight.length() - ".weight".length());
        all.put(layer, weight);
        String part = layer.startsWith(UNET) ? UNET : TEXT;
        String flat = layer.substring(part.length()).replace('.', '_');
        if (part.equals(UNET)) {
          all.put("lora_unet_" + flat, weight);
        } else {
          all.put("lora_te_" + flat, weight);
          all.put("lora_te1_" + flat, weight);
        }
        int attention = layer.lastIndexOf(".to_");
        if (attention > 0) {
          String kind = layer.substring(attention).replace(".0", "");
          all.put(layer.substring(0, attention) + ".processor" + kind, weight);
        }
      }
    }
    return all;
  }

  /** A change that is about to be made. */
  private record Change(String key, Layer layer, String name, NDArray weight) {}

  /**
   * Changes weights in place. Nothing is changed if a layer of the file is not there, or has
   * another shape.
   *
   * @param strength what all changes are multiplied by
   * @param weights those of the network behind {@link #UNET}, and of the text encoder behind {@link
   *     #TEXT}
   */
  void merge(double strength, Map<String, NDArray> weights) throws IOException {
    Map<String, String> names = aliases(weights.keySet());
    try (TensorSource source = TensorFiles.open(file);
        GradMode off = GradMode.off()) {
      List<Change> changes = new ArrayList<>();
      for (Map.Entry<String, Layer> entry : layers.entrySet()) {
        String name = names.get(entry.getKey());
        NDArray weight = name == null ? null : weights.get(name);
        if (name == null || weight == null) {
          throw new IOException(
              file
                  + " changes the layer "
                  + entry.getKey()
                  + ", which this model does not have; it is of another model, or names its layers"
                  + " otherwise than diffusers and kohya do");
        }
        requireShapes(source, entry.getKey(), entry.getValue(), weight.getShape());
        changes.add(new Change(entry.getKey(), entry.getValue(), name, weight));
      }
      for (Change change : changes) {
        try (NDManager scope = change.weight.getManager().newSubManager()) {
          change.weight.addi(change(source, change, strength, scope));
        }
      }
    }
  }

  private void requireShapes(TensorSource source, String key, Layer layer, Shape own)
      throws IOException {
    Shape down = source.info(layer.down).shape();
    Shape up = source.info(layer.up).shape();
    boolean fits =
        own.dimension() >= 2
            && down.dimension() >= 2
            && up.dimension() >= 2
            && down.get(0) > 0
            && up.get(0) == own.get(0)
            && up.size() == up.get(0) * down.get(0)
            && own.get(0) * (down.size() / down.get(0)) == own.size();
    if (!fits) {
      throw new IOException(
          file
              + " changes "
              + key
              + " by factors of the shapes "
              + up
              + " and "
              + down
              + ", which do not go with the weight's "
              + own
              + "; it is of another model");
    }
  }

  private NDArray change(TensorSource source, Change change, double strength, NDManager scope)
      throws IOException {
    NDArray down = source.readFloat32(change.layer.down, scope);
    NDArray up = source.readFloat32(change.layer.up, scope);
    long rank = down.getShape().get(0);
    NDArray product = up.reshape(up.getShape().get(0), rank).matMul(down.reshape(rank, -1));
    NDArray all = product.mul(strength * scale(source, change, rank, scope));
    float sum = all.abs().sum().getFloat();
    if (!Float.isFinite(sum)) {
      throw new IOException(
          file + " changes " + change.key + " by NaN or infinity; it is damaged or was trained so");
    }
    return all.reshape(change.weight.getShape());
  }

  /** alpha / rank, or alpha / √rank where peft was told so. */
  private double scale(TensorSource source, Change change, long rank, NDManager scope)
      throws IOException {
    if (!change.layer.alpha.isEmpty()) {
      NDArray alpha = source.readFloat32(change.layer.alpha, scope);
      if (alpha.size() != 1) {
        throw new IOException(source.about(change.layer.alpha) + " must be one number");
      }
      return alpha.toFloatArray()[0] / rank;
    }
    String part = change.name.startsWith(UNET) ? UNET : TEXT;
    if (!(words.get(part + "lora_alpha") instanceof Number alpha)) {
      return 1;
    }
    boolean root = Boolean.TRUE.equals(words.get(part + "use_rslora"));
    return alpha.doubleValue() / (root ? Math.sqrt((double) rank) : rank);
  }
}
