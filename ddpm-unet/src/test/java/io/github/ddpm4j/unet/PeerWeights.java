package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.unet.Fixture.Tensor;
import java.nio.FloatBuffer;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.IntUnaryOperator;

/**
 * The weights of another library's network under our names, which they only rearrange, but for the
 * labels of SongUNet. Written from the libraries' sources; knows which weights it has used.
 *
 * <p>It says again what the product's name tables say, so that a mistake in those is found: with
 * theirs, both sides of a comparison would have it.
 */
final class PeerWeights {

  /** How queries, keys and values lie in one matrix, from the outer to the inner index. */
  enum Packing {
    QKV_HEAD,
    HEAD_QKV,
    HEAD_CHANNEL_QKV
  }

  private final Map<String, Tensor> from;
  private final Map<String, Tensor> weights = new LinkedHashMap<>();
  private final Set<String> used = new HashSet<>();

  private PeerWeights(Map<String, Tensor> from) {
    this.from = from;
  }

  /* ---------------- Families ---------------- */

  /** diffusers' own names are ours, but for those of attention in its older files. */
  static Map<String, Tensor> diffusers(Map<String, Tensor> from) {
    PeerWeights own = new PeerWeights(from);
    from.keySet()
        .forEach(
            name ->
                own.put(
                    name.replace(".query.", ".to_q.")
                        .replace(".key.", ".to_k.")
                        .replace(".value.", ".to_v.")
                        .replace(".proj_attn.", ".to_out.0."),
                    own.take(name)));
    return own.all();
  }

  /** guided-diffusion and improved-diffusion. */
  static Map<String, Tensor> openai(
      Map<String, Tensor> from,
      int levels,
      int blocks,
      IntUnaryOperator heads,
      Packing packing,
      boolean residualResampling) {
    PeerWeights own = new PeerWeights(from);
    own.copy("time_embedding.linear_1", "time_embed.0");
    own.copy("time_embedding.linear_2", "time_embed.2");
    own.copy("class_embedding", "label_emb");
    own.copy("conv_in", "input_blocks.0.0");
    int k = 1;
    for (int i = 0; i < levels; i++) {
      for (int j = 0; j < blocks; j++, k++) {
        own.openaiStage("input_blocks." + k, "down_blocks." + i, j, heads, packing);
      }
      if (i < levels - 1) {
        String to = "down_blocks." + i + ".downsamplers.0";
        own.openaiPassage("input_blocks." + k++ + ".0", to, "op", residualResampling);
      }
    }
    own.openaiBlock("middle_block.0", "mid_block.resnets.0");
    own.openaiAttention("middle_block.1", "mid_block.attentions.0", heads, packing);
    own.openaiBlock("middle_block.2", "mid_block.resnets.1");
    k = 0;
    for (int i = 0; i < levels; i++) {
      for (int j = 0; j <= blocks; j++, k++) {
        String block = "output_blocks." + k;
        boolean attention = own.openaiStage(block, "up_blocks." + i, j, heads, packing);
        if (j == blocks && i < levels - 1) {
          String to = "up_blocks." + i + ".upsamplers.0";
          own.openaiPassage(block + (attention ? ".2" : ".1"), to, "conv", residualResampling);
        }
      }
    }
    own.copy("conv_norm_out", "out.0");
    own.copy("conv_out", "out.2");
    return own.all();
  }

  private boolean openaiStage(
      String block, String level, int j, IntUnaryOperator heads, Packing packing) {
    openaiBlock(block + ".0", level + ".resnets." + j);
    boolean attention = from.containsKey(block + ".1.qkv.weight");
    if (attention) {
      openaiAttention(block + ".1", level + ".attentions." + j, heads, packing);
    }
    return attention;
  }

  private void openaiPassage(String block, String to, String layer, boolean residual) {
    if (residual) {
      openaiBlock(block, to);
    } else {
      copy(to + ".conv", block + "." + layer);
    }
  }

  private void openaiBlock(String block, String to) {
    copy(to + ".norm1", block + ".in_layers.0");
    copy(to + ".conv1", block + ".in_layers.2");
    copy(to + ".time_emb_proj", block + ".emb_layers.1");
    copy(to + ".norm2", block + ".out_layers.0");
    copy(to + ".conv2", block + ".out_layers.3");
    copyIfThere(to + ".conv_shortcut", block + ".skip_connection");
  }

  private void openaiAttention(String block, String to, IntUnaryOperator heads, Packing packing) {
    copy(to + ".group_norm", block + ".norm");
    split(to, block + ".qkv", heads, packing);
    copyLinear(to + ".to_out.0", block + ".proj_out");
  }

