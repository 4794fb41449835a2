package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.Program;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * Times the convolutions and the attention of Stable Diffusion 1.5's U-Net in ways that could be
 * faster: each layer by itself, its ways in turn. Prints sums of medians, in milliseconds of the
 * processor in this thread, so it needs {@code -Dai.djl.pytorch.num_threads=1}.
 *
 * <pre>
 * LayerTimes BATCH ROUNDS
 * </pre>
 */
final class LayerTimes {

  private static final int HEADS = 8;
  private static final int CHUNK = 512;

  /** Queries, keys and the width of a head. */
  private static final int[][] ATTENTION = {
    {4096, 4096, 40}, {1024, 1024, 80}, {4096, 77, 40}, {1024, 77, 80}
  };

  private LayerTimes() {}

  public static void main(String... args) {
    int batch = Integer.parseInt(args[0]);
    int rounds = Integer.parseInt(args[1]);
    Map<String, double[]> sums = new TreeMap<>();
    SizedConvolution.ofStableDiffusion()
        .forEach(
            (layer, count) -> {
              double[] times = new double[4];
              try (NDManager manager = NDManager.newBaseManager()) {
                convolution(manager, layer, batch, rounds, times);
              }
              for (String row : List.of(layer.kernel() + "x at " + layer.side(), "sum")) {
                double[] sum = sums.computeIfAbsent(row, key -> new double[times.length]);
                Arrays.setAll(sum, i -> sum[i] + count * times[i]);
              }
            });
    System.out.println("convolution: plain, channels last; packed, channels last and packed");
    sums.forEach(LayerTimes::show);
    System.out.println("attention: the engine's, two products");
    for (int[] sizes : ATTENTION) {
      double[] times = new double[2];
      try (NDManager manager = NDManager.newBaseManager()) {
        attention(manager, sizes, batch, rounds, times);
      }
      show(sizes[0] + " x " + sizes[1], times);
    }
  }

  private static void show(String row, double... times) {
    StringBuilder line = new StringBuilder(row);
    for (double time : times) {
      line.append(String.format(Locale.ROOT, " %.0f", time));
    }
    System.out.println(line);
  }

  static NDArray[] convolution(
      NDManager manager, SizedConvolution layer, int batch, int rounds, double... times) {
    try (Program program = Program.compile(layer.program(batch))) {
      NDArray x = manager.randomNormal(new Shape(batch, layer.in(), layer.side(), layer.side()));
      NDArray w =
          manager.randomNormal(new Shape(layer.out(), layer.in(), layer.kernel(), layer.kernel()));
      NDArray b = manager.randomNormal(new Shape(layer.out()));
      NDArray last = program.call("last", x, List.of(), w, b).head();
      NDArray packed = program.call("pack", x, List.of(), w, b).head();
      return inTurn(
          rounds,
          times,
          List.of(
              () -> program.call("plain", x, List.of(), w, b).head(),
              () -> program.call("plain", last, List.of(), w, b).head(),
              () -> program.call("packed", x, List.of(), packed, b).head(),
              () -> program.call("packed", last, List.of(), packed, b).head()));
    }
  }

  /** The engine's, and two products with a softmax between, of some queries after the others. */
  static NDArray[] attention(
      NDManager manager, int[] sizes, int batch, int rounds, double... times) {
    String arguments = "(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:\n";
    String text =
        ("  def fused" + arguments)
            + "    return torch.scaled_dot_product_attention(q, k, v)\n"
            + ("  def products" + arguments)
            + "    parts = annotate(List[Tensor], [])\n"
            + "    for i in range(0, torch.size(q, 2), C):\n"
            + "      part = torch.mul(torch.slice(q, 2, i, i + C), torch.pow(torch.size(q, 3), -0.5))\n"
            + "      weights = torch.softmax(torch.matmul(part, torch.transpose(k, 2, 3)), -1)\n"
            + "      _0 = torch.append(parts, torch.matmul(weights, v))\n"
            + "    return torch.cat(parts, 2)\n";
    try (Program program = Program.compile(text.replace("C", "" + CHUNK))) {
      NDArray q = manager.randomNormal(new Shape(batch, HEADS, sizes[0], sizes[2]));
      NDArray k = manager.randomNormal(new Shape(batch, HEADS, sizes[1], sizes[2]));
      NDArray v = manager.randomNormal(new Shape(batch, HEADS, sizes[1], sizes[2]));
      return inTurn(
          rounds,
          times,
          List.of(
              () -> program.call("fused", q, List.of(), k, v).head(),
              () -> program.call("products", q, List.of(), k, v).head()));
    }
  }

  /** What each way gives; sets the median of its times. */
  private static NDArray[] inTurn(int rounds, double[] times, List<Supplier<NDArray>> ways) {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    NDArray[] results = ways.stream().map(Supplier::get).toArray(NDArray[]::new);
    double[][] all = new double[ways.size()][rounds];
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < ways.size(); i++) {
        long before = threads.getCurrentThreadCpuTime();
        ways.get(i).get().close();
        all[i][round] = (threads.getCurrentThreadCpuTime() - before) / 1e6;
      }
    }
    for (int i = 0; i < ways.size(); i++) {
      Arrays.sort(all[i]);
      times[i] = all[i][rounds / 2];
    }
    return results;
  }
}
