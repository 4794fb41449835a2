package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.Program;
import java.util.List;
import java.util.Locale;

/** What the machine can do at most: products of square matrices, and copies of memory. */
final class Bounds {

  /** Names in JSON, which are units too. */
  static final String FLOAT32 = "matmulFloat32Gflops";

  static final String BFLOAT16 = "matmulBfloat16Gflops";
  static final String COPY = "copyGbPerSecond";

  private static final int PRODUCTS = 4;
  private static final int SIDE = 2048;
  private static final int QUICK_SIDE = 128;
  private static final int COPIED_MB = 256;
  private static final int QUICK_COPIED_MB = 1;
  private static final long FLOATS_PER_MB = 1 << 18;
  private static final double MILLIS_TO_GIGA = 1e6;

  private static final String METHODS =
      products("float32", 6)
          + products("bfloat16", 15)
          + """
            def copy(self: __torch__.Program, x: Tensor, p: List[Tensor]) -> Tensor:
              torch.copy_(p[0], x)
              return torch.sum(torch.slice(p[0], 0, 0, 1))
          """;

  private Bounds() {}

  /** Repeated products, of which each needs the one before. */
  private static String products(String name, int type) {
    StringBuilder body = new StringBuilder();
    body.append("  def ")
        .append(name)
        .append("(self: __torch__.Program, x: Tensor, p: List[Tensor]) -> Tensor:\n")
        .append(
            String.format(
                Locale.ROOT, "    w = torch.to(p[0], %d)\n    y0 = torch.to(x, %d)\n", type, type));
    for (int i = 0; i < PRODUCTS; i++) {
      body.append(String.format(Locale.ROOT, "    y%d = torch.mm(y%d, w)\n", i + 1, i));
    }
    return body.append(
            String.format(Locale.ROOT, "    return torch.sum(torch.to(y%d, 6))\n", PRODUCTS))
        .toString();
  }

  static void measure(Device device, Effort effort, Measurements measurements) {
    int side = effort.quick() ? QUICK_SIDE : SIDE;
    long floats = FLOATS_PER_MB * (effort.quick() ? QUICK_COPIED_MB : COPIED_MB);
    try (NDManager manager = NDManager.newBaseManager(device);
        Program program = Program.compile(METHODS)) {
      NDArray x = manager.randomNormal(new Shape(side, side));
      // Products keep about the size of their factors.
      NDArray w = x.mul((float) (1 / Math.sqrt(side)));
      double gigaflop = 2.0 * PRODUCTS * side * side * side / MILLIS_TO_GIGA;
      put(measurements, FLOAT32, gigaflop, times(program, "float32", x, w, effort));
      put(measurements, BFLOAT16, gigaflop, times(program, "bfloat16", x, w, effort));
      NDArray from = manager.ones(new Shape(floats));
      NDArray to = manager.zeros(new Shape(floats));
      // What is read, and what is written.
      double gigabyte = 2.0 * Float.BYTES * floats / MILLIS_TO_GIGA;
      put(measurements, COPY, gigabyte, times(program, "copy", from, to, effort));
    }
  }

  private static Spread times(
      Program program, String method, NDArray x, NDArray list, Effort effort) {
    return effort
        .ofCalls()
        .time(
            () -> {
              try (NDList result = program.call(method, x, List.of(new NDList(list)))) {
                result.head().getFloat();
              }
            })
        .spread();
  }

  /** Work over time; the longest time is the lowest rate. */
  private static void put(Measurements measurements, String name, double work, Spread millis) {
    measurements.put(
        name,
        new Spread(
            work / millis.median(),
            work / millis.upper(),
            work / millis.lower(),
            work / millis.max(),
            work / millis.min(),
            millis.count()));
  }
}
