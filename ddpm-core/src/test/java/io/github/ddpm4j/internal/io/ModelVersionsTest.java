package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
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
import org.junit.jupiter.params.provider.ValueSource;

/** Folders that earlier versions of the format wrote; see {@code models/README.md}. */
class ModelVersionsTest {

  private static final Path MODELS = Path.of("src/test/resources/models");

  /**
   * Of the network at the third timestep, for 36 pixels from 0 to 35/36, as it was when written.
   */
  private static final float[] PREDICTED = {
    -0.028417245f,
    -0.027028082f,
    -0.031328287f,
    -0.031455394f,
    -0.0033778343f,
    0.0020295605f,
    -0.062574334f,
    -0.05018521f,
    -0.053828247f,
    -0.04966853f,
    0.004031608f,
    0.0069718743f,
    -0.049786758f,
    -0.006570071f,
    -0.023144063f,
    -0.01867947f,
    0.039389044f,
    0.027406063f,
    -0.030933045f,
    0.033307627f,
    0.0044835284f,
    0.009276107f,
    0.0671361f,
    0.043918617f,
    0.059708778f,
    0.124813706f,
    0.08601192f,
    0.091815285f,
    0.14587805f,
    0.046673074f,
    0.065463424f,
    0.0888173f,
    0.08173593f,
    0.082696415f,
    0.14675581f,
    0.09399141f
  };

  @TempDir private Path temporary;

  private static void assertIsTheModel(Path folder) throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        DDPM ddpm = DDPM.load(folder)) {
      assertThat(ddpm.schedule().describe()).isEqualTo(Schedules.cosine(20).describe());
      assertThat(ddpm.prediction()).isEqualTo(Prediction.VELOCITY);
      assertThat(ddpm.dataRange().min()).isEqualTo(0);
      assertThat(History.runs(ddpm.provenance()))
          .extracting(run -> List.of(run.get("steps"), run.get("seed")))
          .containsExactly(List.of(3L, 5L), List.of(2L, 6L));
      TinyDenoiser network = ddpm.denoiser(TinyDenoiser.class);
      assertThat(network.weights().get("second.weight").toFloatArray())
          .startsWith(-0.1319359f, 0.28331012f, 0.030325213f, 0.23347321f);
      NDArray x = manager.arange(36f).div(36).reshape(1, 1, 6, 6);
      float[] predicted =
          network.predict(x, NoiseLevels.of(ddpm.schedule(), 3), Condition.none()).toFloatArray();
      assertThat(predicted).containsExactly(PREDICTED, Offset.offset(1e-6f));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void load_everyVersion_isTheModel(int version) throws IOException {
    Path folder = MODELS.resolve("version-" + version);
    assertThat(folder.resolve("ddpm.json")).content().contains("\"version\": " + version + ",");
    assertIsTheModel(folder);
  }

  @Test
  void load_version2_saysMore() throws IOException {
    try (DDPM ddpm = DDPM.load(MODELS.resolve("version-2"))) {
      assertThat(ddpm.classNames()).containsExactly("zero", "eins", "два");
      assertThat(ddpm.metadata())
          .containsExactly(
              Map.entry("licence", "Apache-2.0"), Map.entry("dataset", "four pictures of ones"));
    }
    try (DDPM ddpm = DDPM.load(MODELS.resolve("version-1"))) {
      assertThat(ddpm.classNames()).isEmpty();
      assertThat(ddpm.metadata()).isEmpty();
    }
  }

  /** The newest version is written over the first, and takes all that it said along. */
  @Test
  void save_overTheFirstVersion_isOfTheNewest() throws IOException {
    Path folder = Files.createDirectory(temporary.resolve("model"));
    try (Stream<Path> files = Files.list(MODELS.resolve("version-1"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    try (DDPM ddpm = DDPM.load(folder)) {
      ddpm.save(folder);
    }
    assertThat(folder.resolve("ddpm.json")).content().contains("\"version\": 2,");
    NumberedModels.assertHoldsAModelAlone(folder);
    assertIsTheModel(folder);
  }
}