  /** denoising-diffusion-pytorch 2.x; {@code selfConditioning} puts the estimate first. */
  static Map<String, Tensor> lucidrains(
      Map<String, Tensor> from, int levels, int heads, boolean selfConditioning) {
    PeerWeights own = new PeerWeights(from);
    own.copy("conv_in", "init_conv");
    if (selfConditioning) {
      own.put("conv_in.weight", swapInputs(own.take("init_conv.weight")));
    }
    if (from.containsKey("time_mlp.0.weights")) {
      own.put("time_proj.weight", own.take("time_mlp.0.weights"));
    }
    own.copy("time_embedding.linear_1", "time_mlp.1");
    own.copy("time_embedding.linear_2", "time_mlp.3");
    for (int i = 0; i < levels; i++) {
      for (int j = 0; j < 2; j++) {
        own.lucidrainsBlock("downs." + i + "." + j, "down_blocks." + i + ".resnets." + j);
        own.lucidrainsBlock("ups." + i + "." + j, "up_blocks." + i + ".resnets." + j);
      }
      own.lucidrainsAttention("downs." + i + ".2", "down_blocks." + i + ".attentions.1", heads);
      own.lucidrainsAttention("ups." + i + ".2", "up_blocks." + i + ".attentions.1", heads);
      String down = "down_blocks." + i + ".downsamplers.0.conv";
      String up = "up_blocks." + i + ".upsamplers.0.conv";
      if (i < levels - 1) {
        // Pixels of a square moved into channels, then 1x1, is a 2x2 convolution as it lies.
        Tensor weight = own.take("downs." + i + ".3.1.weight");
        long in = weight.shape().get(1) / 4;
        own.put(
            down + ".weight",
            new Tensor(new Shape(weight.shape().get(0), in, 2, 2), weight.values()));
        own.put(down + ".bias", own.take("downs." + i + ".3.1.bias"));
        own.copy(up, "ups." + i + ".3.1");
      } else {
        own.copy(down, "downs." + i + ".3");
        own.copy(up, "ups." + i + ".3");
      }
    }
    own.lucidrainsBlock("mid_block1", "mid_block.resnets.0");
    own.lucidrainsAttention("mid_attn", "mid_block.attentions.0", heads);
    own.lucidrainsBlock("mid_block2", "mid_block.resnets.1");
    own.lucidrainsBlock("final_res_block", "final_resnet");
    own.copy("conv_out", "final_conv");
    return own.all();
  }

  private void lucidrainsBlock(String block, String to) {
    copy(to + ".time_emb_proj", block + ".mlp.1");
    for (int i = 1; i <= 2; i++) {
      copy(to + ".conv" + i, block + ".block" + i + ".proj");
      put(to + ".norm" + i + ".weight", flat(take(block + ".block" + i + ".norm.g"), 1));
    }
    copyIfThere(to + ".conv_shortcut", block + ".res_conv");
  }

  private void lucidrainsAttention(String block, String to, int heads) {
    boolean linear = from.containsKey(block + ".to_out.0.weight");
    put(to + ".group_norm.weight", flat(take(block + ".norm.g"), 1));
    split(to, block + ".to_qkv", c -> heads, Packing.QKV_HEAD);
    copyLinear(to + ".to_out.0", block + (linear ? ".to_out.0" : ".to_out"));
    if (linear) {
      put(to + ".out_norm.weight", flat(take(block + ".to_out.1.g"), 1));
    }
    // [2, heads, tokens, d], or [2, heads, d, tokens]: ours are [tokens, heads · d].
    Tensor memory = take(block + ".mem_kv");
    int tokens = (int) memory.shape().get(linear ? 3 : 2);
    int d = (int) memory.shape().get(linear ? 2 : 3);
    for (int of = 0; of < 2; of++) {
      float[] values = new float[tokens * heads * d];
      for (int head = 0; head < heads; head++) {
        for (int token = 0; token < tokens; token++) {
          for (int c = 0; c < d; c++) {
            int inner = linear ? c * tokens + token : token * d + c;
            values[(token * heads + head) * d + c] =
                memory.values().get((of * heads + head) * d * tokens + inner);
          }
        }
      }
      put(to + ".memory." + (of == 0 ? "k" : "v"), tensor(values, tokens, (long) heads * d));
    }
  }

