package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What depends on the number of axes of an image, with one to three of them. */
class OpsAxesTest {

  private static final double CLOSE = 1e-12;

  private final EagerOps ops = EagerOps.inference();
  private final NDManager manager = NDManager.newBaseManager();
  private final Random random = new Random(1);

  @AfterEach
  void close() {
    manager.close();
  }

  /** Sizes that differ along each axis. */
  private static Shape of(long images, long channels, int axes) {
    return new Shape(images, channels).addAll(new Shape(5, 4, 7).slice(3 - axes));
  }

  private static Shape cube(long out, long in, int kernel, int axes) {
    return new Shape(out, in).addAll(new Shape(kernel, kernel, kernel).slice(3 - axes));
  }

  private NDArray array(Shape shape) {
    double[] values = random.doubles(shape.size(), -1, 1).toArray();
    return manager.create(values, shape);
  }

  /** The place along each axis of an element of an array of this shape. */
  private static int[] places(Shape shape, int flat) {
    int[] places = new int[shape.dimension()];
    int rest = flat;
    for (int axis = places.length - 1; axis >= 0; axis--) {
      places[axis] = rest % (int) shape.get(axis);
      rest /= (int) shape.get(axis);
    }
    return places;
  }

  /** The value at the places, 0 outside. */
  private static double at(NDArray array, double[] values, int... places) {
    int flat = 0;
    for (int axis = 0; axis < places.length; axis++) {
      int size = (int) array.getShape().get(axis);
      if (places[axis] < 0 || places[axis] >= size) {
        return 0;
      }
      flat = flat * size + places[axis];
    }
    return values[flat];
  }

  @ParameterizedTest
  @CsvSource({"1, 3, 1, 1", "1, 4, 2, 1", "2, 3, 2, 0", "3, 3, 1, 1", "3, 2, 2, 0", "3, 3, 2, 1"})
  void conv_axes_asDefined(int axes, int kernel, int stride, int padding) {
    NDArray x = array(of(2, 3, axes));
    NDArray weight = array(cube(4, 3, kernel, axes));
    NDArray bias = array(new Shape(4));
    double[] xs = x.toDoubleArray();
    double[] ws = weight.toDoubleArray();

    NDArray actual = ops.conv(x, weight, bias, stride, padding);

    Shape shape = actual.getShape();
    for (int axis = 2; axis < shape.dimension(); axis++) {
      long size = x.getShape().get(axis);
      assertThat(shape.get(axis)).isEqualTo((size + 2L * padding - kernel) / stride + 1);
    }
    double[] values = actual.toDoubleArray();
    for (int i = 0; i < values.length; i++) {
      int[] out = places(shape, i);
      double sum = bias.getDouble(out[1]);
      for (int j = 0; j < ws.length; j++) {
        int[] w = places(weight.getShape(), j);
        if (w[0] == out[1]) {
          int[] in = out.clone();
          in[1] = w[1];
          for (int axis = 2; axis < in.length; axis++) {
            in[axis] = out[axis] * stride + w[axis] - padding;
          }
          sum += ws[j] * at(x, xs, in);
        }
      }
      assertThat(values[i]).as("element %d", i).isCloseTo(sum, within(CLOSE));
    }
  }

