package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code Unet1D} and {@code GaussianDiffusion1D} of lucidrains, against what they gave. */
class SignalPeersTest {

  private static final double BOUND = 1e-5;

  @TempDir Path folder;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"lucidrains_1d", "lucidrains_1d_selfcond"})
  void load_unet1d_sameOutput(String name) throws IOException {
    Peer peer = Peer.read(name, manager);
    try (Pretrained model = peer.options().load(peer.write(folder))) {
      UNet network = model.ddpm().denoiser(UNet.class);
      NDArray x = peer.input();
      assertThat(network.config().imageShape()).isEqualTo(x.getShape().slice(1));
      double[] steps = peer.timesteps();
      NoiseLevels levels =
          NoiseLevels.of(Arrays.stream(steps).mapToObj(step -> new Level(step, 1, 1)).toList());
      for (Execution execution : Execution.values()) {
        network.runAs(execution, Precision.FLOAT32);
        NDArray y = network.predict(x, levels, peer.condition());
        assertClose(y.toFloatArray(), peer.output());
      }
      assertThat(model.audit().assumed())
          .contains("4 heads of 32 channels in the middle (neither attn_heads nor attn_dim_head)");
    }
  }

  /** Another writes what it was loaded from. */
  @Test
  void table_backwards_theSameTensors() throws IOException {
    Peer peer = Peer.read("lucidrains_1d", manager);
    Path file = peer.write(folder);
    try (Pretrained model = peer.options().load(file);
        TensorSource source = TensorFiles.open(file)) {
      UNet network = model.ddpm().denoiser(UNet.class);
      Map<String, NDArray> written =
          new Lucidrains()
              .table(network.config(), PeerShapes.of(source, "it"), new Given(peer.options()))
              .write(network.weights(), manager);
      assertThat(written.keySet()).isEqualTo(peer.weights().keySet());
      written.forEach((key, tensor) -> assertThat(tensor).isEqualTo(peer.weights().get(key)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 20})
  void sample_gaussianDiffusion1d_sameSignals(int steps) throws IOException {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (TensorSource source =
        TensorFiles.open(Peer.resource("/peers/lucidrains_1d_sample.safetensors"))) {
      for (String tensor : source.tensors().keySet()) {
        all.put(tensor, source.readFloat32(tensor, manager));
      }
    }
    // (draws, signals, 1, 16)
    NDArray noise = Objects.requireNonNull(all.get("steps" + steps + ".noise"));
    NDArray sample = Objects.requireNonNull(all.get("steps" + steps + ".sample"));
    float[] expected = sample.mul(2).sub(1).toFloatArray();
    all.keySet().removeIf(name -> name.startsWith("steps"));
    Path file = folder.resolve("diffusion.safetensors");
    Safetensors.write(file, all, Map.of());
    NoiseSource recorded =
        (signal, draw, target) -> {
          float[] values = noise.get(draw, signal).toFloatArray();
          Arrays.setAll(target, i -> values[i]);
        };
    try (Pretrained model = Pretrained.options().signal(1, 16).load(file);
        Samples samples =
            model
                .sampling()
                .sampler(steps == 20 ? Samplers.ddpm() : model.sampler(steps))
                .noise(recorded)
                .generate(2)) {
      assertThat(model.ddpm().prediction()).isEqualTo(Prediction.EPSILON);
      assertThat(model.ddpm().schedule().timesteps()).isEqualTo(20);
      NDArray drawn = samples.toNDArray(manager);
      assertThat(drawn.getShape()).isEqualTo(new Shape(2, 1, 16));
      assertClose(drawn.toFloatArray(), expected);
    }
  }

  @Test
  void load_unsaidLength_refused() throws IOException {
    Peer peer = Peer.read("lucidrains_1d", manager);
    Path file = peer.write(folder);
    assertThatThrownBy(() -> Pretrained.options().image(2, 12, 12).load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file + " does not say how long signals are: call options().signal(channels, length)");
  }

  @Test
  void save_asOtherLibrariesOfImages_refused() throws IOException {
    Peer peer = Peer.read("lucidrains_1d", manager);
    try (Pretrained model = peer.options().load(peer.write(folder))) {
      assertThatThrownBy(() -> Pretrained.saveDiffusers(model.ddpm(), folder.resolve("no")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "diffusers' UNet2DModel has no signals or volumes, (2, 12); export the network by"
                  + " exportTorchScript, or save the model by save(folder)");
      assertThatThrownBy(() -> Pretrained.saveNpz(model.ddpm(), folder.resolve("no.npz")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the authors' code has no network of signals or volumes, but images are (2, 12); save"
                  + " the model by save(folder)");
    }
  }

  @Test
  void load_otherHeads_refused() throws IOException {
    Peer peer = Peer.read("lucidrains_1d", manager);
    Map<String, NDArray> other = new LinkedHashMap<>(peer.weights());
    other.put("mid_attn.fn.fn.to_qkv.weight", manager.zeros(new Shape(192, 8, 1)));
    Path file = folder.resolve("other.safetensors");
    Safetensors.write(file, other, Map.of());
    assertThatThrownBy(() -> peer.options().load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " has attention of 64 channels in mid_attn, but Unet1D is loaded with 4 heads of"
                + " 32 alone; leave attn_heads and attn_dim_head out when you train it");
  }

  private static void assertClose(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      worst = Math.max(worst, difference / (1 + Math.abs(expected[i])));
    }
    assertThat(worst).as("largest difference, by 1 + |x|").isLessThan(BOUND);
  }
}
