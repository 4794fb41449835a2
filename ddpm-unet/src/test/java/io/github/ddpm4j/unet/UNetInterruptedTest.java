package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.model.Condition;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A network is compiled, saved, loaded and exported on an interrupted thread as on any other. */
class UNetInterruptedTest {

  @TempDir private Path folder;

  @AfterEach
  void awake() {
    Thread.interrupted();
  }

  private static <T> T interrupted(Callable<T> work) throws Exception {
    Thread.currentThread().interrupt();
    T result = work.call();
    assertThat(Thread.interrupted()).as("still interrupted").isTrue();
    return result;
  }

  private static UNet network() {
    return UNet.builder().image(1, 4, 4).levelChannels(4).groups(2).seed(1).build();
  }

  private static float[] predict(UNet network) {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray x = manager.ones(new Shape(2, 1, 4, 4));
      return network.predict(x, Levels.at(3, 3), Condition.none()).toFloatArray();
    }
  }

  @Test
  void predict_firstOnAnInterruptedThread_compilesTheNetwork() throws Exception {
    try (UNet network = network();
        UNet other = network()) {
      float[] expected = predict(other);
      assertThat(interrupted(() -> predict(network))).isEqualTo(expected);
      assertThat(predict(network)).isEqualTo(expected);
    }
  }

  @Test
  void modelAndExport_areWrittenAndRead() throws Exception {
    Path file = folder.resolve("network.pt");
    try (UNet network = network()) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      interrupted(
          () -> {
            ddpm.save(folder.resolve("model"));
            network.exportTorchScript(file);
            return file;
          });
      try (UNet loaded = interrupted(() -> UNet.load(folder.resolve("model")))) {
        assertThat(predict(loaded)).isEqualTo(predict(network));
      }
    }
    try (TorchScriptFeatures exported = interrupted(() -> Features.torchScript(file).load())) {
      assertThat(exported).hasToString("TorchScriptFeatures[network.pt]");
    }
  }
}
