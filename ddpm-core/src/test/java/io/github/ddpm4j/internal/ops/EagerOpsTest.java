package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each operation against loops over {@code double}s, in both types. */
class EagerOpsTest {

  private final EagerOps ops = EagerOps.inference();
  private final NDManager manager = NDManager.newBaseManager();
  private final Random random = new Random(1);

  @AfterEach
  void close() {
    manager.close();
  }

  @ParameterizedTest
  @CsvSource({"3, 1, 1", "3, 2, 0", "3, 2, 1", "1, 1, 0"})
  void conv_strideAndPadding_asDefined(int kernel, int stride, int padding) {
    int n = 2;
    int c = 3;
    int h = 6;
    int w = 5;
    int o = 4;
    NDArray x = array(DataType.FLOAT64, n, c, h, w);
    NDArray weight = array(DataType.FLOAT64, o, c, kernel, kernel);
    NDArray bias = array(DataType.FLOAT64, o);
    int outH = (h + 2 * padding - kernel) / stride + 1;
    int outW = (w + 2 * padding - kernel) / stride + 1;
    double[] expected = new double[n * o * outH * outW];
    double[] xs = x.toDoubleArray();
    double[] ws = weight.toDoubleArray();
    int at = 0;
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < o; k++) {
        for (int row = 0; row < outH; row++) {
          for (int column = 0; column < outW; column++) {
            double sum = bias.getDouble(k);
            for (int channel = 0; channel < c; channel++) {
              for (int a = 0; a < kernel; a++) {
                for (int b = 0; b < kernel; b++) {
                  int y = row * stride + a - padding;
                  int z = column * stride + b - padding;
                  if (y >= 0 && y < h && z >= 0 && z < w) {
                    sum +=
                        xs[((i * c + channel) * h + y) * w + z]
                            * ws[((k * c + channel) * kernel + a) * kernel + b];
                  }
                }
              }
            }
            expected[at++] = sum;
          }
        }
      }
    }

    NDArray actual = ops.conv(x, weight, bias, stride, padding);

    assertThat(actual.getShape()).isEqualTo(new Shape(n, o, outH, outW));
    assertClose(actual, expected, 1e-12);
  }

  /** A convolution whose weights between different channels are zero. */
  @ParameterizedTest
  @CsvSource({"3, 1, 1", "3, 2, 0", "5, 2, 2", "1, 1, 0"})
  void depthwiseConv_isAConvolutionOfEachChannel(int kernel, int stride, int padding) {
    int c = 3;
    NDArray x = array(DataType.FLOAT64, 2, c, 6, 7);
    NDArray weight = array(DataType.FLOAT64, c, 1, kernel, kernel);
    NDArray bias = array(DataType.FLOAT64, c);
    NDArray whole = manager.zeros(new Shape(c, c, kernel, kernel), DataType.FLOAT64);
    for (int i = 0; i < c; i++) {
      whole.set(new NDIndex("{}, {}", i, i), weight.get(i, 0));
    }

    NDArray actual = ops.depthwiseConv(x, weight, bias, stride, padding);

    NDArray expected = ops.conv(x, whole, bias, stride, padding);
    assertThat(actual.getShape()).isEqualTo(expected.getShape());
    assertClose(actual, expected.toDoubleArray(), 1e-12);
  }

  /** Each pixel adds its multiples of the weight where they fall. */
  @ParameterizedTest
  @CsvSource({"4, 2, 1", "2, 2, 0", "7, 7, 0", "3, 1, 2", "3, 2, 0", "1, 1, 0"})
  void convTranspose_strideAndPadding_asDefined(int kernel, int stride, int padding) {
    int n = 2;
    int c = 3;
    int h = 4;
    int w = 3;
    int o = 2;
    NDArray x = array(DataType.FLOAT64, n, c, h, w);
    NDArray weight = array(DataType.FLOAT64, c, o, kernel, kernel);
    NDArray bias = array(DataType.FLOAT64, o);
    int outH = (h - 1) * stride - 2 * padding + kernel;
    int outW = (w - 1) * stride - 2 * padding + kernel;
    double[] expected = new double[n * o * outH * outW];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = bias.getDouble(i / (outH * outW) % o);
    }
    double[] xs = x.toDoubleArray();
    double[] ws = weight.toDoubleArray();
    for (int i = 0; i < n * c * h * w; i++) {
      int row = i / w % h * stride - padding;
      int column = i % w * stride - padding;
      int channel = i / (h * w) % c;
      int image = i / (c * h * w);
      for (int k = 0; k < o; k++) {
        for (int a = 0; a < kernel; a++) {
          for (int b = 0; b < kernel; b++) {
            int y = row + a;
            int z = column + b;
            if (y >= 0 && y < outH && z >= 0 && z < outW) {
              expected[((image * o + k) * outH + y) * outW + z] +=
                  xs[i] * ws[((channel * o + k) * kernel + a) * kernel + b];
            }
          }
        }
      }
    }

    NDArray actual = ops.convTranspose(x, weight, bias, stride, padding);

    assertThat(actual.getShape()).isEqualTo(new Shape(n, o, outH, outW));
    assertClose(actual, expected, 1e-12);
  }

  @Test
  void pools_squares_meanAndLargest() {
    NDArray x =
        manager.create(
            new float[] {1, 2, 3, 4, 9, 5, -6, -7, -8, 9, 1, 1, 1, 1, 1}, new Shape(1, 1, 3, 5));

    assertThat(ops.averagePool(x, 2).getShape()).isEqualTo(new Shape(1, 1, 1, 2));
    assertThat(ops.averagePool(x, 2).toFloatArray()).containsExactly(0.5f, -2);
    assertThat(ops.maxPool(x, 2).toFloatArray()).containsExactly(5, 4);
    assertThat(ops.maxPool(x, 3).toFloatArray()).containsExactly(5);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT64"})
  void rmsNorm_bothTypes_asDefined(DataType type) {
    int c = 5;
    int area = 6;
    NDArray x = array(type, 2, c, 2, 3).mul(3);
    // A pixel of zeros stays one.
    for (int channel = 0; channel < c; channel++) {
      x.set(new NDIndex("1, {}, 0, 1", channel), 0);
    }
    NDArray weight = array(type, c);
    double[] xs = doubles(x);
    double[] expected = new double[xs.length];
    for (int image = 0; image < 2; image++) {
      for (int pixel = 0; pixel < area; pixel++) {
        double squares = 0;
        for (int channel = 0; channel < c; channel++) {
          squares += Math.pow(xs[(image * c + channel) * area + pixel], 2);
        }
        for (int channel = 0; channel < c; channel++) {
          int i = (image * c + channel) * area + pixel;
          double norm = Math.max(Math.sqrt(squares), 1e-12);
          expected[i] = xs[i] / norm * Math.sqrt(c) * doubles(weight)[channel];
        }
      }
    }

    NDArray actual = ops.rmsNorm(x, weight);

    assertThat(actual.getDataType()).isEqualTo(type);
    assertThat(actual.getShape()).isEqualTo(x.getShape());
    assertClose(actual, expected, type == DataType.FLOAT32 ? 1e-6 : 1e-12);
  }

  /** The slope of a norm at zero is 0, not NaN. */
  @Test
  void rmsNorm_pixelOfZeros_gradientFinite() {
    NDArray x = manager.zeros(new Shape(1, 3, 1, 1), DataType.FLOAT64);
    x.setRequiresGradient(true);
    NDArray weight = manager.ones(new Shape(3), DataType.FLOAT64);
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      collector.backward(ops.rmsNorm(x, weight).sum());
    }
    assertThat(x.getGradient().toDoubleArray())
        .containsExactly(
            new double[] {Math.sqrt(3) * 1e12, Math.sqrt(3) * 1e12, Math.sqrt(3) * 1e12},
            within(1e3));
  }

  @Test
  void padRightBottom_addsZerosThere() {
    NDArray x = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(1, 1, 2, 3));

    NDArray padded = ops.padEnd(x, 1);

    assertThat(padded.getShape()).isEqualTo(new Shape(1, 1, 3, 4));
    assertThat(padded.toFloatArray()).containsExactly(1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0, 0);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT64"})
  void groupNorm_bothTypes_asDefined(DataType type) {
    int n = 3;
    int c = 6;
    int area = 5 * 4;
    int groups = 2;
    double eps = 1e-5;
    NDArray x = array(type, n, c, 5, 4).mul(3).add(2);
    NDArray weight = array(type, c);
    NDArray bias = array(type, c);
    double[] xs = doubles(x);
    double[] expected = new double[xs.length];
    int size = c / groups * area;
    for (int row = 0; row < n * groups; row++) {
      double[] part = Arrays.copyOfRange(xs, row * size, (row + 1) * size);
      double mean = DoubleStream.of(part).average().orElseThrow();
      double variance = DoubleStream.of(part).map(v -> (v - mean) * (v - mean)).sum() / size;
      for (int i = 0; i < size; i++) {
        int channel = (row * size + i) / area % c;
        expected[row * size + i] =
            (part[i] - mean) / Math.sqrt(variance + eps) * doubles(weight)[channel]
                + doubles(bias)[channel];
      }
    }

    NDArray actual = ops.groupNorm(x, groups, weight, bias, eps);

    assertThat(actual.getDataType()).isEqualTo(type);
    assertThat(actual.getShape()).isEqualTo(x.getShape());
    // eps reaches the engine as a float.
    assertClose(actual, expected, type == DataType.FLOAT32 ? 2e-6 : 1e-12);
  }

  @Test
  void silu_anyValue_timesItsSigmoid() {
    NDArray x = manager.create(new double[] {-50, -1, 0, 0.5, 3});
    assertClose(
        ops.silu(x),
        DoubleStream.of(x.toDoubleArray()).map(v -> v / (1 + Math.exp(-v))).toArray(),
        1e-14);
  }

  @Test
  void linear_tokens_overLastAxis() {
    NDArray x = array(DataType.FLOAT64, 2, 3, 4);
    NDArray weight = array(DataType.FLOAT64, 5, 4);
    NDArray bias = array(DataType.FLOAT64, 5);
    double[] expected = new double[2 * 3 * 5];
    for (int row = 0; row < 6; row++) {
      for (int o = 0; o < 5; o++) {
        double sum = bias.getDouble(o);
        for (int i = 0; i < 4; i++) {
          sum += x.toDoubleArray()[row * 4 + i] * weight.getDouble(o, i);
        }
        expected[row * 5 + o] = sum;
      }
    }
    assertThat(ops.linear(x, weight, bias).getShape()).isEqualTo(new Shape(2, 3, 5));
    assertClose(ops.linear(x, weight, bias), expected, 1e-12);
  }

  @Test
  void arithmetic_smallArrays_asDefined() {
    NDArray a = manager.create(new float[] {1, 2, 3, 4}, new Shape(2, 2));
    NDArray b = manager.create(new float[] {5, -1, 0.5f, 2}, new Shape(2, 2));

    assertThat(ops.add(a, b).toFloatArray()).containsExactly(6, 1, 3.5f, 6);
    assertThat(ops.subtract(a, b).toFloatArray()).containsExactly(-4, 3, 2.5f, 2);
    assertThat(ops.multiply(a, b).toFloatArray()).containsExactly(5, -2, 1.5f, 8);
    assertThat(ops.scale(a, 0.5).toFloatArray()).containsExactly(0.5f, 1, 1.5f, 2);
    assertThat(ops.scale(a, 0.5).getDataType()).isEqualTo(DataType.FLOAT32);
    assertThat(ops.square(b).toFloatArray()).containsExactly(25, 1, 0.25f, 4);
    assertThat(ops.abs(b).toFloatArray()).containsExactly(5, 1, 0.5f, 2);
    assertThat(ops.atMost(b, 1).toFloatArray()).containsExactly(1, -1, 0.5f, 1);
    assertThat(ops.meanPerImage(a.reshape(2, 1, 2, 1)).toFloatArray()).containsExactly(1.5f, 3.5f);
    assertThat(ops.meanPerImage(a.reshape(2, 1, 2, 1)).getShape()).isEqualTo(new Shape(2));
  }

  @Test
  void functions_smallArrays_asDefined() {
    double[] values = {-2, -0.3, -1e-9, 0, 1e-9, 0.25, 3};
    NDArray x = manager.create(values);
    assertClose(ops.shift(x, 0.5), each(values, v -> v + 0.5), 1e-15);
    assertClose(ops.exp(x), each(values, Math::exp), 1e-14);
    assertClose(ops.tanh(x), each(values, Math::tanh), 1e-15);
    assertClose(ops.atLeast(x, -0.25), each(values, v -> Math.max(v, -0.25)), 0);
    double[] positive = {1e-12, 0.5, 1, 7};
    assertClose(ops.log(manager.create(positive)), each(positive, Math::log), 1e-14);
    // erf 1/4 and erf 3, printed by scipy.special.erf
    assertThat(ops.erf(x).toDoubleArray()[5]).isCloseTo(0.2763263901682369, within(1e-15));
    assertThat(ops.erf(x).toDoubleArray()[6]).isCloseTo(0.9999779095030014, within(1e-15));
    double[] less = ops.expm1(x).toDoubleArray();
    for (int i = 0; i < values.length; i++) {
      assertThat(less[i]).isCloseTo(Math.expm1(values[i]), within(1e-14 * Math.abs(less[i])));
    }
  }

  @Test
  void whereAbove_values_takenOnTheirSide() {
    NDArray x = manager.create(new float[] {-1, 0.5f, 0.25f, 2}, new Shape(2, 2));
    NDArray above = manager.create(new float[] {1, 2, 3, 4}, new Shape(2, 2));
    NDArray otherwise = manager.create(new float[] {5, 6, Float.NaN, 8}, new Shape(2, 2));
    assertThat(ops.whereAbove(x, 0.25, above, otherwise).toFloatArray())
        .containsExactly(5, 2, Float.NaN, 4);
  }

  @Test
  void arithmetic_onePerImage_broadcasts() {
    NDArray x = manager.create(new float[] {1, 2, 3, 4}, new Shape(2, 2));
    NDArray column = manager.create(new float[] {10, 20}, new Shape(2, 1));
    assertThat(ops.add(x, column).toFloatArray()).containsExactly(11, 12, 23, 24);
    assertThat(ops.subtract(column, x).toFloatArray()).containsExactly(9, 8, 17, 16);
  }

  @Test
  void channelsAfter_images_thoseAlone() {
    NDArray x = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(2, 3, 1, 1));
    assertThat(ops.channelsAfter(x, manager.zeros(new Shape(1, 1, 1, 1))).toFloatArray())
        .containsExactly(2, 3, 5, 6);
  }

  private static double[] each(double[] values, DoubleUnaryOperator function) {
    return Arrays.stream(values).map(function).toArray();
  }

  @Test
  void addPerChannel_images_oneValuePerImageAndChannel() {
    NDArray x = manager.zeros(new Shape(2, 2, 1, 2));
    NDArray values = manager.create(new float[] {1, 2, 3, 4}, new Shape(2, 2));
    assertThat(ops.addPerChannel(x, values).toFloatArray()).containsExactly(1, 1, 2, 2, 3, 3, 4, 4);
  }

  @Test
  void concatChannels_images_secondAfterFirst() {
    NDArray a = manager.create(new float[] {1, 2}, new Shape(2, 1, 1, 1));
    NDArray b = manager.create(new float[] {3, 4, 5, 6}, new Shape(2, 2, 1, 1));
    assertThat(ops.concatChannels(a, b).toFloatArray()).containsExactly(1, 3, 4, 2, 5, 6);
  }

  @Test
  void firstChannels_images_thoseAlone() {
    NDArray x = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(2, 3, 1, 1));
    assertThat(ops.firstChannels(x, manager.zeros(new Shape(1, 2, 1, 1))).toFloatArray())
        .containsExactly(1, 2, 4, 5);
  }

  @Test
  void gatedGelu_lastAxis_firstHalfTimesGeluOfTheSecond() {
    double[] x = {1, -2, 3, 0.5, -1, 2, 7, 0, -0.3, 4, 1, -3};
    double[] gates = {3, 0.5, 7, 0, 1, -3};
    double[] values = {1, -2, -1, 2, -0.3, 4};
    double[] gelu = doubles(ops.gelu(manager.create(gates)));
    double[] expected = new double[values.length];
    Arrays.setAll(expected, i -> values[i] * gelu[i]);

    NDArray actual = ops.gatedGelu(manager.create(x, new Shape(1, 3, 4)));

    assertThat(actual.getShape()).isEqualTo(new Shape(1, 3, 2));
    assertClose(actual, expected, 1e-12);
  }

  /** As torch's interpolate gives them: pixel i of n is pixel ⌊i · m / n⌋ of m. */
  @Test
  void crop_ofDoubled_nearestNeighboursOfTheOddSize() {
    NDArray x = array(DataType.FLOAT64, 1, 1, 3, 4);
    double[] pixels = doubles(x);
    double[] expected = new double[5 * 7];
    for (int i = 0; i < 5; i++) {
      for (int j = 0; j < 7; j++) {
        expected[i * 7 + j] = pixels[i * 3 / 5 * 4 + j * 4 / 7];
      }
    }

    NDArray actual = ops.crop(ops.upsampleNearest2x(x), 5, 7);

    assertThat(actual.getShape()).isEqualTo(new Shape(1, 1, 5, 7));
    assertClose(actual, expected, 0);
  }

  @Test
  void embedding_rows_inTheirOrder() {
    NDArray table = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(3, 2));
    NDArray rows = manager.create(new float[] {2, 0, 2});
    NDArray y = ops.embedding(table, rows);
    assertThat(y.getShape()).isEqualTo(new Shape(3, 2));
    assertThat(y.toFloatArray()).containsExactly(5, 6, 1, 2, 5, 6);
  }

  @Test
  void upsampleNearest2x_image_repeatsPixels() {
    NDArray x = manager.create(new float[] {1, 2, 3, 4}, new Shape(1, 1, 2, 2));
    NDArray y = ops.upsampleNearest2x(x);
    assertThat(y.getShape()).isEqualTo(new Shape(1, 1, 4, 4));
    assertThat(y.toFloatArray()).containsExactly(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4);
  }

  @Test
  void tokensAndImages_roundTrip_pixelsRowByRow() {
    NDArray x = array(DataType.FLOAT32, 2, 3, 4, 5);
    NDArray tokens = ops.tokens(x);
    assertThat(tokens.getShape()).isEqualTo(new Shape(2, 20, 3));
    assertThat(tokens.getFloat(1, 7, 2)).isEqualTo(x.getFloat(1, 2, 1, 2));
    assertThat(ops.images(tokens, x)).isEqualTo(x);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 6})
  void attention_heads_asDefined(int heads) {
    int n = 2;
    int length = 4;
    int rows = n * length;
    int c = 6;
    int d = c / heads;
    double[][] q = rows(array(DataType.FLOAT64, rows, c));
    double[][] k = rows(array(DataType.FLOAT64, rows, c));
    double[][] v = rows(array(DataType.FLOAT64, rows, c));
    double[] expected = new double[n * length * c];
    for (int image = 0; image < n; image++) {
      for (int head = 0; head < heads; head++) {
        for (int i = 0; i < length; i++) {
          double[] weight = new double[length];
          double total = 0;
          for (int j = 0; j < length; j++) {
            double dot = 0;
            for (int e = head * d; e < (head + 1) * d; e++) {
              dot += q[image * length + i][e] * k[image * length + j][e];
            }
            weight[j] = Math.exp(dot / Math.sqrt(d));
            total += weight[j];
          }
          for (int e = head * d; e < (head + 1) * d; e++) {
            for (int j = 0; j < length; j++) {
              expected[(image * length + i) * c + e] +=
                  weight[j] / total * v[image * length + j][e];
            }
          }
        }
      }
    }
    Shape shape = new Shape(n, length, c);

    NDArray actual =
        ops.attention(
            manager.create(flat(q), shape),
            manager.create(flat(k), shape),
            manager.create(flat(v), shape),
            heads);

    assertThat(actual.getShape()).isEqualTo(shape);
    assertClose(actual, expected, 1e-12);
  }

  /** Token by token: the last of the first i tokens, seen alone. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void causalAttention_everyToken_seesThoseBefore(int heads) {
    int length = 5;
    NDArray q = array(DataType.FLOAT64, 2, length, 6);
    NDArray k = array(DataType.FLOAT64, 2, length, 6);
    NDArray v = array(DataType.FLOAT64, 2, length, 6);

    NDArray actual = ops.causalAttention(q, k, v, heads);

    assertThat(actual.getShape()).isEqualTo(q.getShape());
    for (int i = 0; i < length; i++) {
      NDIndex seen = new NDIndex(":, :{}", i + 1);
      NDArray all = ops.attention(q.get(seen), k.get(seen), v.get(seen), heads);
      NDArray last = all.get(new NDIndex(":, {}", i));
      assertClose(actual.get(new NDIndex(":, {}", i)), last.toDoubleArray(), 1e-12);
    }
  }

  /** More pairs than are held at once: every query as if it were alone. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void attention_manyTokens_everyQueryAsAlone(int heads) {
    int keys = 3000;
    int queries = 2 * (EagerOps.MOST_PAIRS / keys) + 1;
    NDArray q = array(DataType.FLOAT64, 1, queries, 2);
    NDArray k = array(DataType.FLOAT64, 1, keys, 2);
    NDArray v = array(DataType.FLOAT64, 1, keys, 2);

    NDArray actual = ops.attention(q, k, v, heads);

    assertThat(actual.getShape()).isEqualTo(q.getShape());
    for (int i : new int[] {0, 1397, 1398, 2795, 2796}) {
      NDIndex one = new NDIndex(":, {}:{}", i, i + 1);
      double[] alone = ops.attention(q.get(one), k, v, heads).toDoubleArray();
      assertClose(actual.get(one), alone, 1e-12);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT64"})
  void layerNorm_bothTypes_asDefined(DataType type) {
    int channels = 5;
    double eps = 1e-2;
    NDArray x = array(type, 2, 3, channels);
    NDArray weight = array(type, channels);
    NDArray bias = array(type, channels);
    double[] values = doubles(x);
    double[] expected = new double[values.length];
    for (int first = 0; first < values.length; first += channels) {
      double[] row = Arrays.copyOfRange(values, first, first + channels);
      double mean = Arrays.stream(row).average().orElseThrow();
      double variance = Arrays.stream(row).map(a -> (a - mean) * (a - mean)).sum() / channels;
      for (int c = 0; c < channels; c++) {
        double normal = (row[c] - mean) / Math.sqrt(variance + eps);
        expected[first + c] = normal * doubles(weight)[c] + doubles(bias)[c];
      }
    }

    NDArray actual = ops.layerNorm(x, weight, bias, eps);

    assertThat(actual.getShape()).isEqualTo(x.getShape());
    // The engine takes ε as a float.
    assertClose(actual, expected, type == DataType.FLOAT32 ? 1e-5 : 1e-7);
  }

  @Test
  void quickGelu_values_asDefined() {
    double[] x = {-700, -3, -0.5, 0, 0.1, 2, 800};
    double[] expected = each(x, v -> v / (1 + Math.exp(-1.702 * v)));
    assertClose(ops.quickGelu(manager.create(x)), expected, 1e-12);
  }

  @ParameterizedTest
  @CsvSource({"1, 4, 4", "2, 3, 5", "3, 5, 2"})
  void attention_otherKeys_everyHeadAsDefined(int heads, int queries, int keys) {
    int c = 6;
    int d = c / heads;
    double[][] q = rows(array(DataType.FLOAT64, queries, c));
    double[][] k = rows(array(DataType.FLOAT64, keys, c));
    double[][] v = rows(array(DataType.FLOAT64, keys, c));
    double[] full = new double[queries * c];
    double[] linear = new double[queries * c];
    for (int e = 0; e < c; e++) {
      int first = e / d * d;
      double[][] ofKeys = softmax(k, first, d, true);
      double[][] ofQueries = softmax(q, first, d, false);
      for (int i = 0; i < queries; i++) {
        double total = 0;
        for (int j = 0; j < keys; j++) {
          double dot = 0;
          double product = 0;
          for (int f = 0; f < d; f++) {
            dot += q[i][first + f] * k[j][first + f];
            product += ofQueries[i][f] / Math.sqrt(d) * ofKeys[j][f];
          }
          double weight = Math.exp(dot / Math.sqrt(d));
          total += weight;
          full[i * c + e] += weight * v[j][e];
          linear[i * c + e] += product * v[j][e];
        }
        full[i * c + e] /= total;
      }
    }
    Shape shape = new Shape(1, queries, c);
    Shape others = new Shape(1, keys, c);
    NDArray query = manager.create(flat(q), shape);
    NDArray key = manager.create(flat(k), others);
    NDArray value = manager.create(flat(v), others);

    assertThat(ops.attention(query, key, value, heads).getShape()).isEqualTo(shape);
    assertClose(ops.attention(query, key, value, heads), full, 1e-12);
    assertThat(ops.linearAttention(query, key, value, heads).getShape()).isEqualTo(shape);
    assertClose(ops.linearAttention(query, key, value, heads), linear, 1e-12);
  }

  /** Over the tokens, or over the channels of a head. */
  private static double[][] softmax(double[][] rows, int first, int d, boolean overTokens) {
    double[][] result = new double[rows.length][d];
    for (int i = 0; i < rows.length; i++) {
      for (int f = 0; f < d; f++) {
        double total = 0;
        for (int other = 0; other < (overTokens ? rows.length : d); other++) {
          total += Math.exp(overTokens ? rows[other][first + f] : rows[i][first + other]);
        }
        result[i][f] = Math.exp(rows[i][first + f]) / total;
      }
    }
    return result;
  }

  @Test
  void appendTokens_everyImage_sameBehind() {
    NDArray tokens = manager.create(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, new Shape(2, 2, 2));
    NDArray more = manager.create(new float[] {-1, -2}, new Shape(1, 2));
    NDArray all = ops.appendTokens(tokens, more);
    assertThat(all.getShape()).isEqualTo(new Shape(2, 3, 2));
    assertThat(all.toFloatArray()).containsExactly(1, 2, 3, 4, -1, -2, 5, 6, 7, 8, -1, -2);
  }

  @Test
  void gelu_values_asDefined() {
    // scipy.special.ndtr(x) * x
    assertThat(ops.gelu(manager.create(new double[] {-1, 0, 0.5, 3})).toDoubleArray())
        .containsExactly(
            new double[] {-0.15865525393145707, 0, 0.34573123063700656, 2.99595030590511},
            within(1e-15));
  }

  @Test
  void dropout_inference_changesNothing() {
    NDArray x = array(DataType.FLOAT32, 10);
    assertThat(ops.dropout(x, 0.5, 0)).isSameAs(x);
    assertThat(EagerOps.training(1, 2).dropout(x, 0, 0)).isSameAs(x);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.1, 0.5, 0.999})
  void dropout_training_zeroAtTheRateAndMeanKept(double rate) {
    int size = 400_001;
    NDArray y = EagerOps.training(7, 3).dropout(manager.ones(new Shape(size)), rate, 5);

    float[] values = y.toFloatArray();
    long zeros = countZeros(values);
    double sd = Math.sqrt(size * rate * (1 - rate));
    assertThat((double) zeros).isCloseTo(size * rate, within(4 * sd));
    double kept = Math.max(values[0], y.max().getFloat());
    assertThat(kept).isCloseTo(1 / (1 - rate), within(0.01 / (1 - rate)));
    for (float value : values) {
      assertThat(value == 0 || value == (float) kept).isTrue();
    }
  }

  /** A rate below what 15 bits can tell drops nothing, and one as close to 1 nearly everything. */
  @ParameterizedTest
  @ValueSource(doubles = {1e-9, 1e-6, 1e-5, 1.5e-5})
  void dropout_tinyRate_dropsNothing(double rate) {
    float[] values =
        EagerOps.training(7, 3).dropout(manager.ones(new Shape(10_000)), rate, 5).toFloatArray();
    assertThat(countZeros(values)).isZero();
    assertThat(values[0]).isEqualTo(1);
  }

  @Test
  void dropout_rateNearOne_dropsNearlyAll() {
    int size = 400_000;
    float[] values =
        EagerOps.training(7, 3).dropout(manager.ones(new Shape(size)), 0.99999, 5).toFloatArray();
    assertThat(countZeros(values)).isBetween(size - 60L, (long) size);
  }

  @Test
  void dropout_sameSeedPassAndLayer_sameMask() {
    NDArray x = manager.ones(new Shape(4, 8, 8, 8));
    NDArray mask = EagerOps.training(7, 3).dropout(x, 0.5, 5);

    assertThat(EagerOps.training(7, 3).dropout(x, 0.5, 5)).isEqualTo(mask);
    assertThat(EagerOps.training(8, 3).dropout(x, 0.5, 5)).isNotEqualTo(mask);
    assertThat(EagerOps.training(7, 4).dropout(x, 0.5, 5)).isNotEqualTo(mask);
    assertThat(EagerOps.training(7, 3).dropout(x, 0.5, 6)).isNotEqualTo(mask);
  }

  @Test
  void dropout_mask_isPartOfWhatASeedMeans() {
    float[] mask =
        EagerOps.training(42, 1).dropout(manager.ones(new Shape(16)), 0.5, 2).toFloatArray();
    int[] twister = mersenneTwister((int) (long) EagerOps.dropoutSeed(42, 1, 2), 8);
    float[] expected = new float[16];
    for (int i = 0; i < 16; i++) {
      long bits = ((long) twister[i / 4 * 2] << 32) | (twister[i / 4 * 2 + 1] & 0xFFFFFFFFL);
      expected[i] = ((bits >>> (16 * (i % 4))) & 0x7FFF) < 0x4000 ? 2 : 0;
    }
    assertThat(mask).containsExactly(expected);
  }

  @Test
  void dropout_sameShapeInOtherTypeAndLayout_sameMask() {
    Shape shape = new Shape(2, 3, 4, 5);
    EagerOps training = EagerOps.training(1, 2);
    NDArray mask = training.dropout(manager.ones(shape), 0.5, 3);

    NDArray doubles = training.dropout(manager.ones(shape, DataType.FLOAT64), 0.5, 3);
    assertThat(doubles.toType(DataType.FLOAT32, false)).isEqualTo(mask);
    NDArray turned = manager.ones(new Shape(5, 4, 3, 2)).transpose(3, 2, 1, 0);
    assertThat(training.dropout(turned, 0.5, 3)).isEqualTo(mask);
  }

  /** The first draws of MT19937 (Matsumoto and Nishimura 1998). */
  private static int[] mersenneTwister(int seed, int count) {
    int size = 624;
    int[] state = new int[size];
    state[0] = seed;
    for (int i = 1; i < size; i++) {
      state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
    int[] draws = new int[count];
    for (int i = 0; i < count; i++) {
      int y = (state[i] & 0x80000000) | (state[i + 1] & 0x7FFFFFFF);
      y = state[i + 397] ^ (y >>> 1) ^ ((y & 1) == 0 ? 0 : 0x9908B0DF);
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9D2C5680;
      y ^= (y << 15) & 0xEFC60000;
      draws[i] = y ^ (y >>> 18);
    }
    return draws;
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.1, 1, Double.NaN})
  void dropout_rateOutside_refused(double rate) {
    assertThatThrownBy(() -> ops.dropout(manager.ones(new Shape(1)), rate, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("dropout rate must be in [0, 1), but was " + rate);
  }

  @Test
  void scope_intermediates_closedAndResultKept() {
    NDArray x = array(DataType.FLOAT32, 3);
    NDArray[] inner = new NDArray[1];
    int before = manager.getManagedArrays().size();

    NDArray y =
        ops.scope(
            () -> {
              inner[0] = x.add(1);
              return inner[0].mul(inner[0]);
            });

    assertThat(inner[0].isReleased()).isTrue();
    assertThat(y.isReleased()).isFalse();
    assertThat(x.isReleased()).isFalse();
    assertThat(manager.getManagedArrays()).hasSize(before + 1);
  }

  @Test
  void scope_nested_resultOfInnerEndsWithOuter() {
    NDArray x = array(DataType.FLOAT32, 3);
    NDArray[] inner = new NDArray[1];
    NDArray y =
        ops.scope(
            () -> {
              inner[0] = ops.scope(() -> x.add(1));
              return inner[0].add(1);
            });
    assertThat(inner[0].isReleased()).isTrue();
    assertThat(y.isReleased()).isFalse();
  }

  @Test
  @SuppressWarnings("try")
  void scope_insideForeignNDScope_resultEndsWithIt() {
    NDArray x = array(DataType.FLOAT32, 3);
    NDArray y;
    try (NDScope foreign = new NDScope()) {
      y = ops.scope(() -> x.add(1));
      assertThat(y.isReleased()).isFalse();
    }
    assertThat(y.isReleased()).isTrue();
  }

  @Test
  void scope_bodyThrows_intermediatesClosed() {
    NDArray x = array(DataType.FLOAT32, 3);
    int before = manager.getManagedArrays().size();
    assertThatThrownBy(
            () ->
                ops.scope(
                    () -> {
                      x.add(1);
                      throw new IllegalStateException("no");
                    }))
        .hasMessage("no");
    assertThat(manager.getManagedArrays()).hasSize(before);
    // and the thread's stack of scopes is as before
    NDArray after = x.add(1);
    assertThat(after.isReleased()).isFalse();
  }

  @Test
  void scope_training_gradientsSurviveClosedIntermediatesAndGarbageCollection() {
    EagerOps training = EagerOps.training(3, 0);
    NDArray x = array(DataType.FLOAT64, 2, 4, 6, 6);
    x.setRequiresGradient(true);
    NDArray weight = manager.ones(new Shape(4), DataType.FLOAT64);
    NDArray bias = manager.zeros(new Shape(4), DataType.FLOAT64);
    double[] gradient;
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray y =
          training.scope(
              () -> {
                NDArray h = training.silu(training.groupNorm(x, 2, weight, bias, 1e-6));
                h = training.scale(training.dropout(h, 0.5, 0), 3);
                NDArray tokens = training.tokens(h);
                return training.meanPerImage(
                    training.square(training.attention(tokens, tokens, tokens, 2)));
              });
      System.gc();
      collector.backward(y.sum());
      gradient = x.getGradient().toDoubleArray();
    }
    double h = 1e-6;
    for (int i : new int[] {0, 17, 100, 287}) {
      double slope = (loss(training, x, i, h) - loss(training, x, i, -h)) / (2 * h);
      assertThat(gradient[i]).as("element %d", i).isCloseTo(slope, within(1e-7));
    }
  }

  private double loss(EagerOps training, NDArray x, int index, double step) {
    double[] values = x.toDoubleArray();
    values[index] += step;
    NDArray moved = manager.create(values, x.getShape());
    NDArray weight = manager.ones(new Shape(4), DataType.FLOAT64);
    NDArray bias = manager.zeros(new Shape(4), DataType.FLOAT64);
    NDArray h = training.silu(training.groupNorm(moved, 2, weight, bias, 1e-6));
    h = training.scale(training.dropout(h, 0.5, 0), 3);
    NDArray tokens = training.tokens(h);
    return training
        .meanPerImage(training.square(training.attention(tokens, tokens, tokens, 2)))
        .sum()
        .getDouble();
  }

  private NDArray array(DataType type, long... shape) {
    double[] values = random.doubles(new Shape(shape).size(), -1, 1).toArray();
    return manager.create(values, new Shape(shape)).toType(type, true);
  }

  private static double[][] rows(NDArray matrix) {
    int columns = (int) matrix.getShape().get(1);
    double[] values = matrix.toDoubleArray();
    double[][] rows = new double[values.length / columns][];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = Arrays.copyOfRange(values, i * columns, (i + 1) * columns);
    }
    return rows;
  }

  private static double[] flat(double[][] rows) {
    return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
  }

  private static double[] doubles(NDArray array) {
    return array.toType(DataType.FLOAT64, true).toDoubleArray();
  }

  private static long countZeros(float[] values) {
    long zeros = 0;
    for (float value : values) {
      zeros += value == 0 ? 1 : 0;
    }
    return zeros;
  }

  private static void assertClose(NDArray actual, double[] expected, double tolerance) {
    double[] values = doubles(actual);
    assertThat(values).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < values.length; i++) {
      worst = Math.max(worst, Math.abs(values[i] - expected[i]) / (1 + Math.abs(expected[i])));
    }
    assertThat(worst).as("largest difference of 1 + |x|").isLessThanOrEqualTo(tolerance);
  }
}
