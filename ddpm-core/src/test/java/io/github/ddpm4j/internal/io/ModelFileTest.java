package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models in one file. */
class ModelFileTest {

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private Path saved() throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (TinyDenoiser denoiser = new TinyDenoiser(6, 0, 1)) {
      DDPM.builder()
          .schedule(Schedules.cosine(50))
          .prediction(Prediction.VELOCITY)
          .dataRange(0, 1)
          .metadata(Map.of("by", "me"))
          .denoiser(denoiser)
          .build()
          .saveSafetensors(file);
    }
    return file;
  }

  @Test
  void saveSafetensors_andLoad_allOfTheModel() throws IOException {
    Path file = saved();
    byte[] bytes = Files.readAllBytes(file);
    try (DDPM loaded = DDPM.load(file);
        TinyDenoiser original = new TinyDenoiser(6, 0, 1)) {
      assertThat(loaded.schedule().describe()).isEqualTo(Schedules.cosine(50).describe());
      assertThat(loaded.prediction()).isEqualTo(Prediction.VELOCITY);
      assertThat(loaded.dataRange().min()).isZero();
      assertThat(loaded.metadata()).isEqualTo(Map.of("by", "me"));
      loaded
          .denoiser(TinyDenoiser.class)
          .weights()
          .forEach((name, weight) -> assertThat(weight).isEqualTo(original.weights().get(name)));
      loaded.saveSafetensors(file);
    }
    assertThat(Files.readAllBytes(file)).isEqualTo(bytes);
    // Other readers find the weights by their names, and the usual word about them.
    try (TensorSource source = TensorFiles.open(file)) {
      assertThat(source.metadata()).containsEntry("format", "pt");
      assertThat(ModelFile.isOne(source.metadata())).isTrue();
    }
  }

  /**
   * To 8 or 11 significant bits, the nearest and of two the even; weights are far from the ends.
   */
  private static float rounded(float value, DataType type) {
    int bits = type == DataType.BFLOAT16 ? 8 : 11;
    float unit = Math.scalb(1f, Math.getExponent(value) - bits + 1);
    return (float) Math.rint(value / unit) * unit;
  }

  /** What is half as long is what float32 rounds to, and stays so from then on. */
  @Test
  void saveSafetensors_inShorterTypes_rounds() throws IOException {
    Path file = folder.resolve("short.safetensors");
    try (DDPM loaded = DDPM.load(saved())) {
      for (DataType type : List.of(DataType.BFLOAT16, DataType.FLOAT16)) {
        loaded.saveSafetensors(file, type);
        try (DDPM rounded = DDPM.load(file)) {
          Map<String, NDArray> exact = loaded.denoiser(TinyDenoiser.class).weights();
          rounded
              .denoiser(TinyDenoiser.class)
              .weights()
              .forEach(
                  (name, weight) -> {
                    assertThat(weight.getDataType()).isEqualTo(DataType.FLOAT32);
                    float[] wanted = Objects.requireNonNull(exact.get(name)).toFloatArray();
                    for (int i = 0; i < wanted.length; i++) {
                      wanted[i] = rounded(wanted[i], type);
                    }
                    assertThat(weight.toFloatArray()).isEqualTo(wanted);
                  });
          byte[] bytes = Files.readAllBytes(file);
          rounded.saveSafetensors(file, type);
          assertThat(Files.readAllBytes(file)).isEqualTo(bytes);
        }
      }
      for (DataType other : List.of(DataType.INT8, DataType.FLOAT64)) {
        assertThatThrownBy(() -> loaded.saveSafetensors(file, other))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                "tensors can be written as FLOAT32, BFLOAT16 or FLOAT16, but not as " + other);
      }
    }
  }

  @Test
  void load_whatIsNoModel_refused() throws IOException {
    Path absent = folder.resolve("absent.safetensors");
    assertThatThrownBy(() -> DDPM.load(absent)).isInstanceOf(NoSuchFileException.class);
    Path weights = folder.resolve("weights.safetensors");
    Safetensors.write(weights, Map.of("a", manager.create(1f)), Map.of("format", "pt"));
    assertThatThrownBy(() -> DDPM.load(weights))
        .isInstanceOf(IOException.class)
        .hasMessage(
            weights
                + " holds weights and no description of a model; load the folder that it belongs"
                + " to, or weights of another library by Pretrained.load of ddpm-unet");
    Safetensors.write(
        weights,
        Map.of("a", manager.create(1f)),
        Map.of("ddpm4j", "{\"format\": \"ddpm4j\", \"version\": 3}"));
    assertThatThrownBy(() -> DDPM.load(weights))
        .isInstanceOf(IOException.class)
        .hasMessage(
            weights
                + " must have format ddpm4j and a version from 1 to 2, but has ddpm4j and 3; load"
                + " it with the version of ddpm4j that saved it, or a newer one");
    // The weights of a model with one more.
    Path file = saved();
    Map<String, NDArray> more = new LinkedHashMap<>(Safetensors.read(file, manager));
    Map<String, String> words = Safetensors.metadata(file);
    more.put("more", manager.create(1f));
    Safetensors.write(file, more, words);
    assertThatThrownBy(() -> DDPM.load(file)).isInstanceOf(IOException.class);
    // Or none but a text that is no object.
    Safetensors.write(file, more, Map.of("ddpm4j", "[1]"));
    assertThatThrownBy(() -> DDPM.load(file)).isInstanceOf(IOException.class);
  }

  @Test
  void saveSafetensors_whatItCannot_refusedAndNothingChanged() throws IOException {
    Path file = saved();
    byte[] before = Files.readAllBytes(file);
    try (TinyDenoiser denoiser = new TinyDenoiser(6, 0, 1)) {
      DDPM ddpm = DDPM.builder().timesteps(10).denoiser(denoiser).build();
      assertThatThrownBy(() -> ddpm.saveSafetensors(folder.resolve("model.pt")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the name of the file must end in .safetensors, but was "
                  + folder.resolve("model.pt"));
      NDArray weight = Objects.requireNonNull(denoiser.weights().values().iterator().next());
      try (GradMode off = GradMode.off()) {
        Objects.requireNonNull(off);
        float[] values = weight.toFloatArray();
        values[0] = Float.NaN;
        weight.set(values);
      }
      assertThatThrownBy(() -> ddpm.saveSafetensors(file))
          .isInstanceOf(IllegalStateException.class);
    }
    assertThat(Files.readAllBytes(file)).isEqualTo(before);
  }
}
