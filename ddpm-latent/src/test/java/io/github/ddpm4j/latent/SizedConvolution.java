package io.github.ddpm4j.latent;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.unet.PublishedUNet;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A convolution as a U-Net has it: {@code side} squared pixels come in. */
record SizedConvolution(int in, int out, int side, int kernel, int stride) {

  private static final int SIDE = 64;
  private static final int DEEPEST = 3;

  private static final Pattern LEVEL = Pattern.compile("(down|up)_blocks\\.(\\d)");

  /** Those of Stable Diffusion 1.5, but for the three that double images, and how often each is. */
  static Map<SizedConvolution, Integer> ofStableDiffusion() {
    Map<SizedConvolution, Integer> all = new LinkedHashMap<>();
    PublishedUNet.STABLE_DIFFUSION_1
        .config()
        .weightShapes()
        .forEach(
            (name, shape) -> {
              if (shape.dimension() == 4 && !name.contains("upsamplers")) {
                all.merge(of(name, shape), 1, Integer::sum);
              }
            });
    return all;
  }

  private static SizedConvolution of(String name, Shape shape) {
    int halved = name.startsWith("mid") ? DEEPEST : 0;
    Matcher level = LEVEL.matcher(name);
    if (level.find()) {
      int block = Integer.parseInt(level.group(2));
      halved = level.group(1).equals("up") ? DEEPEST - block : block;
    }
    int stride = name.contains("downsamplers") ? 2 : 1;
    int kernel = (int) shape.get(2);
    return new SizedConvolution(
        (int) shape.get(1), (int) shape.get(0), SIDE >> halved, kernel, stride);
  }

  /**
   * TorchScript with the methods {@code last}, images with their channels last; {@code pack},
   * weights in the order that oneDNN wants; {@code plain}, and {@code packed} of such weights.
   */
  String program(int batch) {
    String size = Arrays.toString(new int[] {batch, in, side, side});
    String arguments = "[P, P], [S, S], [1, 1], 1";
    return method("last", "torch.contiguous(x, memory_format=2)")
        + method(
            "pack",
            "torch.mkldnn_reorder_conv2d_weight(torch.to_mkldnn(w), "
                + arguments
                + ", "
                + size
                + ")")
        + method("plain", "torch.conv2d(x, w, b, [S, S], [P, P])")
        + method(
            "packed",
            "ops.mkldnn._convolution_pointwise(x, w, b, "
                + arguments
                + ", \"none\", annotate(List[Optional[number]], []), \"\")");
  }

  private String method(String name, String result) {
    return String.format(
        Locale.ROOT,
        "  def %s(self, x: Tensor, w: Tensor, b: Tensor) -> Tensor:%n    return %s%n",
        name,
        result.replace("S", "" + stride).replace("P", "" + kernel / 2));
  }
}
