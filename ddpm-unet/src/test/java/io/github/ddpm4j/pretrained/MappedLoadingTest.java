package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.internal.running.MappedWeights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Weights that stay in their file. */
class MappedLoadingTest {

  private static final String REFUSAL =
      "the weights of the U-Net are held in pages of files, for predictions alone; call"
          + " hold(Precision.FLOAT32) first";

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder network(int channels) {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(channels)
        .channelMultipliers(1, 2)
        .attentionAt(4)
        .residualBlocks(1)
        .groups(8)
        .seed(1);
  }

  private Path saved(UNet unet, DataType type) throws IOException {
    Path target = folder.resolve("model");
    Pretrained.saveDiffusers(DDPM.builder().denoiser(unet).build(), target);
    if (type != DataType.FLOAT32) {
      Safetensors.write(weights(), unet.weights(), Map.of(), type);
    }
    return target;
  }

  private Path weights() {
    return folder.resolve("model/unet/diffusion_pytorch_model.safetensors");
  }

  private float[] predicted(Denoiser network, int side) {
    NDArray x = manager.arange(2f * side * side).div(100).sub(1).reshape(2, 1, side, side);
    NoiseLevels levels = NoiseLevels.of(Schedules.linear(1000), 300, 700);
    return network.predict(x, levels, Condition.none()).toFloatArray();
  }

  private static Map<String, float[]> values(UNet unet) {
    Map<String, float[]> values = new LinkedHashMap<>();
    unet.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  /** How many mappings of the file of weights this process has. */
  private long mappings() throws IOException {
    Path maps = Path.of("/proc/self/maps");
    return Files.isReadable(maps)
        ? Files.readAllLines(maps).stream().filter(l -> l.contains(folder.toString())).count()
        : -1;
  }

  /** Whatever they are held and computed in: mapped, they are the same numbers. */
  @ParameterizedTest
  @CsvSource({
    "FLOAT32, FLOAT32",
    "BFLOAT16, FLOAT32",
    "FLOAT16, FLOAT32",
    "FLOAT32, BFLOAT16",
    "BFLOAT16, BFLOAT16",
    "FLOAT16, BFLOAT16"
  })
  void load_mapped_thePredictionsOfReading(DataType file, Precision computed) throws IOException {
    try (UNet unet = network(8).build()) {
      Path model = saved(unet, file);
      Precision same = Precision.valueOf(file.name());
      try (Pretrained mapped = Pretrained.options().mapped().load(model);
          Pretrained read = Pretrained.options().hold(same).load(model)) {
        assertThat(mappings()).isIn(1L, -1L);
        UNet pages = mapped.ddpm().denoiser(UNet.class).runAs(Execution.COMPILED, computed);
        UNet memory = read.ddpm().denoiser(UNet.class).runAs(Execution.COMPILED, computed);
        assertThat(predicted(pages, 8)).isEqualTo(predicted(memory, 8));
        try (Denoiser large = pages.resized(16, 16);
            Denoiser other = memory.resized(16, 16)) {
          assertThat(predicted(large, 16)).isEqualTo(predicted(other, 16));
        }
      }
      assertThat(mappings()).isIn(0L, -1L);
    }
  }

  @Test
  void hold_afterwards_inMemoryAndTheFileLetGo() throws IOException {
    try (UNet unet = network(8).build()) {
      Path model = saved(unet, DataType.FLOAT32);
      for (Precision precision : new Precision[] {Precision.FLOAT32, Precision.BFLOAT16}) {
        try (Pretrained mapped = Pretrained.options().mapped().load(model)) {
          UNet pages = mapped.ddpm().denoiser(UNet.class);
          try (Denoiser view = pages.resized(16, 16)) {
            pages.hold(precision);
            assertThat(mappings()).isIn(0L, -1L);
            assertThatThrownBy(() -> predicted(view, 16))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage(
                    "the U-Net holds its weights in "
                        + precision
                        + " since this view was made, which knows them in pages of files; ask the"
                        + " network for another by resized(height, width)");
          }
          try (UNet same = unet.copy().hold(precision)) {
            assertThat(predicted(pages, 8)).isEqualTo(predicted(same, 8));
            assertThat(values(pages.hold(Precision.FLOAT32)))
                .usingRecursiveComparison()
                .isEqualTo(values(same.hold(Precision.FLOAT32)));
          }
          pages.copy().close();
        }
      }
    }
  }

  @Test
  void mapped_whatNeedsMemory_refused() throws IOException {
    try (UNet unet = network(8).build();
        Pretrained mapped = Pretrained.options().mapped().load(saved(unet, DataType.FLOAT32))) {
      UNet pages = mapped.ddpm().denoiser(UNet.class);
      assertThatThrownBy(pages::weights)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(REFUSAL);
      assertThatThrownBy(pages::copy).hasMessage(REFUSAL);
      assertThatThrownBy(pages::beginTraining).hasMessage(REFUSAL);
      assertThatThrownBy(() -> pages.exportTorchScript(folder.resolve("a.pt"))).hasMessage(REFUSAL);
      Path other = folder.resolve("other");
      assertThatThrownBy(() -> mapped.ddpm().save(other)).hasMessage(REFUSAL);
      assertThatThrownBy(() -> Pretrained.saveDiffusers(mapped.ddpm(), other)).hasMessage(REFUSAL);
      assertThatThrownBy(() -> pages.runAs(Execution.EAGER, Precision.FLOAT32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "execution EAGER needs weights in FLOAT32, but they are held in pages of files;"
                  + " choose execution COMPILED or call hold(Precision.FLOAT32)");
    }
  }

  @Test
  void load_mappedWhatCannotBe_refused() throws IOException {
    Path own = folder.resolve("own.safetensors");
    try (UNet unet = network(8).build()) {
      Path model = saved(unet, DataType.FLOAT32);
      DDPM.builder().denoiser(unet).build().saveSafetensors(own);
      assertThatThrownBy(() -> Pretrained.options().mapped().hold(Precision.BFLOAT16).load(model))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "mapped weights stay as their files have them: leave out hold(BFLOAT16) or mapped()");
    }
    assertThatThrownBy(() -> MappedWeights.requireAlone(Device.gpu(0), Precision.FLOAT32, false))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "weights are mapped on the CPU alone, but the device is gpu(0): leave out mapped() or"
                + " choose Device.cpu()");
    assertThatThrownBy(() -> Pretrained.options().mapped().load(own))
        .isInstanceOf(IOException.class)
        .hasMessage(own + " is a model of this library, which is read whole: leave out mapped()");
    Path context = Path.of("../ddpm-core/src/test/resources/torch/teapearce-ddp.pth");
    assertThatThrownBy(() -> Pretrained.options().mapped().load(context))
        .isInstanceOf(IOException.class)
        .hasMessage(
            context
                + ", below \"module.nn_model.\" is no U-Net, whose weights alone are mapped: leave"
                + " out mapped()");
  }