  /** ⟨conv(x), y⟩ = ⟨x, convTranspose(y)⟩, with the same weights. */
  @ParameterizedTest
  @CsvSource({"1, 4, 2, 1", "1, 3, 1, 2", "2, 3, 2, 0", "3, 4, 2, 1", "3, 2, 2, 0", "3, 3, 1, 1"})
  void convTranspose_axes_adjointOfConv(int axes, int kernel, int stride, int padding) {
    NDArray y = array(of(2, 3, axes));
    NDArray weight = array(cube(3, 2, kernel, axes));
    NDArray back =
        ops.convTranspose(y, weight, manager.zeros(new Shape(2), y.getDataType()), stride, padding);
    NDArray x = array(back.getShape());
    NDArray there =
        ops.conv(x, weight, manager.zeros(new Shape(3), x.getDataType()), stride, padding);

    assertThat(there.getShape()).isEqualTo(y.getShape());
    assertThat(there.mul(y).sum().getDouble())
        .isCloseTo(x.mul(back).sum().getDouble(), within(CLOSE * 100));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void upsampleNearest2x_axes_everyPixelTwiceAlongEach(int axes) {
    NDArray x = array(of(2, 3, axes));
    double[] xs = x.toDoubleArray();

    NDArray actual = ops.upsampleNearest2x(x);

    double[] values = actual.toDoubleArray();
    for (int i = 0; i < values.length; i++) {
      int[] in = places(actual.getShape(), i);
      for (int axis = 2; axis < in.length; axis++) {
        in[axis] /= 2;
      }
      assertThat(values[i]).isEqualTo(at(x, xs, in));
    }
    assertThat(values).hasSize(xs.length << axes);
    assertThat(ops.averagePool(actual, 2).sub(x).abs().max().getDouble()).isLessThan(CLOSE);
    assertThat(ops.maxPool(actual, 2)).isEqualTo(x);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void padEndAndCrop_axes_zerosBehindTheLast(int axes) {
    NDArray x = array(of(2, 3, axes));
    double[] xs = x.toDoubleArray();

    NDArray padded = ops.padEnd(x, 2);

    double[] values = padded.toDoubleArray();
    for (int i = 0; i < values.length; i++) {
      assertThat(values[i]).isEqualTo(at(x, xs, places(padded.getShape(), i)));
    }
    int[] sizes = new int[axes];
    for (int axis = 0; axis < axes; axis++) {
      sizes[axis] = (int) x.getShape().get(2 + axis);
    }
    assertThat(ops.crop(padded, sizes)).isEqualTo(x);
  }

  /** One image to the norms and to what is told of channels, whatever its axes. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void channels_axes_asOfTheSamePixelsInARow(int axes) {
    NDArray x = array(of(2, 6, axes));
    NDArray flat = x.reshape(2, 6, 1, -1);
    NDArray weight = array(new Shape(6));
    NDArray bias = array(new Shape(6));
    NDArray each = array(new Shape(2, 6));

    assertClose(
        ops.groupNorm(x, 3, weight, bias, 1e-5), ops.groupNorm(flat, 3, weight, bias, 1e-5));
    assertClose(ops.rmsNorm(x, weight), ops.rmsNorm(flat, weight));
    assertClose(ops.addPerChannel(x, each), ops.addPerChannel(flat, each));
    assertClose(ops.multiplyPerChannel(x, weight), ops.multiplyPerChannel(flat, weight));
    assertClose(ops.tokens(x), ops.tokens(flat));
    assertThat(ops.images(ops.tokens(x), x)).isEqualTo(x);
  }

  @Test
  void depthwiseConv_volume_eachChannelByItself() {
    NDArray x = array(of(1, 2, 3));
    NDArray weight = array(cube(2, 1, 3, 3));
    NDArray bias = array(new Shape(2));

    NDArray both = ops.depthwiseConv(x, weight, bias, 2, 1);

    for (int channel = 0; channel < 2; channel++) {
      String own = channel + ":" + (channel + 1);
      NDArray alone = ops.conv(x.get(":, " + own), weight.get(own), bias.get(own), 2, 1);
      assertClose(both.get(":, " + own), alone);
    }
  }

  private static void assertClose(NDArray actual, NDArray expected) {
    assertThat(actual.getDataType()).isEqualTo(DataType.FLOAT64);
    assertThat(actual.size()).isEqualTo(expected.size());
    double difference = actual.flatten().sub(expected.flatten()).abs().max().getDouble();
    assertThat(difference).as("largest difference").isLessThan(CLOSE);
  }
}