  /** labml's flat lists count the passages; its attention has a norm that is never applied. */
  static Map<String, Tensor> labml(Map<String, Tensor> from, int levels, int blocks) {
    PeerWeights own = new PeerWeights(from);
    own.copy("conv_in", "image_proj");
    own.copy("time_embedding.linear_1", "time_emb.lin1");
    own.copy("time_embedding.linear_2", "time_emb.lin2");
    int down = 0;
    int up = 0;
    for (int i = 0; i < levels; i++) {
      for (int j = 0; j < blocks; j++) {
        own.labmlStage("down." + down++, "down_blocks." + i, j);
      }
      for (int j = 0; j <= blocks; j++) {
        own.labmlStage("up." + up++, "up_blocks." + i, j);
      }
      if (i < levels - 1) {
        own.copy("down_blocks." + i + ".downsamplers.0.conv", "down." + down++ + ".conv");
        own.copy("up_blocks." + i + ".upsamplers.0.conv", "up." + up++ + ".conv");
      }
    }
    own.labmlBlock("middle.res1", "mid_block.resnets.0");
    own.labmlAttention("middle.attn", "mid_block.attentions.0");
    own.labmlBlock("middle.res2", "mid_block.resnets.1");
    own.copy("conv_norm_out", "norm");
    own.copy("conv_out", "final");
    return own.all();
  }

  private void labmlStage(String block, String level, int j) {
    labmlBlock(block + ".res", level + ".resnets." + j);
    if (from.containsKey(block + ".attn.output.weight")) {
      labmlAttention(block + ".attn", level + ".attentions." + j);
    }
  }

  private void labmlBlock(String block, String to) {
    for (String layer : new String[] {"norm1", "conv1", "norm2", "conv2"}) {
      copy(to + "." + layer, block + "." + layer);
    }
    copy(to + ".time_emb_proj", block + ".time_emb");
    copyIfThere(to + ".conv_shortcut", block + ".shortcut");
  }

  private void labmlAttention(String block, String to) {
    split(to, block + ".projection", c -> 1, Packing.HEAD_QKV);
    copy(to + ".to_out.0", block + ".output");
    used.add(block + ".norm.weight");
    used.add(block + ".norm.bias");
  }

  /** SongUNet and DhariwalUNet of EDM, without the labels of their augmentations. */
  static Map<String, Tensor> edm(
      Map<String, Tensor> from, int side, int levels, int blocks, IntUnaryOperator heads) {
    PeerWeights own = new PeerWeights(from);
    boolean song = from.containsKey("map_label.bias");
    own.copy("time_embedding.linear_1", "map_layer0");
    own.copy("time_embedding.linear_2", "map_layer1");
    own.put(
        "class_embedding.weight",
        song ? own.songLabels() : transposed(own.take("map_label.weight")));
    own.copy("conv_in", "enc." + at(side, 0) + "conv");
    for (int i = 0; i < levels; i++) {
      String enc = "enc." + at(side, i);
      String dec = "dec." + at(side, i);
      String down = "down_blocks." + i;
      String up = "up_blocks." + (levels - 1 - i);
      if (i > 0) {
        own.edmBlock(enc + "down", "down_blocks." + (i - 1) + ".downsamplers.0", "", heads);
      }
      for (int j = 0; j < blocks; j++) {
        own.edmBlock(enc + "block" + j, down + ".resnets." + j, down + ".attentions." + j, heads);
      }
      if (i < levels - 1) {
        own.edmBlock(dec + "up", "up_blocks." + (levels - 2 - i) + ".upsamplers.0", "", heads);
      }
      for (int j = 0; j <= blocks; j++) {
        own.edmBlock(dec + "block" + j, up + ".resnets." + j, up + ".attentions." + j, heads);
      }
    }
    String bottom = "dec." + at(side, levels - 1);
    own.edmBlock(bottom + "in0", "mid_block.resnets.0", "mid_block.attentions.0", heads);
    own.edmBlock(bottom + "in1", "mid_block.resnets.1", "", heads);
    own.copy("conv_norm_out", song ? "dec." + at(side, 0) + "aux_norm" : "out_norm");
    own.copy("conv_out", song ? "dec." + at(side, 0) + "aux_conv" : "out_conv");
    from.keySet().stream()
        .filter(name -> name.endsWith("resample_filter") || name.equals("map_augment.weight"))
        .forEach(own.used::add);
    return own.all();
  }

  private static String at(int side, int level) {
    int own = side >> level;
    return own + "x" + own + "_";
  }

  private void edmBlock(String block, String to, String attention, IntUnaryOperator heads) {
    copy(to + ".norm1", block + ".norm0");
    copy(to + ".conv1", block + ".conv0");
    copy(to + ".time_emb_proj", block + ".affine");
    copy(to + ".norm2", block + ".norm1");
    copy(to + ".conv2", block + ".conv1");
    copyIfThere(to + ".conv_shortcut", block + ".skip");
    if (from.containsKey(block + ".qkv.weight")) {
      copy(attention + ".group_norm", block + ".norm2");
      split(attention, block + ".qkv", heads, Packing.HEAD_CHANNEL_QKV);
      copyLinear(attention + ".to_out.0", block + ".proj");
    }
  }

