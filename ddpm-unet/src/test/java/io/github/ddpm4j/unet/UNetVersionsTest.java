package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.process.NoiseLevels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Folders that earlier versions of the format wrote, and folders that ask for the impossible. */
class UNetVersionsTest {

  private static final Path MODELS = Path.of("src/test/resources/models");

  /**
   * Of the class 1 at the third timestep, for 16 pixels from 0 to 15/16, as when it was written.
   */
  private static final float[] PREDICTED = {
    -0.71081305f, -1.2265208f, -1.4057696f, -1.0425915f, -1.5924819f, -2.6910455f, -2.9083679f,
    -2.1739712f, -2.3987756f, -4.091749f, -4.183473f, -3.128073f, -2.2782617f, -3.8823662f,
    -3.6090584f, -2.679117f
  };

  @TempDir private Path temporary;

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void load_everyVersion_isTheModel(int version) throws IOException {
    Path folder = MODELS.resolve("version-" + version);
    assertThat(folder.resolve("ddpm.json")).content().contains("\"version\": " + version + ",");
    try (NDManager manager = NDManager.newBaseManager();
        DDPM ddpm = DDPM.load(folder)) {
      UNet network = ddpm.denoiser(UNet.class);
      assertThat(network.config().parameterCount()).isEqualTo(1291);
      NDArray x = manager.arange(16f).div(16).reshape(1, 1, 4, 4);
      float[] predicted =
          network
              .predict(x, NoiseLevels.of(ddpm.schedule(), 3), Condition.labels(1))
              .toFloatArray();
      assertThat(predicted).containsExactly(PREDICTED, Offset.offset(1e-5f));
      assertThat(ddpm.classNames())
          .isEqualTo(version == 1 ? List.of() : List.of("cat", "dog", "owl"));
    }
  }

  /** Nothing of it would fit into the memory of this test, or of any machine. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"classes\": 3|\"classes\": 2000000000|classes must be at most 16777216, but was 2000000000",
        "\"classes\": 3|\"classes\": 16000000|denoiser unet is described with 128,001,267"
            + " parameters, but the file of the weights holds 1,291",
        "[2, 2]|[65536, 65536]|a weight must have at most 536,870,911 values, but"
            + " time_embedding.linear_1.weight of the shape (262144, 65536) would have"
            + " 17,179,869,184; take fewer channels, classes or values of a vector",
        "[2, 2]|[4096, 4096]|denoiser unet is described with 4,396,126,209 parameters, but the file"
            + " of the weights holds 1,291",
        "\"residualBlocks\": 1|\"residualBlocks\": 1000|denoiser unet is described with 508,783"
            + " parameters, but the file of the weights holds 1,291",
        "[2, 2]|MANY|level channels must be given for 1 to 16 levels, but were for 1000000",
        "\"timesteps\": 20|\"timesteps\": 2000000000|timesteps must be at most 1000000, but was"
            + " 2000000000",
      })
  void load_theImpossible_isRefusedBeforeMemoryIsTaken(String from, String to, String message)
      throws IOException {
    Path folder = Files.createDirectory(temporary.resolve("model"));
    try (Stream<Path> files = Files.list(MODELS.resolve("version-2"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    Path description = folder.resolve("ddpm.json");
    String text = Files.readString(description);
    assertThat(text).contains(from);
    String many = "[2" + ", 2".repeat(999_999) + "]";
    Files.writeString(description, text.replace(from, to.replace("MANY", many)));

    assertThatThrownBy(() -> DDPM.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(description + " is not valid: " + message);
  }

  @Test
  void classNames_thatDoNotFitTheNetwork_areRefused() {
    try (UNet network = UNet.builder().image(1, 8, 8).baseChannels(32).classes(3).buildBlank();
        UNet without = UNet.builder().image(1, 8, 8).baseChannels(32).buildBlank()) {
      assertThatThrownBy(
              () -> DDPM.builder().denoiser(network).classNames(List.of("cat", "dog")).build())
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "classNames must be as many as the network has classes, which are 3, but were 2");
      assertThatThrownBy(
              () -> DDPM.builder().denoiser(without).classNames(List.of("cat", "dog")).build())
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "classNames are for a network that is conditioned on labels, but "
                  + without
                  + " is not; leave them out, or build it with classes(2)");
      DDPM ddpm = DDPM.builder().denoiser(network).classNames(List.of("cat", "dog", "owl")).build();
      assertThat(ddpm.classNames()).containsExactly("cat", "dog", "owl");
      assertThat(ddpm.withMetadata(Map.of("a", "b")).classNames()).hasSize(3);
    }
  }
}
