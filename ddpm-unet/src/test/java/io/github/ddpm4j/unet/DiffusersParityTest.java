package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.io.IOException;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The network against networks of diffusers 0.42.1 under torch 2.7.1 with random weights, element
 * by element. The fixtures, and the script that made them, are in src/test/resources/fixtures.
 */
class DiffusersParityTest {

  @ParameterizedTest
  @ValueSource(
      strings = {"paper", "gray", "heads", "allsides", "odd", "single", "classes", "channels"})
  void predict_weightsOfDiffusers_sameOutput(String name) throws IOException {
    Fixture fixture = Fixture.read(name);
    try (UNet unet = fixture.builder().build();
        NDManager manager = NDManager.newBaseManager()) {
      fixture.fill(unet);

      NDArray actual =
          unet.predict(
              fixture.input(manager), levels(fixture.timesteps()), fixture.condition(manager));
      assertSame(name, actual, fixture.output());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"paper", "heads", "classes", "channels"})
  void predictForTraining_dropoutZero_sameOutput(String name) throws IOException {
    Fixture fixture = Fixture.read(name);
    try (UNet unet = fixture.builder().dropout(0).build();
        NDManager manager = NDManager.newBaseManager()) {
      fixture.fill(unet);

      NDArray actual =
          unet.predictForTraining(
              fixture.input(manager),
              levels(fixture.timesteps()),
              fixture.condition(manager),
              new TrainableDenoiser.Pass(1, 1));
      assertSame(name + " in training", actual, fixture.output());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"paper", "gray", "heads", "allsides", "odd", "single", "classes", "channels"})
  void weights_namesAndShapes_asDiffusers(String name) throws IOException {
    Fixture fixture = Fixture.read(name);
    Map<String, Shape> expected = new HashMap<>();
    fixture.weights().forEach((key, tensor) -> expected.put(key, tensor.shape()));
    Map<String, Shape> actual = new HashMap<>();
    try (UNet unet = fixture.builder().build()) {
      unet.weights().forEach((key, weight) -> actual.put(key, weight.getShape()));
    }
    assertThat(actual).isEqualTo(expected);
  }

  @Test
  void heads_countInPlaceOfWidth_sameNetwork() throws IOException {
    Fixture fixture = Fixture.read("single");
    try (UNet two = fixture.builder().heads(2).build();
        UNet one = fixture.builder().heads(1).build();
        NDManager manager = NDManager.newBaseManager()) {
      fixture.fill(two);
      fixture.fill(one);
      NDArray x = fixture.input(manager);
      NoiseLevels levels = levels(fixture.timesteps());

      assertSame("single", two.predict(x, levels, Condition.none()), fixture.output());
      assertThat(largest(one.predict(x, levels, Condition.none()), fixture.output()))
          .as("one head is another network")
          .isGreaterThan(1e-3);
    }
  }

  private static NoiseLevels levels(double[] timesteps) {
    return Levels.at(timesteps);
  }

  private static double largest(NDArray actual, float[] expected) {
    float[] values = actual.toFloatArray();
    double largest = 0;
    for (int i = 0; i < values.length; i++) {
      largest = Math.max(largest, Math.abs((double) values[i] - expected[i]));
    }
    return largest;
  }

  /** |Δ| at most 1e-4 of |expected|, or 1e-5 where that is small. */
  private static void assertSame(String name, NDArray actual, float[] expected) {
    float[] values = actual.toFloatArray();
    assertThat(values).hasSameSizeAs(expected);
    double largest = 0;
    double share = 0;
    for (int i = 0; i < values.length; i++) {
      double difference = Math.abs((double) values[i] - expected[i]);
      largest = Math.max(largest, difference);
      share = Math.max(share, difference / Math.max(1e-4 * Math.abs(expected[i]), 1e-5));
    }
    System.out.printf(
        Locale.ROOT,
        "%s: largest difference %.2g, %.3f of what is allowed%n",
        name,
        largest,
        share);
    assertThat(share)
        .as("%s: largest difference %s; share of what is allowed", name, largest)
        .isLessThanOrEqualTo(1);
  }
}
