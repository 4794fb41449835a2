package io.github.ddpm4j.internal.ops;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Program;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Which elements dropout keeps: 0 with the probability of the rate, 1 otherwise.
 *
 * <p>Drawn from a generator of its own with a seed of its own, not from the engine's, which all
 * threads share. Each draw of 64 bits decides for four elements, by 15 bits each: several times as
 * fast as the engine's Bernoulli draws. A mask depends on neither layout nor type.
 */
final class DropoutMask {

  /** The number of values that the bits of one element can have. */
  private static final int LEVELS = 1 << 15;

  private static final ReentrantLock compiling = new ReentrantLock();

  /** Compiled at the first use and never closed. */
  private static volatile @Nullable Program eager;

  private DropoutMask() {}

  static void requireRate(double rate) {
    if (!(rate >= 0 && rate < 1)) {
      throw new IllegalArgumentException("dropout rate must be in [0, 1), but was " + rate);
    }
  }

  /** How many of {@link #LEVELS} keep an element. */
  private static int kept(double rate) {
    return Math.max(1, (int) Math.round((1 - rate) * LEVELS));
  }

  /** What makes up for the elements that are dropped. */
  static double factor(double rate) {
    return (double) LEVELS / kept(rate);
  }

  /** Writes the mask of a value down; the seed is an expression of the type {@code int}. */
  static Value write(Script script, Value x, double rate, String seed) {
    return write(script, x, (Object) kept(rate), seed);
  }

  private static Value write(Script script, Value x, Object kept, String seed) {
    Value generator = script.let("torch.Generator(device=%s.device)", x);
    script.run("torch.manual_seed(%s, %s)", generator, seed);
    Value size = script.let("torch.numel(%s)", x);
    Value draws =
        script.let(
            "torch.random_(torch.empty([(%s + 3) // 4], dtype=4, device=%s.device), generator=%s)",
            size, x, generator);
    Value keep =
        script.let(
            // "at most" since LEVELS itself does not fit into the 16 bits that are compared
            "torch.le(torch.bitwise_and(torch.view_copy(%s, dtype=2), %d), %s - 1)",
            draws, LEVELS - 1, kept);
    Value mask =
        script.let("torch.empty(torch.size(%1$s), dtype=%1$s.dtype, device=%1$s.device)", x);
    script.run("torch.copy_(torch.flatten(%s), torch.slice(%s, 0, 0, %s))", mask, keep, size);
    return mask;
  }

  /** The same mask at once, attached to the manager of {@code x}. */
  static NDArray of(NDArray x, double rate, double seed) {
    try (NDManager cpu = x.getManager().newSubManager(Device.cpu())) {
      NDArray numbers =
          Upload.doubles(cpu, new double[] {seed, kept(rate)}, new Shape(2), DataType.FLOAT64);
      return eager().call("mask", x, List.of(), numbers).head();
    }
  }

  /** Not in a static initialiser: what fails there once fails until the process ends. */
  private static Program eager() {
    Program compiled = eager;
    if (compiled == null) {
      GradMode.lock(compiling);
      try {
        compiled = eager;
        if (compiled == null) {
          compiled = Program.compile(method());
          eager = compiled;
        }
      } finally {
        compiling.unlock();
      }
    }
    return compiled;
  }

  private static String method() {
    Script script = new Script();
    Value mask = write(script, new Value("x"), "int(numbers[1])", "int(numbers[0])");
    return script.method("mask", "x: Tensor, numbers: Tensor", "Tensor", mask);
  }
}
