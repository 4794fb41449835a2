package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.Shape;
import com.google.gson.Gson;
import com.google.gson.JsonObject;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Names and shapes of the weights of published models, as diffusers and transformers have them
 * ({@code parts/list_parts.py}). Those of the networks of text to image are in ddpm-unet's tests.
 */
class PublishedPartsTest {

  private static final Path FILE = Path.of("src/test/resources/parts/published.txt.gz");

  @TempDir private Path folder;

  /** The configuration of a model, and its weights. */
  private record Listed(String config, Map<String, Shape> weights) {}

  private static Listed listed(String model) throws IOException {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(FILE)), StandardCharsets.UTF_8))) {
      String config = null;
      Map<String, Shape> weights = new LinkedHashMap<>();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("# ")) {
          if (config != null) {
            break;
          }
          config = line.startsWith("# " + model + " ") ? line.substring(model.length() + 3) : null;
        } else if (config != null) {
          String[] sides = line.split("\t", -1);
          weights.put(
              sides[0],
              new Shape(
                  Arrays.stream(sides[1].split(",", -1)).mapToLong(Long::parseLong).toArray()));
        }
      }
      assertThat(config).as(model).isNotNull();
      return new Listed(config, weights);
    }
  }

  private ConfigFile file(String config) throws IOException {
    return ConfigFile.read(Files.writeString(folder.resolve("config.json"), config));
  }

  @ParameterizedTest
  @ValueSource(strings = {"vae", "vqvae"})
  void autoencoder_hasTheWeightsOfDiffusers(String model) throws IOException {
    Listed listed = listed(model);
    Map<String, Shape> own = new LinkedHashMap<>();
    new AutoencoderNetwork(AutoencoderConfig.read(file(listed.config)))
        .parameters()
        .forEach(spec -> own.put(spec.name(), spec.shape()));
    assertThat(own).containsExactlyInAnyOrderEntriesOf(listed.weights);
  }

  @ParameterizedTest
  @ValueSource(strings = {"clip-l", "clip-h", "ldmbert"})
  void textEncoder_hasTheWeightsOfTransformers(String model) throws IOException {
    Listed listed = listed(model);
    // What was for training alone, and is not loaded.
    listed.weights.keySet().removeIf(name -> name.startsWith("to_logits."));
    Map<String, Shape> own = new LinkedHashMap<>();
    new TextNetwork(TextConfig.read(file(listed.config)))
        .parameters()
        .forEach(spec -> own.put(spec.name(), spec.shape()));
    assertThat(own).containsExactlyInAnyOrderEntriesOf(listed.weights);
  }

  @Test
  void celebahq_hasTheWeightsOfDiffusers() throws IOException {
    Listed listed = listed("celebahq");
    assertThat(PublishedUNet.LDM_CELEBAHQ.config().weightShapes())
        .containsExactlyInAnyOrderEntriesOf(listed.weights);
    JsonObject config = new Gson().fromJson(listed.config, JsonObject.class);
    assertThat(config.get("attention_head_dim").getAsInt()).isEqualTo(32);
  }
}
