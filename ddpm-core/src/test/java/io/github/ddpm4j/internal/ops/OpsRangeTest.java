package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.fail;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The operations on single numbers over all that a float can be, run at once and compiled, in
 * float32 and float64, against the same in {@code double}: values and slopes. Constants reach over
 * the same range and beyond float32's, where they count as that type's nearest number.
 */
class OpsRangeTest {

  private static final double[] MAGNITUDES = {
    0,
    Double.MIN_VALUE,
    1e-310,
    Double.MIN_NORMAL,
    1e-200,
    1e-50,
    Float.MIN_VALUE,
    1e-40,
    Float.MIN_NORMAL,
    1e-20,
    1e-8,
    1e-3,
    0.3,
    0.5,
    1,
    1.75,
    4,
    9,
    20,
    86,
    88.7,
    89,
    105,
    200,
    700,
    745,
    1e4,
    1e10,
    1e19,
    3e19,
    1.7e38,
    Float.MAX_VALUE,
    1e60,
    1e160,
    Double.MAX_VALUE,
    Double.POSITIVE_INFINITY,
    Double.NaN
  };

  /** Both signs of each, which is not a whole number of the engine's vectors. */
  private static final double[] VALUES =
      DoubleStream.concat(Arrays.stream(MAGNITUDES), Arrays.stream(MAGNITUDES).map(v -> -v))
          .toArray();

  private static final double[] CONSTANTS =
      DoubleStream.of(
              0, Double.MIN_VALUE, 1e-50, 1e-40, 1e-8, 0.3, 1, 89, 1e10, 1e30, Float.MAX_VALUE)
          .flatMap(v -> DoubleStream.of(v, -v))
          .toArray();

  /** The engine divides by 1 + exp(−x), which overflows where the quotient has few digits left. */
  private static final double SILU = 3e-37;

  private static final double[] BEYOND = {
    1e60, -1e60, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN
  };

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** An operation and what it should give, for an argument and a constant of the type. */
  private abstract static class Case {
    private final String name;
    private final boolean constant;
    private final DoubleBinaryOperator value;
    private final DoubleBinaryOperator slope;

    Case(String name, boolean constant, DoubleBinaryOperator value, DoubleBinaryOperator slope) {
      this.name = name;
      this.constant = constant;
      this.value = value;
      this.slope = slope;
    }

    abstract <T> T apply(Ops<T> ops, T x, double c);

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    return Stream.concat(functions(), withConstants());
  }