  /** One-hot rows times √classes, through a linear layer; a row of zeros gives the bias. */
  private Tensor songLabels() {
    Tensor weight = take("map_label.weight");
    Tensor bias = take("map_label.bias");
    int width = (int) weight.shape().get(0);
    int classes = (int) weight.shape().get(1);
    float[] rows = new float[(classes + 1) * width];
    for (int row = 0; row <= classes; row++) {
      for (int c = 0; c < width; c++) {
        double own =
            row == classes ? 0 : weight.values().get(c * classes + row) * Math.sqrt(classes);
        rows[row * width + c] = (float) (own + bias.values().get(c));
      }
    }
    return tensor(rows, classes + 1, width);
  }

  /* ---------------- Transforms ---------------- */

  private Tensor take(String name) {
    used.add(name);
    return Objects.requireNonNull(from.get(name), name);
  }

  private void put(String name, Tensor tensor) {
    weights.put(name, tensor);
  }

  /** All of the family's weights, each of which must have been used. */
  private Map<String, Tensor> all() {
    Set<String> left = new HashSet<>(from.keySet());
    left.removeAll(used);
    if (!left.isEmpty()) {
      throw new IllegalStateException("unused: " + left);
    }
    return weights;
  }

  private void copy(String to, String layer) {
    put(to + ".weight", take(layer + ".weight"));
    if (from.containsKey(layer + ".bias")) {
      put(to + ".bias", take(layer + ".bias"));
    }
  }

  private void copyIfThere(String to, String layer) {
    if (from.containsKey(layer + ".weight")) {
      copy(to, layer);
    }
  }

  /** A convolution of one pixel is a linear layer. */
  private void copyLinear(String to, String layer) {
    copy(to, layer);
    put(to + ".weight", flat(take(layer + ".weight"), 2));
  }

  private void split(String to, String layer, IntUnaryOperator heads, Packing packing) {
    split(to, take(layer + ".weight"), "weight", heads, packing);
    if (from.containsKey(layer + ".bias")) {
      split(to, take(layer + ".bias"), "bias", heads, packing);
    }
  }

  private void split(
      String to, Tensor all, String kind, IntUnaryOperator headsOf, Packing packing) {
    int rows = (int) all.shape().get(0) / 3;
    int columns = (int) (all.shape().size() / all.shape().get(0));
    int heads = headsOf.applyAsInt(rows);
    int d = rows / heads;
    for (int of = 0; of < 3; of++) {
      float[] values = new float[rows * columns];
      for (int row = 0; row < rows; row++) {
        int head = row / d;
        int source =
            switch (packing) {
              case QKV_HEAD -> of * rows + row;
              case HEAD_QKV -> (head * 3 + of) * d + row % d;
              case HEAD_CHANNEL_QKV -> row * 3 + of;
            };
        for (int c = 0; c < columns; c++) {
          values[row * columns + c] = all.values().get(source * columns + c);
        }
      }
      String name = to + ".to_" + "qkv".charAt(of) + "." + kind;
      put(name, kind.equals("bias") ? tensor(values, rows) : tensor(values, rows, columns));
    }
  }

  private static Tensor swapInputs(Tensor weight) {
    int out = (int) weight.shape().get(0);
    int half = (int) (weight.shape().size() / out / 2);
    float[] values = new float[2 * out * half];
    for (int o = 0; o < out; o++) {
      for (int i = 0; i < 2 * half; i++) {
        values[2 * o * half + (i + half) % (2 * half)] = weight.values().get(2 * o * half + i);
      }
    }
    return new Tensor(weight.shape(), FloatBuffer.wrap(values));
  }

  private static Tensor transposed(Tensor matrix) {
    int rows = (int) matrix.shape().get(0);
    int columns = (int) matrix.shape().get(1);
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i % columns * rows + i / columns] = matrix.values().get(i);
    }
    return tensor(values, columns, rows);
  }

  /** The same values with fewer axes: one, or the first and all others. */
  private static Tensor flat(Tensor tensor, int axes) {
    Shape shape = tensor.shape();
    return new Tensor(
        axes == 1 ? new Shape(shape.size()) : new Shape(shape.get(0), shape.size() / shape.get(0)),
        tensor.values());
  }

  private static Tensor tensor(float[] values, long... shape) {
    return new Tensor(new Shape(shape), FloatBuffer.wrap(values));
  }
}