  /** A header of an odd length, as old versions of safetensors wrote: everything is read. */
  @Test
  void load_mappedAtOddPlaces_read() throws IOException {
    try (UNet unet = network(8).build()) {
      Path model = saved(unet, DataType.FLOAT32);
      byte[] bytes = Files.readAllBytes(weights());
      byte[] odd = new byte[bytes.length + 1];
      int header = 8 + Byte.toUnsignedInt(bytes[0]) + (Byte.toUnsignedInt(bytes[1]) << 8);
      System.arraycopy(bytes, 0, odd, 0, header);
      odd[header] = ' ';
      System.arraycopy(bytes, header, odd, header + 1, bytes.length - header);
      odd[0]++;
      Files.write(weights(), odd);
      try (Pretrained mapped = Pretrained.options().mapped().load(model)) {
        UNet pages = mapped.ddpm().denoiser(UNet.class);
        assertThat(mappings()).isIn(0L, -1L);
        assertThat(predicted(pages, 8)).isEqualTo(predicted(unet, 8));
        assertThatThrownBy(pages::weights).hasMessage(REFUSAL);
      }
    }
  }

  /** No memory but that of the file's pages, which others that map it share. */
  @Test
  void load_mapped_noMemoryOfItsOwn() throws IOException {
    assumeTrue(Files.isReadable(Path.of("/proc/self/status")), "known on Linux alone");
    Path model;
    long bytes = 0;
    try (UNet unet = network(256).build()) {
      for (NDArray weight : unet.weights().values()) {
        bytes += 4 * weight.size();
      }
      model = saved(unet, DataType.FLOAT32);
    }
    assertThat(bytes).isGreaterThan(100_000_000);
    long before = resident("RssAnon:");
    long files = resident("RssFile:");
    try (Pretrained mapped = Pretrained.options().mapped().load(model)) {
      assertThat(resident("RssAnon:") - before).isLessThan(bytes / 4);
      assertThat(resident("RssFile:") - files).isLessThan(bytes / 4);
      predicted(mapped.ddpm().denoiser(UNet.class), 8);
      assertThat(resident("RssFile:") - files).isGreaterThan(bytes * 3 / 4);
    }
    assertThat(resident("RssFile:") - files).isLessThan(bytes / 4);
  }

  private static long resident(String kind) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith(kind))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void load_damaged_theMessageOfReadingAndNothingLeft() throws IOException {
    try (UNet unet = network(8).build()) {
      Path model = saved(unet, DataType.FLOAT32);
      byte[] bytes = Files.readAllBytes(weights());
      Files.write(weights(), Arrays.copyOf(bytes, bytes.length - 1));
      String message = message(Pretrained.options(), model);
      assertThat(message(Pretrained.options().mapped(), model)).isEqualTo(message);
      assertThat(mappings()).isIn(0L, -1L);
    }
  }

  private static String message(Pretrained.Options options, Path model) {
    try (Pretrained loaded = options.load(model)) {
      return loaded.toString();
    } catch (IOException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