  private static Stream<Case> functions() {
    return Stream.of(
        new Case("exp", false, (x, c) -> Math.exp(x), (x, c) -> Math.exp(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.exp(x);
          }
        },
        new Case("expm1", false, (x, c) -> Math.expm1(x), (x, c) -> Math.exp(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.expm1(x);
          }
        },
        new Case("log", false, (x, c) -> Math.log(x), (x, c) -> 1 / x) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.log(x);
          }
        },
        new Case("tanh", false, (x, c) -> Math.tanh(x), (x, c) -> sech2(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.tanh(x);
          }
        },
        new Case("erf", false, (x, c) -> erf(x), (x, c) -> erfSlope(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.erf(x);
          }
        },
        new Case("square", false, (x, c) -> x * x, (x, c) -> 2 * x) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.square(x);
          }
        },
        new Case("abs", false, (x, c) -> Math.abs(x), (x, c) -> Math.signum(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.abs(x);
          }
        },
        new Case("gelu", false, (x, c) -> gelu(x), (x, c) -> geluSlope(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.gelu(x);
          }
        },
        new Case("silu", false, (x, c) -> silu(x), (x, c) -> siluSlope(x)) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.silu(x);
          }
        });
  }

  private static Stream<Case> withConstants() {
    return Stream.of(
        new Case("scale", true, (x, c) -> c * x, (x, c) -> c) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.scale(x, c);
          }
        },
        new Case("shift", true, (x, c) -> x + c, (x, c) -> 1) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.shift(x, c);
          }
        },
        new Case("atLeast", true, (x, c) -> Math.max(x, c), (x, c) -> x >= c ? 1 : 0) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.atLeast(x, c);
          }
        },
        new Case("atMost", true, (x, c) -> Math.min(x, c), (x, c) -> x <= c ? 1 : 0) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.atMost(x, c);
          }
        },
        new Case("whereAbove", true, (x, c) -> x > c ? x : 0.5 * x, (x, c) -> x > c ? 1 : 0.5) {
          @Override
          <T> T apply(Ops<T> ops, T x, double c) {
            return ops.whereAbove(x, c, x, ops.scale(x, 0.5));
          }
        });
  }

  @ParameterizedTest
  @MethodSource("cases")
  void operation_overTheWholeRange_asInDouble(Case operation) {
    List<String> wrong = new ArrayList<>();
    for (DataType type : new DataType[] {DataType.FLOAT32, DataType.FLOAT64}) {
      double[] constants = operation.constant ? constants(false) : new double[] {0};
      double[] all = operation.constant ? constants(true) : new double[] {0};
      eager(operation, type, all, wrong);
      compiled(operation, type, type == DataType.FLOAT32 ? all : constants, wrong);
    }
    if (!wrong.isEmpty()) {
      fail(
          "%d wrong:\n%s",
          wrong.size(), wrong.stream().limit(20).collect(Collectors.joining("\n")));
    }
  }

  private interface Pair {
    <T> T apply(Ops<T> ops, T a, T b);
  }

  @Test
  void add_everyPair_asInDouble() {
    Pair pair =
        new Pair() {
          @Override
          public <T> T apply(Ops<T> ops, T a, T b) {
            return ops.add(a, b);
          }
        };
    assertPairs(pair, (a, b) -> a + b);
  }

  @Test
  void subtract_everyPair_asInDouble() {
    Pair pair =
        new Pair() {
          @Override
          public <T> T apply(Ops<T> ops, T a, T b) {
            return ops.subtract(a, b);
          }
        };
    assertPairs(pair, (a, b) -> a - b);
  }

  @Test
  void multiply_everyPair_asInDouble() {
    Pair pair =
        new Pair() {
          @Override
          public <T> T apply(Ops<T> ops, T a, T b) {
            return ops.multiply(a, b);
          }
        };
    assertPairs(pair, (a, b) -> a * b);
  }

  private void assertPairs(Pair pair, DoubleBinaryOperator expected) {
    Script script = new Script();
    ScriptOps ops = ScriptOps.inference(script, Script.Type.FLOAT32, ImageLayout.CHANNELS_FIRST);
    Value made = pair.apply(ops, new Value("a"), new Value("b"));
    try (Program program =
        Program.compile(script.method("run", "a: Tensor, b: Tensor", "Tensor", made))) {
      for (DataType type : new DataType[] {DataType.FLOAT32, DataType.FLOAT64}) {
        NDArray a = upload(type).reshape(-1, 1);
        NDArray b = upload(type).reshape(1, -1);
        double[] at = doubles(a);
        double[] eager = doubles(pair.apply(EagerOps.inference(), a, b));
        double[] compiled = doubles(program.call("run", a, List.of(), b).head());
        for (int i = 0; i < eager.length; i++) {
          double first = at[i / at.length];
          double second = at[i % at.length];
          double value = inType(expected.applyAsDouble(first, second), type);
          if (!close(eager[i], value, type, 0, 0) || !close(compiled[i], value, type, 0, 0)) {
            fail(
                "%s, %s in %s should give %s, but gave %s, and compiled %s",
                first, second, type, value, eager[i], compiled[i]);
          }
        }
      }
    }
  }

  /** A compiled program knows float32's range. */
  private static double[] constants(boolean beyond) {
    double[] infinite = {Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN};
    return DoubleStream.concat(Arrays.stream(CONSTANTS), Arrays.stream(beyond ? BEYOND : infinite))
        .toArray();
  }

  private void eager(Case operation, DataType type, double[] constants, List<String> wrong) {
    for (double c : constants) {
      NDArray x = upload(type);
      x.setRequiresGradient(true);
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray y = operation.apply(EagerOps.training(0, 0), x, c);
        collector.backward(y.sum());
        compare("eager", operation, type, c, x, y, x.getGradient(), wrong);
      }
    }
  }

  private void compiled(Case operation, DataType type, double[] constants, List<String> wrong) {
    NDArray x = upload(type);
    x.setRequiresGradient(true);
    Script script = new Script();
    ScriptOps ops = ScriptOps.inference(script, Script.Type.FLOAT32, ImageLayout.CHANNELS_FIRST);
    List<Value> results = new ArrayList<>();
    for (double c : constants) {
      Value y = operation.apply(ops, new Value("p[0]"), c);
      Value slope = script.let("torch.grad([torch.sum(%s)], p)", y);
      results.add(script.let("torch.detach(%s)", y));
      results.add(script.let("unchecked_cast(Tensor, %s[0])", slope));
    }
    try (Program program =
        Program.compile(
            script.method("run", "unused: Tensor, p: List[Tensor]", "List[Tensor]", results))) {
      NDList made = program.callRecording("run", upload(type), List.of(new NDList(x)));
      for (int i = 0; i < constants.length; i++) {
        compare(
            "compiled",
            operation,
            type,
            constants[i],
            x,
            made.get(2 * i),
            made.get(2 * i + 1),
            wrong);
      }
    }
  }

  private NDArray upload(DataType type) {
    return Upload.doubles(manager, VALUES, new Shape(VALUES.length), type).duplicate();
  }

  private static void compare(
      String how,
      Case operation,
      DataType type,
      double c,
      NDArray x,
      NDArray y,
      NDArray slope,
      List<String> wrong) {
    double[] at = doubles(x);
    double[] values = doubles(y);
    double[] slopes = doubles(slope);
    double constant = inType(c, type);
    for (int i = 0; i < at.length; i++) {
      double value = inType(operation.value.applyAsDouble(at[i], constant), type);
      double ofSlope = inType(operation.slope.applyAsDouble(at[i], constant), type);
      String what =
          how
              + " "
              + type
              + " "
              + operation
              + "("
              + at[i]
              + (operation.constant ? ", " + c : "")
              + ")";
      double one = type == DataType.FLOAT32 ? Math.ulp(1f) : Math.ulp(1.0);
      double absolute =
          switch (operation.name) {
            case "silu" -> SILU;
            // The sum 1 + erf keeps the digits of 1.
            case "gelu" -> one * Math.abs(at[i]);
            default -> 0;
          };
      if (!close(values[i], value, type, 4, absolute)) {
        wrong.add(what + " should be " + value + ", but was " + values[i]);
      }
      if (!Double.isNaN(at[i]) && !Double.isNaN(c) && !close(slopes[i], ofSlope, type, 16, one)) {
        wrong.add(what + " should have slope " + ofSlope + ", but had " + slopes[i]);
      }
    }
  }

  /** Zeros have either sign, since the engine's max(0, −0) does. */
  private static boolean close(
      double actual, double expected, DataType type, int ulps, double absolute) {
    if (!Double.isFinite(expected)) {
      return Double.compare(actual, expected) == 0;
    }
    double ulp = type == DataType.FLOAT32 ? Math.ulp((float) expected) : Math.ulp(expected);
    return Math.abs(actual - expected) <= Math.max(absolute, ulps * ulp);
  }

  private static double inType(double value, DataType type) {
    return type == DataType.FLOAT32 ? (float) value : value;
  }

  private static double[] doubles(NDArray array) {
    return array.toType(DataType.FLOAT64, false).toDoubleArray();
  }

  private static double sech2(double x) {
    double cosh = Math.cosh(x);
    return 1 / (cosh * cosh);
  }

  private static double erf(double x) {
    if (Double.isNaN(x) || Math.abs(x) > 6) {
      return Math.signum(x);
    }
    double term = x;
    double sum = x;
    for (int n = 1; n < 200; n++) {
      term *= 2 * x * x / (2 * n + 1);
      sum += term;
    }
    return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
  }

  private static double erfSlope(double x) {
    return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x);
  }

  private static double gelu(double x) {
    return 0.5 * x * (1 + erf(x / Math.sqrt(2)));
  }

  private static double geluSlope(double x) {
    return 0.5 * (1 + erf(x / Math.sqrt(2))) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }

  private static double silu(double x) {
    return x / (1 + Math.exp(-x));
  }

  private static double siluSlope(double x) {
    double sigmoid = 1 / (1 + Math.exp(-x));
    return sigmoid * (1 + x * (1 - sigmoid));
  }
}
