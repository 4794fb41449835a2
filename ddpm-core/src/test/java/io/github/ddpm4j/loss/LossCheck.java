package io.github.ddpm4j.loss;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A function of arrays per image against the same written out in {@code double}: its values in
 * float64, and values and gradients in float32, run at once and compiled. The reference's gradient
 * is a central difference.
 */
final class LossCheck {

  private static final double STEP = 1e-6;

  /** What is checked, over either interpreter. */
  interface Expression {
    <T> T perImage(Ops<T> ops, List<T> inputs);
  }

  /** An argument of the expression. */
  static final class Input {
    private final Shape shape;
    private final double[] values;

    Input(Shape shape, double... values) {
      this.shape = shape;
      this.values = values;
    }
  }

  private LossCheck() {}

  /**
   * Checks an expression.
   *
   * @param reference gives the loss per image of the first argument's values
   * @param inputs the arguments; gradients are taken of the first
   */
  static void check(
      String name,
      Expression expression,
      Function<double[], double[]> reference,
      double tolerance,
      Input... inputs) {
    double[] x = rounded(inputs[0].values);
    double[] expected = reference.apply(x);
    // The sum of the losses weighted by 1, 2, 3 …, so that images are told apart.
    double[] gradient = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double value = x[i];
      x[i] = value + STEP;
      double above = weighted(reference.apply(x));
      x[i] = value - STEP;
      gradient[i] = (above - weighted(reference.apply(x))) / (2 * STEP);
      x[i] = value;
    }
    try (NDManager manager = NDManager.newBaseManager()) {
      List<NDArray> doubles = upload(manager, DataType.FLOAT64, inputs);
      Golden.assertClose(
          name + " float64",
          Golden.values(expression.perImage(EagerOps.inference(), doubles)),
          expected,
          1e-3 * tolerance);
      eager(name, expression, manager, expected, gradient, tolerance, inputs);
      compiled(name, expression, manager, expected, gradient, tolerance, inputs);
    }
  }

  private static void eager(
      String name,
      Expression expression,
      NDManager manager,
      double[] expected,
      double[] gradient,
      double tolerance,
      Input... inputs) {
    List<NDArray> floats = upload(manager, DataType.FLOAT32, inputs);
    floats.get(0).setRequiresGradient(true);
    NDArray weights = weights(manager, expected.length);
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray losses = expression.perImage(EagerOps.training(0, 0), floats);
      assertThat(losses.getShape()).isEqualTo(new Shape(expected.length));
      collector.backward(losses.mul(weights).sum());
      Golden.assertClose(name + " eager", Golden.values(losses), expected, tolerance);
    }
    Golden.assertClose(
        name + " eager gradient", Golden.values(floats.get(0).getGradient()), gradient, tolerance);
  }

  private static void compiled(
      String name,
      Expression expression,
      NDManager manager,
      double[] expected,
      double[] gradient,
      double tolerance,
      Input... inputs) {
    List<NDArray> floats = upload(manager, DataType.FLOAT32, inputs);
    floats.get(0).setRequiresGradient(true);
    Script script = new Script();
    ScriptOps ops = ScriptOps.training(script, Script.Type.FLOAT32, new Value("seeds"));
    Value losses =
        expression.perImage(
            ops,
            IntStream.range(0, inputs.length).mapToObj(i -> new Value("p[" + i + "]")).toList());
    Value made = script.let("torch.grad([torch.sum(torch.mul(%s, weights))], [p[0]])", losses);
    Value all = script.let("[torch.detach(%s), unchecked_cast(Tensor, %s[0])]", losses, made);
    try (Program program =
        Program.compile(
            script.method("both", "weights: Tensor, p: List[Tensor]", "List[Tensor]", all))) {
      NDList actual =
          program.callRecording(
              "both", weights(manager, expected.length), List.of(new NDList(floats)));
      Golden.assertClose(name + " compiled", Golden.values(actual.get(0)), expected, tolerance);
      Golden.assertClose(
          name + " compiled gradient", Golden.values(actual.get(1)), gradient, tolerance);
    }
  }

  /** The same numbers in all types, so that kinks are on the same side. */
  private static double[] rounded(double[] values) {
    double[] rounded = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = (float) values[i];
    }
    return rounded;
  }

  /** The arguments in float64, with other values of the first. */
  static List<NDArray> upload(NDManager manager, double[] first, Input... inputs) {
    List<NDArray> arrays = upload(manager, DataType.FLOAT64, inputs);
    arrays.set(0, Upload.doubles(manager, first, inputs[0].shape, DataType.FLOAT64));
    return arrays;
  }

  private static List<NDArray> upload(NDManager manager, DataType type, Input... inputs) {
    List<NDArray> arrays = new ArrayList<>();
    for (Input input : inputs) {
      arrays.add(Upload.doubles(manager, rounded(input.values), input.shape, type));
    }
    return arrays;
  }

  private static NDArray weights(NDManager manager, int images) {
    double[] weights = IntStream.rangeClosed(1, images).asDoubleStream().toArray();
    return Upload.doubles(manager, weights, new Shape(images), DataType.FLOAT32);
  }

  private static double weighted(double[] losses) {
    double sum = 0;
    for (int i = 0; i < losses.length; i++) {
      sum += (i + 1) * losses[i];
    }
    return sum;
  }
}
