package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import org.junit.jupiter.api.Test;

/** The weights of a network, for images of another size. */
class SizedUNetTest {

  private static UNetBuilder builder(int height, int width) {
    return UNet.builder()
        .image(1, height, width)
        .baseChannels(8)
        .groups(4)
        .channelMultipliers(1, 2)
        .attentionAtLevels(1)
        .residualBlocks(1)
        .dropout(0)
        .seed(3);
  }

  @Test
  void resized_anyExecution_isTheNetworkBuiltSo() {
    for (Execution execution : Execution.values()) {
      try (NDManager manager = NDManager.newBaseManager();
          UNet network = builder(8, 8).build().runAs(execution, Precision.FLOAT32);
          UNet large = builder(12, 10).build();
          Denoiser view = network.resized(12, 10)) {
        // The last convolution starts at zero.
        network.weights().get("conv_out.weight").addi(0.1);
        large.weights().get("conv_out.weight").addi(0.1);
        NDArray x =
            NoiseSource.seeded(1).array(manager, 0, 0, new Shape(2, 1, 12, 10), DataType.FLOAT32);
        NoiseLevels levels = NoiseLevels.of(Schedules.linear(1000), 300, 700);
        NDArray expected = large.predict(x, levels, Condition.none());
        NDArray actual = view.predict(x, levels, Condition.none());
        assertThat(view.imageShape()).contains(new Shape(1, 12, 10));
        assertThat(expected.abs().max().getFloat()).isGreaterThan(0.01f);
        assertThat(actual.sub(expected).abs().max().getFloat()).isLessThan(1e-5f);
        // The weights are live.
        network.weights().get("conv_out.weight").muli(0);
        assertThat(view.predict(x, levels, Condition.none()).abs().max().getFloat()).isZero();
      }
    }
  }

  @Test
  void resized_signal_asBuiltSo() {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = builder(8, 8).signal(2, 16).build();
        UNet large = builder(8, 8).signal(2, 20).build();
        Denoiser view = network.resized(20)) {
      network.weights().get("conv_out.weight").addi(0.1);
      large.weights().get("conv_out.weight").addi(0.1);
      NDArray x = NoiseSource.seeded(1).array(manager, 0, 0, new Shape(2, 2, 20), DataType.FLOAT32);
      NoiseLevels levels = NoiseLevels.of(Schedules.linear(1000), 300, 700);
      assertThat(view.imageShape()).contains(new Shape(2, 20));
      NDArray expected = large.predict(x, levels, Condition.none());
      NDArray actual = view.predict(x, levels, Condition.none());
      assertThat(expected.abs().max().getFloat()).isGreaterThan(0.01f);
      assertThat(actual.sub(expected).abs().max().getFloat()).isLessThan(1e-5f);
      assertThatThrownBy(() -> network.resized(20, 20))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "there must be as many sizes as images of (2, 16) have axes, 1, but they were [20,"
                  + " 20]");
    }
  }

  @Test
  void predict_viewOrNetworkClosed_isRefused() {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = builder(8, 8).build()) {
      Denoiser view = network.resized(4, 4);
      Denoiser other = network.resized(4, 4);
      NDArray x = manager.zeros(new Shape(1, 1, 4, 4));
      NoiseLevels levels = NoiseLevels.of(Schedules.linear(1000), 3);
      view.close();
      assertThatThrownBy(() -> view.predict(x, levels, Condition.none()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "this view of the U-Net is closed; ask the network for another by resized(height,"
                  + " width)");
      network.close();
      assertThatThrownBy(() -> other.predict(x, levels, Condition.none()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the U-Net is closed and its weights are freed; build or load another one");
      other.close();
    }
  }

  /** A view's program knows how weights were held when it was made. */
  @Test
  void hold_viewThatIsThere_predictsNoMore() {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = builder(8, 8).build();
        Denoiser before = network.resized(4, 4)) {
      NDArray x = manager.ones(new Shape(1, 1, 4, 4));
      NoiseLevels levels = NoiseLevels.of(Schedules.linear(1000), 3);
      network.weights().get("conv_out.weight").addi(0.125);
      NDArray expected = before.predict(x, levels, Condition.none());
      network.hold(Precision.BFLOAT16);
      assertThatThrownBy(() -> before.predict(x, levels, Condition.none()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the U-Net holds its weights in BFLOAT16 since this view was made, which knows them"
                  + " in FLOAT32; ask the network for another by resized(height, width)");
      try (Denoiser after = network.resized(4, 4)) {
        NDArray actual = after.predict(x, levels, Condition.none());
        assertThat(actual.sub(expected).abs().max().getFloat()).isBetween(1e-7f, 0.05f);
      }
    }
  }
}
