package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Networks of signals and of volumes beside those of images. */
class UNetAxesTest {

  private static final NoiseLevels LEVELS = NoiseLevels.of(Schedules.linear(1000), 300, 700);

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** A layout in which a height of one stays one on every level. */
  private static UNetBuilder builder() {
    return UNet.builder()
        .image(2, 1, 12)
        .levelChannels(8, 12, 8)
        .groups(4)
        .attentionAtLevels(1)
        .heads(2)
        .residualBlocks(1)
        .dropout(0)
        .downsamplePadding(DownsamplePadding.ALL_SIDES)
        .seed(3);
  }

  private NDArray noise(long draw, Shape shape) {
    return NoiseSource.seeded(1).array(manager, 0, draw, shape, DataType.FLOAT32);
  }

  /** The last layers of branches start at zero, and would hide what is wrong before them. */
  private void disturb(UNet network) {
    long draw = 0;
    for (NDArray weight : network.weights().values()) {
      weight.addi(noise(draw++, weight.getShape()).mul(0.1));
    }
  }

  /**
   * Gives a network the weights of one with an axis less, in the middle of what is new: along an
   * axis of one pixel, whatever else a kernel has meets the zeros of the padding alone.
   */
  private static void embed(UNet narrow, UNet wide) {
    Map<String, NDArray> weights = wide.weights();
    narrow
        .weights()
        .forEach(
            (name, weight) -> {
              NDArray target = weights.get(name);
              if (target.getShape().equals(weight.getShape())) {
                target.set(new NDIndex("..."), weight);
              } else {
                target.set(new NDIndex("..."), 0);
                target.set(new NDIndex(":, :, {}", target.getShape().get(2) / 2), weight);
              }
            });
  }

  private static double difference(NDArray actual, NDArray expected) {
    assertThat(expected.abs().max().getFloat()).isGreaterThan(0.1f);
    return actual.sub(expected).abs().max().getFloat() / expected.abs().max().getFloat();
  }

  @ParameterizedTest
  @EnumSource
  void signal_asImagesOfHeightOne(Execution execution) {
    try (UNet signals = builder().signal(2, 12).build().runAs(execution, Precision.FLOAT32);
        UNet images = builder().build().runAs(execution, Precision.FLOAT32)) {
      disturb(signals);
      embed(signals, images);
      NDArray x = noise(0, new Shape(2, 2, 12));

      NDArray actual = signals.predict(x, LEVELS, Condition.none());

      NDArray expected = images.predict(x.expandDims(2), LEVELS, Condition.none());
      assertThat(actual.getShape()).isEqualTo(x.getShape());
      assertThat(difference(actual, expected.squeeze(2))).isLessThan(2e-6);
    }
  }

  @ParameterizedTest
  @EnumSource
  void volumeOfDepthOne_asItsImage(Execution execution) {
    try (UNet images = builder().image(2, 4, 12).build().runAs(execution, Precision.FLOAT32);
        UNet volumes = builder().volume(2, 1, 4, 12).build().runAs(execution, Precision.FLOAT32)) {
      disturb(images);
      embed(images, volumes);
      NDArray x = noise(0, new Shape(2, 2, 4, 12));

      NDArray actual = volumes.predict(x.expandDims(2), LEVELS, Condition.none());

      NDArray expected = images.predict(x, LEVELS, Condition.none());
      assertThat(difference(actual.squeeze(2), expected)).isLessThan(2e-6);
    }
  }

  /** Rounding of eight bits through a small network. */
  @ParameterizedTest
  @EnumSource(names = {"BFLOAT16", "FLOAT16"})
  void predict_sixteenBits_nearFloat32(Precision precision) {
    for (UNetBuilder builder : new UNetBuilder[] {builder().signal(2, 12), volumes()}) {
      try (UNet network = builder.build()) {
        disturb(network);
        NDArray x = noise(0, new Shape(2).addAll(network.config().imageShape()));
        NDArray expected = network.predict(x, LEVELS, Condition.none());

        NDArray actual =
            network.runAs(Execution.COMPILED, precision).predict(x, LEVELS, Condition.none());

        assertThat(difference(actual, expected)).as("%s", network).isBetween(1e-6, 0.1);
      }
    }
  }

  private static UNetBuilder volumes() {
    return builder().volume(2, 2, 4, 6);
  }

  @Test
  void describe_signalAndVolume_readBack() {
    UNetConfig signals = builder().signal(2, 12).config();
    assertThat(signals.describe().toString()).startsWith("{signal=[2, 12], levelChannels=");
    assertThat(UNetConfig.of(signals.describe())).isEqualTo(signals);
    assertThat(signals.toBuilder().config()).isEqualTo(signals);
    UNetConfig volumes = volumes().config();
    assertThat(volumes.describe().toString()).startsWith("{volume=[2, 2, 4, 6], levelChannels=");
    assertThat(UNetConfig.of(volumes.describe())).isEqualTo(volumes);
    assertThat(volumes.imageShape()).isEqualTo(new Shape(2, 2, 4, 6));
    assertThat(signals).isNotEqualTo(builder().config());
  }

  /** As images of height one whose convolutions have a third of the weights. */
  @Test
  void summary_signal_aThirdOfTheConvolutions() {
    UNetConfig signals = builder().signal(2, 12).config();
    UNetConfig images = builder().config();
    long convolutions =
        images.weightShapes().values().stream()
            .filter(shape -> shape.dimension() == 4 && shape.get(3) == 3)
            .mapToLong(Shape::size)
            .sum();
    assertThat(signals.parameterCount()).isEqualTo(images.parameterCount() - convolutions / 3 * 2);
    assertThat(signals.weightShapes()).containsEntry("conv_in.weight", new Shape(8, 2, 3));
    assertThat(signals.multiplyAdds()).isLessThan(images.multiplyAdds());
    assertThat(signals.summary().lines().toList())
        .anyMatch(line -> line.matches("conv_in +\\(8, 12\\) +56 +576"));
  }

  @Test
  void predict_otherAxes_refused() {
    try (UNet signals = builder().signal(2, 12).build()) {
      assertThatThrownBy(
              () ->
                  signals.predict(manager.zeros(new Shape(2, 2, 1, 12)), LEVELS, Condition.none()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("images must have the shape (N, 2, 12), but have (2, 2, 1, 12)");
    }
  }
}
