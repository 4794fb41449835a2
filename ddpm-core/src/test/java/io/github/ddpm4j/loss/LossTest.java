package io.github.ddpm4j.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LossTest {

  private static final Shape SHAPE = new Shape(3, 2, 4, 5);
  private static final int PIXELS = 40;

  @Test
  void simple_isTheMeanSquaredErrorOfEachImage() {
    Random random = new Random(1);
    double[] output = random.doubles(3 * PIXELS, -3, 3).toArray();
    double[] target = random.doubles(3 * PIXELS, -3, 3).toArray();
    double[] expected = new double[3];
    for (int i = 0; i < output.length; i++) {
      expected[i / PIXELS] += (output[i] - target[i]) * (output[i] - target[i]) / PIXELS;
    }
    double mean = (expected[0] + expected[1] + expected[2]) / 3;
    try (NDManager manager = NDManager.newBaseManager()) {
      for (DataType type : new DataType[] {DataType.FLOAT32, DataType.FLOAT64}) {
        double tolerance = type == DataType.FLOAT32 ? 1e-6 : 1e-14;
        NDArray a = manager.create(output, SHAPE).toType(type, false);
        NDArray b = manager.create(target, SHAPE).toType(type, false);
        NDArray perImage = Losses.simple().perImage(EagerOps.inference(), a, b);
        assertThat(perImage.getShape()).isEqualTo(new Shape(3));
        Golden.assertClose("per image", Golden.values(perImage), expected, tolerance);
        NDArray all = Losses.simple().evaluate(a, b);
        assertThat(all.getShape()).isEqualTo(new Shape());
        assertThat(all.getManager()).isSameAs(manager);
        assertThat(Golden.values(all)[0]).isCloseTo(mean, within(10 * tolerance));
      }
    }
  }

  /** What was made on the way is gone, whether it ends in a number or in a refusal. */
  @Test
  void evaluate_leavesItsResultAlone() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray ones = manager.ones(SHAPE);
      int before = NativeResources.of(manager);
      for (Loss loss : List.of(Losses.simple(), Losses.l1(), Losses.huber(1))) {
        try (NDArray result = loss.evaluate(ones, ones)) {
          assertThat(result.getFloat()).isZero();
          assertThat(NativeResources.of(manager)).as(loss.toString()).isEqualTo(before + 1);
        }
      }
      Loss perPixel =
          new Loss() {
            @Override
            public <T> T perImage(Ops<T> ops, T output, T target) {
              return ops.square(ops.subtract(output, target));
            }
          };
      assertThatThrownBy(() -> perPixel.evaluate(ones, ones))
          .hasMessageEndingWith("end it with ops.meanPerImage(…)");
      assertThat(NativeResources.of(manager)).isEqualTo(before);
    }
  }

  @Test
  void simple_perfectPrediction_isZero() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray ones = manager.ones(SHAPE);
      assertThat(Losses.simple().evaluate(ones, ones).getFloat()).isZero();
    }
  }

  @Test
  void simple_isNamedInModelFiles() {
    assertThat(Losses.simple()).hasToString("simple");
  }

  @Test
  void simple_valuesAndGradients_asTheReference() {
    check(Losses.simple(), error -> error * error);
  }

  @Test
  void l1_valuesAndGradients_asTheReference() {
    check(Losses.l1(), Math::abs);
    assertThat(Losses.l1()).hasToString("l1");
  }

  /** Errors lie on both sides of δ, or all far below it: a large δ does not swallow them. */
  @ParameterizedTest
  @ValueSource(doubles = {0.3, 1, 2.5, 1e8, 3e38, 1e300})
  void huber_valuesAndGradients_asTheReference(double delta) {
    check(
        Losses.huber(delta),
        error ->
            Math.abs(error) <= delta ? error * error / 2 : delta * (Math.abs(error) - delta / 2));
    assertThat(Losses.huber(delta)).hasToString("huber(" + delta + ")");
  }

  @Test
  void huber_deltaAboveAllErrors_isHalfOfSimple() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray a = manager.randomUniform(-1, 1, SHAPE);
      NDArray b = manager.randomUniform(-1, 1, SHAPE);
      assertThat(Losses.huber(2).evaluate(a, b).getFloat())
          .isCloseTo(Losses.simple().evaluate(a, b).getFloat() / 2, within(1e-6f));
    }
  }

  /** Errors down to the smallest that has all its digits. */
  @Test
  void huber_leastDelta_isLinear() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray error = manager.create(new float[] {2, -1}, new Shape(2, 1));
      float[] losses =
          Losses.huber(Float.MIN_NORMAL)
              .perImage(EagerOps.inference(), error, error.mul(0))
              .toFloatArray();
      assertThat(losses).containsExactly(2 * Float.MIN_NORMAL, Float.MIN_NORMAL);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY, 1e-38})
  void huber_deltaOutside_isRefused(double delta) {
    assertThatThrownBy(() -> Losses.huber(delta))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "delta must be at least 1.17549435E-38 and finite, but was "
                + delta
                + "; use l1() for a loss that is linear everywhere, simple() for a quadratic one");
  }

  /** Over the whole image: far below c half the square over c, far above c the root. */
  @ParameterizedTest
  @ValueSource(doubles = {0.001, 0.3, 30})
  void pseudoHuber_valuesAndGradients_asTheReference(double c) {
    Random random = new Random(4);
    double[] output = random.doubles(3 * PIXELS, -2, 2).toArray();
    double[] target = random.doubles(3 * PIXELS, -2, 2).toArray();
    LossCheck.check(
        "pseudoHuber " + c,
        new LossCheck.Expression() {
          @Override
          public <T> T perImage(Ops<T> ops, List<T> inputs) {
            return Losses.pseudoHuber(c).perImage(ops, inputs.get(0), inputs.get(1));
          }
        },
        x -> {
          double[] losses = new double[3];
          for (int i = 0; i < x.length; i++) {
            losses[i / PIXELS] += Math.pow(x[i] - (float) target[i], 2) / PIXELS;
          }
          // √(m + c²) − c without the difference of two large numbers
          return Arrays.stream(losses).map(m -> m / (Math.sqrt(m + c * c) + c)).toArray();
        },
        1e-5,
        new LossCheck.Input(SHAPE, output),
        new LossCheck.Input(SHAPE, target));
    assertThat(Losses.pseudoHuber(c)).hasToString("pseudoHuber(" + c + ")");
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY, 1e-9})
  void pseudoHuber_cOutside_isRefused(double c) {
    assertThatThrownBy(() -> Losses.pseudoHuber(c))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "c must be at least 1.0E-8 and finite in float32, but was "
                + c
                + "; use simple() for a loss that is quadratic everywhere");
  }

  private static void check(Loss loss, DoubleUnaryOperator ofError) {
    Random random = new Random(4);
    double[] output = random.doubles(3 * PIXELS, -2, 2).toArray();
    double[] target = random.doubles(3 * PIXELS, -2, 2).toArray();
    LossCheck.check(
        loss.toString(),
        new LossCheck.Expression() {
          @Override
          public <T> T perImage(Ops<T> ops, List<T> inputs) {
            return loss.perImage(ops, inputs.get(0), inputs.get(1));
          }
        },
        x -> {
          double[] losses = new double[3];
          for (int i = 0; i < x.length; i++) {
            losses[i / PIXELS] += ofError.applyAsDouble(x[i] - (float) target[i]) / PIXELS;
          }
          return losses;
        },
        2e-6,
        new LossCheck.Input(SHAPE, output),
        new LossCheck.Input(SHAPE, target));
  }

  @Test
  void evaluate_otherShapes_isRefused() {
    try (NDManager manager = NDManager.newBaseManager()) {
      assertThatThrownBy(
              () -> Losses.simple().evaluate(manager.ones(SHAPE), manager.ones(new Shape(3, 40))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("output shape (3, 2, 4, 5) does not match target shape (3, 40)");
    }
  }
}
