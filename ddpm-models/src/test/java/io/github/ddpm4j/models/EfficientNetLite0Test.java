package io.github.ddpm4j.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/**
 * Against features that torch computed in float32: of the published weights, and of those of our
 * file.
 */
class EfficientNetLite0Test {

  private static final int PICTURES = 2;

  /** What float16 does to the weights, as a share of the features' norm: 0.6 % was measured. */
  private static final double ROUNDED = 1e-2;

  @Test
  void of_isWhatTorchComputes() throws IOException {
    double[][] wanted = golden();
    try (EfficientNetLite0 features = EfficientNetLite0.load(Device.cpu());
        NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      double[][] actual = features.of(pictures(manager));
      assertThat(features).hasToString("EfficientNet-Lite0");
      for (int i = 0; i < PICTURES; i++) {
        assertThat(actual[i]).hasSize(EfficientNetLite0.COUNT);
        assertThat(distance(actual[i], wanted[i]) / norm(wanted[i]))
            .as("the relative difference of picture %s from the published weights", i)
            .isBetween(1e-4, ROUNDED);
        double[] own = wanted[PICTURES + i];
        assertThat(distance(actual[i], own) / norm(own))
            .as("the relative difference of picture %s from the same weights", i)
            .isLessThan(1e-5);
      }
      assertThat(distance(wanted[0], wanted[1]) / norm(wanted[0])).isGreaterThan(0.3);
    }
  }

  /** Grey pictures count as colour ones of equal channels; batches change nothing. */
  @Test
  void of_grey_manyAndDoubles_areTheSame() throws IOException {
    try (EfficientNetLite0 features = EfficientNetLite0.load(Device.cpu());
        NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray grey = pictures(manager).get(":, 0:1");
      double[] one = features.of(grey.get("0:1"))[0];
      NDArray many = grey.get("0:1").repeat(0, 9).repeat(1, 3).toType(DataType.FLOAT64, true);
      double[][] all = features.of(many);
      assertThat(all).hasNumberOfRows(9);
      for (double[] row : all) {
        assertThat(distance(row, one) / norm(one)).isLessThan(1e-5);
      }
      assertThatThrownBy(() -> features.of(manager.zeros(new Shape(2, 2, 8, 8))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("images must have shape (N, 1, H, W) or (N, 3, H, W), but had (2, 2, 8, 8)");
      assertThatThrownBy(() -> features.of(grey.sign().mul(255)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "images must lie in [-1, 1], but hold a value of size 255.0; map them, or clip them if"
                  + " that is meant");
      features.close();
      features.close();
      assertThatThrownBy(() -> features.of(grey))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("these features are closed; load them again");
    }
  }

  private static NDArray pictures(NDManager manager) {
    float[] values = new float[PICTURES * 3 * 32 * 32];
    int at = 0;
    for (int n = 0; n < PICTURES; n++) {
      for (int c = 0; c < 3; c++) {
        for (int h = 0; h < 32; h++) {
          for (int w = 0; w < 32; w++) {
            values[at++] = (float) Math.sin(0.1 * (n + 1) * (c + 1) * h + 0.07 * (c + 2) * w);
          }
        }
      }
    }
    return manager.create(values, new Shape(PICTURES, 3, 32, 32));
  }

  private static double[][] golden() throws IOException {
    try (var in =
        Objects.requireNonNull(
            EfficientNetLite0Test.class.getResourceAsStream("lite0.f32le.bin"))) {
      ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
      double[][] rows = new double[2 * PICTURES][EfficientNetLite0.COUNT];
      for (double[] row : rows) {
        for (int i = 0; i < row.length; i++) {
          row[i] = bytes.getFloat();
        }
      }
      return rows;
    }
  }

  private static double distance(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(sum);
  }

  private static double norm(double[] a) {
    return distance(a, new double[a.length]);
  }
}
