package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.unet.ContextUNet;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights that are rounded while they are read. */
class HeldLoadingTest {

  @TempDir private Path folder;

  private static UNetBuilder network(int channels) {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(channels)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .groups(8)
        .seed(1);
  }

  private Path saved(UNet unet) throws IOException {
    Path target = folder.resolve("model");
    Pretrained.saveDiffusers(DDPM.builder().denoiser(unet).build(), target);
    return target;
  }

  private static Map<String, float[]> values(UNet unet) {
    Map<String, float[]> values = new LinkedHashMap<>();
    unet.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  @Test
  void load_held_theWeightsOfLoadingAndHolding() throws IOException {
    try (UNet unet = network(8).build()) {
      Path model = saved(unet);
      for (Precision precision : new Precision[] {Precision.BFLOAT16, Precision.FLOAT16}) {
        try (Pretrained held = Pretrained.options().hold(precision).load(model)) {
          UNet loaded = held.ddpm().denoiser(UNet.class);
          assertThatThrownBy(loaded::weights)
              .isInstanceOf(IllegalStateException.class)
              .hasMessage(
                  "the weights of the U-Net are held in "
                      + precision
                      + ", for predictions alone; call hold(Precision.FLOAT32) first");
          Map<String, float[]> rounded = values(loaded.hold(Precision.FLOAT32));
          Map<String, float[]> same = values(unet.copy().hold(precision).hold(Precision.FLOAT32));
          assertThat(rounded).usingRecursiveComparison().isEqualTo(same);
          assertThat(rounded.get("conv_in.weight"))
              .isNotEqualTo(values(unet).get("conv_in.weight"));
          assertThat(rounded.get("conv_in.bias")).isEqualTo(values(unet).get("conv_in.bias"));
        }
      }
    }
    assertThatThrownBy(() -> Pretrained.options().hold(Precision.AUTO))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("weights must be held in FLOAT32, BFLOAT16 or FLOAT16, but was AUTO");
  }

  /** A file of this library's own, which is loaded whole. */
  @Test
  void load_heldOfOurOwn_rounded() throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (UNet unet = network(8).build()) {
      DDPM.builder().denoiser(unet).build().saveSafetensors(file);
      try (Pretrained held = Pretrained.options().hold(Precision.BFLOAT16).load(file)) {
        UNet loaded = held.ddpm().denoiser(UNet.class).hold(Precision.FLOAT32);
        assertThat(values(loaded))
            .usingRecursiveComparison()
            .isEqualTo(values(unet.hold(Precision.BFLOAT16).hold(Precision.FLOAT32)));
      }
    }
    Path other = folder.resolve("context.safetensors");
    try (ContextUNet context = new ContextUNet.Config(1, 8, 10, 400).build(1)) {
      DDPM.builder().timesteps(400).denoiser(context).build().saveSafetensors(other);
    }
    assertThatThrownBy(() -> Pretrained.options().hold(Precision.BFLOAT16).load(other))
        .isInstanceOf(IOException.class)
        .hasMessage(
            other + " is no U-Net, whose weights alone are held in 16 bits: leave out hold(...)");
  }

  /** Never all of it lies there in float32: the peak is about half of it. */
  @Test
  void load_held_peakBelowThatOfFloats() throws IOException {
    Path reset = Path.of("/proc/self/clear_refs");
    assumeTrue(Files.isWritable(reset), "the peak of a process is known on Linux alone");
    Path model;
    long bytes = 0;
    try (UNet unet = network(256).build()) {
      for (NDArray weight : unet.weights().values()) {
        bytes += 4 * weight.size();
      }
      model = saved(unet);
    }
    assertThat(bytes).isGreaterThan(100_000_000);
    Files.writeString(reset, "5");
    long before = peak();
    try (Pretrained held = Pretrained.options().hold(Precision.BFLOAT16).load(model)) {
      assertThat(held.ddpm().denoiser()).isPresent();
      assertThat(peak() - before).isLessThan(bytes * 8 / 10);
    }
  }

  /** The most that was resident since the last reset. */
  private static long peak() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmHWM:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .findFirst()
        .orElseThrow();
  }
}
